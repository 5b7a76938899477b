// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

func ExampleText() {
	fmt.Println(attempt.Text("/orders\n2026-01-01 INFO forged", 16))
	// Output: /orders�2026-0
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, in, want string
		max            int
	}{
		{"plain", "curl/8.5.0", "curl/8.5.0", 64},
		{"exact", "abcd", "abcd", 4},
		{"long", "abcde", "abcd", 4},
		{"never inside a character", "aé", "a", 2},
		{"whole character fits", "aé", "aé", 3},
		{"newline", "a\nb", "a\ufffdb", 64},
		{"escape sequence", "\x1b[2J", "\ufffd[2J", 64},
		{"C1 control", "a\u009b2Jb", "a\ufffd2Jb", 64},
		{"delete", "a\x7f", "a\ufffd", 64},
		{"bidi override", "user\u202egnp", "user\ufffdgnp", 64},
		{"bidi isolate", "a\u2066b", "a\ufffdb", 64},
		{"line separator", "a\u2028b", "a\ufffdb", 64},
		{"invalid UTF-8", "a\xffb", "a\ufffdb", 64},
		{"lone continuation bytes", strings.Repeat("\x80", 9), "\ufffd", 5},
		{"zero width joiner stays, names need it", "ن\u200dی", "ن\u200dی", 64},
		{"nothing fits", "abc", "", 0},
		{"negative bound", "abc", "", -1},
	} {
		if got := attempt.Text(tc.in, tc.max); got != tc.want {
			t.Errorf("%s: Text(%q, %d) = %q, want %q", tc.name, tc.in, tc.max, got, tc.want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\nb", 3)
	f.Add("\xff\u202e\u2028", 7)
	f.Fuzz(func(t *testing.T, s string, maxBytes int) {
		got := attempt.Text(s, maxBytes)
		if !utf8.ValidString(got) {
			t.Fatalf("Text(%q, %d) = %q is not UTF-8", s, maxBytes, got)
		}
		if len(got) > max(maxBytes, 0) {
			t.Fatalf("Text(%q, %d) is %d bytes", s, maxBytes, len(got))
		}
		if strings.ContainsAny(got, "\n\r\t\x00\x1b\x7f\u0085\u2028\u2029\u202e\u2066") {
			t.Fatalf("Text(%q, %d) = %q", s, maxBytes, got)
		}
		if again := attempt.Text(got, maxBytes); again != got {
			t.Fatalf("not idempotent: %q, then %q", got, again)
		}
	})
}

func TestKnownMethod(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "GET": "GET", "PATCH": "PATCH", "TRACE": "TRACE", "get": "_OTHER", "BREW": "_OTHER", "PROPFIND": "_OTHER",
	} {
		if got := attempt.KnownMethod(in); got != want {
			t.Errorf("KnownMethod(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		req  attempt.Request
		want string
	}{
		{attempt.Request{}, ""},
		{attempt.Request{Client: netip.MustParseAddr("192.0.2.7")}, "192.0.2.7"},
		{attempt.Request{Client: netip.MustParseAddr("::ffff:192.0.2.7")}, "192.0.2.7"},
		{attempt.Request{Client: netip.MustParseAddr("fe80::1%\n")}, "fe80::1"},
		{attempt.Request{Client: netip.MustParseAddr("192.0.2.7"), ClientText: "192.0.2.7"}, "192.0.2.7"},
	} {
		if got := tc.req.ClientAddress(); got != tc.want || tc.req.ClientText != tc.want {
			t.Errorf("ClientAddress() = %q, ClientText %q, want %q", got, tc.req.ClientText, tc.want)
		}
	}
}
