// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/client"
	"github.com/otelauth/otelauth-go/otelauth/credential"
)

const (
	name     = "alice"
	password = "canary-wonderland-7f3a" // a canary that must not appear anywhere
)

// seen is one request of a server.
type seen struct {
	Host, Path, Auth, Body, Traceparent string
}

// server records its requests and answers with answer, or 200 when nil.
type server struct {
	*httptest.Server
	mu   sync.Mutex
	reqs []seen
}

func newServer(t testing.TB, tls bool, answer http.HandlerFunc) *server {
	t.Helper()
	s := new(server)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		n, p, _ := r.BasicAuth()
		auth := r.Header.Get("Authorization")
		if n != "" {
			auth = n + ":" + p
		}
		s.mu.Lock()
		s.reqs = append(s.reqs, seen{r.Host, r.URL.Path, auth, string(b), r.Header.Get("Traceparent")})
		s.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	})
	if tls {
		s.Server = httptest.NewTLSServer(h)
	} else {
		s.Server = httptest.NewServer(h)
	}
	t.Cleanup(s.Close)
	return s
}

func (s *server) auths() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var a []string
	for _, r := range s.reqs {
		a = append(a, r.Auth)
	}
	return a
}

func newTransport(t testing.TB, cfg client.Config) *client.Transport {
	t.Helper()
	if cfg.Name == "" && cfg.File == "" && cfg.Directory == "" && cfg.Source == nil {
		cfg.Name, cfg.Password = name, credential.NewSecret(password)
	}
	tr, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// get fails on an error and returns the response, closed.
func get(t testing.TB, rt http.RoundTripper, target string) *http.Response {
	t.Helper()
	return do(t, rt, request(t, http.MethodGet, target, nil))
}

func do(t testing.TB, rt http.RoundTripper, req *http.Request) *http.Response {
	t.Helper()
	resp, err := (&http.Client{Transport: rt}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp
}

func request(t testing.TB, method, target string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// hosts returns a copy of base that dials each host name at its address in to.
func hosts(base *http.Transport, to map[string]string) *http.Transport {
	t := base.Clone()
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if instead, ok := to[strings.ToLower(addr)]; ok {
			addr = instead
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return t
}

func TestSendsToItsOriginsOnly(t *testing.T) {
	t.Parallel()
	mine, other := newServer(t, false, nil), newServer(t, false, nil)
	tr := newTransport(t, client.Config{Origins: []string{mine.URL}})
	get(t, tr, mine.URL+"/a")
	get(t, tr, other.URL+"/a")
	if diff := cmp.Diff([]string{name + ":" + password}, mine.auths()); diff != "" {
		t.Errorf("own origin (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{""}, other.auths()); diff != "" {
		t.Errorf("other origin (-want +got):\n%s", diff)
	}
}

func TestOriginSpellings(t *testing.T) {
	t.Parallel()
	const sent, not = true, false
	for _, tt := range []struct {
		origin, url string
		want        bool
	}{
		{"https://Orders.Example", "https://orders.example:443/x", sent},
		{"HTTPS://orders.example:443/", "https://ORDERS.example/x", sent},
		{"https://orders.example:0443", "https://orders.example/x", sent},
		{"http://127.0.0.1", "http://127.0.0.1:80/", sent},
		{"http://LOCALHOST", "http://localhost/", sent},
		{"https://[2001:DB8:0::1]", "https://[2001:db8::1]:443/", sent},
		{"https://orders.example", "http://orders.example/", not},
		{"https://orders.example", "http://orders.example:443/", not},
		{"https://orders.example", "https://orders.example:8443/", not},
		{"https://orders.example", "https://www.orders.example/", not},
		{"https://www.orders.example", "https://orders.example/", not},
		{"https://orders.example", "https://orders.example./", not},
		{"https://orders.example", "https://orders.example.evil.example/", not},
		{"https://orders.example", "https://evil.example/orders.example", not},
		{"https://xn--bcher-kva.example", "https://b\u00fccher.example/", not},
		{"https://orders.example", "https://order\u017f.example/", not},
		{"http://localhost", "http://127.0.0.1/", not},
	} {
		t.Run(tt.origin+"→"+tt.url, func(t *testing.T) {
			t.Parallel()
			var got bool
			tr := newTransport(t, client.Config{Origins: []string{tt.origin}, Base: roundTripper(func(r *http.Request) (*http.Response, error) {
				got = r.Header.Get("Authorization") != ""
				return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
			})})
			get(t, tr, tt.url)
			if got != tt.want {
				t.Errorf("credentials sent: %t, want %t", got, tt.want)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Each redirect goes through a real http.Client and real servers.
func TestRedirectsArriveWithoutCredentials(t *testing.T) {
	t.Parallel()
	target := newServer(t, false, nil)
	targetTLS := newServer(t, true, nil)
	for _, tt := range []struct{ what, from, to string }{
		{"same host, other port", "https://orders.example", "https://orders.example:8443/"},
		{"subdomain", "https://orders.example", "https://eu.orders.example/"},
		{"parent domain", "https://eu.orders.example", "https://orders.example/"},
		{"https to http", "https://orders.example", "http://orders.example/"},
		{"https to http on port 443", "https://orders.example", "http://orders.example:443/"},
		{"other host", "https://orders.example", "https://evil.example/"},
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprintf("%s/%d", tt.what, status), func(t *testing.T) {
				t.Parallel()
				hopPath := fmt.Sprintf("hop-%d-%s", status, strings.ReplaceAll(tt.what, " ", "-"))
				start := newServer(t, true, func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, tt.to+hopPath, status)
				})
				u, _ := url.Parse(tt.to)
				port := u.Port()
				if port == "" {
					port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
				}
				from, _ := url.Parse(tt.from)
				end := target
				if u.Scheme == "https" {
					end = targetTLS
				}
				base := start.Client().Transport.(*http.Transport).Clone()
				// this test is about names, not certificates
				base.TLSClientConfig.InsecureSkipVerify = true
				first := true
				base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
					to := end.Listener.Addr().String()
					if addr == from.Host+":443" && first {
						first, to = false, start.Listener.Addr().String()
					} else if addr != u.Hostname()+":"+port {
						return nil, fmt.Errorf("unexpected dial of %s", addr)
					}
					return new(net.Dialer).DialContext(ctx, network, to)
				}
				tr := newTransport(t, client.Config{Origins: []string{tt.from}, Base: base})
				resp := get(t, tr, tt.from+"/")
				if got := start.auths(); len(got) != 1 || got[0] != name+":"+password {
					t.Fatalf("the origin received %q", got)
				}
				end.mu.Lock()
				defer end.mu.Unlock()
				var hop []seen
				for _, r := range end.reqs {
					if r.Path == "/"+hopPath && r.Host == u.Host {
						hop = append(hop, r)
					}
				}
				if len(hop) != 1 || hop[0].Auth != "" {
					t.Errorf("after the redirect: %+v", hop)
				}
				if got := resp.Request.Header.Get("Authorization"); got != "" {
					t.Errorf("the request of the response shows %q", got)
				}
			})
		}
	}
}

// A redirect within the origin, or back to it, is an ordinary request.
func TestRedirectWithinTheOriginCarriesCredentials(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/next", http.StatusFound)
		}
	})
	resp := get(t, newTransport(t, client.Config{Origins: []string{s.URL}}), s.URL)
	if diff := cmp.Diff([]string{name + ":" + password, name + ":" + password}, s.auths()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for r := resp; r != nil; r = r.Request.Response {
		if r.Request.Header.Get("Authorization") != "" {
			t.Error("a response shows the password through its Request")
		}
	}
}

func TestRequestIsNotChanged(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, nil)
	for _, uninstrumented := range []bool{false, true} {
		tr := newTransport(t, client.Config{Origins: []string{s.URL}, Uninstrumented: uninstrumented})
		req := request(t, http.MethodPost, s.URL, strings.NewReader("x"))
		req.Header.Set("X-Mine", "1")
		before := req.Header.Clone()
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if diff := cmp.Diff(before, req.Header); diff != "" {
			t.Errorf("header changed (-want +got):\n%s", diff)
		}
	}
	if got := s.auths(); got[0] == "" || got[1] == "" {
		t.Errorf("not authenticated: %q", got)
	}
	// A request without a header map is legal for a RoundTripper.
	req := request(t, http.MethodGet, s.URL, nil)
	req.Header = nil
	resp, err := newTransport(t, client.Config{Origins: []string{s.URL}, Uninstrumented: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if req.Header != nil {
		t.Error("RoundTrip added a header to the caller's request")
	}
}

func TestAuthorizationOfTheCallerIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) })
	tr := newTransport(t, client.Config{Origins: []string{s.URL}})
	for _, h := range []http.Header{
		{"Authorization": {"Bearer mine"}},
		{"authorization": {"Bearer mine"}},
		{"Authorization": nil},
	} {
		req := request(t, http.MethodGet, s.URL, nil)
		req.Header = h
		do(t, tr, req)
	}
	if diff := cmp.Diff([]string{"Bearer mine", "Bearer mine", ""}, s.auths()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUserInfoIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, nil)
	tr := newTransport(t, client.Config{Origins: []string{s.URL}})
	target := strings.Replace(s.URL, "http://", "http://bob:"+password+"@", 1)
	_, err := (&http.Client{Transport: tr}).Do(request(t, http.MethodGet, target, nil))
	if !errors.Is(err, client.ErrUserInfo) {
		t.Fatalf("got %v, want ErrUserInfo", err)
	}
	noSecret(t, "error", err.Error())
	if got := s.auths(); got != nil {
		t.Errorf("sent %q", got)
	}
}

type closeCounter struct {
	io.Reader
	closed atomic.Int32
}

func (c *closeCounter) Close() error { c.closed.Add(1); return nil }

// The contract of http.RoundTripper: the body is closed, also on errors.
func TestBodyIsClosedOnErrors(t *testing.T) {
	t.Parallel()
	failing := func(context.Context) (string, credential.Secret, error) {
		return "", credential.Secret{}, errors.New("vault is sealed")
	}
	unusable := func(context.Context) (string, credential.Secret, error) {
		return "a:b", credential.NewSecret(password), nil
	}
	const origin = "https://orders.example"
	for what, tt := range map[string]struct {
		cfg client.Config
		url string
	}{
		"user information": {client.Config{Origins: []string{origin}}, "https://a:b@orders.example"},
		"failing source":   {client.Config{Origins: []string{origin}, Source: failing}, origin},
		"unusable":         {client.Config{Origins: []string{origin}, Source: unusable}, origin},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			body := &closeCounter{Reader: strings.NewReader("x")}
			_, err := newTransport(t, tt.cfg).RoundTrip(request(t, http.MethodPost, tt.url, body))
			if err == nil || !strings.Contains(err.Error(), "otelauth/client: ") {
				t.Fatalf("error %v", err)
			}
			noSecret(t, "error", err.Error())
			if body.closed.Load() == 0 {
				t.Error("body left open")
			}
		})
	}
	t.Run("zero Transport", func(t *testing.T) {
		t.Parallel()
		body := &closeCounter{Reader: strings.NewReader("x")}
		var zero client.Transport
		zero.CloseIdleConnections()
		if _, err := zero.RoundTrip(request(t, http.MethodPost, origin, body)); err == nil {
			t.Error("no error")
		}
		if body.closed.Load() == 0 {
			t.Error("body left open")
		}
	})
}

func TestPlaintext(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, nil)
	at := s.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(at)
	loop := netip.MustParsePrefix("127.0.0.0/8")

	t.Run("localhost and loopback addresses", func(t *testing.T) {
		t.Parallel()
		base := hosts(http.DefaultTransport.(*http.Transport), map[string]string{"localhost:80": at, "[::1]:80": at, "127.8.9.10:80": at})
		tr := newTransport(t, client.Config{Origins: []string{"http://localhost", "http://[::1]", "http://127.8.9.10"}, Base: base})
		get(t, tr, "http://localhost/")
		get(t, tr, "http://[::1]/")
		get(t, tr, "http://127.8.9.10/")
	})
	t.Run("a name whose address is in a named network", func(t *testing.T) {
		t.Parallel()
		base := hosts(http.DefaultTransport.(*http.Transport), map[string]string{"orders.internal:" + port: at})
		tr := newTransport(t, client.Config{
			Origins: []string{"http://orders.internal:" + port}, Base: base,
			DangerouslyAllowPlaintextFrom: []netip.Prefix{loop},
		})
		get(t, tr, "http://Orders.Internal:"+port+"/")
	})
}

// elsewhere is a connection to a real server that reports another address.
type elsewhere struct {
	net.Conn
	at      netip.AddrPort
	written *atomic.Int64
}

func (e elsewhere) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(e.at) }
func (e elsewhere) Write(b []byte) (int, error) {
	e.written.Add(int64(len(b)))
	return e.Conn.Write(b)
}

// DNS rebinding: the name resolves to an allowed network first and to another one later. The
// address of the connection is checked before anything is written to it.
func TestPlaintextIsCheckedByTheConnection(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"http://orders.internal", "http://ORDERS.internal", "http://orders.internal:0080", "http://localhost", "http://10.1.2.3"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, false, nil)
			var dials int
			var evil atomic.Int64
			base := http.DefaultTransport.(*http.Transport).Clone()
			base.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
				dials++
				if err != nil || dials > 1 {
					return elsewhere{conn, netip.MustParseAddrPort("203.0.113.9:80"), &evil}, err
				}
				return elsewhere{conn, netip.MustParseAddrPort("[::ffff:10.1.2.3]:80"), new(atomic.Int64)}, nil
			}
			tr := newTransport(t, client.Config{
				Origins: []string{strings.TrimSuffix(strings.ToLower(target), ":0080")}, Base: base,
				DangerouslyAllowPlaintextFrom: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
			})
			get(t, tr, target)
			get(t, tr, target) // the checked connection again
			tr.CloseIdleConnections()
			_, err := (&http.Client{Transport: tr}).Do(request(t, http.MethodGet, target, nil))
			if !errors.Is(err, client.ErrPlaintext) {
				t.Fatalf("got %v, want ErrPlaintext", err)
			}
			noSecret(t, "error", err.Error())
			if n := evil.Load(); n != 0 {
				t.Errorf("%d bytes were written to the wrong address", n)
			}
			if got := len(s.auths()); got != 2 {
				t.Errorf("%d requests arrived, want 2", got)
			}
		})
	}
}

func TestPlaintextGoesThroughNoProxy(t *testing.T) {
	t.Parallel()
	proxy := newServer(t, false, nil)
	proxyURL, _ := url.Parse(proxy.URL)
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = http.ProxyURL(proxyURL)
	tr := newTransport(t, client.Config{
		Origins: []string{"http://10.1.2.3"}, Base: base,
		DangerouslyAllowPlaintextFrom: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	_, err := (&http.Client{Transport: tr}).Do(request(t, http.MethodGet, "http://10.1.2.3/", nil))
	if !errors.Is(err, client.ErrPlaintext) {
		t.Errorf("got %v, want ErrPlaintext", err)
	}
	get(t, tr, "http://other.example/") // not a configured origin: proxied as before
	if diff := cmp.Diff([]string{""}, proxy.auths()); diff != "" {
		t.Errorf("the proxy received (-want +got):\n%s", diff)
	}
}

func TestTraceIsPropagatedAnd401Marked(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	rec := tracetest.NewSpanRecorder()
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec))
	tr := newTransport(t, client.Config{Origins: []string{s.URL}, TracerProvider: tp, Propagators: propagation.TraceContext{}})
	get(t, tr, s.URL+"/yes")
	get(t, tr, s.URL+"/no")

	spans := rec.Ended()
	if len(spans) != 2 {
		t.Fatalf("%d spans, want 2", len(spans))
	}
	for i, span := range spans {
		if span.SpanKind() != trace.SpanKindClient {
			t.Errorf("span %d is %s", i, span.SpanKind())
		}
		if want := span.SpanContext().SpanID().String(); !strings.Contains(s.reqs[i].Traceparent, want) {
			t.Errorf("traceparent %q, want the client span %s", s.reqs[i].Traceparent, want)
		}
		noSecret(t, "span", fmt.Sprint(span.Attributes(), span.Events(), span.Status()))
	}
	got := attributes(spans[1].Attributes(), "auth.scheme", "auth.outcome", "error.type")
	want := map[string]string{"auth.scheme": "basic", "auth.outcome": "failure", "error.type": "401"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("401 (-want +got):\n%s", diff)
	}
	if got := attributes(spans[0].Attributes(), "auth.scheme", "auth.outcome"); len(got) != 0 {
		t.Errorf("200 has %v", got)
	}
}

// auth.outcome on a server span belongs to its own client; an outgoing 401 must not overwrite it.
func TestUninstrumentedMarksNoForeignSpan(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	tr := newTransport(t, client.Config{Origins: []string{s.URL}, Uninstrumented: true})
	for _, kind := range []trace.SpanKind{trace.SpanKindServer, trace.SpanKindClient} {
		rec := tracetest.NewSpanRecorder()
		tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec))
		ctx, span := tp.Tracer("test").Start(t.Context(), "outer", trace.WithSpanKind(kind))
		do(t, tr, request(t, http.MethodGet, s.URL, nil).WithContext(ctx))
		span.End()
		_, marked := attributes(rec.Ended()[0].Attributes(), "auth.outcome")["auth.outcome"]
		if want := kind == trace.SpanKindClient; marked != want {
			t.Errorf("%s span marked: %t, want %t", kind, marked, want)
		}
	}
}

func attributes(all []attribute.KeyValue, keys ...string) map[string]string {
	m := make(map[string]string)
	for _, kv := range all {
		for _, k := range keys {
			if string(kv.Key) == k {
				m[k] = kv.Value.String()
			}
		}
	}
	return m
}

func TestCloseIdleConnections(t *testing.T) {
	t.Parallel()
	base := &idleCloser{}
	newTransport(t, client.Config{Origins: []string{"https://orders.example"}, Base: base}).CloseIdleConnections()
	if base.closed == 0 {
		t.Error("Base was not called")
	}
	newTransport(t, client.Config{Origins: []string{"https://orders.example"}, Base: roundTripper(nil)}).CloseIdleConnections()
}

type idleCloser struct {
	roundTripper
	closed int
}

func (c *idleCloser) CloseIdleConnections() { c.closed++ }

func noSecret(t testing.TB, where, s string) {
	t.Helper()
	field, err := credential.Encode(name, credential.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{password, strings.TrimPrefix(field, "Basic ")} {
		if strings.Contains(s, secret) {
			t.Errorf("the %s holds the password: %s", where, s)
		}
	}
}
