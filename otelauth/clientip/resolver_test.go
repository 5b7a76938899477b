// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
)

// compare lets go-cmp compare addresses.
var compare = cmp.Comparer(func(a, b clientip.Client) bool { return a == b })

func resolver(t testing.TB, cfg clientip.Config) *clientip.Resolver {
	t.Helper()
	r, err := clientip.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func prefixes(list ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, p := range list {
		ps = append(ps, netip.MustParsePrefix(p))
	}
	return ps
}

// maxHops is the documented bound of a chain.
const maxHops = 32

// trusting returns a Config that trusts 10.0.0.0/8, fd00::/8 and loopback.
func trusting(header clientip.Header) clientip.Config {
	return clientip.Config{TrustedProxies: prefixes("10.0.0.0/8", "fd00::/8", "127.0.0.0/8", "::1/128"), Header: header}
}

// request returns a request with header fields of the form "Name: value".
func request(remote string, fields ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	r.RemoteAddr = remote
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func onUnixSocket(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.UnixAddr{Name: "/run/orders.sock", Net: "unix"})))
}

func overTLS(r *http.Request) *http.Request {
	r.TLS = &tls.ConnectionState{}
	return r
}

func TestPeer(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.1:1234":                "192.0.2.1:1234",
		"0.0.0.0:0":                     "0.0.0.0:0",
		"255.255.255.255:65535":         "255.255.255.255:65535",
		"[2001:db8::1]:1234":            "[2001:db8::1]:1234",
		"[::ffff:192.0.2.1]:1234":       "192.0.2.1:1234",
		"[fe80::1%eth0]:1234":           "[fe80::1]:1234",
		"[::ffff:192.0.2.1%eth0]:1234":  "192.0.2.1:1234",
		"192.0.2.1":                     "", // chi's RealIP writes this
		"2001:db8::1":                   "",
		"[2001:db8::1]":                 "",
		"192.0.2.1:":                    "",
		"192.0.2.1:65536":               "",
		"192.0.2.1:123456":              "",
		"192.0.2.1:-1":                  "",
		"192.0.2.1:_http":               "",
		"192.0.2.1:80 ":                 "",
		"192.0.2.01:80":                 "",
		"192.0.2.256:80":                "",
		"192.0.2:80":                    "",
		"192.0.2.1.5:80":                "",
		"1922.0.2.1:80":                 "",
		"192..2.1:80":                   "",
		"[192.0.2.1]:80":                "",
		"[192.0.2.1%a:b]:80":            "",
		"[2001:db8::1:80":               "",
		"[2001:db8::g]:80":              "",
		"[2001:db8::1]80":               "",
		"localhost:80":                  "",
		"@":                             "",
		"":                              "",
		"pipe":                          "",
		"203.0.113.7, 10.0.0.1:80":      "",
		"10.0.0.1:80, 203.0.113.7:1234": "",
	} {
		var zero clientip.Resolver
		got := zero.Resolve(request(remote))
		var w clientip.Client
		if want != "" {
			w.Peer = netip.MustParseAddrPort(want)
			w.Addr, w.Port = w.Peer.Addr(), w.Peer.Port()
		}
		if got != w {
			t.Errorf("%q: %+v, want %+v", remote, got, w)
		}
	}
}

// TestForwardedFor resolves one chain in each case; the peer is the trusted 10.0.0.9:40000.
func TestForwardedFor(t *testing.T) {
	t.Parallel()
	const v6 = "2001:db8::1"
	for _, c := range []struct {
		what   string
		header clientip.Header
		lines  []string
		want   string
		port   uint16
	}{
		{"no header", clientip.XForwardedFor, nil, "10.0.0.9", 40000},
		{"one client", clientip.XForwardedFor, []string{"203.0.113.7"}, "203.0.113.7", 0},
		{"client with a port", clientip.XForwardedFor, []string{"203.0.113.7:567"}, "203.0.113.7", 567},
		{"IPv6", clientip.XForwardedFor, []string{v6}, v6, 0},
		{"IPv6 in brackets", clientip.XForwardedFor, []string{"[" + v6 + "]"}, v6, 0},
		{"IPv6 with a port", clientip.XForwardedFor, []string{"[" + v6 + "]:80"}, v6, 80},
		{"IPv6 with a zone", clientip.XForwardedFor, []string{"fe80::1%eth0"}, "fe80::1", 0},
		{"IPv4-mapped", clientip.XForwardedFor, []string{"::ffff:203.0.113.7"}, "203.0.113.7", 0},
		{"IPv4-mapped proxy", clientip.XForwardedFor, []string{"203.0.113.7, ::ffff:10.0.0.1"}, "203.0.113.7", 0},
		{"through two proxies", clientip.XForwardedFor, []string{"203.0.113.7, 10.0.0.2, fd00::1"}, "203.0.113.7", 0},
		{"no spaces", clientip.XForwardedFor, []string{"203.0.113.7,10.0.0.2"}, "203.0.113.7", 0},
		{"tabs and spaces", clientip.XForwardedFor, []string{" 203.0.113.7\t ,\t10.0.0.2 "}, "203.0.113.7", 0},
		{"lines in order", clientip.XForwardedFor, []string{"198.51.100.1", "203.0.113.7, 10.0.0.3", "10.0.0.2"}, "203.0.113.7", 0},
		{"all trusted: left-most", clientip.XForwardedFor, []string{"10.1.1.1", "10.0.0.3, 10.0.0.2"}, "10.1.1.1", 0},

		{"left-most is spoofed", clientip.XForwardedFor, []string{"198.51.100.1, 203.0.113.7"}, "203.0.113.7", 0},
		{"spoofed trusted hop", clientip.XForwardedFor, []string{"198.51.100.1, 10.0.0.5, 203.0.113.7"}, "203.0.113.7", 0},
		{"spoofed line", clientip.XForwardedFor, []string{"127.0.0.1", "203.0.113.7"}, "203.0.113.7", 0},
		{"spoofed garbage", clientip.XForwardedFor, []string{"\x00\xff, ,,", "203.0.113.7"}, "203.0.113.7", 0},
		{"spoofed megabyte", clientip.XForwardedFor, []string{strings.Repeat("A", 900<<10) + ", 203.0.113.7"}, "203.0.113.7", 0},

		{"unknown", clientip.XForwardedFor, []string{"198.51.100.1, unknown"}, "10.0.0.9", 40000},
		{"unknown behind a proxy", clientip.XForwardedFor, []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.2", 0},
		{"nginx's unix:", clientip.XForwardedFor, []string{"198.51.100.1, unix:, 10.0.0.2"}, "10.0.0.2", 0},
		{"obfuscated", clientip.XForwardedFor, []string{"198.51.100.1, _hidden"}, "10.0.0.9", 40000},
		{"empty entry", clientip.XForwardedFor, []string{"198.51.100.1, , 10.0.0.2"}, "10.0.0.2", 0},
		{"empty header", clientip.XForwardedFor, []string{""}, "10.0.0.9", 40000},
		{"empty last line", clientip.XForwardedFor, []string{"198.51.100.1", ""}, "10.0.0.9", 40000},
		{"bad port", clientip.XForwardedFor, []string{"198.51.100.1, 203.0.113.7:70000"}, "10.0.0.9", 40000},
		{"leading zero", clientip.XForwardedFor, []string{"198.51.100.1, 010.0.0.1"}, "10.0.0.9", 40000},
		{"host name", clientip.XForwardedFor, []string{"198.51.100.1, localhost"}, "10.0.0.9", 40000},
		{"quoted", clientip.XForwardedFor, []string{`198.51.100.1, "203.0.113.7"`}, "10.0.0.9", 40000},
		{"too long", clientip.XForwardedFor, []string{strings.Repeat(" ", 128) + "203.0.113.7"}, "10.0.0.9", 40000},
		{"more trusted hops than the bound", clientip.XForwardedFor,
			[]string{"203.0.113.7, 10.9.9.9, 10.8.8.8" + strings.Repeat(", 10.0.0.2", maxHops-1)}, "10.8.8.8", 0},
		{"as many trusted hops as are read", clientip.XForwardedFor,
			[]string{"203.0.113.7" + strings.Repeat(", 10.0.0.2", maxHops-1)}, "203.0.113.7", 0},

		// The examples of RFC 7239, sections 4, 6.3, 7.1 and 7.4.
		{"RFC 7239: obfuscated", clientip.Forwarded, []string{`for="_gazonk"`}, "10.0.0.9", 40000},
		{"RFC 7239: IPv6 with port", clientip.Forwarded, []string{`For="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17", 4711},
		{"RFC 7239: for, proto, by", clientip.Forwarded, []string{"for=192.0.2.60;proto=http;by=203.0.113.43"}, "192.0.2.60", 0},
		{"RFC 7239: two elements", clientip.Forwarded, []string{"for=192.0.2.43, for=198.51.100.17"}, "198.51.100.17", 0},
		{"RFC 7239: obfuscated in a list", clientip.Forwarded, []string{"for=_hidden, for=_SEVKISEK"}, "10.0.0.9", 40000},
		{"RFC 7239: section 7.1", clientip.Forwarded, []string{`for=192.0.2.43, for="[2001:db8:cafe::17]"`}, "2001:db8:cafe::17", 0},
		{"RFC 7239: section 7.1, lines", clientip.Forwarded, []string{`for=192.0.2.43`, `for="[2001:db8:cafe::17]"`}, "2001:db8:cafe::17", 0},
		{"RFC 7239: section 7.1, unknown", clientip.Forwarded, []string{`for=192.0.2.43, for="[2001:db8:cafe::17]", for=unknown`}, "10.0.0.9", 40000},
		{"RFC 7239: section 7.4", clientip.Forwarded,
			[]string{`for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com`}, "198.51.100.17", 0},
		{"RFC 7239: obfuscated port", clientip.Forwarded, []string{`for="192.0.2.43:_abc"`}, "192.0.2.43", 0},
		{"RFC 7239: IPv4 with port", clientip.Forwarded, []string{`for="192.0.2.43:47011"`}, "192.0.2.43", 47011},

		{"through two proxies", clientip.Forwarded, []string{`for=203.0.113.7;by=10.0.0.3, for=10.0.0.3;by=10.0.0.2`, `FOR="[fd00::1]:80"`}, "203.0.113.7", 0},
		{"all trusted: left-most", clientip.Forwarded, []string{"for=10.1.1.1, for=10.0.0.3"}, "10.1.1.1", 0},
		{"quoted-pairs", clientip.Forwarded, []string{`for="\[2001:db8:\:1\]:47\11"`}, v6, 4711},
		{"comma in a quoted-string", clientip.Forwarded, []string{`for=203.0.113.7;host="a, for=198.51.100.1"`}, "203.0.113.7", 0},
		{"escaped quotes and commas", clientip.Forwarded, []string{`for=203.0.113.7;host="a\", for=198.51.100.1;x=\"\\"`}, "203.0.113.7", 0},
		{"colon without quotes", clientip.Forwarded, []string{"for=203.0.113.7:567"}, "203.0.113.7", 567},
		{"brackets without quotes", clientip.Forwarded, []string{"for=[2001:db8::1]:80"}, v6, 80},
		{"spaces around semicolons", clientip.Forwarded, []string{"proto=http ; for=203.0.113.7 ; by=10.0.0.2"}, "203.0.113.7", 0},
		{"empty pairs", clientip.Forwarded, []string{";;for=203.0.113.7;"}, "203.0.113.7", 0},

		{"spoofed element", clientip.Forwarded, []string{"for=127.0.0.1;proto=https, for=203.0.113.7"}, "203.0.113.7", 0},
		{"spoofed open quote", clientip.Forwarded, []string{`for="127.0.0.1, for=203.0.113.7`}, "203.0.113.7", 0},
		{"spoofed open quote and backslash", clientip.Forwarded, []string{`for="127.0.0.1\, for="203.0.113.7"`}, "203.0.113.7", 0},
		{"spoofed open quote in a line", clientip.Forwarded, []string{`for="`, `for="203.0.113.7"`}, "203.0.113.7", 0},

		{"IPv6 without brackets", clientip.Forwarded, []string{`for="2001:db8::1"`}, "10.0.0.9", 40000},
		{"no for", clientip.Forwarded, []string{"for=198.51.100.1, proto=http"}, "10.0.0.9", 40000},
		{"two for", clientip.Forwarded, []string{"for=198.51.100.1;for=203.0.113.7"}, "10.0.0.9", 40000},
		{"two proto", clientip.Forwarded, []string{"for=198.51.100.1;proto=http;proto=https"}, "10.0.0.9", 40000},
		{"quote without end", clientip.Forwarded, []string{`for=198.51.100.1;host="`}, "10.0.0.9", 40000},
		{"escaped end", clientip.Forwarded, []string{`for="198.51.100.1\"`}, "10.0.0.9", 40000},
		{"something after the quote", clientip.Forwarded, []string{`for="198.51.100.1"x`}, "10.0.0.9", 40000},
		{"no value", clientip.Forwarded, []string{`for=`}, "10.0.0.9", 40000},
		{"no name", clientip.Forwarded, []string{`=198.51.100.1`}, "10.0.0.9", 40000},
		{"no equals sign", clientip.Forwarded, []string{`198.51.100.1`}, "10.0.0.9", 40000},
		{"space in the name", clientip.Forwarded, []string{`for =198.51.100.1`}, "10.0.0.9", 40000},
		{"empty header", clientip.Forwarded, []string{""}, "10.0.0.9", 40000},
		{"too long", clientip.Forwarded, []string{"for=198.51.100.1;x=" + strings.Repeat("A", 8<<10)}, "10.0.0.9", 40000},
	} {
		t.Run(c.header.String()+"/"+c.what, func(t *testing.T) {
			t.Parallel()
			r := request("10.0.0.9:40000")
			r.Header[c.header.String()] = c.lines
			got := resolver(t, trusting(c.header)).Resolve(r)
			want := clientip.Client{
				Addr: netip.MustParseAddr(c.want), Port: c.port,
				Peer: netip.MustParseAddrPort("10.0.0.9:40000"), PeerTrusted: true,
			}
			if diff := cmp.Diff(want, got, compare); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A long element of Forwarded is unreadable: its trusted sender is the client.
func TestLongElementIsUnreadable(t *testing.T) {
	t.Parallel()
	r := resolver(t, trusting(clientip.Forwarded))
	for host, want := range map[int]string{900: "203.0.113.9", 1100: "10.0.0.1"} {
		field := "Forwarded: for=203.0.113.9;host=" + strings.Repeat("h", host)
		if got := r.Resolve(request("10.0.0.1:1", field)).Addr.String(); got != want {
			t.Errorf("a host of %d bytes: %s, want %s", host, got, want)
		}
	}
}

// The client of a direct connection, or behind a proxy that is not configured, is the peer.
// otelhttp, django-axes and several libraries believe the left-most entry instead.
func TestHeaderOfUntrustedPeerIsNotBelieved(t *testing.T) {
	t.Parallel()
	for _, header := range []clientip.Header{clientip.XForwardedFor, clientip.Forwarded} {
		for _, cfg := range []clientip.Config{{Header: header}, trusting(header)} {
			for _, field := range []string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: ", "Forwarded: for=127.0.0.1;proto=https"} {
				r := request("203.0.113.7:1234", field, "X-Forwarded-Proto: https", "X-Real-Ip: 127.0.0.1")
				got := resolver(t, cfg).Resolve(r)
				want := clientip.Client{
					Addr: netip.MustParseAddr("203.0.113.7"), Port: 1234,
					Peer: netip.MustParseAddrPort("203.0.113.7:1234"),
				}
				if diff := cmp.Diff(want, got, compare); diff != "" {
					t.Errorf("%v, %s: %s", header, field, diff)
				}
				if !got.Ignored(r.Header) {
					t.Errorf("%v, %s: Ignored is false", header, field)
				}
			}
		}
	}
}

// A proxy that writes one header forwards the client's version of the other.
func TestOnlyTheConfiguredHeaderIsRead(t *testing.T) {
	t.Parallel()
	const peer = "10.0.0.9:40000"
	got := resolver(t, trusting(clientip.XForwardedFor)).Resolve(request(peer, "Forwarded: for=198.51.100.1;proto=https"))
	if got.Addr.String() != "10.0.0.9" || got.Secure || got.Ignored(http.Header{"Forwarded": {"for=198.51.100.1"}}) {
		t.Errorf("Forwarded was read: %+v", got)
	}
	got = resolver(t, trusting(clientip.Forwarded)).Resolve(request(peer, "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https"))
	if got.Addr.String() != "10.0.0.9" || got.Secure || got.Ignored(http.Header{"Forwarded": {"for=198.51.100.1"}}) {
		t.Errorf("X-Forwarded-* was read: %+v", got)
	}
}

func TestSecure(t *testing.T) {
	t.Parallel()
	plain := func(r *http.Request) *http.Request { return r }
	unixTrusting := trusting(clientip.XForwardedFor)
	unixTrusting.TrustUnixSocket = true
	xff, fwd := trusting(clientip.XForwardedFor), trusting(clientip.Forwarded)
	for _, c := range []struct {
		what   string
		cfg    clientip.Config
		how    func(*http.Request) *http.Request
		remote string
		fields []string
		want   bool
	}{
		{"TLS", clientip.Config{}, overTLS, "203.0.113.7:1", nil, true},
		{"TLS with a spoofed scheme", clientip.Config{}, overTLS, "203.0.113.7:1", []string{"X-Forwarded-Proto: http"}, true},
		{"plaintext", clientip.Config{}, plain, "203.0.113.7:1", nil, false},
		{"plaintext from a private network", clientip.Config{}, plain, "10.0.0.9:1", nil, false},
		{"spoofed scheme", xff, plain, "203.0.113.7:1", []string{"X-Forwarded-Proto: https"}, false},

		{"loopback", clientip.Config{}, plain, "127.0.0.1:1", nil, true},
		{"loopback, IPv6", clientip.Config{}, plain, "[::1]:1", nil, true},
		{"loopback, IPv4-mapped", clientip.Config{}, plain, "[::ffff:127.0.0.1]:1", nil, true},
		{"loopback, 127.0.0.2", clientip.Config{}, plain, "127.0.0.2:1", nil, true},
		{"proxied loopback", clientip.Config{}, plain, "127.0.0.1:1", []string{"X-Forwarded-For: 203.0.113.7"}, false},
		{"proxied loopback that says https", clientip.Config{}, plain, "127.0.0.1:1", []string{"X-Forwarded-Proto: https"}, false},
		{"proxied loopback, Forwarded", clientip.Config{}, plain, "127.0.0.1:1", []string{"Forwarded: proto=https"}, false},
		{"proxied loopback, host", clientip.Config{}, plain, "127.0.0.1:1", []string{"X-Forwarded-Host: a"}, false},
		{"proxied loopback, real ip", clientip.Config{}, plain, "127.0.0.1:1", []string{"X-Real-IP: 127.0.0.1"}, false},
		{"proxied loopback, via", clientip.Config{}, plain, "127.0.0.1:1", []string{"Via: 1.1 a"}, false},
		{"claimed loopback", xff, plain, "10.0.0.9:1", []string{"X-Forwarded-For: 127.0.0.1"}, false},

		{"proxy says https", xff, plain, "10.0.0.9:1", []string{"X-Forwarded-Proto: https"}, true},
		{"proxy says HTTPS", xff, plain, "10.0.0.9:1", []string{"X-Forwarded-Proto: HTTPS "}, true},
		{"proxy says wss", xff, plain, "10.0.0.9:1", []string{"X-Forwarded-Proto: wss"}, true},
		{"proxy says http", xff, plain, "10.0.0.9:1", []string{"X-Forwarded-Proto: http"}, false},
		{"proxy says ws", xff, plain, "10.0.0.9:1", []string{"X-Forwarded-Proto: ws"}, false},
		{"proxy says nonsense", xff, plain, "10.0.0.9:1", []string{"X-Forwarded-Proto: https2"}, false},
		{"proxy says nothing", xff, plain, "10.0.0.9:1", nil, false},
		{"right-most https", xff, plain, "10.0.0.9:1", []string{"X-Forwarded-Proto: http, https"}, true},
		{"right-most http", xff, plain, "10.0.0.9:1", []string{"X-Forwarded-Proto: https, http"}, false},
		{"last line http", xff, plain, "10.0.0.9:1", []string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: http"}, false},
		{"last value empty", xff, plain, "10.0.0.9:1", []string{"X-Forwarded-Proto: https,"}, false},
		{"loopback proxy says http", xff, plain, "127.0.0.1:1", []string{"X-Forwarded-Proto: http"}, false},
		{"loopback proxy says https", xff, plain, "127.0.0.1:1", []string{"X-Forwarded-Proto: https"}, true},
		{"loopback proxy says nothing", xff, plain, "127.0.0.1:1", nil, false},
		{"proxy over TLS says https", xff, overTLS, "10.0.0.9:1", []string{"X-Forwarded-Proto: https"}, true},
		{"proxy over TLS says nothing", xff, overTLS, "10.0.0.9:1", nil, true},
		{"proxy over TLS says http", xff, overTLS, "10.0.0.9:1", []string{"X-Forwarded-Proto: http"}, false},

		{"Forwarded proto=https", fwd, plain, "10.0.0.9:1", []string{"Forwarded: for=203.0.113.7;proto=https"}, true},
		{"Forwarded proto=HTTPS, quoted", fwd, plain, "10.0.0.9:1", []string{`Forwarded: Proto="HTTPS"`}, true},
		{"Forwarded proto=http", fwd, plain, "127.0.0.1:1", []string{"Forwarded: for=203.0.113.7;proto=http"}, false},
		{"Forwarded without proto", fwd, plain, "127.0.0.1:1", []string{"Forwarded: for=203.0.113.7"}, false},
		{"Forwarded, right-most without proto", fwd, plain, "10.0.0.9:1", []string{"Forwarded: for=203.0.113.7;proto=https, for=10.0.0.2"}, false},
		{"Forwarded, right-most http", fwd, plain, "10.0.0.9:1", []string{"Forwarded: proto=https", "Forwarded: proto=http"}, false},
		{"Forwarded, malformed", fwd, plain, "10.0.0.9:1", []string{`Forwarded: proto=https;for="`}, false},

		{"unix socket", clientip.Config{}, onUnixSocket, "@", nil, true},
		{"unix socket without a name", clientip.Config{}, onUnixSocket, "", nil, true},
		{"proxied unix socket", clientip.Config{}, onUnixSocket, "@", []string{"X-Forwarded-For: 203.0.113.7"}, false},
		{"trusted unix socket says https", unixTrusting, onUnixSocket, "@", []string{"X-Forwarded-Proto: https"}, true},
		{"trusted unix socket says http", unixTrusting, onUnixSocket, "@", []string{"X-Forwarded-Proto: http"}, false},
		{"trusted unix socket says nothing", unixTrusting, onUnixSocket, "@", nil, false},
		{"RemoteAddr of a unix socket on TCP", unixTrusting, plain, "@", []string{"X-Forwarded-Proto: https"}, false},
		{"no RemoteAddr on TCP", unixTrusting, plain, "", nil, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			if got := resolver(t, c.cfg).Resolve(c.how(request(c.remote, c.fields...))); got.Secure != c.want {
				t.Errorf("secure %t: %+v", got.Secure, got)
			}
		})
	}
}

// TestUnixSocket resolves a real request over a unix socket.
func TestUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var cfg clientip.Config
	clients := make(chan clientip.Client, 1)
	for _, trust := range []bool{false, true} {
		cfg.TrustUnixSocket = trust
		r := resolver(t, cfg)
		if trust {
			if listener, err = net.Listen("unix", path+"2"); err != nil {
				t.Fatal(err)
			}
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { clients <- r.Resolve(req) }))
		_ = server.Listener.Close()
		server.Listener = listener
		server.Start()
		defer server.Close()

		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", listener.Addr().String())
		}}
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://orders.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", "198.51.100.1, 203.0.113.7")
		req.Header.Set("X-Forwarded-Proto", "https")
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()

		want := clientip.Client{}
		if trust {
			want = clientip.Client{Addr: netip.MustParseAddr("203.0.113.7"), PeerTrusted: true, Secure: true}
		}
		if diff := cmp.Diff(want, <-clients, compare); diff != "" {
			t.Errorf("trusted %t: %s", trust, diff)
		}
	}
}

// TestLoopback resolves a real request over TCP, where the server knows the peer's port.
func TestLoopback(t *testing.T) {
	t.Parallel()
	clients := make(chan clientip.Client, 1)
	var r clientip.Resolver
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { clients <- r.Resolve(req) }))
	defer server.Close()
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if c := <-clients; !c.Addr.IsLoopback() || c.Port == 0 || !c.Secure || c.Peer.Addr() != c.Addr {
		t.Errorf("%+v", c)
	}
}

func TestAllocations(t *testing.T) {
	if testkit.Race {
		return
	}
	var zero clientip.Resolver
	xff, fwd := resolver(t, trusting(clientip.XForwardedFor)), resolver(t, trusting(clientip.Forwarded))
	for what, c := range map[string]struct {
		r   *clientip.Resolver
		req *http.Request
	}{
		"no header":        {&zero, request("203.0.113.7:1234")},
		"no header, IPv6":  {&zero, request("[2001:db8::1]:1234")},
		"no header, zone":  {&zero, request("[fe80::1%eth0]:1234")},
		"unix socket":      {&zero, onUnixSocket(request("@"))},
		"untrusted header": {xff, request("203.0.113.7:1234", "X-Forwarded-For: 198.51.100.1")},
		"one header":       {xff, request("10.0.0.9:1234", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https")},
		"two hops":         {xff, request("10.0.0.9:1234", "X-Forwarded-For: [2001:db8::1]:80, 10.0.0.2", "X-Forwarded-Proto: https")},
		"unknown":          {xff, request("10.0.0.9:1234", "X-Forwarded-For: unknown")},
		"Forwarded":        {fwd, request("10.0.0.9:1234", `Forwarded: for="[2001:db8::1]:4711";proto=https;by=10.0.0.9`)},
	} {
		if n := testing.AllocsPerRun(100, func() { c.r.Resolve(c.req) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", what, n)
		}
	}
}
