// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// fieldsOf returns the fields of all joined errors.
func fieldsOf(err error) (fields []string) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			fields = append(fields, fieldsOf(one)...)
		}
		return fields
	}
	var problem *gateway.ConfigError
	if errors.As(err, &problem) {
		return []string{problem.Field}
	}
	return []string{"otelauth"}
}

// Every problem is reported at once, with its field and the remedy.
func TestConfigFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile, _ := newCertificate(t)
	otherCert, _, _ := newCertificate(t)
	empty := filepath.Join(dir, "empty.pem")
	write(t, empty, nil)
	good := func() gateway.Config {
		return gateway.Config{Upstream: "http://127.0.0.1:8000", Auth: otelauth.Config{Accounts: accounts(t)}, Uninstrumented: true}
	}
	for name, tc := range map[string]struct {
		change func(*gateway.Config)
		fields []string
		want   string
	}{
		"nothing":                          {func(c *gateway.Config) { *c = gateway.Config{} }, []string{"Upstream", "otelauth"}, "http://host:port"},
		"no scheme":                        {func(c *gateway.Config) { c.Upstream = "127.0.0.1:8000" }, []string{"Upstream"}, "http://host:port"},
		"another scheme":                   {func(c *gateway.Config) { c.Upstream = "ftp://h" }, []string{"Upstream"}, "unix:/path"},
		"a path":                           {func(c *gateway.Config) { c.Upstream = "http://h/base" }, []string{"Upstream"}, "write http://h"},
		"credentials":                      {func(c *gateway.Config) { c.Upstream = "http://u:canary-pw@h" }, []string{"Upstream"}, "remove them"},
		"a relative socket":                {func(c *gateway.Config) { c.Upstream = "unix:run/s" }, []string{"Upstream"}, "absolute"},
		"authorities for http":             {func(c *gateway.Config) { c.UpstreamCAFile = empty }, []string{"UpstreamCAFile"}, "https"},
		"authorities that are none":        {func(c *gateway.Config) { c.Upstream, c.UpstreamCAFile = "https://h", empty }, []string{"UpstreamCAFile"}, "no PEM certificate"},
		"authorities that are absent":      {func(c *gateway.Config) { c.Upstream, c.UpstreamCAFile = "https://h", "/nowhere" }, []string{"UpstreamCAFile"}, "/nowhere"},
		"a pattern":                        {func(c *gateway.Config) { c.Rules = []gateway.Rule{{Pattern: "admin"}} }, []string{"Rules[0].Pattern"}, "ServeMux"},
		"an encoded pattern":               {func(c *gateway.Config) { c.Rules = []gateway.Rule{{Pattern: "/a%2fb"}} }, []string{"Rules[0].Pattern"}, "percent-encoding"},
		"a pattern that no path can match": {func(c *gateway.Config) { c.Rules = []gateway.Rule{{Pattern: "/a;b"}} }, []string{"Rules[0].Pattern"}, "a semicolon"},
		"a method in lower case":           {func(c *gateway.Config) { c.Rules = []gateway.Rule{{Pattern: "get /a"}} }, []string{"Rules[0].Pattern"}, "lower case"},
		"one pattern twice":                {func(c *gateway.Config) { c.Rules = []gateway.Rule{{Pattern: "/a/{x}"}, {Pattern: "/a/{y}"}} }, []string{"Rules[1].Pattern"}, "/a/{x}"},
		"everything public":                {func(c *gateway.Config) { c.Rules = []gateway.Rule{{Pattern: "GET /", Access: gateway.Public}} }, []string{"Rules[0]"}, `"GET /{$}"`},
		"everything public, in words":      {func(c *gateway.Config) { c.Rules = []gateway.Rule{{Pattern: "/{rest...}", Access: gateway.Public}} }, []string{"Rules[0]"}, "/{$}"},
		"public for a group": {func(c *gateway.Config) {
			c.Rules = []gateway.Rule{{Pattern: "/a", Access: gateway.Public, Groups: []string{"g"}}}
		}, []string{"Rules[0]"}, "every caller"},
		"an empty name":                {func(c *gateway.Config) { c.Rules = []gateway.Rule{{Pattern: "/a", Accounts: []string{""}}} }, []string{"Rules[0]"}, "empty"},
		"no access":                    {func(c *gateway.Config) { c.Rules = []gateway.Rule{{Pattern: "/a", Access: 7}} }, []string{"Rules[0]"}, "Required or Public"},
		"a raw pattern":                {func(c *gateway.Config) { c.AllowRawPaths = []string{"x"} }, []string{"AllowRawPaths[0]"}, "ServeMux"},
		"an identity header":           {func(c *gateway.Config) { c.IdentityHeaders = []string{"Remote_User"} }, []string{"IdentityHeaders[0]"}, "letters, digits"},
		"a header with a meaning":      {func(c *gateway.Config) { c.IdentityHeaders = []string{"host"} }, []string{"IdentityHeaders[0]"}, "choose another"},
		"too many identity headers":    {func(c *gateway.Config) { c.IdentityHeaders = []string{"A", "B", "C", "D", "E"} }, []string{"IdentityHeaders"}, "4 at most"},
		"groups beside names":          {func(c *gateway.Config) { c.GroupsHeader = "remote-user" }, []string{"GroupsHeader"}, "IdentityHeaders too"},
		"a header to strip":            {func(c *gateway.Config) { c.StripHeaders = []string{"X-*-Y"} }, []string{"StripHeaders[0]"}, "at the end"},
		"an origin":                    {func(c *gateway.Config) { c.TrustedOrigins = []string{"shop.example"} }, []string{"TrustedOrigins[0]"}, "scheme://host"},
		"a cross-origin pattern":       {func(c *gateway.Config) { c.DangerouslyAllowCrossOrigin = []string{"x", "/a"} }, []string{"DangerouslyAllowCrossOrigin[0]"}, "ServeMux"},
		"half a certificate":           {func(c *gateway.Config) { c.CertFile = certFile }, []string{"CertFile"}, "belong together"},
		"a certificate of another key": {func(c *gateway.Config) { c.CertFile, c.KeyFile = otherCert, keyFile }, []string{"CertFile"}, otherCert},
		"an absent certificate":        {func(c *gateway.Config) { c.CertFile, c.KeyFile = "/nowhere.pem", keyFile }, []string{"CertFile"}, "/nowhere.pem"},
		"times below zero": {func(c *gateway.Config) {
			c.MaxStreamAge, c.ReadHeaderTimeout, c.IdleTimeout, c.DialTimeout, c.DrainTimeout, c.MaxHeaderBytes = -1, -1, -1, -1, -1, -1
		}, []string{"MaxStreamAge", "ReadHeaderTimeout", "IdleTimeout", "DialTimeout", "DrainTimeout", "MaxHeaderBytes"}, "negative"},
		"fields that the gateway sets": {func(c *gateway.Config) {
			c.Auth.Routes, c.Auth.Public, c.Auth.Sensitive = http.NewServeMux(), []string{"/a"}, []string{"/b"}
			c.Auth.Registered = []string{"/c"}
			c.Auth.Endpoint = func(*http.Request) otelauth.Endpoint { return otelauth.Endpoint{} }
			c.Auth.RequestID = func(*http.Request) string { return "" }
		}, []string{"Auth.Routes", "Auth.Public", "Auth.Sensitive", "Auth.Registered", "Auth.Endpoint", "Auth.RequestID"}, "Config.Rules"},
		"problems of both packages": {func(c *gateway.Config) { c.Upstream, c.Auth.CacheTTL = "", -1 }, []string{"Upstream", "otelauth"}, "CacheTTL"},
	} {
		cfg := good()
		tc.change(&cfg)
		_, err := gateway.New(cfg)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		equal(t, name, fieldsOf(err), tc.fields)
		if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %q does not contain %q", name, err, tc.want)
		}
		if strings.Contains(err.Error(), "canary-pw") {
			t.Errorf("%s: contains a password", name)
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !strings.HasPrefix(line, "otelauth") && !strings.HasPrefix(line, "\t") && !strings.Contains(line, "matches") {
				t.Errorf("%s: the line %q does not begin with the package name", name, line)
			}
		}
	}
	if err := gateway.Check(good()); err != nil {
		t.Error(err)
	}
}

// The defaults are the documented ones.
func TestDefaults(t *testing.T) {
	t.Parallel()
	d := gateway.Defaults()
	equal(t, "defaults", []any{
		d.MaxStreamAge, d.ReadHeaderTimeout, d.IdleTimeout, d.StallTimeout, d.MaxHeaderBytes, d.DialTimeout,
		d.ResponseHeaderTimeout, d.DrainTimeout, d.ServerName,
	}, []any{
		5 * time.Minute, 10 * time.Second, 2 * time.Minute, time.Minute, 64 << 10, 5 * time.Second, time.Minute, 30 * time.Second,
		"otelauth-gateway",
	})
	equal(t, "identity headers", d.IdentityHeaders, []string{"Remote-User", "X-Forwarded-User"})
}

func TestAccessText(t *testing.T) {
	t.Parallel()
	for want, text := range map[gateway.Access]string{gateway.Required: "required", gateway.Public: "public"} {
		var got gateway.Access
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %v %v", text, got, err)
		}
		if written, err := want.MarshalText(); err != nil || string(written) != text {
			t.Errorf("%v: %q %v", want, written, err)
		}
	}
	var a gateway.Access
	if err := a.UnmarshalText([]byte("open")); err == nil {
		t.Error("\"open\" is read")
	}
	if _, err := gateway.Access(9).MarshalText(); err == nil {
		t.Error("Access(9) is written")
	}
}

// Under load each request is judged and served by one configuration, never by parts of two: an
// account of one configuration never meets the rules or the upstream of the other.
func TestReconfigureIsAtomic(t *testing.T) {
	t.Parallel()
	var cfgs [2]gateway.Config
	var ups [2]*site
	for i, group := range []string{"left", "right"} {
		ups[i] = newSite(t, gateway.Config{}, nil) // only its upstream is used
		cfgs[i] = gateway.Config{
			Upstream: ups[i].upstream,
			Auth: otelauth.Config{Accounts: &verify.Static{
				Hashes: map[string]string{"alice": hash(t, "wonderland")}, Groups: map[string][]string{group: {"alice"}},
			}},
			GroupsHeader: "X-Groups",
			// Each configuration forbids what the other allows.
			Rules: []gateway.Rule{{Pattern: "/" + group + "/", Groups: []string{group}}, {Pattern: "/", Accounts: []string{"other"}}},
		}
	}
	s := newSite(t, cfgs[0], nil)
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			c := client(t)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				path := []string{"/left/x", "/right/x"}[i%2]
				res, err := c.Do(s.request(t, "GET", path, "alice", "wonderland", nil))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusForbidden {
					t.Errorf("%s: %d", path, res.StatusCode)
				}
			}
		})
	}
	for i := range 60 {
		if err := s.gw.Reconfigure(s.own(t, cfgs[i%2])); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	load.Wait()
	for i, group := range []string{"left", "right"} {
		for _, r := range ups[i].reached() {
			if r.URL.Path != "/"+group+"/x" || !slices.Equal(r.Header["X-Groups"], []string{group}) {
				t.Fatalf("the upstream of %s got %s of groups %v", group, r.URL.Path, r.Header["X-Groups"])
			}
		}
	}
	// An invalid configuration changes nothing.
	bad := cfgs[0]
	bad.Upstream = ""
	if err := s.gw.Reconfigure(s.own(t, bad)); err == nil {
		t.Error("an invalid configuration was accepted")
	}
	if res, _ := s.get(t, "/right/x", "alice", "wonderland"); res.StatusCode != http.StatusOK {
		t.Errorf("after an invalid configuration: %d", res.StatusCode)
	}
}

// The admin endpoints report the process, the account store, the upstream and draining.
// required is an observer that refuses credentials while err is set, as a required trail does.
type required struct {
	attempt.Observer
	err atomic.Pointer[error]
}

func (r *required) Ready() error {
	if err := r.err.Load(); err != nil {
		return *err
	}
	return nil
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	m := &mutable{Accounts: accounts(t)}
	record := &required{Observer: attempt.Join()}
	s := newSite(t, gateway.Config{Auth: otelauth.Config{Accounts: m, Trail: record}}, nil)
	admin := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.gw.ServeAdmin(ctx, admin) }()
	get := func(path string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, body := s.do(t, r)
		return res.StatusCode, body
	}
	check := func(path string, want int, content string) {
		t.Helper()
		if got, body := get(path); got != want || !strings.Contains(body, content) {
			t.Errorf("%s: %d %q, want %d %q", path, got, body, want, content)
		}
	}
	check("/-/healthz", 200, "ok")
	check("/-/readyz", 200, "ready")
	check("/x", 404, "")
	m.set(nil, errStore)
	check("/-/readyz", 503, "account store")
	m.set(nil, nil)
	check("/-/readyz", 200, "ready")
	record.err.Store(&errStore)
	check("/-/readyz", 503, "the trail cannot write")
	record.err.Store(nil)
	check("/-/readyz", 200, "ready")
	cfg := gateway.Config{Upstream: "http://127.0.0.1:1", Auth: otelauth.Config{Accounts: m}}
	if err := s.gw.Reconfigure(s.own(t, cfg)); err != nil {
		t.Fatal(err)
	}
	check("/-/readyz", 503, "upstream")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	check("/-/readyz", 503, "draining")
	check("/-/healthz", 200, "ok")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
