// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

// What two parsers could take for different requests is refused, closes the connection, and never reaches the upstream: neither
// itself nor what is hidden behind it.
func TestRequestSmuggling(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{}, nil)
	auth := authorization("alice", "wonderland")
	hidden := "GET /hidden HTTP/1.1\r\nHost: h\r\n" + auth + "\r\n"
	for name, octets := range map[string]string{
		"Content-Length twice":              "POST / HTTP/1.1\r\nHost: h\r\n" + auth + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + hidden,
		"Content-Length as a list":          "POST / HTTP/1.1\r\nHost: h\r\n" + auth + "Content-Length: 5, 6\r\n\r\nhello" + hidden,
		"Content-Length with a sign":        "POST / HTTP/1.1\r\nHost: h\r\n" + auth + "Content-Length: +5\r\n\r\nhello" + hidden,
		"Content-Length in hexadecimal":     "POST / HTTP/1.1\r\nHost: h\r\n" + auth + "Content-Length: 0x5\r\n\r\nhello" + hidden,
		"Content-Length below zero":         "POST / HTTP/1.1\r\nHost: h\r\n" + auth + "Content-Length: -1\r\n\r\n" + hidden,
		"an unknown transfer coding":        "POST / HTTP/1.1\r\nHost: h\r\n" + auth + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
		"chunked and identity":              "POST / HTTP/1.1\r\nHost: h\r\n" + auth + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden,
		"chunked twice":                     "POST / HTTP/1.1\r\nHost: h\r\n" + auth + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"a blank before the colon":          "POST / HTTP/1.1\r\nHost: h\r\n" + auth + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden,
		"a tab before the colon":            "POST / HTTP/1.1\r\nHost: h\r\n" + auth + "Content-Length\t: 5\r\n\r\nhello" + hidden,
		"a NUL in a name":                   "POST / HTTP/1.1\r\nHost: h\r\n" + auth + "Content-\x00Length: 5\r\n\r\nhello" + hidden,
		"a NUL in a value":                  "GET / HTTP/1.1\r\nHost: h\r\n" + auth + "X: a\x00b\r\n\r\n" + hidden,
		"a bare CR in a value":              "GET / HTTP/1.1\r\nHost: h\r\n" + auth + "X: a\rTransfer-Encoding: chunked\r\n\r\n" + hidden,
		"a line folded before any field":    "GET / HTTP/1.1\r\n Host: h\r\n" + auth + "\r\n" + hidden,
		"Host twice":                        "GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n" + auth + "\r\n" + hidden,
		"no Host":                           "GET / HTTP/1.1\r\n" + auth + "\r\n" + hidden,
		"a Host with a path":                "GET / HTTP/1.1\r\nHost: h/admin\r\n" + auth + "\r\n" + hidden,
		"a version of no kind":              "GET / HTTP/1.11\r\nHost: h\r\n" + auth + "\r\n" + hidden,
		"no version":                        "GET /\r\nHost: h\r\n" + auth + "\r\n" + hidden,
		"a blank in the target":             "GET /a b HTTP/1.1\r\nHost: h\r\n" + auth + "\r\n" + hidden,
		"a control character in the target": "GET /a\x01 HTTP/1.1\r\nHost: h\r\n" + auth + "\r\n" + hidden,
		"a header of 1 MiB":                 "GET / HTTP/1.1\r\nHost: h\r\n" + auth + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n" + hidden,
		"a target of 1 MiB":                 "GET /" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: h\r\n" + auth + "\r\n" + hidden,
		"an Authorization of 1 MiB":         "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic " + strings.Repeat("A", 1<<20) + "\r\n\r\n" + hidden,
		"100,000 headers":                   "GET / HTTP/1.1\r\nHost: h\r\n" + auth + strings.Repeat("X: x\r\n", 100_000) + "\r\n" + hidden,
		"no colon":                          "GET / HTTP/1.1\r\nHost: h\r\n" + auth + "X\r\n\r\n" + hidden,
		"garbage":                           "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n" + hidden,
	} {
		answer := s.raw(t, octets)
		got := status(t, answer)
		if got < 400 || got > 505 || strings.Count(answer, "HTTP/1.") != 1 {
			t.Errorf("%s: answered %d: %.120q", name, got, answer)
		}
	}
	if reached := s.reached(); len(reached) > 0 {
		t.Fatalf("%s %q reached the upstream", reached[0].Method, reached[0].URL)
	}
	eventually(t, "what net/http answered itself is counted", func() bool {
		total := int64(0)
		for _, e := range s.named(gateway.EventUnparsed) {
			total += e.Attributes().Get("auth.gateway.unparsed.count").AsInt64()
		}
		return total >= 15
	})
}

// What one parser reads leniently is passed on in the strict form only: one request, with one length.
func TestAmbiguousRequestsAreRewritten(t *testing.T) {
	t.Parallel()
	auth := authorization("alice", "wonderland")
	for name, octets := range map[string]string{
		"length and chunked":            "POST /seen HTTP/1.1\r\nHost: h\r\n" + auth + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5c\r\n" + pad("GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n", 0x5c) + "\r\n0\r\n\r\n",
		"the same length twice":         "POST /seen HTTP/1.1\r\nHost: h\r\n" + auth + "Content-Length: 3\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
		"bare LF":                       "GET /seen HTTP/1.1\nHost: h\n" + strings.ReplaceAll(auth, "\r", "") + "Connection: close\n\n",
		"a folded line":                 "GET /seen HTTP/1.1\r\nHost: h\r\n" + auth + "X-Folded: a\r\n Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
		"HTTP/1.0 with keep-alive":      "GET /seen HTTP/1.0\r\nHost: h\r\n" + auth + "\r\n",
		"a body on GET":                 "GET /seen HTTP/1.1\r\nHost: h\r\n" + auth + "Content-Length: 37\r\nConnection: close\r\n\r\nGET /hidden HTTP/1.1\r\nHost: hidden\r\n\r\n",
		"underscores and a real length": "POST /seen HTTP/1.1\r\nHost: h\r\n" + auth + "Content_Length: 0\r\nTransfer_Encoding: chunked\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
		"hop-by-hop Content-Length":     "POST /seen HTTP/1.1\r\nHost: h\r\n" + auth + "Content-Length: 3\r\nConnection: close, Content-Length, Host, Transfer-Encoding\r\n\r\nabc",
	} {
		s := newSite(t, gateway.Config{}, nil)
		answer := s.raw(t, strings.Replace(octets, "Host: h", "Connection: close\r\nHost: h", 1))
		reached := s.reached()
		if len(reached) > 1 {
			t.Errorf("%s: %d requests reached the upstream", name, len(reached))
		}
		for _, r := range reached {
			if r.URL.Path != "/seen" || len(r.Header["Content-Length"]) > 1 || r.Header["X-Hidden"] != nil || r.Header["Content_length"] != nil {
				t.Errorf("%s: %s %v reached the upstream", name, r.URL, r.Header)
			}
			if len(r.TransferEncoding) > 0 && r.Header["Content-Length"] != nil {
				t.Errorf("%s: two lengths reached the upstream", name)
			}
		}
		if got := status(t, answer); got != 200 && (got < 400 || got > 499) {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func pad(s string, n int) string { return s + strings.Repeat("x", n-len(s)) }
