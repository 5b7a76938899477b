// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// wireCase is one entry of the protocol corpus: bytes on a connection, and how many requests of
// them reach the service. 0: the answer is one refusal, after which the connection ends. Each
// entry that hides a second request hides one without credentials, to /hidden.
type wireCase struct {
	name    string
	bytes   string
	reached int
}

var (
	wireAuth   = authorization("alice", "wonderland")
	wireHidden = "GET /hidden HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
)

func get(head string) string { return "GET /seen HTTP/1.1\r\nHost: h\r\n" + wireAuth + head }

func post(head string) string { return "POST /seen HTTP/1.1\r\nHost: h\r\n" + wireAuth + head }

// refusedOnTheWire are bytes that two parsers could read as different requests.
func refusedOnTheWire() []wireCase {
	cases := []wireCase{
		// Content-Length.
		{"Content-Length twice", post("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), 0},
		{"Content-Length as a list", post("Content-Length: 5, 6\r\n\r\nhello"), 0},
		{"Content-Length as a list of equals", post("Content-Length: 5, 5\r\n\r\nhello"), 0},
		{"Content-Length with a sign", post("Content-Length: +5\r\n\r\nhello"), 0},
		{"Content-Length in hexadecimal", post("Content-Length: 0x5\r\n\r\nhello"), 0},
		{"Content-Length below zero", post("Content-Length: -1\r\n\r\n"), 0},
		{"Content-Length with an underscore", post("Content-Length: 1_0\r\n\r\nhello"), 0},
		{"Content-Length with a space inside", post("Content-Length: 1 0\r\n\r\nhello"), 0},
		{"Content-Length beyond 64 bits", post("Content-Length: 18446744073709551621\r\n\r\nhello"), 0},
		{"Content-Length in other digits", post("Content-Length: ５\r\n\r\nhello"), 0},
		// Transfer-Encoding.
		{"an unknown transfer coding", post("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 0},
		{"chunked and identity", post("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"), 0},
		{"identity", post("Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"), 0},
		{"gzip before chunked", post("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 0},
		{"chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 0},
		{"chunked twice in one field", post("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), 0},
		{"chunked with a parameter", post("Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"), 0},
		{"chunked in quotes", post("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), 0},
		{"chunked after a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"), 0},
		{"chunked before a form feed", post("Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n"), 0},
		{"chunked after a no-break space", post("Transfer-Encoding: \xc2\xa0chunked\r\n\r\n0\r\n\r\n"), 0},
		{"chunked folded to another coding", post("Transfer-Encoding: chunked\r\n , identity\r\n\r\n0\r\n\r\n"), 0},
		// Field names and lines.
		{"a space before the colon", post("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), 0},
		{"a tab before the colon", post("Content-Length\t: 5\r\n\r\nhello"), 0},
		{"a space in a name", post("Content Length: 5\r\n\r\nhello"), 0},
		{"an empty name", post(": x\r\nContent-Length: 5\r\n\r\nhello"), 0},
		{"a NUL in a name", post("Content-\x00Length: 5\r\n\r\nhello"), 0},
		{"a non-ASCII name", post("Content-Length\xc2\xad: 5\r\n\r\nhello"), 0},
		{"a NUL in a value", get("X: a\x00b\r\n\r\n"), 0},
		{"a bare CR in a value", get("X: a\rTransfer-Encoding: chunked\r\n\r\n"), 0},
		{"a bare CR for a line end", get("X: a\r\rY: b\r\n\r\n"), 0},
		{"no colon", get("X\r\n\r\n"), 0},
		{"a line folded before any field", "GET /seen HTTP/1.1\r\n Host: h\r\n" + wireAuth + "\r\n", 0},
		// Host.
		{"Host twice", get("Host: i\r\n\r\n"), 0},
		{"no Host", "GET /seen HTTP/1.1\r\n" + wireAuth + "\r\n", 0},
		{"a Host with a path", "GET /seen HTTP/1.1\r\nHost: h/admin\r\n" + wireAuth + "\r\n", 0},
		{"a Host with a space", "GET /seen HTTP/1.1\r\nHost: h i\r\n" + wireAuth + "\r\n", 0},
		{"a Host with user information", "GET /seen HTTP/1.1\r\nHost: h\\@i\r\n" + wireAuth + "\r\n", 0},
		// Request line.
		{"a version of no kind", "GET /seen HTTP/1.11\r\nHost: h\r\n" + wireAuth + "\r\n", 0},
		{"HTTP/2.0 in a line", "GET /seen HTTP/2.0\r\nHost: h\r\n" + wireAuth + "\r\n", 0},
		{"HTTP/0.9", "GET /seen\r\n", 0},
		{"no version", "GET /seen\r\nHost: h\r\n" + wireAuth + "\r\n", 0},
		{"lower-case http", "GET /seen http/1.1\r\nHost: h\r\n" + wireAuth + "\r\n", 0},
		{"a space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n" + wireAuth + "\r\n", 0},
		{"a tab for a space", "GET\t/seen\tHTTP/1.1\r\nHost: h\r\n" + wireAuth + "\r\n", 0},
		{"a control character in the target", "GET /a\x01 HTTP/1.1\r\nHost: h\r\n" + wireAuth + "\r\n", 0},
		{"a target without a slash", "GET seen HTTP/1.1\r\nHost: h\r\n" + wireAuth + "\r\n", 0},
		{"a method with a colon", "GE:T /seen HTTP/1.1\r\nHost: h\r\n" + wireAuth + "\r\n", 0},
		{"CONNECT", "CONNECT upstream:80 HTTP/1.1\r\nHost: h\r\n" + wireAuth + "Connection: close\r\n\r\n", 0},
		{"TRACE", "TRACE /seen HTTP/1.1\r\nHost: h\r\n" + wireAuth + "Connection: close\r\n\r\n", 0},
		{"garbage", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 0},
		// Size.
		{"a header of 1 MiB", get("X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"), 0},
		{"a target of 1 MiB", "GET /" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: h\r\n" + wireAuth + "\r\n", 0},
		{"an Authorization of 1 MiB", "GET /seen HTTP/1.1\r\nHost: h\r\nAuthorization: Basic " + strings.Repeat("A", 1<<20) + "\r\n\r\n", 0},
		{"100,000 headers", get(strings.Repeat("X: x\r\n", 100_000) + "\r\n"), 0},
		{"an unknown expectation", post("Expect: the-worst\r\nContent-Length: 5\r\n\r\nhello"), 0},
	}
	for i := range cases {
		cases[i].bytes += wireHidden
	}
	return cases
}

// rewrittenOnTheWire are bytes that one parser reads leniently. The service receives only the
// strict form.
func rewrittenOnTheWire() []wireCase {
	const chunked = "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
	return []wireCase{
		{"length and chunked", post("Content-Length: 4\r\n" + chunked + "5c\r\n" + pad(wireHidden, 0x5c) + "\r\n0\r\n\r\n"), 1},
		{"chunked, then length", post("Transfer-Encoding: chunked\r\nContent-Length: 6\r\nConnection: close\r\n\r\n0\r\n\r\n" + wireHidden), 1},
		{"the same length twice", post("Content-Length: 3\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"), 1},
		{"a length with leading zeros", post("Content-Length: 003\r\nConnection: close\r\n\r\nabc"), 1},
		{"bytes after the length", post("Content-Length: 3\r\nConnection: close\r\n\r\nabc" + wireHidden), 1},
		{"bytes after the last chunk", post(chunked + "3\r\nabc\r\n0\r\n\r\n" + wireHidden), 1},
		{"Chunked in capitals", post("Connection: close\r\nTransfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), 1},
		{"a chunk extension", post(chunked + "3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n"), 1},
		{"a chunk size in capitals with zeros", post(chunked + "0A\r\n0123456789\r\n000\r\n\r\n"), 1},
		{"a trailer that names the framing", post(chunked + "3\r\nabc\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nRemote-User: root\r\n\r\n"), 1},
		{"bare LF", strings.ReplaceAll(get("Connection: close\r\n\r\n"), "\r", ""), 1},
		{"a folded line", get("X-Folded: a\r\n Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"), 1},
		{"a name with an empty value", get("X-Empty:\r\nConnection: close\r\n\r\n"), 1},
		{"HTTP/1.0 with keep-alive", "GET /seen HTTP/1.0\r\nHost: h\r\nConnection: keep-alive, close\r\n" + wireAuth + "\r\n" + wireHidden, 1},
		{"HTTP/1.0 with chunked", "POST /seen HTTP/1.0\r\nHost: h\r\n" + wireAuth + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + wireHidden, 1},
		{"HTTP/1.7", "GET /seen HTTP/1.7\r\nHost: h\r\nConnection: close\r\n" + wireAuth + "\r\n", 1},
		{"a body on GET", get("Content-Length: 55\r\nConnection: close\r\n\r\n" + pad(wireHidden, 55)), 1},
		{"underscores beside a length", post("Content_Length: 0\r\nTransfer_Encoding: chunked\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"), 1},
		{"Connection names the framing", post("Content-Length: 3\r\nConnection: close, Content-Length, Host, Transfer-Encoding\r\n\r\nabc"), 1},
		{"Connection names the identity", get("Connection: close, Remote-User, X-Forwarded-User, Authorization, X-Forwarded-For, Traceparent\r\n\r\n"), 1},
		{"hop-by-hop headers", get("Connection: close\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTe: gzip\r\nTrailer: Host\r\nUpgrade: h2c\r\n\r\n"), 1},
		{"an upgrade to h2c", get("Connection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"), 1},
		{"an absolute target of another host", "GET http://other.example/seen HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + wireAuth + "\r\n", 1},
		{"empty lines before a request", "\r\n" + get("Connection: close\r\n\r\n"), 0},
		{"a second request without credentials", get("\r\n") + wireHidden, 1},
		{"a second request with credentials", get("\r\n") + get("Connection: close\r\n\r\n"), 2},
		{"100-continue", post("Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"), 1},
	}
}

func pad(s string, n int) string { return s + strings.Repeat("x", max(0, n-len(s))) }

// wireSite is a gateway in front of a strict upstream.
type wireSite struct {
	*site
	upstream *wireUpstream
}

func newWireSite(t testing.TB) *wireSite {
	t.Helper()
	l := listen(t)
	t.Cleanup(func() { _ = l.Close() })
	s := &wireSite{upstream: &wireUpstream{}}
	go s.upstream.serve(l)
	s.site = newSite(t, gateway.Config{Upstream: "http://" + l.Addr().String()}, nil)
	return s
}

// wireProblems returns what must never reach the service.
func wireProblems(requests []wireRequest, deviations []string) (problems []string) {
	for _, f := range deviations {
		problems = append(problems, "the service got what is no HTTP/1.1: "+f)
	}
	for _, r := range requests {
		if user := r.values("Remote-User"); !slices.Equal(user, []string{"alice"}) {
			problems = append(problems, fmt.Sprintf("%s reached the service with Remote-User %q", r.line, user))
		}
		for _, name := range []string{"Authorization", "Keep-Alive", "Proxy-Connection", "Te", "Http2-Settings", "X-Hidden"} {
			if got := r.values(name); got != nil && !(name == "Te" && slices.Equal(got, []string{"trailers"})) {
				problems = append(problems, fmt.Sprintf("%s reached the service with %s %q", r.line, name, got))
			}
		}
		// A client may announce trailers, but none that says who it is or where the message ends.
		for _, announced := range r.values("Trailer") {
			for name := range strings.SplitSeq(announced, ",") {
				switch http.CanonicalHeaderKey(strings.TrimSpace(name)) {
				case "Remote-User", "Authorization", "Host", "Content-Length", "Transfer-Encoding", "Trailer":
					problems = append(problems, fmt.Sprintf("%s reached the service with Trailer %q", r.line, announced))
				}
			}
		}
		if got := r.values("Upgrade"); got != nil && !strings.EqualFold(got[0], "websocket") {
			problems = append(problems, fmt.Sprintf("%s reached the service with Upgrade %q", r.line, got))
		}
	}
	return problems
}

func checkWire(t testing.TB, requests []wireRequest, deviations []string) {
	t.Helper()
	for _, problem := range wireProblems(requests, deviations) {
		t.Error(problem)
	}
	for _, r := range requests {
		if strings.Contains(r.line, "/hidden") {
			t.Errorf("%s reached the service", r.line)
		}
	}
}

// The HTTP/1 part of the protocol corpus.
func TestProtocolHTTP1(t *testing.T) {
	t.Parallel()
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		s := newWireSite(t)
		for _, c := range refusedOnTheWire() {
			answer := s.raw(t, c.bytes)
			if got := status(t, answer); got < 400 || got > 505 || strings.Count(answer, "HTTP/1.") != 1 {
				t.Errorf("%s: answered %d: %.120q", c.name, got, answer)
			}
			if requests, deviations := s.upstream.seen(); len(requests)+len(deviations) > 0 {
				t.Fatalf("%s: %q %q reached the service", c.name, requests, deviations)
			}
		}
		eventually(t, "what net/http answered itself is counted", func() bool {
			total := int64(0)
			for _, e := range s.named(semconv.EventGatewayUnparsed) {
				total += e.Attributes().Get("auth.gateway.unparsed.count").AsInt64()
			}
			return total >= 40
		})
	})
	t.Run("rewritten", func(t *testing.T) {
		t.Parallel()
		for _, c := range rewrittenOnTheWire() {
			s := newWireSite(t)
			answer := s.raw(t, c.bytes)
			requests, deviations := s.upstream.seen()
			checkWire(t, requests, deviations)
			if len(requests) != c.reached {
				t.Errorf("%s: %d requests reached the service, want %d; answered %.200q", c.name, len(requests), c.reached, answer)
			}
		}
	})
}
