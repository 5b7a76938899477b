// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
)

// UserAgent is that of every visit, so that simulated traffic can be distinguished from real
// traffic.
const UserAgent = "otelauth-traffic/1"

// Visitor is the kind of client that is simulated.
type Visitor string

// The visitors.
const (
	Honest   Visitor = "honest"
	Attacker Visitor = "attacker"
)

// Visit is one request.
type Visit struct {
	Who            Visitor
	From           netip.Addr // written to X-Forwarded-For; the zero Addr: no such header
	Method, Path   string
	Name, Password string // both empty: no credentials
}

// Format shows no password, whatever the verb.
func (v Visit) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%s %s by %s", v.Method, v.Path, v.Who)
}

// maxAnswerBytes bounds how much of an answer is read.
const maxAnswerBytes = 64 << 10

// Do sends one visit to target. It returns the status and the part of the body that was read.
func Do(ctx context.Context, client *http.Client, target string, v Visit) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, v.Method, strings.TrimSuffix(target, "/")+v.Path, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("load: %w", err)
	}
	r.Header.Set("User-Agent", UserAgent)
	if v.From.IsValid() {
		// These headers are what a proxy that received the request over TLS would add.
		r.Header.Set("X-Forwarded-For", v.From.String())
		r.Header.Set("X-Forwarded-Proto", "https")
	}
	if v.Name != "" || v.Password != "" {
		r.SetBasicAuth(v.Name, v.Password)
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, answer, nil
}
