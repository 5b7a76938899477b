// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package spans_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/spans"
)

func newObserver(t testing.TB, cfg spans.Config) *spans.Observer {
	t.Helper()
	o, err := spans.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func request() attempt.Request {
	return attempt.Request{
		Time: time.Now(), Scheme: attempt.SchemeBasic, Route: "/orders/{id}", Method: "GET", Path: "/orders/7",
		UserAgent: "curl/8", Client: netip.MustParseAddr("192.0.2.7"), ClientPort: 4711,
		Peer: netip.MustParseAddrPort("192.0.2.7:4711"),
	}
}

// run runs one attempt under a server span and returns its spans.
func run(t *testing.T, o *spans.Observer, rec *otelauthtest.Recorder, req attempt.Request, res attempt.Result) map[string]otelauthtest.Span {
	t.Helper()
	ctx, server := rec.TracerProvider().Tracer("http").Start(context.Background(), "GET /orders/{id}",
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("client.address", "6.6.6.6")))
	req.Context = ctx
	inner := o.Begin(ctx, &req)
	if err := o.Decide(inner, &req, &res); err != nil {
		t.Fatal(err)
	}
	o.End(ctx, &req, &res, &attempt.Response{Status: 200, Handler: true})
	server.End()
	got := map[string]otelauthtest.Span{}
	for _, s := range rec.Spans() {
		if _, twice := got[s.Name]; twice {
			t.Errorf("two spans %q", s.Name)
		}
		got[s.Name] = s
	}
	return got
}

// TestSignals checks the attributes of both spans for every outcome and error type.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, out := range attempt.Outcomes() {
		for _, errType := range attempt.ErrorTypes() {
			for _, cache := range attempt.CacheResults() {
				t.Run(out.String()+"/"+errType.String()+"/"+cache.String(), func(t *testing.T) {
					t.Parallel()
					rec := otelauthtest.NewRecorder(t)
					res := attempt.Result{
						Outcome: out, ErrorType: errType, Reason: attempt.ReasonWrongPassword, Cache: cache,
						UserName: "alice", UserHash: "k1:00ff", Duration: time.Millisecond,
					}
					got := run(t, newObserver(t, spans.Config{TracerProvider: rec.TracerProvider()}), rec, request(), res)
					if len(got) != 2 {
						t.Fatalf("%d spans, want the server span and the auth span", len(got))
					}
					auth, server := got["authenticate basic"], got["GET /orders/{id}"]

					shared := map[string]any{
						"auth.scheme": "basic", "auth.outcome": out.String(), "user.name": "alice", "user.hash": "k1:00ff",
						"client.address": "192.0.2.7", "http.route": "/orders/{id}",
					}
					if d := cmp.Diff(shared, otelauthtest.Attributes(server.Attributes).Map()); d != "" {
						t.Errorf("server span (-want +got):\n%s", d)
					}
					if server.Status.Code != codes.Unset {
						t.Errorf("the status of the server span is %v", server.Status)
					}

					want := map[string]any{"http.request.method": "GET"}
					for k, v := range shared {
						want[k] = v
					}
					if cache != attempt.NotLooked {
						want["auth.cache.result"] = cache.String()
					}
					if out != attempt.Success {
						want["auth.reason"] = "wrong_password"
						if errType != attempt.NoError {
							want["error.type"] = errType.String()
						}
					} else if len(auth.Attributes) > 8 {
						t.Errorf("%d attributes on a success: the SDK allocates a map above 8", len(auth.Attributes))
					}
					if d := cmp.Diff(want, otelauthtest.Attributes(auth.Attributes).Map()); d != "" {
						t.Errorf("auth span (-want +got):\n%s", d)
					}
					status := sdktrace.Status{Code: codes.Error, Description: errType.String()}
					if out == attempt.Success || out == attempt.Missing {
						status = sdktrace.Status{}
					}
					if auth.Status != status {
						t.Errorf("the status of the auth span is %v, want %v", auth.Status, status)
					}
					if auth.SpanKind != trace.SpanKindInternal || auth.Parent.SpanID() != server.SpanContext.SpanID() {
						t.Errorf("auth span is %v below %v, want INTERNAL below the server span", auth.SpanKind, auth.Parent.SpanID())
					}
					if auth.InstrumentationScope.Name != spans.ScopeName {
						t.Errorf("scope %q", auth.InstrumentationScope.Name)
					}
				})
			}
		}
	}
}

func TestUnknownIsLeftOut(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	got := run(t, newObserver(t, spans.Config{TracerProvider: rec.TracerProvider()}), rec, attempt.Request{}, attempt.Result{Outcome: attempt.Missing})
	want := map[string]any{"auth.scheme": "none", "auth.outcome": "missing"}
	if d := cmp.Diff(want, otelauthtest.Attributes(got["authenticate basic"].Attributes).Map()); d != "" {
		t.Errorf("auth span (-want +got):\n%s", d)
	}
	// An unknown client must not replace a known address with nothing.
	if a := got["GET /orders/{id}"].Attribute("client.address"); a != "6.6.6.6" {
		t.Errorf("client.address of the server span is %q", a)
	}
}

func TestVerifyPassword(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	start := time.Now().Add(-time.Hour)
	got := run(t, newObserver(t, spans.Config{TracerProvider: rec.TracerProvider()}), rec, request(), attempt.Result{
		Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Cache: attempt.Miss,
		Hash: attempt.HashRun{Scheme: "bcrypt", Start: start, Duration: 61 * time.Millisecond, Outcome: attempt.Failure},
	})
	hash := got["verify password"]
	if hash.Parent.SpanID() != got["authenticate basic"].SpanContext.SpanID() {
		t.Errorf("verify password is not a child of the auth span")
	}
	if !hash.StartTime.Equal(start) || !hash.EndTime.Equal(start.Add(61*time.Millisecond)) {
		t.Errorf("verify password runs from %v to %v", hash.StartTime, hash.EndTime)
	}
	want := map[string]any{"auth.password.scheme": "bcrypt", "auth.outcome": "failure"}
	if d := cmp.Diff(want, otelauthtest.Attributes(hash.Attributes).Map()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Decide ends the auth span although a later observer started a span of its own.
func TestSpanOfAnotherObserver(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o := newObserver(t, spans.Config{TracerProvider: rec.TracerProvider()})
	tracer := rec.TracerProvider().Tracer("other")
	ctx, server := tracer.Start(context.Background(), "server")
	req := request()
	req.Context = ctx
	inner := o.Begin(ctx, &req)
	inner, theirs := tracer.Start(inner, "theirs")
	_ = o.Decide(inner, &req, &attempt.Result{Outcome: attempt.Success})
	if !theirs.IsRecording() || !server.IsRecording() {
		t.Error("the span of the other observer was ended")
	}
	if s := rec.Spans(); len(s) != 1 || s[0].Name != "authenticate basic" || s[0].Attribute("auth.outcome") != "success" {
		t.Errorf("spans: %v", s)
	}
}

// Without a server span the auth span is the root.
func TestWithoutServerSpan(t *testing.T) {
	t.Parallel()
	remote := trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	for name, ctx := range map[string]context.Context{"none": context.Background(), "remote": remote} {
		rec := otelauthtest.NewRecorder(t)
		o := newObserver(t, spans.Config{TracerProvider: rec.TracerProvider(), Scheme: attempt.SchemeBearer})
		req := request()
		req.Context = ctx
		_ = o.Decide(o.Begin(ctx, &req), &req, &attempt.Result{Outcome: attempt.Success})
		if s := rec.Spans(); len(s) != 1 || s[0].Name != "authenticate bearer" {
			t.Errorf("%s: spans %v", name, s)
		}
	}
}

// Without a provider that makes spans, Decide still records on the server span and does not end
// it.
func TestWithoutProvider(t *testing.T) {
	t.Parallel()
	for name, tp := range map[string]trace.TracerProvider{
		"no-op": noop.NewTracerProvider(), "wrapped no-op": wrapped{noop.NewTracerProvider()}, "returns the parent": parental{},
	} {
		rec := otelauthtest.NewRecorder(t)
		o := newObserver(t, spans.Config{TracerProvider: tp})
		ctx, server := rec.TracerProvider().Tracer("http").Start(context.Background(), "server")
		req := request()
		req.Context = ctx
		inner := o.Begin(ctx, &req)
		if inner != ctx || req.Span != nil {
			t.Errorf("%s: Begin changed the context", name)
		}
		_ = o.Decide(inner, &req, &attempt.Result{
			Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials,
			Hash: attempt.HashRun{Scheme: "bcrypt", Start: time.Now(), Duration: 1, Outcome: attempt.Failure},
		})
		if !server.IsRecording() {
			t.Errorf("%s: the server span was ended", name)
		}
		server.End()
		if s := rec.Spans(); len(s) != 1 || s[0].Attribute("auth.outcome") != "failure" {
			t.Errorf("%s: spans %v", name, s)
		}
	}
}

type wrapped struct{ trace.TracerProvider }

// parental returns the span of the context instead of a new one.
type parental struct{ noop.TracerProvider }

func (parental) Tracer(string, ...trace.TracerOption) trace.Tracer { return parentTracer{} }

type parentTracer struct{ noop.Tracer }

func (parentTracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	return ctx, trace.SpanFromContext(ctx)
}

// Comparing spans of an uncomparable type with == panics, so spans are compared by SpanID.
func TestUncomparableSpan(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o := newObserver(t, spans.Config{TracerProvider: rec.TracerProvider()})
	ctx, server := rec.TracerProvider().Tracer("http").Start(context.Background(), "server")
	ctx = trace.ContextWithSpan(ctx, uncomparable{Span: server})
	req := request()
	req.Context = ctx
	_ = o.Decide(o.Begin(ctx, &req), &req, &attempt.Result{Outcome: attempt.Success})
	server.End()
	if s := rec.Spans(); len(s) != 2 || s[1].Attribute("auth.outcome") != "success" {
		t.Errorf("spans %v", s)
	}
}

type uncomparable struct {
	trace.Span
	_ []int
}

// For any value that a service passes on, the batch can be exported and no terminal is rewritten.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	evil := "\xff\n\x1b[2J\u202e" + strings.Repeat("x", 1<<16)
	req := request()
	req.Scheme, req.Route, req.Method, req.ClientText = attempt.Scheme(evil), evil, evil, evil
	got := run(t, newObserver(t, spans.Config{TracerProvider: rec.TracerProvider()}), rec, req, attempt.Result{
		Outcome: attempt.Failure, Reason: attempt.Reason(evil), UserName: evil, UserHash: evil,
		Hash: attempt.HashRun{Scheme: evil, Start: time.Now()},
	})
	if len(got) != 3 {
		t.Fatalf("%d spans", len(got))
	}
	for _, s := range got {
		for _, kv := range s.Attributes {
			if v := kv.Value.String(); strings.ContainsAny(v, "\n\x1b\u202e") || len(v) > 1024 {
				t.Errorf("%s of %s is %.40q…, %d bytes", kv.Key, s.Name, v, len(v))
			}
		}
	}
	if m := got["authenticate basic"].Attribute("http.request.method"); m != "_OTHER" {
		t.Errorf("method %q", m)
	}
	if _, err := rec.OTLP(); err != nil {
		t.Error(err)
	}
}

func TestNewRefusesScheme(t *testing.T) {
	t.Parallel()
	for _, s := range []attempt.Scheme{"bearer token", "a\n", attempt.Scheme(strings.Repeat("x", 33))} {
		if _, err := spans.New(spans.Config{Scheme: s}); err == nil || !strings.HasPrefix(err.Error(), "spans: ") {
			t.Errorf("New with scheme %q: %v", s, err)
		}
	}
	for _, s := range []attempt.Scheme{"", "basic", "SCRAM-SHA-256"} {
		if _, err := spans.New(spans.Config{Scheme: s}); err != nil {
			t.Errorf("New with scheme %q: %v", s, err)
		}
	}
}
