// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

// A client that grants no flow-control window cannot hold its streams or the upstream: neither
// with the response of an endpoint nor with a refusal.
func TestStreamsWithoutAWindowEnd(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 1)
	s := newSite(t, gateway.Config{
		StallTimeout: shortStall,
		Rules:        []gateway.Rule{{Pattern: "GET /static/", Access: gateway.Public}},
	}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- struct{}{} }()
		for bytes := strings.Repeat("x", 1<<16); r.Context().Err() == nil; {
			if _, err := io.WriteString(w, bytes); err != nil {
				return
			}
		}
	}))
	for _, path := range []string{"/static/x", "/required"} {
		conn := s.dial(t)
		// SETTINGS_INITIAL_WINDOW_SIZE
		noWindow := "\x00\x04\x00\x00\x00\x00"
		// RFC 7541: GET, http, h, path
		request := "\x82\x86\x01\x01h\x04" + string(rune(len(path))) + path
		if _, err := io.WriteString(conn, preface+frame(frameSettings, 0, 0, noWindow)+
			frame(frameHeaders, flagEndStream|flagEndHeaders, 1, request)); err != nil {
			t.Fatal(err)
		}
		answered := false
		for head := make([]byte, 9); ; {
			if _, err := io.ReadFull(conn, head); err != nil {
				t.Fatalf("%s: the stream was not reset (answered: %v): %v", path, answered, err)
			}
			if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head)>>8)); err != nil {
				t.Fatal(err)
			}
			answered = answered || head[3] == frameHeaders
			if head[3] == frameReset {
				break
			}
		}
		if !answered {
			t.Errorf("%s: no response", path)
		}
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the upstream still writes")
	}
}

// net/http answers an unknown expectation without a handler and then reads the body. A client
// that sends no body cannot hold the connection.
func TestExpectationWithoutABodyEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{StallTimeout: shortStall}, nil)
	answer := s.raw(t, "POST /x HTTP/1.1\r\nHost: h\r\nExpect: the-worst\r\nTransfer-Encoding: chunked\r\n\r\n")
	if got := status(t, answer); got != http.StatusExpectationFailed {
		t.Errorf("answered %d", got)
	}
}
