// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// An accepted origin has one spelling and is the address to which net/http connects. The error for
// any other text does not repeat it.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{
		"https://orders.example", "HTTP://Orders.Example:80/", "https://[2001:DB8::1]:443", "http://[fe80::1%25eth0]",
		"https://a:b@orders.example", "https://b\u00fccher.example", "http://127.0.0.1:0443", "https://[::ffff:10.0.0.1]",
		"https://orders.example:", "https://", "//orders.example", "https:orders.example", "https://or%64ers.example",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := parseOrigin(s)
		if err != nil {
			if u, bad := url.Parse(s); bad == nil && u.User != nil && len(u.User.String()) > 8 && strings.Contains(err.Error(), u.User.String()) {
				t.Errorf("the error shows user information: %v", err)
			}
			return
		}
		again, err := parseOrigin(strings.ReplaceAll(o.String(), "%", "%25"))
		if err != nil || again != o {
			t.Fatalf("%q is %v, which parses as %v, %v", s, o, again, err)
		}
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.EqualFold(u.Scheme, o.scheme) {
			t.Errorf("%q has scheme %s", s, o.scheme)
		}
		if u.User != nil {
			t.Errorf("%q was accepted with its user information", s)
		}
		if !isGuarded(map[string]struct{}{o.addr(): {}}, dialed(u)) {
			t.Errorf("a connection to %s for %q would not be checked as one to %s", dialed(u), s, o.addr())
		}
	})
}

// dialed returns the address that http.Transport dials for u.
func dialed(u *url.URL) string {
	var addr string
	tr := &http.Transport{DialContext: func(_ context.Context, _, a string) (net.Conn, error) {
		addr = a
		return nil, errors.New("not today")
	}}
	plain := *u
	plain.Scheme, plain.Path = "http", "/"
	if u.Port() == "" && strings.EqualFold(u.Scheme, "https") {
		plain.Host = strings.TrimSuffix(u.Host, ":") + ":443"
	}
	resp, err := tr.RoundTrip(&http.Request{Method: http.MethodGet, URL: &plain, Header: http.Header{}})
	if err == nil {
		_ = resp.Body.Close()
	}
	return addr
}
