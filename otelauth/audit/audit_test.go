// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
)

func newObserver(t testing.TB, lp log.LoggerProvider) *audit.Observer {
	t.Helper()
	o, err := audit.New(audit.Config{LoggerProvider: lp})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

var began = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func request() attempt.Request {
	return attempt.Request{
		Context: context.Background(), Time: began, Scheme: attempt.SchemeBasic, Route: "/orders/{id}", Method: "GET",
		Path: "/orders/7", UserAgent: "curl/8", Client: netip.MustParseAddr("192.0.2.7"), ClientPort: 4711,
		Peer: netip.MustParseAddrPort("[2001:db8::1]:443"),
	}
}

// requestAttributes returns the attributes of every event of request.
func requestAttributes() map[string]any {
	return map[string]any{
		"http.route": "/orders/{id}", "http.request.method": "GET", "url.path": "/orders/7", "user_agent.original": "curl/8",
		"client.address": "192.0.2.7", "client.port": int64(4711),
		"network.peer.address": "2001:db8::1", "network.peer.port": int64(443),
	}
}

// full returns a Result with every field set.
func full(out attempt.Outcome, e attempt.ErrorType) attempt.Result {
	return attempt.Result{
		Outcome: out, ErrorType: e, Reason: attempt.ReasonWrongPassword, Cache: attempt.Miss,
		UserName: "alice", UserHash: "k1:00ff", Duration: 62 * time.Millisecond, RehashNeeded: true,
		Hash: attempt.HashRun{Scheme: "bcrypt", Start: began, Duration: 61 * time.Millisecond, Outcome: out},
		Err:  errors.New("htpasswd: the store is on fire"),
	}
}

func end(o attempt.Observer, req attempt.Request, res attempt.Result, resp attempt.Response) {
	ctx := req.Context
	inner := o.Begin(ctx, &req)
	_ = o.Decide(inner, &req, &res)
	o.End(ctx, &req, &res, &resp)
}

// TestAttempt checks the event of every outcome and error type.
func TestAttempt(t *testing.T) {
	t.Parallel()
	severities := map[attempt.Outcome]log.Severity{
		attempt.Success: log.SeverityInfo, attempt.Missing: log.SeverityWarn, attempt.Malformed: log.SeverityWarn,
		attempt.Failure: log.SeverityWarn, attempt.Throttled: log.SeverityWarn, attempt.Error: log.SeverityError,
	}
	for _, out := range attempt.Outcomes() {
		for _, errType := range attempt.ErrorTypes() {
			for _, flags := range []bool{false, true} {
				name := fmt.Sprintf("%v/%v/%v", out, errType, flags)
				rec := otelauthtest.NewRecorder(t)
				req, res := request(), full(out, errType)
				req.Exposed, res.RehashNeeded = flags, flags
				if flags {
					req.RequestID = "req-1"
				}
				end(newObserver(t, rec.LoggerProvider()), req, res, attempt.Response{Status: 401})

				want := requestAttributes()
				want["auth.scheme"], want["auth.outcome"] = "basic", out.String()
				want["user.name"], want["user.hash"] = "alice", "k1:00ff"
				want["auth.cache.result"], want["auth.password.scheme"] = "miss", "bcrypt"
				want["http.response.status_code"] = int64(401)
				if out != attempt.Success {
					want["auth.reason"] = "wrong_password"
					if errType != attempt.NoError {
						want["error.type"] = errType.String()
					}
				}
				if out == attempt.Error {
					want["exception.message"] = "htpasswd: the store is on fire"
				}
				if flags {
					want["auth.credentials.exposed"], want["auth.password.rehash_needed"] = true, true
					want["http.request.header.x-request-id"] = []string{"req-1"}
				}
				events := rec.Events()
				if len(events) != 1 {
					t.Fatalf("%s: %d events", name, len(events))
				}
				e := events[0]
				if d := cmp.Diff(want, e.Attributes().Map()); d != "" {
					t.Errorf("%s (-want +got):\n%s", name, d)
				}
				if n := len(e.Attributes()); n != len(want) {
					t.Errorf("%s: %d attributes, %d keys: a key is duplicated", name, n, len(want))
				}
				if e.Name() != "auth.attempt" || e.Severity() != severities[out] || e.SeverityText() != severities[out].String() {
					t.Errorf("%s: %q %v %q", name, e.Name(), e.Severity(), e.SeverityText())
				}
				if !e.Timestamp().Equal(began.Add(62 * time.Millisecond)) {
					t.Errorf("%s: time %v, want that of the verdict", name, e.Timestamp())
				}
				if s := e.InstrumentationScope().Name; s != audit.ScopeName {
					t.Errorf("%s: scope %q", name, s)
				}
			}
		}
	}
}

func TestUnknownIsLeftOut(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	end(newObserver(t, rec.LoggerProvider()), attempt.Request{Context: context.Background()},
		attempt.Result{Outcome: attempt.Missing}, attempt.Response{Status: 7})
	want := map[string]any{"auth.scheme": "none", "auth.outcome": "missing"}
	e := rec.Events()[0]
	if d := cmp.Diff(want, e.Attributes().Map()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if !e.Timestamp().IsZero() || e.ObservedTimestamp().IsZero() {
		t.Errorf("timestamp %v, observed %v", e.Timestamp(), e.ObservedTimestamp())
	}
}

// TestHandlerDenies: a success that the handler answers with 403 has both the outcome and the
// status.
func TestHandlerDenies(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	end(newObserver(t, rec.LoggerProvider()), request(), attempt.Result{Outcome: attempt.Success}, attempt.Response{Status: 403, Handler: true})
	e := rec.Events()[0]
	if e.Attribute("auth.outcome") != "success" || e.Attribute("http.response.status_code") != "403" || e.Severity() != log.SeverityInfo {
		t.Errorf("event %v", e.Attributes())
	}
}

// TestSpanIDs: an event has the ids of the server span, or of the auth span if there is none.
func TestSpanIDs(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o := rec.Observers("")
	ctx, server := rec.TracerProvider().Tracer("http").Start(context.Background(), "server")
	remote := trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	for _, c := range []context.Context{ctx, context.Background(), remote} {
		req := request()
		req.Context = c
		end(o, req, attempt.Result{Outcome: attempt.Success}, attempt.Response{Status: 200})
	}
	events, spans := rec.Events(), rec.Spans()
	for i, want := range []trace.SpanContext{server.SpanContext(), spans[1].SpanContext, spans[2].SpanContext} {
		if events[i].SpanID() != want.SpanID() || events[i].TraceID() != want.TraceID() || !events[i].TraceFlags().IsSampled() {
			t.Errorf("event %d has %v/%v, want %v/%v", i, events[i].TraceID(), events[i].SpanID(), want.TraceID(), want.SpanID())
		}
	}
}

func TestAnonymous(t *testing.T) {
	t.Parallel()
	for _, status := range []int{0, 200, 401, 403, 404, 500} {
		rec := otelauthtest.NewRecorder(t)
		req := request()
		newObserver(t, rec.LoggerProvider()).Anonymous(context.Background(), &req, &attempt.Response{Status: status, Handler: true})
		if status != 401 && status != 403 {
			if n := len(rec.Events()); n != 0 {
				t.Errorf("%d: %d events", status, n)
			}
			continue
		}
		e := rec.Events()[0]
		want := requestAttributes()
		want["http.response.status_code"] = int64(status)
		if d := cmp.Diff(want, e.Attributes().Map()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if e.Name() != "auth.public.response" || e.Severity() != log.SeverityWarn || !e.Timestamp().Equal(began) {
			t.Errorf("%q %v at %v", e.Name(), e.Severity(), e.Timestamp())
		}
	}
}

func TestNotice(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		n        attempt.Notice
		severity log.Severity
		want     map[string]any
	}{
		{
			attempt.Notice{Kind: attempt.AccountReload, Source: "/etc/users", Accounts: 3}, log.SeverityInfo,
			map[string]any{"auth.account.source": "/etc/users", "auth.account.count": int64(3)},
		},
		{
			attempt.Notice{Kind: attempt.AccountReload, Source: "/etc/users", Err: errors.New("htpasswd: line 3\x1b"), Accounts: 0}, log.SeverityError,
			map[string]any{"auth.account.source": "/etc/users", "auth.account.count": int64(0), "exception.message": "htpasswd: line 3\ufffd"},
		},
		{attempt.Notice{Kind: attempt.IdentityKeyRandom}, log.SeverityWarn, map[string]any{}},
		{
			attempt.Notice{Kind: attempt.Coverage, Coverage: attempt.NeverAuthenticated, Route: "/orders/{id}", Method: "GET"}, log.SeverityWarn,
			map[string]any{"auth.coverage.finding": "never_authenticated", "http.route": "/orders/{id}", "http.request.method": "GET"},
		},
		{attempt.Notice{Kind: attempt.UntrustedForwarded}, log.SeverityWarn, map[string]any{}},
		{
			attempt.Notice{
				Kind: attempt.ThrottleChanged, Actor: "carol@ops", Why: "ticket 7", UserHash: "k:00", Network: netip.MustParsePrefix("192.0.2.0/24"),
			}, log.SeverityWarn,
			map[string]any{
				"auth.throttle.actor": "carol@ops", "auth.throttle.reason": "ticket 7", "auth.throttle.network": "192.0.2.0/24", "user.hash": "k:00",
			},
		},
		{
			attempt.Notice{Kind: attempt.ThrottleSnapshot, Source: "/var/budgets", Err: errors.New("throttle: /var/budgets: damaged")}, log.SeverityError,
			map[string]any{"exception.message": "throttle: /var/budgets: damaged"},
		},
	} {
		rec := otelauthtest.NewRecorder(t)
		tc.n.Time, tc.n.Message = began, "Do this.\n"
		newObserver(t, rec.LoggerProvider()).Notice(context.Background(), tc.n)
		e := rec.Events()[0]
		if d := cmp.Diff(tc.want, e.Attributes().Map()); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.n.Kind, d)
		}
		if body := e.Body(); e.Name() != string(tc.n.Kind) || e.Severity() != tc.severity || body.AsString() != "Do this.\ufffd" || !e.Timestamp().Equal(began) {
			t.Errorf("%q %v %q", e.Name(), e.Severity(), body.AsString())
		}
	}
}

// hostile returns a request in which every text attacks the reader of the log.
func hostile() (attempt.Request, attempt.Result) {
	evil := "x\n{\"msg\":\"forged\"}\r\nlevel=INFO msg=forged\x1b[2J\u009b2J\u202e\u2028\x00\xff" + strings.Repeat("y", 1<<16)
	req := request()
	req.Path, req.UserAgent, req.RequestID, req.Route, req.Method, req.Scheme = evil, evil, evil, evil, evil, attempt.Scheme(evil)
	req.ClientText = evil
	return req, attempt.Result{
		UserName: evil, UserHash: evil, Reason: attempt.Reason(evil), Err: errors.New(evil), Hash: attempt.HashRun{Scheme: evil},
	}
}

func TestHostileValues(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	req, res := hostile()
	end(newObserver(t, rec.LoggerProvider()), req, res, attempt.Response{Status: 99999})
	for _, kv := range rec.Events()[0].Attributes() {
		if v := kv.Value.String(); strings.ContainsAny(v, "\n\r\x00\x1b\u009b\u202e\u2028") || len(v) > attempt.MaxPathBytes {
			t.Errorf("%s = %.60q…, %d bytes", kv.Key, v, len(v))
		}
	}
	if n := len(rec.Events()[0].Attribute("user_agent.original")); n > attempt.MaxUserAgentBytes {
		t.Errorf("user agent of %d bytes", n)
	}
	if _, err := rec.OTLP(); err != nil {
		t.Error(err)
	}
}

// bare writes values without quoting, as careless handlers do.
type bare struct {
	slog.Handler
	out *bytes.Buffer
}

func (b bare) Handle(_ context.Context, r slog.Record) error {
	fmt.Fprintf(b.out, "%s %s", r.Level, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(b.out, " %s=%v", a.Key, a.Value)
		return true
	})
	fmt.Fprintln(b.out)
	return nil
}

func TestSlogCannotBeForged(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"bare": func(b *bytes.Buffer) slog.Handler { return bare{slog.DiscardHandler, b} },
	} {
		var out bytes.Buffer
		h := handler(&out)
		if name == "bare" {
			h = enabled{h}
		}
		o := audit.NewSlog(h)
		req, res := hostile()
		end(o, req, res, attempt.Response{Status: 401})
		o.Anonymous(context.Background(), &req, &attempt.Response{Status: 401})
		o.Notice(context.Background(), attempt.Notice{Kind: attempt.AccountReload, Message: req.Path, Source: req.Path, Err: res.Err})
		lines := 0
		for sc := bufio.NewScanner(bytes.NewReader(out.Bytes())); sc.Scan(); lines++ {
			if strings.ContainsAny(sc.Text(), "\r\x00\x1b\u009b\u202e\u2028") {
				t.Errorf("%s: %.80q", name, sc.Text())
			}
		}
		if lines != 3 {
			t.Errorf("%s: three events are %d lines", name, lines)
		}
	}
}

type enabled struct{ slog.Handler }

func (enabled) Enabled(context.Context, slog.Level) bool { return true }

// TestSlogEqualsOTLP: a slog record has the keys and values of the log record, and the ids of the
// span.
func TestSlogEqualsOTLP(t *testing.T) {
	t.Parallel()
	for _, out := range attempt.Outcomes() {
		rec := otelauthtest.NewRecorder(t)
		var buf bytes.Buffer
		o := attempt.Join(newObserver(t, rec.LoggerProvider()), audit.NewSlog(slog.NewJSONHandler(&buf, nil)))
		ctx, span := rec.TracerProvider().Tracer("http").Start(context.Background(), "server")
		req, res := request(), full(out, attempt.Overloaded)
		req.Context, req.Exposed, req.RequestID = ctx, true, "req-1"
		end(o, req, res, attempt.Response{Status: 503})

		var got map[string]any
		if err := json.Unmarshal(buf.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		e := rec.Events()[0]
		want := map[string]any{
			"time": "2026-03-04T05:06:07.062Z", "level": e.SeverityText(), "msg": "auth.attempt",
			"trace_id": span.SpanContext().TraceID().String(), "span_id": span.SpanContext().SpanID().String(),
		}
		for k, v := range e.Attributes().Map() {
			switch v := v.(type) {
			case int64:
				want[k] = float64(v)
			case []string:
				want[k] = []any{v[0]}
			default:
				want[k] = v
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%v (-want +got):\n%s", out, d)
		}
	}
}

func TestSlogLevel(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	o := audit.NewSlog(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelError}))
	req := request()
	end(o, req, attempt.Result{Outcome: attempt.Success}, attempt.Response{Status: 200})
	end(o, req, attempt.Result{Outcome: attempt.Failure}, attempt.Response{Status: 401})
	o.Anonymous(context.Background(), &req, &attempt.Response{Status: 401})
	o.Notice(context.Background(), attempt.Notice{Kind: attempt.AccountReload})
	if buf.Len() != 0 {
		t.Errorf("wrote %s", buf.String())
	}
	if audit.NewSlog(nil) == nil {
		t.Error("NewSlog(nil) is nil")
	}
}

// A disabled logger gets no record.
func TestDisabled(t *testing.T) {
	t.Parallel()
	lp := &disabled{}
	o := newObserver(t, lp)
	req := request()
	end(o, req, attempt.Result{Outcome: attempt.Success}, attempt.Response{Status: 200})
	o.Anonymous(context.Background(), &req, &attempt.Response{Status: 401})
	o.Notice(context.Background(), attempt.Notice{Kind: attempt.AccountReload})
	want := []string{"auth.attempt INFO", "auth.public.response WARN", "auth.account.reload INFO"}
	if d := cmp.Diff(want, lp.asked); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

type disabled struct {
	noop.LoggerProvider
	asked []string
}

func (d *disabled) Logger(string, ...log.LoggerOption) log.Logger { return disabledLogger{provider: d} }

type disabledLogger struct {
	noop.Logger
	provider *disabled
}

func (l disabledLogger) Enabled(_ context.Context, p log.EnabledParameters) bool {
	l.provider.asked = append(l.provider.asked, p.EventName+" "+p.Severity.String())
	return false
}

func (disabledLogger) Emit(context.Context, log.Record) { panic("emitted") }
