// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// Requests that no client library sends, over a real connection. net/http answers some of them
// before any handler; the Middleware answers and records the rest.
func TestRawRequests(t *testing.T) {
	t.Parallel()
	right := "Authorization: " + token("alice:wonderland") + "\r\n"
	for _, tc := range []struct {
		name   string
		head   string // after the request line and Host
		status int
		reason attempt.Reason
		early  bool // answered by net/http: no attempt
	}{
		{name: "right", head: right, status: 200},
		{name: "spelled otherwise", head: "aUTHORIZATION:bAsIc    " + strings.TrimPrefix(token("alice:wonderland"), "Basic ") + "   \r\n", status: 200},
		{name: "two right ones", head: right + right, status: 400, reason: attempt.ReasonDuplicateHeader},
		{name: "right, then wrong", head: right + "authorization: " + token("alice:x") + "\r\n", status: 400, reason: attempt.ReasonDuplicateHeader},
		{name: "Basic and Bearer", head: right + "Authorization: Bearer x\r\n", status: 400, reason: attempt.ReasonDuplicateHeader},
		{name: "an empty one first", head: "Authorization:\r\n" + right, status: 400, reason: attempt.ReasonDuplicateHeader},
		{name: "an empty one alone", head: "Authorization:\r\n", status: 400, reason: attempt.ReasonEmptyCredentials},
		{
			name: "comma-joined", head: "Authorization: " + token("alice:wonderland") + ", " + token("alice:wonderland") + "\r\n",
			status: 400, reason: attempt.ReasonMultipleSchemes,
		},
		{name: "900 KiB", head: "Authorization: Basic " + strings.Repeat("A", 900<<10) + "\r\n", status: 400, reason: attempt.ReasonHeaderTooLong},
		{name: "900 KiB of another scheme", head: "Authorization: X" + strings.Repeat("A", 900<<10) + "\r\n", status: 400, reason: attempt.ReasonHeaderTooLong},
		{name: "2 MiB", head: "Authorization: Basic " + strings.Repeat("A", 2<<20) + "\r\n", status: 431, early: true},
		{name: "NUL in the field", head: "Authorization: Basic YTpi\x00\r\n", status: 400, early: true},
		{name: "CR in the field", head: "Authorization: Basic YT\rpi\r\n", status: 400, early: true},
		{name: "NUL in the name", head: "Authorization: " + token("ali\x00ce:wonderland") + "\r\n", status: 400, reason: attempt.ReasonControlCharacter},
		{name: "CR LF in the name", head: "Authorization: " + token("alice\r\nX: y:wonderland") + "\r\n", status: 400, reason: attempt.ReasonControlCharacter},
		{name: "NUL in the password", head: "Authorization: " + token("alice:wonder\x00land") + "\r\n", status: 400, reason: attempt.ReasonControlCharacter},
		// obs-fold, RFC 9112 section 5.2: net/http joins it
		{name: "a folded field", head: "Authorization: Basic\r\n YWxpY2U6d29uZGVybGFuZA==\r\n", status: 200},
		{name: "a space before the colon", head: "Authorization : " + token("alice:wonderland") + "\r\n", status: 400, early: true},
		{name: "bytes above ASCII", head: "Authorization: Basic \xff\xfe\r\n", status: 400, reason: attempt.ReasonInvalidBase64},
		{name: "no Host", head: "\x01", status: 400, early: true},
		{name: "two lengths", head: right + "Content-Length: 1\r\nContent-Length: 2\r\n", status: 400, early: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, otelauth.Config{}, nil)
			raw := "GET /orders HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + tc.head + "\r\n"
			if tc.head == "\x01" {
				raw = "GET /orders HTTP/1.1\r\nConnection: close\r\n\r\n"
			}
			resp, body := exchangeRaw(t, "tcp", listen(t, s.handler).Listener.Addr().String(), raw)
			if resp.StatusCode != tc.status {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tc.status, body)
			}
			if tc.early {
				if n := len(s.Attempts()); n != 0 || strings.Contains(body, "trace_id") {
					t.Errorf("%d attempts were recorded; net/http should answer this: %s", n, body)
				}
				return
			}
			got := s.last(t)
			if got.Status != tc.status || got.Reason != tc.reason || s.recorded() != 1 {
				t.Errorf("recorded %+v", got)
			}
			if (got.Outcome == attempt.Success) != (tc.status == 200) || (got.Outcome == attempt.Malformed) != (tc.status == 400) {
				t.Errorf("recorded %+v", got)
			}
			if tc.status == 400 && problemOf(t, body).TraceID != got.TraceID.String() {
				t.Errorf("answer %s", body)
			}
		})
	}
}
