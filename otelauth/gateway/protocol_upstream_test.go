// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// wireUpstream is a service that reads HTTP/1.1 byte by byte according to RFC 9112 and records
// deviations. net/http would accept bytes that another server reads as two requests.
type wireUpstream struct {
	mu         sync.Mutex
	requests   []wireRequest
	deviations []string
}

// wireRequest is one request as it arrived.
type wireRequest struct {
	line   string
	header map[string][]string // by lower-case name
	body   string
}

func (r *wireRequest) values(name string) []string { return r.header[strings.ToLower(name)] }

func (u *wireUpstream) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			in := bufio.NewReader(conn)
			for u.one(in) {
				if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
					return
				}
			}
		}()
	}
}

func (u *wireUpstream) deviate(format string, args ...any) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.deviations = append(u.deviations, fmt.Sprintf(format, args...))
	return false
}

// seen returns the requests and deviations so far.
func (u *wireUpstream) seen() ([]wireRequest, []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]wireRequest(nil), u.requests...), append([]string(nil), u.deviations...)
}

// take returns the requests and deviations since the last call.
func (u *wireUpstream) take() (requests []wireRequest, deviations []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	requests, deviations = u.requests, u.deviations
	u.requests, u.deviations = nil, nil
	return requests, deviations
}

var (
	requestLine = regexp.MustCompile(`^[!#$%&'*+.^_|~0-9A-Za-z-]+ (/[\x21-\x7e]*|\*) HTTP/1\.1$`)
	fieldLine   = regexp.MustCompile(`^([0-9A-Za-z-]+): ?((?:[\t\x20-\x7e]|[^\x00-\x7f])*)$`)
	chunkLine   = regexp.MustCompile(`^[0-9a-f]{1,8}$`)
)

// line reads one line that ends in CR LF and holds no other CR or LF.
func line(in *bufio.Reader) (string, error) {
	text, err := in.ReadString('\n')
	if err != nil {
		return text, err
	}
	plain, found := strings.CutSuffix(text, "\r\n")
	if !found || strings.ContainsRune(plain, '\r') {
		return plain, fmt.Errorf("a line that does not end in CR LF alone: %q", text)
	}
	return plain, nil
}

// one reads one request and reports whether another may follow.
func (u *wireUpstream) one(in *bufio.Reader) bool {
	first, err := line(in)
	if err == io.EOF && first == "" { //nolint:errorlint // bufio returns it as it is
		return false
	}
	if err != nil || !requestLine.MatchString(first) {
		return u.deviate("request line %q: %v", first, err)
	}
	header, ok := u.fields(in)
	if !ok {
		return false
	}
	// From here on the request counts, even without its body: the client may have disconnected.
	r := wireRequest{line: first, header: header}
	lengths, codings := header["content-length"], header["transfer-encoding"]
	if len(lengths)+len(codings) > 1 || len(codings) == 1 && codings[0] != "chunked" || len(header["host"]) != 1 {
		return u.deviate("%s: Content-Length %q, Transfer-Encoding %q, Host %q", first, lengths, codings, header["host"])
	}
	complete := true
	switch {
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		if err != nil {
			return u.deviate("%s: Content-Length %q", first, lengths)
		}
		var body strings.Builder
		_, err = io.CopyN(&body, in, int64(n))
		r.body, complete = body.String(), err == nil
	case len(codings) == 1:
		r.body, complete = u.chunks(in)
	}
	u.mu.Lock()
	u.requests = append(u.requests, r)
	u.mu.Unlock()
	return complete
}

func (u *wireUpstream) fields(in *bufio.Reader) (map[string][]string, bool) {
	header := map[string][]string{}
	for {
		text, err := line(in)
		if err != nil {
			return nil, u.deviate("head: %v", err)
		}
		if text == "" {
			return header, true
		}
		m := fieldLine.FindStringSubmatch(text)
		if m == nil {
			return nil, u.deviate("field line %q", text)
		}
		name := strings.ToLower(m[1])
		header[name] = append(header[name], m[2])
	}
}

// chunks reads a chunked body. A body that breaks off is not a deviation: the client may have
// disconnected.
func (u *wireUpstream) chunks(in *bufio.Reader) (string, bool) {
	var body strings.Builder
	for {
		size, err := line(in)
		if err != nil {
			return body.String(), false
		}
		if !chunkLine.MatchString(size) {
			return "", u.deviate("chunk size %q", size)
		}
		n, _ := strconv.ParseUint(size, 16, 32)
		if n == 0 {
			_, ok := u.fields(in)
			return body.String(), ok
		}
		if _, err := io.CopyN(&body, in, int64(n)); err != nil {
			return body.String(), false
		}
		if end, err := line(in); err != nil || end != "" {
			return body.String(), err != nil || u.deviate("%q after a chunk", end)
		}
	}
}
