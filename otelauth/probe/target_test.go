// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// simple is a service with one endpoint.
func simple(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); !valid(user, password) {
		denied(w, r, seed{})
		return
	}
	write(w, http.StatusOK, content(seed{path: r.URL.Path}))
}

// TestTLS: a target with a certificate of its own authority, and what it answers without TLS.
func TestTLS(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.HandlerFunc(simple))
	t.Cleanup(secure.Close)
	asks := httptest.NewServer(http.HandlerFunc(simple))
	t.Cleanup(asks.Close)
	redirects := httptest.NewServer(http.RedirectHandler(secure.URL, http.StatusPermanentRedirect))
	t.Cleanup(redirects.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	for plaintext, want := range map[string]bool{asks.Listener.Addr().String(): true, redirects.Listener.Addr().String(): false, testkit.FreeAddress(t): false} {
		c := seededConfig()
		c.Target, c.Endpoints, c.Plaintext = secure.URL, []probe.Endpoint{{Path: "/orders/list"}}, plaintext
		c.TLS = &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}
		report, err := probe.Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range report.Findings {
			found = found || f.Rule == probe.RulePlaintext
			if f.Rule != probe.RulePlaintext {
				t.Errorf("false finding %s", f.ID)
			}
		}
		if found != want {
			t.Errorf("%s: plaintext was found: %t, want %t", plaintext, found, want)
		}
	}
	c := seededConfig()
	c.Target, c.Plaintext, c.Endpoints = secure.URL, "192.0.2.7:80", []probe.Endpoint{{Path: "/a"}}
	if _, err := probe.New(c); err == nil || !strings.Contains(err.Error(), "is not on the host of the target") {
		t.Errorf("another host: %v", err)
	}
}

// TestTiming: a service that computes a hash for accounts only is found, and one that computes it
// for all names is not.
func TestTiming(t *testing.T) {
	t.Parallel()
	work := func() {
		sum := sha256.Sum256(nil)
		for range 5000 {
			sum = sha256.Sum256(sum[:])
		}
	}
	for always, want := range map[bool]bool{true: false, false: true} {
		c := seededConfig()
		c.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, _, sent := r.BasicAuth(); sent && (always || accounts[user] != "") {
				work()
			}
			simple(w, r)
		})
		c.Endpoints, c.Samples, c.Only = []probe.Endpoint{{Path: "/orders/list"}}, 100, []string{"unknown-user", "wrong-password"}
		report, err := probe.Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		tm := report.Timing
		if tm == nil || tm.Decided != want || tm.Samples < 25 || tm.Samples > 100 || want != (len(report.Findings) == 1) {
			t.Errorf("hash for all names: %t, timing %+v, %d findings", always, tm, len(report.Findings))
		}
	}
}

// TestCurl runs the curl lines of a report: the service sees the requests that the probe made.
func TestCurl(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, fmt.Sprintf("%s %s %v", r.Method, r.RequestURI, r.Header["X-Original-Url"]))
		mu.Unlock()
		simple(w, r)
	}))
	t.Cleanup(server.Close)
	c := seededConfig()
	c.Target, c.Endpoints = server.URL, []probe.Endpoint{{Path: "/orders/list?a=1&b=it's"}}
	c.Only = []string{"dot-dot", "backslash", "absolute-form", "invented-method", "original-url", "encoded-slash"}
	report, err := probe.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range report.Rows[0].Attempts {
		mu.Lock()
		seen = nil
		mu.Unlock()
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "sh", "-c", a.Request.Curl+" --silent")
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			t.Errorf("%s: %v\n%s", a.Request.Curl, err, out.String())
		}
		original := []string{}
		for _, h := range a.Request.Headers {
			if h.Name == "X-Original-URL" {
				original = append(original, h.Value)
			}
		}
		mu.Lock()
		if want := fmt.Sprintf("%s %s %v", a.Request.Method, a.Request.Target, original); len(seen) != 1 || seen[0] != want {
			t.Errorf("%s: the service saw %q, want %q", a.ID, seen, want)
		}
		mu.Unlock()
	}
}

// TestCorrelate: each request has its token in the headers that are chosen, and in no other.
func TestCorrelate(t *testing.T) {
	t.Parallel()
	for _, chosen := range [][]string{nil, {"traceparent"}, {"request-id"}, {"user-agent"}, {"traceparent", "user-agent"}} {
		var got []http.Header
		c := seededConfig()
		c.Endpoints, c.Only, c.Correlate, c.Workers = []probe.Endpoint{{Path: "/orders/list"}}, []string{"unknown-user"}, chosen, 1
		c.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = append(got, r.Header.Clone())
			simple(w, r)
		})
		report, err := probe.Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		attempts := report.Rows[0].Attempts
		got = got[len(got)-len(attempts):] // without the first request, which is for the public page
		has := func(name string) bool { return chosen == nil || slices.Contains(chosen, name) }
		for i, a := range attempts {
			h := got[i]
			for name, is := range map[string]bool{
				"traceparent": h.Get("Traceparent") != "" && strings.Contains(h.Get("Traceparent"), a.TraceID) && len(a.TraceID) == 32,
				"request-id":  h.Get("X-Request-Id") == a.Token && a.RequestID == a.Token,
				"user-agent":  strings.Contains(h.Get("User-Agent"), a.Token),
			} {
				if is != has(name) {
					t.Errorf("%v: %s has a token in %s: %t; %v", chosen, a.ID, name, is, h)
				}
			}
		}
	}
}

// TestNoSecretInReport: no password and no token of the run is in the report, and none goes to
// another place than the Authorization field.
func TestNoSecretInReport(t *testing.T) {
	t.Parallel()
	c := seededConfig()
	c.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		r.Header.Del("Authorization")
		var rest bytes.Buffer
		_ = r.Write(&rest)
		for _, secret := range accounts {
			if strings.Contains(rest.String(), secret) {
				t.Errorf("a password is outside of Authorization: %q", rest.String())
			}
		}
		io.WriteString(w, "echo of "+password) // a service that shows passwords
	})
	c.Endpoints = []probe.Endpoint{{Path: "/a"}}
	p, err := probe.New(c)
	if err != nil {
		t.Fatal(err)
	}
	report, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v", *report)
	for _, secret := range p.Canaries() {
		if strings.Contains(text, secret) {
			t.Errorf("the report shows %q", secret)
		}
	}
	if !strings.Contains(text, "{secret}") {
		t.Error("the service did not echo: the test proves nothing")
	}
}

// TestSpent: the bound of requests holds exactly.
func TestSpent(t *testing.T) {
	t.Parallel()
	n := 0
	c := seededConfig()
	c.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n++; simple(w, r) })
	c.Endpoints, c.MaxRequests, c.Workers = []probe.Endpoint{{Path: "/a"}, {Path: "/b"}}, 30, 1
	report, err := probe.Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if n > 30 || report.Requests != 30 || report.Complete || !strings.Contains(report.Stopped, "--max-requests") {
		t.Errorf("the service saw %d requests, the report %d; complete: %t, %q", n, report.Requests, report.Complete, report.Stopped)
	}
}

func FuzzReadList(f *testing.F) {
	f.Add("GET /a public\nPOST /b groups=x,y body={}\n# c\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := probe.ReadList(strings.NewReader(text), "fuzz")
		if err != nil {
			return
		}
		for _, e := range list {
			if !strings.HasPrefix(e.Path, "/") || e.Method == "" || strings.ContainsAny(e.Path, " \r\n\x00") {
				t.Errorf("%q gives %+v", text, e)
			}
		}
	})
}

func FuzzReadEvents(f *testing.F) {
	f.Add(`{"http.request.method":"GET","url.path":"/a b","http.route":"/{x}","http.response.status_code":200}`)
	f.Add(`{"request":"GET /orders/ HTTP/1.1"}` + "\n" + `{"request":{"method":"GET","uri":"/a"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		list, _ := probe.ReadEvents(strings.NewReader(text), "fuzz")
		for _, e := range list {
			if !strings.HasPrefix(e.Path, "/") || strings.ContainsAny(e.Path, " \r\n\x00") {
				t.Errorf("%q gives %+v", text, e)
			}
		}
	})
}
