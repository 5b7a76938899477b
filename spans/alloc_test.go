// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package spans_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/spans"
)

// serverAttributes are about as many attributes as otelhttp sets.
func serverAttributes() []attribute.KeyValue {
	var kv []attribute.KeyValue
	for _, k := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "client.address", "i"} {
		kv = append(kv, attribute.String(k, "value"))
	}
	return kv
}

func success() attempt.Result {
	return attempt.Result{Outcome: attempt.Success, Cache: attempt.Hit, UserName: "alice", UserHash: "k1:0011223344556677"}
}

func sampling(s sdktrace.Sampler) *sdktrace.TracerProvider {
	return sdktrace.NewTracerProvider(sdktrace.WithSampler(s), sdktrace.WithSpanProcessor(discard{}))
}

// discard is the cheapest processor for which the SDK still makes a snapshot.
type discard struct{}

func (discard) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (discard) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (discard) Shutdown(context.Context) error                  { return nil }
func (discard) ForceFlush(context.Context) error                { return nil }

// server runs a server span around do; with do nil it is the cost of the SDK alone.
func server(tr trace.Tracer, start []trace.SpanStartOption, end []attribute.KeyValue, do func(context.Context)) {
	ctx, span := tr.Start(context.Background(), "GET /orders", start...)
	if do != nil {
		do(ctx)
	}
	span.SetAttributes(end...)
	span.End()
}

type state struct {
	req attempt.Request
	res attempt.Result
}

func observe(o *spans.Observer, st *state) func(context.Context) {
	req := request()
	req.ClientText = "192.0.2.7"
	res := success()
	return func(ctx context.Context) {
		st.req, st.res = req, res
		st.req.Context = ctx
		_ = o.Decide(o.Begin(ctx, &st.req), &st.req, &st.res)
	}
}

// Not parallel: AllocsPerRun counts the whole process.
func TestAllocations(t *testing.T) {
	if testkit.Race {
		return
	}
	for _, tc := range []struct {
		name string
		tp   trace.TracerProvider
		max  float64
	}{
		// span, context, attributes, snapshot: all the SDK's
		{"always sampled", sampling(sdktrace.AlwaysSample()), 4},
		{"never sampled", sampling(sdktrace.NeverSample()), 2}, // span, context
		{"no-op", noop.NewTracerProvider(), 0},
	} {
		o := newObserver(t, spans.Config{TracerProvider: tc.tp})
		tr := tc.tp.Tracer("http")
		start := []trace.SpanStartOption{trace.WithAttributes(serverAttributes()...)}
		end := []attribute.KeyValue{attribute.Int("http.response.status_code", 200), attribute.Int("http.response.body.size", 2)}
		var st state
		do := observe(o, &st)
		bare := testing.AllocsPerRun(200, func() { server(tr, start, end, nil) })
		ours := testing.AllocsPerRun(200, func() { server(tr, start, end, do) })
		if ours-bare > tc.max {
			t.Errorf("%s: %v allocations above the %v of the server span, want at most %v", tc.name, ours-bare, bare, tc.max)
		}
	}
}

func BenchmarkServerSpan(b *testing.B) {
	for name, tp := range map[string]trace.TracerProvider{
		"always": sampling(sdktrace.AlwaysSample()), "never": sampling(sdktrace.NeverSample()), "noop": noop.NewTracerProvider(),
	} {
		start := []trace.SpanStartOption{trace.WithAttributes(serverAttributes()...)}
		end := []attribute.KeyValue{attribute.Int("http.response.status_code", 200), attribute.Int("http.response.body.size", 2)}
		tr := tp.Tracer("http")
		o := newObserver(b, spans.Config{TracerProvider: tp})
		var st state
		for what, do := range map[string]func(context.Context){"bare": nil, "ours": observe(o, &st)} {
			b.Run(name+"/"+what, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					server(tr, start, end, do)
				}
			})
		}
	}
}

// BenchmarkAuthSpan pairs the observer with the same span made by hand.
func BenchmarkAuthSpan(b *testing.B) {
	tp := sampling(sdktrace.AlwaysSample())
	b.Run("bare", func(b *testing.B) {
		tr := tp.Tracer("bare")
		b.ReportAllocs()
		for b.Loop() {
			_, s := tr.Start(context.Background(), "authenticate basic")
			s.SetAttributes(
				attribute.String("auth.outcome", "success"), attribute.String("auth.scheme", "basic"),
				attribute.String("user.name", "alice"), attribute.String("user.hash", "k1:0011223344556677"),
				attribute.String("client.address", "192.0.2.7"), attribute.String("http.route", "/orders/{id}"),
				attribute.String("http.request.method", "GET"), attribute.String("auth.cache.result", "hit"),
			)
			s.End()
		}
	})
	b.Run("ours", func(b *testing.B) {
		var st state
		do := observe(newObserver(b, spans.Config{TracerProvider: tp}), &st)
		b.ReportAllocs()
		for b.Loop() {
			do(context.Background())
		}
	})
}
