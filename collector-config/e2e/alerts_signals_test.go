// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otellog "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// stuck is an exporter that does not return before its context ends.
type stuck struct{}

func (stuck) Export(ctx context.Context, _ []sdklog.Record) error { <-ctx.Done(); return ctx.Err() }
func (stuck) ExportSpans(ctx context.Context, _ []sdktrace.ReadOnlySpan) error {
	<-ctx.Done()
	return ctx.Err()
}
func (stuck) ForceFlush(context.Context) error { return nil }
func (stuck) Shutdown(context.Context) error   { return nil }

// loseInService causes the SDK's own metrics of loss: full queues and refused exports.
func loseInService(t *testing.T, rejects *collectortest.Sink) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	spans, errSpans := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(rejects.HTTP+"/v1/traces"))
	points, errPoints := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(rejects.HTTP+"/v1/metrics"))
	records, errRecords := otlploghttp.New(ctx, otlploghttp.WithEndpointURL(rejects.HTTP+"/v1/logs"))
	if err := errors.Join(errSpans, errPoints, errRecords); err != nil {
		t.Fatal(err)
	}
	full := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(stuck{}, sdklog.WithMaxQueueSize(1), sdklog.WithExportMaxBatchSize(1))))
	fullTraces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(stuck{}, sdktrace.WithMaxQueueSize(1), sdktrace.WithMaxExportBatchSize(1)))
	refused := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(records)))
	refusedTraces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans))
	refusedMetrics := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(points)))
	for range 2000 {
		full.Logger("test").Emit(ctx, otellog.Record{})
		_, span := fullTraces.Tracer("test").Start(ctx, "test")
		span.End()
	}
	refused.Logger("test").Emit(ctx, otellog.Record{})
	_, span := refusedTraces.Tracer("test").Start(ctx, "test")
	span.End()
	counter, err := refusedMetrics.Meter("test").Int64Counter("test")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(ctx, 1)
	if refused.ForceFlush(ctx) == nil || refusedTraces.ForceFlush(ctx) == nil || refusedMetrics.ForceFlush(ctx) == nil {
		t.Fatal("an export that was refused succeeded")
	}
	cancel()
	_ = errors.Join(full.Shutdown(ctx), fullTraces.Shutdown(ctx), refused.Shutdown(ctx), refusedTraces.Shutdown(ctx), refusedMetrics.Shutdown(ctx))
}

// losing is a collector configuration that loses data in every possible way: a backend that
// rejects, one that hangs behind a queue of one request, and tail sampling with room for one
// trace.
func losing(rejects, hangs string) string {
	return `yaml:{
exporters: {
  otlp_http/rejects: {endpoint: "` + rejects + `", retry_on_failure: {enabled: false}, sending_queue: {sizer: requests, queue_size: 1000}},
  otlp_http/hangs: {endpoint: "` + hangs + `", timeout: 60s, sending_queue: {sizer: requests, queue_size: 1, num_consumers: 1}},
  nop/sampled: {}},
processors: {tail_sampling/tight: {decision_wait: 1s, num_traces: 1, policies: [{name: all, type: always_sample}]}},
service: {pipelines: {
  traces/losing: {receivers: [forward/sample], exporters: [otlp_http/rejects, otlp_http/hangs]},
  metrics/losing: {receivers: [forward/export], exporters: [otlp_http/rejects, otlp_http/hangs]},
  logs/losing: {receivers: [forward/export], exporters: [otlp_http/rejects, otlp_http/hangs]},
  traces/tight: {receivers: [forward/sample], processors: [tail_sampling/tight], exporters: [nop/sampled]}}}}`
}

// sinkIn starts a sink with an answer mode.
func sinkIn(t *testing.T, mode collectortest.Mode) *collectortest.Sink {
	t.Helper()
	s := collectortest.NewSink(t)
	s.Set(mode)
	return s
}

// losingCollector starts a collector that loses data, and returns it when its metrics show the
// loss.
func losingCollector(t *testing.T) *collectortest.Collector {
	t.Helper()
	rejects, hangs := sinkIn(t, collectortest.Reject), sinkIn(t, collectortest.Hang)
	c := collectortest.Start(t, collectortest.Options{Configs: []string{"base.yaml", losing(rejects.HTTP, hangs.HTTP)}})
	want := []string{"otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total"}
	for _, signal := range []string{"log_records", "metric_points", "spans"} {
		want = append(want, "otelcol_exporter_send_failed_"+signal+"_total", "otelcol_exporter_enqueue_failed_"+signal+"_total")
	}
	collectortest.Wait(t, func() bool {
		// The answers are errors, because a queue is full.
		_ = c.HTTP().Logs(t.Context(), collectortest.Events("auth.attempt", 3))
		_ = c.HTTP().Traces(t.Context(), traces())
		_ = c.HTTP().Metrics(t.Context(), metrics())
		sums := c.Scrape(t)
		want = slices.DeleteFunc(want, func(name string) bool { return sums[name] > 0 })
		return len(want) == 0
	}, "%v of a collector that loses", &want)
	return c
}

func traces() ptrace.Traces    { return collectortest.Trace(map[string]string{"auth.outcome": "failure"}) }
func metrics() pmetric.Metrics { return collectortest.Counter("auth.attempts", 1, nil) }

// TestRulesReadRealSeries compares every metric name, label and label value in the rules with what
// the library, the SDK and the collector export, under the names that Prometheus gives them. It is
// not parallel, because the SDK reads the environment and uses the global MeterProvider for its
// own metrics.
func TestRulesReadRealSeries(t *testing.T) {
	t.Setenv("OTEL_GO_X_OBSERVABILITY", "true")
	addr := servers.FreeAddrs(t, 1)[0]
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/prometheus-scrape.yaml"},
		Env:     map[string]string{"PROMETHEUS_SCRAPE_PORT": addr[strings.LastIndex(addr, ":")+1:]},
	})
	s := newStory(t, c.HTTP().URL, c.Token)
	previous := otel.GetMeterProvider()
	otel.SetMeterProvider(s.meters)
	t.Cleanup(func() { otel.SetMeterProvider(previous) })
	// Exporters and processors create their instruments when they are created.
	s2 := newStory(t, c.HTTP().URL, c.Token)
	s.traces, s.logs = s2.traces, s2.logs
	loseInService(t, sinkIn(t, collectortest.Reject))
	s.play(t)

	losing := losingCollector(t)
	groups := ruleGroups(t)
	// The series of one export do not all arrive at once, and a scrape may come between two.
	var complaints []string
	collectortest.Wait(t, func() bool {
		var exported []labels.Labels
		for _, series := range append(collectortest.ScrapeURL(t, "http://"+addr+"/metrics"), losing.Series(t)...) {
			l := labels.NewBuilder(labels.FromMap(series.Labels)).Set(model.MetricNameLabel, series.Name)
			if series.Labels["job"] == "" { // of the collector itself; a scrape adds them
				l.Set("job", "otelauth-collector").Set("instance", "collector:8888")
			}
			exported = append(exported, l.Labels())
		}
		complaints = rulesThatReadNothing(t, groups, exported)
		return len(complaints) == 0
	}, "rules whose series all exist, but: %q", &complaints)
}

// rulesThatReadNothing returns a sentence for each name, label and label value in the rules that
// no exported series has.
func rulesThatReadNothing(t *testing.T, groups []ruleGroup, exported []labels.Labels) (complaints []string) {
	t.Helper()
	made := map[string]bool{} // by the rules themselves
	known := map[string]bool{"security_rule_severity": true, "lost_by": true, "counter": true, "signal": true, "severity": true}
	for _, l := range exported {
		l.Range(func(l labels.Label) { known[l.Name] = true })
	}
	for _, g := range groups {
		for _, r := range g.Rules {
			made[r.Record] = true
		}
	}
	values := map[string][]string{"auth_outcome": nil, "error_type": {"", "queue_full"}}
	for _, o := range attempt.Outcomes() {
		values["auth_outcome"] = append(values["auth_outcome"], o.String())
	}
	for _, e := range attempt.ErrorTypes() {
		values["error_type"] = append(values["error_type"], e.String())
	}

	p := parser.NewParser(parser.Options{})
	for _, g := range groups {
		for _, r := range g.Rules {
			expr, err := p.ParseExpr(r.Expr)
			if err != nil {
				t.Fatalf("%s: %v", r.Alert+r.Record, err)
			}
			parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
				var names []string
				switch n := node.(type) {
				case *parser.AggregateExpr:
					names = n.Grouping
				case *parser.BinaryExpr:
					if n.VectorMatching != nil {
						names = append(slices.Clone(n.VectorMatching.MatchingLabels), n.VectorMatching.Include...)
					}
				case *parser.VectorSelector:
					for _, complaint := range selects(n, exported, made, known, values) {
						complaints = append(complaints, g.File+", "+r.Alert+r.Record+": "+complaint)
					}
				}
				for _, name := range names {
					if !known[name] {
						complaints = append(complaints, g.File+", "+r.Alert+r.Record+": no series has the label "+name)
					}
				}
				return nil
			})
		}
	}
	return complaints
}

// selects returns a sentence for each part of the selector that no series has.
func selects(n *parser.VectorSelector, exported []labels.Labels, made, known map[string]bool, values map[string][]string) (complaints []string) {
	var names []string
	for _, m := range n.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			names = language(m.Value, m.Type == labels.MatchRegexp)
			continue
		}
		if !known[m.Name] {
			complaints = append(complaints, "no series has the label "+m.Name)
		}
		if all, closed := values[m.Name]; closed {
			for _, v := range language(m.Value, m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp) {
				if v != "" && !slices.Contains(all, v) {
					complaints = append(complaints, v+" is no value of "+m.Name)
				}
			}
		}
	}
	for _, name := range names {
		if strings.Contains(name, ":") {
			if !made[name] {
				complaints = append(complaints, "no rule records "+name)
			}
			continue
		}
		if !slices.ContainsFunc(exported, func(l labels.Labels) bool {
			return l.Get(model.MetricNameLabel) == name && !slices.ContainsFunc(n.LabelMatchers, func(m *labels.Matcher) bool {
				return m.Name != model.MetricNameLabel && !m.Matches(l.Get(m.Name))
			})
		}) {
			complaints = append(complaints, "no exported series is "+name+" with these labels: "+n.String())
		}
	}
	return complaints
}

// language returns the words that a regular expression matches, if there are a few.
func language(s string, isRegexp bool) []string {
	if !isRegexp {
		return []string{s}
	}
	re, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return []string{s}
	}
	return words(re)
}

func words(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{string(re.Rune)}
	case syntax.OpCapture:
		return words(re.Sub[0])
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			all = append(all, words(sub)...)
		}
		return all
	case syntax.OpConcat:
		all := []string{""}
		for _, sub := range re.Sub {
			var longer []string
			for _, head := range all {
				for _, tail := range words(sub) {
					longer = append(longer, head+tail)
				}
			}
			all = longer
		}
		return all
	case syntax.OpCharClass:
		var all []string
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for c := re.Rune[i]; c <= re.Rune[i+1]; c++ {
				all = append(all, string(c))
			}
		}
		return all
	case syntax.OpEmptyMatch:
		return []string{""}
	}
	return []string{re.String()} // a name that no series has
}
