// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"

	"github.com/otelauth/otelauth-go/otelauth/client"
)

// call sends requests to the next service, with one of the caller's credentials.
type call struct {
	client *http.Client
	next   string
}

// newCall returns a call to cfg.next with the credentials in that file.
func (s *service) newCall(cfg *config, credentials string) (*call, error) {
	trust, err := trustOf(filepath.Join(cfg.secrets, caFile))
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: patience}
	if cfg.from.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(cfg.from, 0))
	}
	t, err := client.New(client.Config{
		Origins:        []string{cfg.next},
		File:           filepath.Join(cfg.secrets, credentials),
		Base:           &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: trust, ForceAttemptHTTP2: true},
		TracerProvider: s.signals.traces, MeterProvider: s.signals.meters, Propagators: propagator,
	})
	if err != nil {
		return nil, fmt.Errorf("%w; write the next service as https://host:port", err)
	}
	s.closers = append(s.closers, func() error { t.CloseIdleConnections(); return nil })
	return &call{&http.Client{Transport: t, Timeout: patience}, cfg.next}, nil
}

// maxMessageBytes bounds each message between services, and each message from a client.
const maxMessageBytes = 64 << 10

// do sends question as JSON and decodes the answer into answer. A nil question sends no body; a
// nil answer discards the answer.
func (c *call) do(ctx context.Context, method, path string, question, answer any) (status int, err error) {
	var body io.Reader
	if question != nil {
		text, err := json.Marshal(question)
		if err != nil {
			return 0, err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.next+path, body)
	if err != nil {
		return 0, err
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 300 && answer != nil {
		err = json.NewDecoder(io.LimitReader(resp.Body, maxMessageBytes)).Decode(answer)
	}
	return resp.StatusCode, err
}

// passOn answers a client whose request another service did not fulfil. It hides problems between
// services from the client. A 401 that was passed on, for example, would prompt the client for a
// password that it does not have.
func passOn(w http.ResponseWriter, status int, err error) bool {
	switch {
	case err == nil && status < 300:
		return true
	case err == nil && (status == http.StatusNotFound || status == http.StatusConflict):
		http.Error(w, http.StatusText(status), status)
	default:
		http.Error(w, "The request cannot be completed at the moment. Try again later.", http.StatusBadGateway)
	}
	return false
}

func reply(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // an error means that the client has disconnected
}

// read decodes a question. It reports false after it has written an error response.
func read(w http.ResponseWriter, r *http.Request, question any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxMessageBytes)).Decode(question); err != nil {
		http.Error(w, "The body is not the expected JSON.", http.StatusBadRequest)
		return false
	}
	return true
}
