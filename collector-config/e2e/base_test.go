// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

func TestBaseRunsAlone(t *testing.T) {
	t.Parallel()
	options := collectortest.Options{Configs: []string{"base.yaml"}}
	if out, err := collectortest.Validate(t, options); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := collectortest.Start(t, options) // waits for the health endpoint
	c.HTTP().MustLogs(t, collectortest.Events("auth.attempt", 3))
	rpc := c.GRPC(t, c.Token)
	if err := errors.Join(
		rpc.Logs(t.Context(), collectortest.Events("auth.attempt", 3)),
		rpc.Traces(t.Context(), collectortest.Trace(nil)),
		rpc.Metrics(t.Context(), collectortest.Counter("auth.attempts", 1, nil)),
	); err != nil {
		t.Fatal(err)
	}
	c.WaitMetric(t, "otelcol_receiver_accepted_log_records_total", 6)
	c.WaitMetric(t, "otelcol_receiver_accepted_spans_total", 2)
	if strings.Contains(c.Log(), "deprecated") {
		t.Errorf("the collector reports a deprecation:\n%s", c.Log())
	}
	if err := c.Shutdown(t); err != nil {
		t.Fatal(err)
	}
}

// baseFile is base.yaml as written, before variables are expanded.
type baseFile struct {
	Service struct {
		Pipelines map[string]struct{ Receivers, Processors, Exporters []string }
	}
}

func readBase(t *testing.T) baseFile {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(collectortest.ConfigDir(), "base.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var f baseFile
	if err := yaml.Unmarshal(b, &f); err != nil {
		t.Fatalf("base.yaml: %v", err)
	}
	return f
}

// Statements that several kinds of records share stand once, as an anchor. Short ones may repeat.
func TestStatementsStandOnce(t *testing.T) {
	t.Parallel()
	context := regexp.MustCompile(`\b(?:resource|scope|span|spanevent|metric|datapoint|log)\.`)
	seen := map[string]int{}
	for i, line := range strings.Split(readText(t, "base.yaml"), "\n") {
		statement, found := strings.CutPrefix(strings.TrimSpace(line), "- ")
		statement = context.ReplaceAllString(statement, "")
		if !found || len(statement) < 80 {
			continue
		}
		if at, again := seen[statement]; again {
			t.Errorf("base.yaml:%d repeats the statement of line %d: give it an anchor, without the context prefix", i+1, at)
		}
		seen[statement] = i + 1
	}
}

func TestEveryPortIsOnLoopbackByDefault(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(collectortest.ConfigDir(), "base.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if key == "endpoint" || key == "host" {
			found++
			if !strings.HasPrefix(value, "${env:OTELAUTH_COLLECTOR_BIND:-127.0.0.1}") {
				t.Errorf("%s", line)
			}
		}
	}
	if found != 4 {
		t.Errorf("%d listeners, want 4", found)
	}
}

func TestOrderOfProcessors(t *testing.T) {
	t.Parallel()
	order := []string{"memory_limiter", "filter/hygiene", "transform/hygiene", "redaction/secrets", "redaction/metrics", "transform/secrets"}
	base := readBase(t)
	entrances := 0
	for name, p := range base.Service.Pipelines {
		if !slices.Contains(p.Receivers, "otlp") {
			if slices.Contains(p.Processors, "memory_limiter") {
				t.Errorf("%s: the memory limiter is not the first processor", name)
			}
			continue
		}
		entrances++
		last := -1
		for i, processor := range p.Processors {
			at := slices.Index(order, processor)
			if at <= last || i == 0 && at != 0 {
				t.Errorf("%s: %v", name, p.Processors)
			}
			last = at
		}
		kinds := []string{"transform/hygiene", "redaction/"}
		if name == "traces/in" {
			kinds = append(kinds, "transform/secrets")
		}
		for _, kind := range kinds {
			if !slices.ContainsFunc(p.Processors, func(s string) bool { return strings.HasPrefix(s, kind) }) {
				t.Errorf("%s: no %s", name, kind)
			}
		}
	}
	if entrances != 3 {
		t.Errorf("%d pipelines receive OTLP, want 3", entrances)
	}
	if in := base.Service.Pipelines["traces/in"]; !slices.Contains(in.Exporters, "span_metrics") || slices.Contains(in.Processors, "tail_sampling") {
		t.Errorf("span metrics are not before the sampling: %v", in)
	}
}

func TestComponentsAreThoseOfTheBuilder(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(collectortest.ConfigDir(), "builder.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	type module struct{ Gomod string }
	var manifest struct{ Extensions, Receivers, Processors, Exporters, Connectors, Providers []module }
	if err := yaml.Unmarshal(b, &manifest); err != nil {
		t.Fatal(err)
	}
	gomod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	f, err := collectortest.Components()
	if err != nil {
		t.Fatal(err)
	}
	compare := func(kind string, listed []module, types []string) {
		var modules []string
		for _, m := range listed {
			path, version, _ := strings.Cut(m.Gomod, " ")
			if !strings.Contains(string(gomod), "\t"+path+" "+version+"\n") {
				t.Errorf("builder.yaml: %s %s is not what e2e/go.mod requires", path, version)
			}
			modules = append(modules, componentType(path))
		}
		slices.Sort(modules)
		slices.Sort(types)
		if diff := cmp.Diff(modules, types); diff != "" {
			t.Errorf("%s: builder.yaml (-) and collectortest.Components (+) differ:\n%s", kind, diff)
		}
	}
	compare("extensions", manifest.Extensions, typesOf(f.Extensions))
	compare("receivers", manifest.Receivers, typesOf(f.Receivers))
	compare("processors", manifest.Processors, typesOf(f.Processors))
	compare("exporters", manifest.Exporters, typesOf(f.Exporters))
	compare("connectors", manifest.Connectors, typesOf(f.Connectors))
}

// typesOf returns the types without their underscores; aliases of one factory once.
func typesOf[F component.Factory](factories map[component.Type]F) []string {
	unique := map[string]bool{}
	for _, f := range factories {
		unique[strings.ReplaceAll(f.Type().String(), "_", "")] = true
	}
	return slices.Collect(maps.Keys(unique))
}

// componentType returns the type that a component's module is named after.
func componentType(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	for _, kind := range []string{"extension", "receiver", "processor", "exporter", "connector"} {
		name = strings.TrimSuffix(name, kind)
	}
	if name == "otlp" && strings.Contains(path, "/exporter/") {
		return "otlpgrpc"
	}
	return name
}

func TestMemoryLimiterRefusesInsteadOfFailing(t *testing.T) {
	t.Parallel()
	c := collectortest.Start(t, collectortest.Options{Configs: []string{
		"base.yaml",
		"yaml:processors::memory_limiter: {limit_percentage: 0, spike_limit_percentage: 0, limit_mib: 2, spike_limit_mib: 1, check_interval: 10ms}",
	}})
	collectortest.Wait(t, func() bool {
		return status.Code(c.GRPC(t, c.Token).Logs(t.Context(), collectortest.Events("auth.attempt", 1))) == codes.Unavailable
	}, "a refusal that asks the sender to try again")
	var answer *collectortest.HTTPError
	if err := c.HTTP().Logs(t.Context(), collectortest.Events("auth.attempt", 1)); !errors.As(err, &answer) || answer.Status != http.StatusServiceUnavailable {
		t.Errorf("over HTTP: %v", err)
	}
	c.WaitMetric(t, "otelcol_receiver_refused_log_records_total", 2)
}

func traceID(td ptrace.Traces) string {
	return td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).TraceID().String()
}

func TestSamplingKeepsWhatMatters(t *testing.T) {
	t.Parallel()
	sink := collectortest.NewSink(t)
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/otlp.yaml", "yaml:connectors::span_metrics::metrics_flush_interval: 200ms"},
		Env: map[string]string{
			"OTLP_ENDPOINT": sink.HTTP, "OTELAUTH_COLLECTOR_DECISION_WAIT": "1s", "OTELAUTH_COLLECTOR_SAMPLE_PERCENT": "0",
		},
	})
	server := func(td ptrace.Traces) ptrace.Span { return td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0) }
	keep := map[string]ptrace.Traces{
		"failure":                 collectortest.Trace(map[string]string{"auth.outcome": "failure"}),
		"malformed":               collectortest.Trace(map[string]string{"auth.outcome": "malformed"}),
		"throttled":               collectortest.Trace(map[string]string{"auth.outcome": "throttled"}),
		"error":                   collectortest.Trace(map[string]string{"auth.outcome": "error"}),
		"an outcome of tomorrow":  collectortest.Trace(map[string]string{"auth.outcome": "tomorrow"}),
		"missing":                 collectortest.Trace(map[string]string{"auth.outcome": "missing"}),
		"other scheme":            collectortest.Trace(map[string]string{"auth.outcome": "missing", "error.type": "unsupported_scheme"}),
		"span error":              collectortest.Trace(map[string]string{"auth.outcome": "success"}),
		"handler's 403":           collectortest.Trace(map[string]string{"auth.outcome": "success"}),
		"detection":               collectortest.Trace(map[string]string{"auth.outcome": "success", "security_rule.name": "success_after_failures"}),
		"detection as span event": collectortest.Trace(map[string]string{"auth.outcome": "success"}),
	}
	server(keep["span error"]).Status().SetCode(ptrace.StatusCodeError)
	server(keep["handler's 403"]).Attributes().PutStr("auth.outcome", "success")
	server(keep["handler's 403"]).Attributes().PutInt("http.response.status_code", 403)
	server(keep["detection as span event"]).Events().AppendEmpty().SetName("auth.detection")
	const honest = 20
	for range honest {
		c.HTTP().MustTraces(t, collectortest.Trace(map[string]string{"auth.outcome": "success"}))
	}
	for _, td := range keep {
		c.HTTP().MustTraces(t, td)
	}
	spans := sink.WaitSpans(t, 2*len(keep))
	c.WaitMetric(t, "otelcol_processor_tail_sampling_global_count_traces_sampled_total", float64(honest+len(keep)))
	spans = sink.WaitSpans(t, len(spans))
	kept := map[string]int{}
	for _, s := range spans {
		kept[s.TraceID().String()]++
	}
	for name, td := range keep {
		if kept[traceID(td)] != 2 {
			t.Errorf("%s: %d of 2 spans were kept", name, kept[traceID(td)])
		}
	}
	if len(kept) != len(keep) {
		t.Errorf("%d traces were kept, want %d: the rest's share is 0 %%", len(kept), len(keep))
	}

	// Span metrics are before the sampling, so they count all traces.
	var calls int64
	collectortest.Wait(t, func() bool {
		calls = 0
		for _, m := range sink.AllMetrics() {
			if m.Name() != "traces.span.metrics.calls" {
				continue
			}
			var sum int64
			for _, p := range m.Sum().DataPoints().All() {
				sum += p.IntValue()
			}
			calls = max(calls, sum)
		}
		return calls >= int64(2*(honest+len(keep)))
	}, "span metrics that count the sampled traces too")
}

// With the real library and SDK, the success that completes an attack differs from others only by
// the span that detection adds.
func TestSamplingKeepsTheSuccessOfAnAttack(t *testing.T) {
	t.Parallel()
	sink := collectortest.NewSink(t)
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/otlp.yaml"},
		Env: map[string]string{
			"OTLP_ENDPOINT": sink.HTTP, "OTELAUTH_COLLECTOR_DECISION_WAIT": "1s", "OTELAUTH_COLLECTOR_SAMPLE_PERCENT": "0",
		},
	})
	hash, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte("wonderland"), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newStory(t, c.HTTP().URL, c.Token)
	send, end := s.service(t, otelauth.Config{
		Accounts: &verify.Static{Hashes: map[string]string{storyAccount: hash, "bob": hash}},
		Detect:   detect.Config{Thresholds: detect.Thresholds{BruteForcePasswords: 3, RunBeforeSuccess: 3}},
	})
	const honest, guesses = 10, 4
	for range honest {
		send(storyOwner, "/orders/7", "bob", "wonderland")
	}
	for i := range guesses {
		send(storyGuesser, "/orders/7", storyAccount, fmt.Sprint(storyCanary, i))
	}
	if w := send(storyGuesser, "/orders/7", storyAccount, "wonderland"); w.Code != http.StatusOK {
		t.Fatalf("the right guess: %d", w.Code)
	}
	end() // reports the detections so far
	s.flush(t)
	c.WaitMetric(t, "otelcol_processor_tail_sampling_global_count_traces_sampled_total", honest+guesses+1)
	if err := c.Shutdown(t); err != nil { // flushes
		t.Fatal(err)
	}
	traces := map[string][]string{}
	rule := map[string]string{}
	var success []string
	for _, span := range sink.Spans() {
		id := span.TraceID().String()
		traces[id] = append(traces[id], span.Name())
		if v, ok := span.Attributes().Get("security_rule.name"); ok && span.Name() == semconv.SpanDetection {
			rule[id] = v.Str()
		}
		if v, ok := span.Attributes().Get("auth.outcome"); ok && span.Name() == "authenticate basic" && v.Str() == "success" {
			success = append(success, id)
		}
	}
	if len(traces) != guesses+1 || len(success) != 1 {
		t.Fatalf("%d traces were kept, %d of them successes; want the %d failures and 1 success", len(traces), len(success), guesses)
	}
	if id := success[0]; rule[id] != detect.SuccessAfterFailures || len(traces[id]) < 3 {
		t.Errorf("the success that is kept is %v, of the rule %q", traces[id], rule[id])
	}
}

func TestShareOfMissingCanBeLowered(t *testing.T) {
	t.Parallel()
	sink := collectortest.NewSink(t)
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/otlp.yaml"},
		Env: map[string]string{
			"OTLP_ENDPOINT": sink.HTTP, "OTELAUTH_COLLECTOR_DECISION_WAIT": "1s", "OTELAUTH_COLLECTOR_SAMPLE_PERCENT": "0", "OTELAUTH_COLLECTOR_MISSING_PERCENT": "0",
		},
	})
	for range 20 {
		c.HTTP().MustTraces(t, collectortest.Trace(map[string]string{"auth.outcome": "missing"}))
	}
	c.HTTP().MustTraces(t, collectortest.Trace(map[string]string{"auth.outcome": "failure"}))
	c.WaitMetric(t, "otelcol_processor_tail_sampling_global_count_traces_sampled_total", 21)
	if n := len(sink.WaitSpans(t, 2)); n != 2 {
		t.Errorf("%d spans were kept, want the 2 of the failure", n)
	}
}

// The default share of the remaining traces is 10 %. There are 1000 traces; the hash of random ids
// is within 4 sigma of the mean, except in one of 15000 runs.
func TestShareOfTheRest(t *testing.T) {
	t.Parallel()
	sink := collectortest.NewSink(t)
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/otlp.yaml"},
		Env:     map[string]string{"OTLP_ENDPOINT": sink.HTTP, "OTELAUTH_COLLECTOR_DECISION_WAIT": "1s"},
	})
	for range 20 {
		batch := ptrace.NewTraces()
		for range 50 {
			collectortest.Trace(map[string]string{"auth.outcome": "success"}).ResourceSpans().MoveAndAppendTo(batch.ResourceSpans())
		}
		c.HTTP().MustTraces(t, batch)
	}
	c.WaitMetric(t, "otelcol_processor_tail_sampling_global_count_traces_sampled_total", 1000)
	if err := c.Shutdown(t); err != nil { // flushes
		t.Fatal(err)
	}
	if n := len(sink.Spans()) / 2; n < 40 || n > 180 {
		t.Errorf("%d of 1000 traces were kept, want about 100", n)
	}
}

func TestSecurityEventsGoTwice(t *testing.T) {
	t.Parallel()
	all, siem := collectortest.NewSink(t), collectortest.NewSink(t)
	authorization := filepath.Join(t.TempDir(), "authorization")
	if err := os.WriteFile(authorization, []byte("Bearer siem"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/otlp.yaml", "backends/siem-otlp.yaml"},
		Env: map[string]string{
			"OTLP_ENDPOINT": all.HTTP, "SIEM_OTLP_LOGS_ENDPOINT": siem.HTTP + "/v1/logs", "SIEM_OTLP_AUTHORIZATION_FILE": authorization,
		},
	})
	logs := collectortest.Events("auth.attempt", 1)
	records := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	add := func(fill func(plog.LogRecord)) {
		r := records.AppendEmpty()
		fill(r)
	}
	add(func(r plog.LogRecord) { r.SetEventName("auth.detection") })
	add(func(r plog.LogRecord) { r.Attributes().PutStr("event.name", "auth.account.reload") })
	add(func(r plog.LogRecord) { r.Attributes().PutStr("auth.outcome", "failure") })
	// These are not security events.
	add(func(r plog.LogRecord) { r.SetEventName("order.placed") })
	add(func(r plog.LogRecord) { r.SetEventName("authority.granted") })
	add(func(r plog.LogRecord) { r.Body().SetStr("auth. is in the text only") })
	add(func(r plog.LogRecord) { r.Attributes().PutStr("text", `"auth.`) })
	add(func(r plog.LogRecord) { r.Attributes().PutStr("x.auth.outcome", "failure") })
	c.HTTP().MustLogs(t, logs)
	if n := len(all.WaitLogs(t, 9)); n != 9 {
		t.Errorf("%d records on the bus of all, want 9", n)
	}
	if n := len(siem.WaitLogs(t, 4)); n != 4 {
		t.Errorf("%d records on the bus of security events, want 4", n)
	}
	if err := c.Shutdown(t); err != nil { // records that would arrive later arrive here
		t.Fatal(err)
	}
	if n := len(siem.LogRecords()); n != 4 {
		t.Errorf("%d records on the bus of security events, want 4", n)
	}
	if len(siem.Traces())+len(siem.Metrics()) > 0 {
		t.Error("the security bus carries more than events")
	}
}
