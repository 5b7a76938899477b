// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"crypto/tls"
	"net"
	"net/http"
	"testing"
)

// An http origin beside https origins must not disable HTTP/2 for them, nor enable it for a Base
// that had it disabled.
func TestGuardKeepsHTTP2AsItWas(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct {
		base *http.Transport
		want bool
	}{
		"zero":             {&http.Transport{}, true},
		"asked for":        {&http.Transport{ForceAttemptHTTP2: true, DialContext: new(net.Dialer).DialContext}, true},
		"own dialler":      {&http.Transport{DialContext: new(net.Dialer).DialContext}, false},
		"own TLS settings": {&http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}}, false},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if got := guard(tt.base, nil, nil).ForceAttemptHTTP2; got != tt.want {
				t.Errorf("HTTP/2: %t, want %t", got, tt.want)
			}
		})
	}
}
