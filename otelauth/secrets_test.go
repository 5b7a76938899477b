// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// The passwords of this test, with that of the account and one typed into the name field.
const (
	canaryRight   = "right-canary-Zq7"
	canaryWrong   = "wrong-canary-Xw3"
	canaryTyped   = "typed-canary-Lm9"
	canaryBroken  = "broken-canary-Tr5"
	canaryForeign = "foreign-canary-Ko1"
	canaryLatin   = "latin-canary-\xe9\xfc-Pb6"
)

// Invariant 1: whatever the outcome, no span, metric, event, answer, error or Result contains a
// secret of the request.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	secrets := []string{canaryRight, canaryWrong, canaryTyped, canaryBroken, canaryForeign, canaryLatin}
	requests := map[string]func(*http.Request){
		"right":              basic("alice", canaryRight),
		"wrong":              basic("alice", canaryWrong),
		"unknown":            basic("mallory", canaryWrong),
		"in the name field":  basic(canaryTyped, canaryWrong),
		"only a name":        basic(canaryTyped, ""),
		"too long":           basic("alice", strings.Repeat(canaryWrong, 10)),
		"no colon":           authorization(token(canaryBroken)),
		"not base64":         authorization("Basic " + canaryBroken),
		"not base64 at all":  authorization("Basic =" + canaryBroken + "="),
		"control character":  authorization(token("alice\x01:" + canaryBroken)),
		"comma":              authorization(token("alice:"+canaryBroken) + ", " + token("alice:"+canaryBroken)),
		"a token as a realm": authorization(`Basic realm="` + canaryBroken + `"`),
		"too long a field":   authorization(token("alice:" + strings.Repeat(canaryBroken, 1000))),
		"bearer":             authorization("Bearer " + canaryForeign),
		"a scheme":           authorization(canaryForeign),
		"digest":             authorization(`Digest username="alice", response="` + canaryForeign + `"`),
		"latin-1":            basic("ali\xe7", canaryLatin),
		"plaintext":          fromPlaintext(basic("alice", canaryRight)),
		"two fields": func(r *http.Request) {
			r.Header["Authorization"] = []string{token("alice:" + canaryRight), "Bearer " + canaryForeign}
		},
		"proxy field": func(r *http.Request) { r.Header.Set("Proxy-Authorization", token("alice:"+canaryRight)) },
		"user info": func(r *http.Request) {
			r.Header.Set("Authorization", token("alice:"+canaryRight))
			r.Header.Set("Referer", "http://alice:"+canaryRight+"@h/")
		},
		"query": func(r *http.Request) { r.URL.RawQuery = "password=" + canaryRight },
	}
	store := func() *verify.Static {
		return &verify.Static{Hashes: map[string]string{"alice": hash(t, canaryRight)}}
	}
	for name, cfg := range map[string]otelauth.Config{
		"plain":       {},
		"hashed":      {UserNames: otelauth.HashedNames},
		"public":      {Public: []string{"/orders"}},
		"throttled":   {Throttle: scripted{}},
		"store down":  {Accounts: down{store()}},
		"a bad store": {Accounts: panicking{store()}},
		"a verifier":  {Verifier: instant{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if cfg.Accounts == nil && cfg.Verifier == nil {
				cfg.Accounts = store()
			}
			secrets := secrets
			if name == "a verifier" {
				// It treats every name as an account, also a password in the name field.
				secrets = []string{canaryRight, canaryWrong, canaryBroken, canaryForeign, canaryLatin}
			}
			s := newService(t, cfg, nil)
			var said bytes.Buffer
			for _, send := range requests {
				for range 2 {
					r := request(t, "GET", "/orders", "", "")
					send(r)
					w := s.do(r)
					said.WriteString(dump(t, w))

					r = request(t, "GET", "/orders", "", "")
					send(r)
					_, res := s.mw.Authenticate(r)
					fmt.Fprintf(&said, "%v %+v %#v\n", res, res, res)
					if res.Err != nil {
						said.WriteString(res.Err.Error())
					}
				}
			}
			if n := s.recorded(); n < 2*len(requests) {
				t.Errorf("%d attempts were recorded", n)
			}
			otelauthtest.NoSecrets(t, s.Recorder, secrets...)
			otelauthtest.NoSecretsIn(t, "what was answered", said.Bytes(), secrets...)
		})
	}
}

// A Middleware and its Config print no secret.
func TestPrintsNoSecret(t *testing.T) {
	t.Parallel()
	cfg := otelauth.Config{Accounts: &verify.Static{Hashes: map[string]string{"alice": hash(t, canaryRight)}}, IdentityKey: testKey}
	mw := newMiddleware(t, cfg)
	mw.Authenticate(request(t, "GET", "/", "alice", canaryRight))
	var said bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		fmt.Fprintf(&said, verb, cfg)
	}
	otelauthtest.NoSecretsIn(t, "what was printed", said.Bytes(), canaryRight, string(testKey.Secret))
}
