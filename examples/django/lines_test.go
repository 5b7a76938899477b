// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package django

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

// line is a JSON line of otelauth_middleware.py.
type line struct {
	Time       string `json:"time"`
	Level      string `json:"level"`
	Event      string `json:"event"`
	Method     string `json:"method"`
	Path       string `json:"path"`
	Status     int    `json:"status"`
	SourceIP   string `json:"source_ip"`
	UserAgent  string `json:"user_agent"`
	TraceID    string `json:"trace_id"`
	User       string `json:"user"`
	Attempted  string `json:"username_attempted"`
	Reason     string `json:"reason"`
	Route      string `json:"route"`
	View       string `json:"view"`
	Permission string `json:"permission"`
}

// lines waits for the two lines of the request with this user agent: who called, and what the
// site answered.
func (s *site) lines(t *testing.T, agent string) (who, answered line) {
	t.Helper()
	var found []string
	s.django.Await(t, "two lines of "+agent, func() bool {
		found = s.django.Lines(`"event": `, `"`+agent+`"`)
		return len(found) >= 2
	})
	if len(found) != 2 {
		t.Errorf("%s has %d lines: %q", agent, len(found), found)
	}
	for i, l := range []*line{&who, &answered} {
		decoder := json.NewDecoder(strings.NewReader(found[i]))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(l); err != nil {
			t.Fatalf("%v: %s", err, found[i])
		}
		if l.Time == "" {
			t.Errorf("%s: no time: %s", agent, found[i])
		}
		l.Time = ""
	}
	return who, answered
}

// views names the view of each path, and what it denies with.
var views = map[string]struct{ view, permission string }{
	"/orders/":  {view: "shop.views.orders"},
	"/reports/": {view: "shop.views.Reports", permission: "IsAuthenticated"},
	"/staff/":   {view: "shop.views.Staff", permission: "IsAdminUser"},
	"/legacy/":  {view: "shop.views.legacy"},
	"/export/":  {view: "shop.views.export"},
	"/health/":  {view: "shop.views.health"},
}

// recorded compares the site's lines about a request that the gateway passed on, and returns how
// the README shows them.
func (s *site) recorded(t *testing.T, r row, agent, traceID string) string {
	t.Helper()
	want := line{
		Level: "INFO", Event: "auth_success", Method: r.method, Path: r.path, Status: r.status, SourceIP: "127.0.0.1",
		UserAgent: agent, TraceID: traceID, User: r.user, View: views[r.path].view,
	}
	if want.View != "" {
		want.Route = strings.TrimPrefix(r.path, "/")
	}
	shown := "`request_authorized`"
	who, answered := s.lines(t, agent)
	wantAnswer := want
	wantAnswer.Event = "request_authorized"
	if r.status == http.StatusUnauthorized || r.status == http.StatusForbidden {
		want.Permission = views[r.path].permission
		wantAnswer = want
		wantAnswer.Event, wantAnswer.Level, wantAnswer.Reason = "request_unauthorized", "WARNING", "not_permitted"
		shown = "`request_unauthorized` in `" + want.View + "`"
		if want.Permission != "" {
			shown += ", `" + want.Permission + "`"
		}
	}
	if diff := cmp.Diff([]line{want, wantAnswer}, []line{who, answered}); diff != "" {
		t.Errorf("%s: the site's lines (-want +got):\n%s", r.what, diff)
	}
	return shown
}

// spoof is a request that reaches the site without the gateway.
type spoof struct {
	what   string
	path   string
	header http.Header

	status  int
	event   string
	reason  string
	user    string // username_attempted
	level   string
	forbids string // permission that denied
}

func with(set ...func(http.Header)) http.Header {
	h := http.Header{}
	for _, f := range set {
		f(h)
	}
	return h
}

func claim(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }

var spoofs = []spoof{
	{"the header of the gateway", "/orders/", with(claim("Remote-User", "bob")), 401, "auth_failure", "not_from_gateway", "bob", "WARNING", ""},
	{"another spelling of it", "/orders/", with(claim("Remote_user", "bob")), 401, "auth_failure", "not_from_gateway", "bob", "WARNING", ""},
	{"with forged addresses", "/staff/", with(claim("Remote-User", "bob"), claim("X-Forwarded-For", "192.0.2.7"), claim("Remote-Addr", "")),
		403, "auth_failure", "not_from_gateway", "bob", "WARNING", "IsAdminUser"},
	{"a name that is not an account", "/orders/", with(claim("Remote-User", "wonderland")), 401, "auth_failure", "not_from_gateway", "", "WARNING", ""},
	{"nothing", "/reports/", with(), 403, "auth_missing", "", "", "INFO", "IsAuthenticated"},
	{"nothing, to a public view", "/health/", with(), 200, "auth_missing", "", "", "INFO", ""},
	{"another scheme", "/orders/", with(field("Bearer wonderland")), 401, "auth_missing", "unsupported_scheme", "", "INFO", ""},
	{"the right password", "/orders/", with(basic("alice", "wonderland")), 401, "auth_failure", "not_from_gateway", "alice", "WARNING", ""},
	{"a password as the name", "/orders/", with(basic("wonderland", "x")), 401, "auth_failure", "not_from_gateway", "", "WARNING", ""},
	{"bad Base64", "/orders/", with(field("Basic wonderland!")), 401, "auth_bad_format", "invalid_base64", "", "WARNING", ""},
	{"no colon", "/orders/", with(field("Basic d29uZGVybGFuZA==")), 401, "auth_bad_format", "no_colon", "", "WARNING", ""},
	{"a control character", "/orders/", with(basic("alice\n", "wonderland")), 401, "auth_bad_format", "control_character", "", "WARNING", ""},
}

// A request that reaches the site without the gateway has no identity, whatever it claims, and
// leaves two lines. Neither has a password, nor the trace id of the client.
func TestSpoofs(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s := startDjango(t, "shop.wsgi", nil)
	for i, p := range spoofs {
		agent := "curl/8." + string(rune('a'+i))
		p.header.Set("User-Agent", agent)
		p.header.Set("Traceparent", "00-11111111111111111111111111111111-2222222222222222-01")
		if got := s.send(t, http.MethodGet, s.direct+p.path, p.header); got.status != p.status {
			t.Errorf("%s: the status is %d, want %d", p.what, got.status, p.status)
		}
		want := line{
			Level: p.level, Event: p.event, Method: "GET", Path: p.path, Status: p.status, SourceIP: "127.0.0.1", UserAgent: agent,
			Attempted: p.user, Reason: p.reason, Route: strings.TrimPrefix(p.path, "/"), View: views[p.path].view, Permission: p.forbids,
		}
		answer := want
		answer.Event, answer.Level = "request_authorized", "INFO"
		if p.status != http.StatusOK {
			answer.Event, answer.Level = "request_unauthorized", "WARNING"
		}
		who, answered := s.lines(t, agent)
		if diff := cmp.Diff([]line{want, answer}, []line{who, answered}); diff != "" {
			t.Errorf("%s: the lines (-want +got):\n%s", p.what, diff)
		}
	}
	for _, l := range s.django.Lines() {
		if passwords.MatchString(l) || strings.Contains(l, "1111111111") {
			t.Errorf("the log holds what a client sent: %s", l)
		}
	}
}

// A site that forgets the unix socket believes the addresses of OTELAUTH_GATEWAY and no others.
func TestGatewayOnTCP(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	for networks, want := range map[string]int{`["127.0.0.0/30"]`: http.StatusOK, `["192.0.2.0/24"]`: http.StatusUnauthorized} {
		s := startDjango(t, "shop.wsgi", []string{"SHOP_GATEWAY=" + networks})
		if got := s.send(t, http.MethodGet, s.direct+"/orders/", with(claim("Remote-User", "bob"))); got.status != want {
			t.Errorf("OTELAUTH_GATEWAY = %s: the status is %d, want %d", networks, got.status, want)
		}
	}
}

// The span that is current in the site gets the caller. The tracer is that of opentelemetry-sdk
// or, if Debian's Python does not have it, a small one with the same interface.
func TestSpan(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(here, "testdata")
	if exec.CommandContext(t.Context(), command(t, python), "-c", "import opentelemetry.sdk.trace").Run() != nil {
		path += ":" + filepath.Join(path, "tracer")
	}
	if inherited := os.Getenv("PYTHONPATH"); inherited != "" {
		path += ":" + inherited
	}
	s := startDjango(t, "traced", []string{"PYTHONPATH=" + path})
	s.startGateway(t)
	for _, test := range []struct {
		agent, path string
		authorize   func(http.Header)
		want        map[string]any
	}{
		{"span/1", "/orders/", basic("alice", "wonderland"), map[string]any{
			"auth.outcome": "success", "auth.scheme": "basic", "user.id": "1", "user.name": "alice",
			"code.function.name": "shop.views.orders",
		}},
		{"span/2", "/staff/", basic("alice", "wonderland"), map[string]any{
			"auth.outcome": "success", "auth.scheme": "basic", "user.id": "1", "user.name": "alice", "auth.reason": "not_permitted",
			"auth.response.denied_by": "service", "auth.rule": "IsAdminUser", "code.function.name": "shop.views.Staff",
		}},
		{"span/3", "/health/", anonymous, map[string]any{
			"auth.outcome": "missing", "auth.scheme": "none", "code.function.name": "shop.views.health",
		}},
	} {
		header := http.Header{"User-Agent": {test.agent}}
		test.authorize(header)
		s.do(t, http.MethodGet, test.path, header)
		var span struct {
			TraceID    string         `json:"trace_id"`
			Attributes map[string]any `json:"attributes"`
		}
		text := s.django.WaitLine(t, `"span": "`+test.agent+`"`)
		if err := json.Unmarshal([]byte(text), &span); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if diff := cmp.Diff(test.want, span.Attributes); diff != "" {
			t.Errorf("%s: the attributes (-want +got):\n%s", test.path, diff)
		}
		if who, _ := s.lines(t, test.agent); who.TraceID != span.TraceID {
			t.Errorf("%s: the line has the trace id %q, the span %q", test.path, who.TraceID, span.TraceID)
		}
	}
}
