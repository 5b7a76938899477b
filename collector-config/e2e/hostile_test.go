// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
)

// withBackend starts the base and the overlay otlp.yaml. All traces are kept, without a delay.
func withBackend(t *testing.T) (*collectortest.Collector, *collectortest.Sink) {
	t.Helper()
	sink := collectortest.NewSink(t)
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/otlp.yaml"},
		Env: map[string]string{
			"OTLP_ENDPOINT":                     sink.HTTP,
			"OTELAUTH_COLLECTOR_SAMPLE_PERCENT": "100",
			"OTELAUTH_COLLECTOR_DECISION_WAIT":  "1s",
		},
	})
	return c, sink
}

var unclean = regexp.MustCompile(`[\x00-\x1f\x7f-\x9f\x{2028}-\x{202e}\x{2066}-\x{2069}]`)

const control = "a\x00b\x1b[2Jc\r\n2026-01-01 auth.attempt forged\u202egnp.exe\u0085d"

// hostile fills attributes with values that no honest sender sends.
func hostile(m pcommon.Map) {
	m.PutStr("a.long", strings.Repeat("é", 1<<19))
	m.PutStr("a.control", control)
	m.PutStr("a"+control, "x")
	m.PutStr(strings.Repeat("k", 1<<16), "x")
	m.PutEmptyBytes("a.bytes").FromRaw(bytes.Repeat([]byte{0, 0xff}, 1<<17))
	deep := m.PutEmptyMap("a.map")
	for range 50 {
		deep.PutStr("s", control)
		deep = deep.PutEmptyMap("m")
	}
	list := m.PutEmptySlice("a.list")
	for range 1000 {
		list.AppendEmpty().SetStr(control)
	}
	for i := range 500 {
		m.PutStr(collectortest.Name("a.many.", i), "x")
	}
	m.PutStr("auth.outcome", "failure")
}

func checkAttributes(t *testing.T, where string, m pcommon.Map, limit int) {
	t.Helper()
	if m.Len() > limit {
		t.Errorf("%s: %d attributes, more than %d", where, m.Len(), limit)
	}
	if v, ok := m.Get("auth.outcome"); !ok || v.Str() != "failure" {
		t.Errorf("%s: auth.outcome did not survive", where)
	}
	for k, v := range m.All() {
		checkText(t, where+" key", k, 256)
		if v.Type() != pcommon.ValueTypeStr {
			t.Errorf("%s: %s is a %v", where, k, v.Type())
		}
		checkText(t, where+" "+k, v.Str(), 4096)
	}
}

func checkText(t *testing.T, where, s string, limit int) {
	t.Helper()
	if len(s) > limit {
		t.Errorf("%s: %d bytes, more than %d", where, len(s), limit)
	}
	if at := unclean.FindStringIndex(s); at != nil {
		t.Errorf("%s: control character %q", where, s[at[0]:at[1]])
	}
	if !strings.HasPrefix(strings.ToValidUTF8(s, "�"), s) {
		t.Errorf("%s: cut within a character", where)
	}
}

func TestHostileLogsComeOutBoundedAndClean(t *testing.T) {
	t.Parallel()
	c, sink := withBackend(t)
	logs := collectortest.Events("auth.attempt", 4)
	rl := logs.ResourceLogs().At(0)
	hostile(rl.Resource().Attributes())
	scope := rl.ScopeLogs().At(0).Scope()
	scope.SetName(strings.Repeat(control, 100))
	scope.SetVersion(strings.Repeat(control, 100))
	records := rl.ScopeLogs().At(0).LogRecords()
	hostile(records.At(0).Attributes())
	records.At(0).Body().SetStr(strings.Repeat(control, 1000))
	records.At(0).SetEventName("auth." + strings.Repeat(control, 100))
	records.At(0).SetSeverityText(strings.Repeat(control, 100))
	records.At(1).Body().SetEmptyMap().PutStr("k", control)
	records.At(2).Body().SetEmptyBytes().FromRaw(bytes.Repeat([]byte{0}, 1<<17))
	records.At(3).Attributes().PutEmptyMap("m").PutStr("k", control)
	c.HTTP().MustLogs(t, logs)
	got := sink.WaitLogs(t, 4)
	for i, r := range got {
		checkText(t, "body", r.Body().AsString(), 16384)
		checkText(t, "event name", r.EventName(), 256)
		if len(r.SeverityText()) > 64 {
			t.Errorf("the severity has %d bytes", len(r.SeverityText()))
		}
		checkText(t, "scope", r.Scope, 256)
		if i == 0 {
			checkAttributes(t, "log", r.Attributes(), 64)
		}
	}
	resource := sink.Logs()[0].ResourceLogs().At(0).Resource().Attributes()
	if v, _ := resource.Get("service.name"); v.AsString() != collectortest.ServiceName {
		t.Errorf("service.name came as %q", v.AsString())
	}
	resource.PutStr("auth.outcome", "failure")
	checkAttributes(t, "resource", resource, 65)
	if v, ok := got[3].Attributes().Get("m.k"); !ok || unclean.MatchString(v.Str()) {
		t.Errorf("a nested map: %v", got[3].Attributes().AsRaw())
	}
	if v, _ := got[3].Attributes().Get("test.seq"); v.Type() != pcommon.ValueTypeInt {
		t.Errorf("a number beside a nested map became a %v", v.Type())
	}
}

func TestHostileTracesComeOutBoundedAndClean(t *testing.T) {
	t.Parallel()
	c, sink := withBackend(t)
	traces := collectortest.Trace(map[string]string{"auth.outcome": "failure"})
	span := traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(1)
	hostile(span.Attributes())
	span.SetName(strings.Repeat(control, 100))
	span.Status().SetMessage(strings.Repeat(control, 100))
	span.Status().SetCode(ptrace.StatusCodeError)
	span.TraceState().FromRaw("a=" + strings.Repeat("x", 1<<16))
	event := span.Events().AppendEmpty()
	event.SetName(strings.Repeat(control, 100))
	hostile(event.Attributes())
	c.HTTP().MustTraces(t, traces)
	got := sink.WaitSpans(t, 2)[1]
	checkText(t, "name", got.Name(), 256)
	checkText(t, "status", got.Status().Message(), 1024)
	checkText(t, "trace state", got.TraceState().AsRaw(), 512)
	checkAttributes(t, "span", got.Attributes(), 64)
	checkText(t, "event name", got.Events().At(0).Name(), 256)
	if n := got.Events().At(0).Attributes().Len(); n > 32 {
		t.Errorf("the span event has %d attributes", n)
	}
	for k, v := range got.Events().At(0).Attributes().All() {
		checkText(t, "span event key", k, 256)
		checkText(t, "span event "+k, v.AsString(), 4096)
	}
}

func TestHostileMetricsComeOutBoundedAndClean(t *testing.T) {
	t.Parallel()
	c, sink := withBackend(t)
	metrics := collectortest.Counter("auth.attempts", 1, nil)
	ms := metrics.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	ms.At(0).SetDescription(strings.Repeat(control, 100))
	ms.At(0).SetUnit(strings.Repeat(control, 100))
	for _, name := range []string{"", "0day", "a" + control, strings.Repeat("a", 256)} {
		bad := ms.AppendEmpty()
		ms.At(0).CopyTo(bad)
		bad.SetName(name)
	}
	hostile(ms.At(0).Sum().DataPoints().At(0).Attributes())
	c.HTTP().MustMetrics(t, metrics)
	got := sink.WaitMetric(t, "auth.attempts")
	if len(got.Description()) > 1024 || len(got.Unit()) > 63 {
		t.Errorf("the description has %d bytes, the unit %d", len(got.Description()), len(got.Unit()))
	}
	checkAttributes(t, "data point", got.Sum().DataPoints().At(0).Attributes(), 32)
	for _, m := range sink.AllMetrics() {
		if m.Name() != "auth.attempts" {
			t.Errorf("a metric with the name %.40q was accepted", m.Name())
		}
	}
	if n := c.Scrape(t)["otelcol_processor_filter_datapoints_filtered_total"]; n != 4 {
		t.Errorf("4 data points were dropped for their names, %v are counted", n)
	}
}

// A stack trace must keep its lines.
func TestStackTracesKeepTheirLines(t *testing.T) {
	t.Parallel()
	c, sink := withBackend(t)
	logs := collectortest.Events("app.crash", 1)
	logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Attributes().PutStr("exception.stacktrace", "main.main\n\tmain.go:1\x1b[2J")
	c.HTTP().MustLogs(t, logs)
	v, _ := sink.WaitLogs(t, 1)[0].Attributes().Get("exception.stacktrace")
	if v.Str() != "main.main\n\tmain.go:1 [2J" {
		t.Errorf("the stack trace arrived as %q", v.Str())
	}
}

// secrets are what other instrumentation may leak. Each holds the canary, which must not arrive.
const canary = "Y2FuYXJ5OmNhbmFyeQ"

func secrets() []string {
	return []string{
		"Authorization: Basic " + canary + "==",
		"basic " + canary,
		"Bearer " + canary + ".x",
		"https://alice:" + canary + "@example.com/",
		"GET /?password=" + canary + "&x=1",
		`{"user":"alice","password":"` + canary + `"}`,
		`{"a":"{\"password\":\"` + canary + `\"}"}`,
		"eyJhbGciOiJIUzI1NiJ9." + canary + "." + canary,
		"$2a$10$" + canary + canary,
		"$argon2id$v=19$m=65536,t=3,p=4$" + canary,
		"-----BEGIN RSA PRIVATE KEY-----\n" + canary,
	}
}

func leak(m pcommon.Map) {
	for i, s := range secrets() {
		m.PutStr(collectortest.Name("leak.", i), s)
	}
	for _, k := range []string{"password", "db.password", "http.request.header.authorization", "http.request.header.cookie", "x-api-key", "client_secret", "access_token"} {
		m.PutStr(k, canary)
	}
	m.PutEmptySlice("http.request.header.proxy-authorization").AppendEmpty().SetStr(canary)
	m.PutEmptySlice("values").AppendEmpty().SetStr("Basic " + canary)
	m.PutEmptyMap("headers").PutStr("authorization", canary)
}

func TestRedactionIsASecondLineOfDefence(t *testing.T) {
	t.Parallel()
	c, sink := withBackend(t)
	logs := collectortest.Events("auth.attempt", len(secrets())+1)
	leak(logs.ResourceLogs().At(0).Resource().Attributes())
	records := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	leak(records.At(0).Attributes())
	records.At(0).Body().SetEmptyMap().PutStr("password", canary)
	for i, s := range secrets() {
		records.At(i + 1).Body().SetStr(s)
	}
	traces := collectortest.Trace(map[string]string{"auth.outcome": "failure"})
	ss := traces.ResourceSpans().At(0).ScopeSpans().At(0)
	leak(ss.Spans().At(0).Attributes())
	ss.Spans().At(0).SetName("GET https://alice:" + canary + "@example.com/")
	ss.Spans().At(0).Status().SetMessage("refused Basic " + canary)
	ss.Spans().At(0).TraceState().FromRaw("a=Basic " + canary)
	event := ss.Spans().At(0).Events().AppendEmpty()
	event.SetName("Bearer " + canary)
	leak(event.Attributes())
	metrics := collectortest.Counter("auth.attempts", 1, nil)
	metric := metrics.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
	leak(metric.Sum().DataPoints().At(0).Attributes())
	leak(metrics.ResourceMetrics().At(0).Resource().Attributes())

	c.HTTP().MustLogs(t, logs)
	c.HTTP().MustTraces(t, traces)
	c.HTTP().MustMetrics(t, metrics)
	got := sink.WaitLogs(t, records.Len())
	spans := sink.WaitSpans(t, 2)
	sink.WaitMetric(t, "auth.attempts")
	all := sink.Bytes(t)
	if at := bytes.Index(all, []byte(canary)); at >= 0 {
		t.Errorf("a secret has passed: …%q", all[max(0, at-80):at+len(canary)])
	}
	if strings.Contains(c.Log(), canary) {
		t.Error("a secret is in the collector's own log")
	}
	if _, ok := got[0].Attributes().Get("redaction.masked.count"); !ok {
		t.Error("a record has no mark that something was masked in it")
	}
	if _, ok := spans[0].Attributes().Get("redaction.masked.count"); !ok {
		t.Error("a span has no mark that something was masked in it")
	}
}

// What the library really sends must arrive unchanged.
func TestHonestRecordsAreNotTouched(t *testing.T) {
	t.Parallel()
	c, sink := withBackend(t)
	logs := collectortest.Events("auth.detection", 1)
	r := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
	a := r.Attributes()
	a.PutStr("auth.scheme", "basic")
	a.PutStr("auth.password.scheme", "bcrypt")
	a.PutBool("auth.credentials.exposed", true)
	a.PutInt("http.response.status_code", 401)
	a.PutDouble("test.double", 0.5)
	ids := a.PutEmptySlice("auth.detection.trace_ids")
	ids.AppendEmpty().SetStr("4bf92f3577b34da6a3ce929d0e0e4736")
	a.PutStr("user.name", "Zoë Müller")
	r.Body().SetStr("basic authentication failed for user")
	want := plog.NewLogs()
	logs.CopyTo(want)
	c.HTTP().MustLogs(t, logs)
	sink.WaitLogs(t, 1)
	m := plog.JSONMarshaler{}
	got, _ := m.MarshalLogs(sink.Logs()[0])
	sent, _ := m.MarshalLogs(want)
	if !bytes.Equal(got, sent) {
		t.Errorf("sent %s\ncame %s", sent, got)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	c, sink := withBackend(t)
	big := collectortest.Events("auth.attempt", 1)
	big.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Body().SetStr(strings.Repeat("x", 5<<20))
	err := c.HTTP().Logs(t.Context(), big)
	var answer *collectortest.HTTPError
	if !errors.As(err, &answer) || answer.Status < 400 || answer.Status >= 500 {
		t.Errorf("5 MiB over HTTP: %v", err)
	}
	if err := c.GRPC(t, c.Token).Logs(t.Context(), big); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("5 MiB over gRPC: %v", err)
	}
	// 64 MiB of zeros in 64 KiB.
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	for range 64 {
		_, _ = w.Write(make([]byte, 1<<20))
	}
	_ = w.Close()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, c.HTTP().URL+"/v1/logs", &bomb)
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "gzip")
	req.Header.Set("Authorization", "Bearer "+c.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode < 400 || resp.StatusCode >= 500 {
		t.Errorf("a compressed bomb: %d", resp.StatusCode)
	}
	for _, body := range []string{"\x00\xff garbage", "\n\xff\xff\xff\xff\x7f"} {
		if err := c.HTTP().Post(t.Context(), "/v1/logs", "application/x-protobuf", []byte(body)); !errors.As(err, &answer) || answer.Status != http.StatusBadRequest {
			t.Errorf("%q: %v", body, err)
		}
	}
	c.HTTP().MustLogs(t, collectortest.Events("auth.attempt", 1))
	if n := len(sink.WaitLogs(t, 1)); n != 1 {
		t.Errorf("%d records arrived, 1 was good", n)
	}
}

func TestSendersNeedTheToken(t *testing.T) {
	t.Parallel()
	c, sink := withBackend(t)
	for _, token := range []string{"", "wrong", c.Token + "x", c.Token[:10]} {
		sender := c.HTTP()
		sender.Token = token
		for what, err := range map[string]error{
			"logs":    sender.Logs(t.Context(), collectortest.Events("auth.forged", 1)),
			"traces":  sender.Traces(t.Context(), collectortest.Trace(map[string]string{"auth.outcome": "forged"})),
			"metrics": sender.Metrics(t.Context(), collectortest.Counter("auth.attempts", 1, nil)),
		} {
			var answer *collectortest.HTTPError
			if !errors.As(err, &answer) || answer.Status != http.StatusUnauthorized {
				t.Errorf("%s with token %q over HTTP: %v", what, token, err)
			}
		}
		rpc := c.GRPC(t, token)
		for what, send := range map[string]func(context.Context) error{
			"logs":    func(ctx context.Context) error { return rpc.Logs(ctx, collectortest.Events("auth.forged", 1)) },
			"traces":  func(ctx context.Context) error { return rpc.Traces(ctx, collectortest.Trace(nil)) },
			"metrics": func(ctx context.Context) error { return rpc.Metrics(ctx, pmetric.NewMetrics()) },
		} {
			if err := send(t.Context()); status.Code(err) != codes.Unauthenticated {
				t.Errorf("%s with token %q over gRPC: %v", what, token, err)
			}
		}
	}
	if err := c.GRPC(t, c.Token).Logs(t.Context(), collectortest.Events("auth.honest", 1)); err != nil {
		t.Fatal(err)
	}
	for _, r := range sink.WaitLogs(t, 1) {
		if r.EventName() != "auth.honest" {
			t.Errorf("an event without the token was accepted: %s", r.EventName())
		}
	}
	if strings.Contains(c.Log(), c.Token) {
		t.Error("the token is in the collector's log")
	}

	// A new token is used without a restart, and replaces the previous one.
	old := c.HTTP()
	c.Token = "another-token-0123456789abcdef"
	if err := os.WriteFile(filepath.Join(c.Dir, "token"), []byte(c.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	collectortest.Wait(t, func() bool { return c.HTTP().Logs(t.Context(), collectortest.Events("auth.honest", 1)) == nil }, "the new token to be accepted")
	if err := old.Logs(t.Context(), collectortest.Events("auth.forged", 1)); err == nil {
		t.Error("the old token still works")
	}
}

func TestRefusalsAtStart(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		options collectortest.Options
		says    string
	}{
		"no token file named":    {collectortest.Options{Configs: []string{"base.yaml"}, Unset: []string{"OTELAUTH_COLLECTOR_TOKEN_FILE"}}, "OTELAUTH_COLLECTOR_TOKEN_FILE"},
		"token file not there":   {collectortest.Options{Configs: []string{"base.yaml"}, Env: map[string]string{"OTELAUTH_COLLECTOR_TOKEN_FILE": "/nonexistent/token"}}, "/nonexistent/token"},
		"queue cannot be made":   {collectortest.Options{Configs: []string{"base.yaml"}, Env: map[string]string{"OTELAUTH_COLLECTOR_QUEUE_DIR": "/dev/null/queue"}}, "/dev/null/queue"},
		"share is no number":     {collectortest.Options{Configs: []string{"base.yaml"}, Env: map[string]string{"OTELAUTH_COLLECTOR_SAMPLE_PERCENT": "ten"}}, "sampling_percentage"},
		"overlay without a base": {collectortest.Options{Configs: []string{"backends/otlp.yaml"}, Env: map[string]string{"OTLP_ENDPOINT": "http://127.0.0.1:1"}}, "no receiver configuration"},
		"backend not named":      {collectortest.Options{Configs: []string{"base.yaml", "backends/otlp.yaml"}}, "OTLP_ENDPOINT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := collectortest.Run(t, test.options)
			if err == nil || !strings.Contains(out, test.says) {
				t.Errorf("exit status %v, output without %q:\n%s", err, test.says, out)
			}
		})
	}
}
