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

// call is how a service asks the next one, with one of its credentials.
type call struct {
	client *http.Client
	next   string
}

// newCall returns the way to cfg.next with the credentials of that file.
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
		return nil, fmt.Errorf("%w; the next service is named as https://host:port", err)
	}
	s.closers = append(s.closers, func() error { t.CloseIdleConnections(); return nil })
	return &call{&http.Client{Transport: t, Timeout: patience}, cfg.next}, nil
}

// maxMessageBytes bounds what services read of each other, and of their clients.
const maxMessageBytes = 64 << 10

// do sends question as JSON, nil for none, and reads the answer into answer, which may be nil.
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

// passOn answers a client whose request another service did not fulfil. What is wrong between
// services is not the client's to know: a 401 of theirs, handed on, would ask him for a password
// that he does not have.
func passOn(w http.ResponseWriter, status int, err error) bool {
	switch {
	case err == nil && status < 300:
		return true
	case err == nil && (status == http.StatusNotFound || status == http.StatusConflict):
		http.Error(w, http.StatusText(status), status)
	default:
		http.Error(w, "This cannot be done at the moment.", http.StatusBadGateway)
	}
	return false
}

func reply(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client is away when it fails
}

// read reads a question; false when the answer has been given.
func read(w http.ResponseWriter, r *http.Request, question any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxMessageBytes)).Decode(question); err != nil {
		http.Error(w, "This is not the JSON that was expected.", http.StatusBadRequest)
		return false
	}
	return true
}
