// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.yaml.in/yaml/v3"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/internal/testkit"
)

// This canary replaces every secret. Only the header that it belongs in may hold it.
const overlayToken = "overlay-canary-7f3c"

// quick makes tail sampling decide at once. No overlay configures sampling.
var quick = map[string]string{"OTELAUTH_COLLECTOR_DECISION_WAIT": "1s"}

func overlayNames(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(collectortest.ConfigDir(), "backends", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no overlays")
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// A configFile is one shipped file in two parts: its documentation and its configuration.
type configFile struct {
	header   string              // the leading comment, without its #
	body     string              // what follows
	required []string            // variables without a default
	optional []string            // variables with one
	config   map[string]any      // the YAML, not expanded
	keys     map[string][]string // the ids of each kind: receivers, exporters, pipelines …
}

var (
	variable   = regexp.MustCompile(`\$\{env:([A-Z0-9_]+)(:-)?([^}$]*)`)
	headerName = regexp.MustCompile(`\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b`)
)

func readConfig(t testing.TB, name string) configFile {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(collectortest.ConfigDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	header, body, _ := strings.Cut(string(b), "\n\n")
	f := configFile{body: body, keys: map[string][]string{}}
	for line := range strings.Lines(header) {
		f.header += strings.TrimPrefix(strings.TrimPrefix(line, "#"), " ")
	}
	seen := map[string]bool{} // true when required
	for _, m := range variable.FindAllStringSubmatch(body, -1) {
		seen[m[1]] = seen[m[1]] || m[3] == m[1]+" is not set" || strings.HasPrefix(m[3], m[1]+" is not set/")
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if seen[name] {
			f.required = append(f.required, name)
		} else {
			f.optional = append(f.optional, name)
		}
	}
	if err := yaml.Unmarshal(b, &f.config); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	collect := func(kind string, section any) {
		if section, ok := section.(map[string]any); ok {
			f.keys[kind] = slices.Sorted(maps.Keys(section))
		}
	}
	for _, kind := range []string{"receivers", "processors", "exporters", "connectors", "extensions"} {
		collect(kind, f.config[kind])
	}
	if service, ok := f.config["service"].(map[string]any); ok {
		collect("pipelines", service["pipelines"])
	}
	return f
}

// Every overlay can be combined with every other one. No two files, base.yaml included, define a
// component or a pipeline of the same name. Each name ends in the file's name, and no file sets
// what merging would replace.
func TestOverlaysAreDisjoint(t *testing.T) {
	t.Parallel()
	owner := map[string]string{}
	base := readConfig(t, "base.yaml")
	for kind, ids := range base.keys {
		for _, id := range ids {
			owner[kind+" "+id] = "base"
		}
	}
	for _, name := range overlayNames(t) {
		f := readConfig(t, "backends/"+name+".yaml")
		for kind, ids := range f.keys {
			for _, id := range ids {
				if other, taken := owner[kind+" "+id]; taken {
					t.Errorf("%s and %s both have %s %s", name, other, kind, id)
				}
				owner[kind+" "+id] = name
				_, suffix, _ := strings.Cut(id, "/")
				if rest, ok := strings.CutPrefix(suffix, name); !ok || rest != "" && rest[0] != '-' {
					t.Errorf("%s: %s %s does not contain the file's name", name, kind, id)
				}
			}
		}
		for _, key := range slices.Sorted(maps.Keys(f.config["service"].(map[string]any))) {
			if key != "pipelines" {
				t.Errorf("%s sets service.%s, which merging would replace", name, key)
			}
		}
	}
}

// Each exporter of an overlay keeps what it cannot send: on disk, without a time limit, in a
// bounded queue, with a bounded attempt.
func TestOverlaysKeepWhatTheyCannotSend(t *testing.T) {
	t.Parallel()
	for _, name := range overlayNames(t) {
		f := readConfig(t, "backends/"+name+".yaml")
		exporters, _ := f.config["exporters"].(map[string]any)
		for id, config := range exporters {
			kind, _, _ := strings.Cut(id, "/")
			if kind == "nop" || kind == "file" || kind == "prometheus" {
				continue // nothing to wait for
			}
			c := config.(map[string]any)
			if c["timeout"] == nil {
				t.Errorf("%s: %s has no timeout", name, id)
			}
			if retry, _ := c["retry_on_failure"].(map[string]any); retry["max_elapsed_time"] != "0s" {
				t.Errorf("%s: %s gives up: %v", name, id, retry)
			}
			queue, _ := c["sending_queue"].(map[string]any)
			if queue["storage"] != "file_storage/queue" || queue["queue_size"] == nil || queue["batch"] == nil {
				t.Errorf("%s: %s has no bounded persistent queue with batches: %v", name, id, queue)
			}
			if tls, _ := c["tls"].(map[string]any); tls["insecure"] == true || tls["insecure_skip_verify"] != nil {
				t.Errorf("%s: %s uses plaintext by default", name, id)
			}
		}
	}
}

func TestHeadersSayWhatTheFilesDo(t *testing.T) {
	t.Parallel()
	files := overlayNames(t)
	for i, name := range files {
		files[i] = "backends/" + name + ".yaml"
	}
	for _, name := range append(files, "scale/agent.yaml", "scale/sampler.yaml") {
		f := readConfig(t, name)
		for _, word := range []string{"Needs ", "Variables ", "Command ", "Token ", "Security "} {
			if !strings.Contains(f.header, "\n"+word) {
				t.Errorf("%s: the header has no %q", name, word)
			}
		}
		_, variables, _ := strings.Cut(f.header, "\nVariables ")
		variables, command, _ := strings.Cut(variables, "\nCommand ")
		command, _, _ = strings.Cut(command, "\nToken ")
		var said, required []string
		for _, v := range headerName.FindAllString(variables, -1) {
			if !slices.Contains(said, v) {
				said = append(said, v)
			}
			if regexp.MustCompile(v + ` +required:`).MatchString(variables) {
				required = append(required, v)
			}
		}
		has := slices.Sorted(slices.Values(append(slices.Clone(f.required), f.optional...)))
		// they name the variables of base.yaml that matter for the overlay
		if strings.HasPrefix(name, "scale/") {
			said = slices.DeleteFunc(said, func(v string) bool { return !slices.Contains(has, v) })
		}
		slices.Sort(said)
		if diff := cmp.Diff(has, said); diff != "" && len(has)+len(said) > 0 {
			t.Errorf("%s: variables of the file (-) and of its header (+):\n%s", name, diff)
		}
		slices.Sort(required)
		required = slices.Compact(required)
		if diff := cmp.Diff(f.required, required); diff != "" && len(f.required)+len(required) > 0 {
			t.Errorf("%s: required by the file (-) and by its header (+):\n%s", name, diff)
		}
		for _, v := range f.required {
			if !strings.Contains(command, v+"=") {
				t.Errorf("%s: the command does not set %s", name, v)
			}
		}
		if !strings.Contains(command, "--config "+name) {
			t.Errorf("%s: the command does not name the file", name)
		}
	}
}

// The table in backends/README.md has a row for each overlay, with the variables of the file.
// Required ones are bold.
func TestOverlayTable(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(collectortest.ConfigDir(), "backends", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(readme), "<!-- overlays -->")
	if !found {
		t.Fatal("backends/README.md has no section <!-- overlays -->")
	}
	section, _, _ = strings.Cut(section, "<!-- /overlays -->")
	rows := map[string][]string{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) == 6 && strings.HasPrefix(strings.TrimSpace(cells[1]), "[`") {
			name := strings.TrimSpace(cells[1])
			name = name[2:strings.Index(name, "`]")]
			rows[name] = headerName.FindAllString(cells[4], -1)
			f := readConfig(t, "backends/"+name+".yaml")
			for _, v := range f.required {
				if !strings.Contains(cells[4], "**`"+v+"`**") {
					t.Errorf("%s: %s is required and not in bold", name, v)
				}
			}
			var signals []string
			for _, id := range f.keys["pipelines"] {
				signal, _, _ := strings.Cut(id, "/")
				if signals = append(signals, signal); strings.Contains(f.body, id+": {receivers: [forward/security]") {
					signals[len(signals)-1] = "events"
				}
			}
			said := strings.Split(strings.ReplaceAll(strings.TrimSpace(cells[3]), " ", ""), ",")
			slices.Sort(said)
			slices.Sort(signals)
			if diff := cmp.Diff(slices.Compact(signals), said); diff != "" {
				t.Errorf("%s: signals of the file (-) and of the table (+):\n%s", name, diff)
			}
		}
	}
	want := map[string][]string{}
	for _, name := range overlayNames(t) {
		f := readConfig(t, "backends/"+name+".yaml")
		want[name] = slices.Sorted(slices.Values(append(slices.Clone(f.required), f.optional...)))
		slices.Sort(rows[name])
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("files (-) and table (+):\n%s", diff)
	}
}

// overlayEnvironment sets every variable that any overlay requires. All backends are the sink.
func overlayEnvironment(t testing.TB, sink *collectortest.Sink) map[string]string {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(overlayToken), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"DT_ENDPOINT":                 sink.HTTP + "/api/v2/otlp",
		"ELASTIC_OTLP_ENDPOINT":       sink.HTTP,
		"FILE_DIR":                    filepath.Join(t.TempDir(), "telemetry"),
		"GRAFANA_CLOUD_OTLP_ENDPOINT": sink.HTTP + "/otlp",
		"JAEGER_ENDPOINT":             sink.HTTP,
		"KAFKA_BROKERS":               "127.0.0.1:9",
		"KAFKA_CONSUMER_BROKERS":      "127.0.0.1:9",
		// otherwise a collector with both halves reads what it writes
		"KAFKA_CONSUMER_TOPIC_PREFIX": "other",
		"LOKI_ENDPOINT":               sink.HTTP + "/loki/otlp",
		"MIMIR_ENDPOINT":              sink.HTTP + "/mimir/otlp",
		"TEMPO_ENDPOINT":              sink.HTTP + "/tempo",
		"OPENSEARCH_ENDPOINT":         sink.GRPC,
		"OTLP_ENDPOINT":               sink.HTTP + "/any/path",
		"SIEM_KAFKA_BROKERS":          "127.0.0.1:9",
		"SIEM_OTLP_LOGS_ENDPOINT":     sink.HTTP + "/siem/v1/logs",
		"SIEM_SYSLOG_HOST":            "127.0.0.1",
		"SPLUNK_REALM":                "us0",
		"SPLUNK_HEC_URL":              sink.HTTP + "/services/collector",
	}
	for _, name := range overlayNames(t) {
		for _, v := range readConfig(t, "backends/"+name+".yaml").required {
			if strings.HasSuffix(v, "_FILE") {
				env[v] = token
			}
		}
	}
	return env
}

func only(env map[string]string, names []string) map[string]string {
	some := map[string]string{}
	for _, name := range names {
		some[name] = env[name]
	}
	return some
}

func TestOverlayValidates(t *testing.T) {
	t.Parallel()
	env := overlayEnvironment(t, &collectortest.Sink{HTTP: "https://backend.invalid", GRPC: "backend.invalid:4317"})
	for _, name := range overlayNames(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := "backends/" + name + ".yaml"
			required := readConfig(t, file).required
			o := collectortest.Options{Configs: []string{"base.yaml", file}, Env: only(env, required)}
			if out, err := collectortest.Validate(t, o); err != nil {
				t.Errorf("with %v: %v\n%s", required, err, out)
			}
			for _, v := range required {
				o.Env = only(env, required)
				delete(o.Env, v)
				out, err := collectortest.Run(t, o) // a start, not only the command validate
				if err == nil || !strings.Contains(out, v+" is not set") {
					t.Errorf("without %s: %v\n%s", v, err, out)
				}
			}
		})
	}
}

// testMetrics returns one reading of a sum and of a histogram, both cumulative and with an
// exemplar.
func testMetrics(start time.Time, reading int) (pmetric.Metrics, pcommon.TraceID) {
	id := collectortest.TraceID()
	exemplar := func(e pmetric.Exemplar) {
		e.SetTraceID(id)
		e.SetSpanID(collectortest.SpanID())
		e.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		e.SetDoubleValue(0.5)
	}
	metrics := collectortest.Counter("auth.attempts", int64(5*reading), map[string]string{"auth.outcome": "failure"})
	list := metrics.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	sum := list.At(0).Sum().DataPoints().At(0)
	sum.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
	exemplar(sum.Exemplars().AppendEmpty())
	m := list.AppendEmpty()
	m.SetName("auth.attempt.duration")
	m.SetUnit("s")
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := h.DataPoints().AppendEmpty()
	p.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
	p.SetTimestamp(sum.Timestamp())
	p.ExplicitBounds().FromRaw([]float64{0.1, 1})
	p.BucketCounts().FromRaw([]uint64{0, uint64(5 * reading), 0})
	p.SetCount(uint64(5 * reading))
	p.SetSum(2.5 * float64(reading))
	exemplar(p.Exemplars().AppendEmpty())
	return metrics, id
}

// sendAll sends a denied attempt in every signal, and a log record that is not a security event.
func sendAll(t testing.TB, c *collectortest.Collector) {
	t.Helper()
	c.HTTP().MustTraces(t, collectortest.Trace(map[string]string{"auth.outcome": "failure", "auth.scheme": "basic"}))
	start := time.Now().Add(-time.Minute)
	for reading := 1; reading <= 2; reading++ {
		metrics, _ := testMetrics(start, reading)
		c.HTTP().MustMetrics(t, metrics)
	}
	c.HTTP().MustLogs(t, collectortest.Events("auth.attempt", 2))
	c.HTTP().MustLogs(t, otherLogs("order.placed", 1))
}

// otherLogs returns records that are not security events, nor look so by their attributes.
func otherLogs(name string, n int) plog.Logs {
	logs := collectortest.Events(name, n)
	for _, r := range logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().All() {
		r.Attributes().Remove("auth.outcome")
	}
	return logs
}

// An otlpCase is what an OTLP backend must receive.
type otlpCase struct {
	paths map[string]string // by signal
	token string            // header: value; %s is the token
	other string            // a further header, likewise
	delta bool
	env   map[string]string
}

func paths(prefix string) map[string]string {
	return map[string]string{"traces": prefix + "/v1/traces", "metrics": prefix + "/v1/metrics", "logs": prefix + "/v1/logs"}
}

func otlpCases(sink *collectortest.Sink, token string) map[string]otlpCase {
	return map[string]otlpCase{
		"otlp":          {paths: paths("/any/path"), token: "authorization: %s", env: map[string]string{"OTLP_AUTHORIZATION_FILE": token}},
		"jaeger":        {paths: map[string]string{"traces": "/v1/traces"}, token: "authorization: %s", env: map[string]string{"JAEGER_AUTHORIZATION_FILE": token}},
		"prometheus":    {paths: map[string]string{"metrics": "/api/v1/otlp/v1/metrics"}, token: "authorization: %s", env: map[string]string{"PROMETHEUS_ENDPOINT": sink.HTTP + "/api/v1/otlp", "PROMETHEUS_AUTHORIZATION_FILE": token}},
		"lgtm":          {paths: map[string]string{"traces": "/tempo/v1/traces", "metrics": "/mimir/otlp/v1/metrics", "logs": "/loki/otlp/v1/logs"}, token: "authorization: %s", other: "x-scope-orgid: anonymous", env: map[string]string{"LGTM_AUTHORIZATION_FILE": token}},
		"grafana-cloud": {paths: paths("/otlp"), token: "authorization: Basic %s"},
		"victoria": {
			paths: map[string]string{"traces": "/insert/opentelemetry/v1/traces", "metrics": "/opentelemetry/v1/metrics", "logs": "/insert/opentelemetry/v1/logs"},
			token: "authorization: %s", other: "vl-stream-fields: service.namespace,service.name",
			env: map[string]string{
				"VICTORIA_METRICS_ENDPOINT": sink.HTTP + "/opentelemetry", "VICTORIA_LOGS_ENDPOINT": sink.HTTP + "/insert/opentelemetry",
				"VICTORIA_TRACES_ENDPOINT": sink.HTTP + "/insert/opentelemetry", "VICTORIA_AUTHORIZATION_FILE": token,
			},
		},
		"elastic":    {paths: paths(""), token: "authorization: ApiKey %s", delta: true},
		"opensearch": {paths: map[string]string{"traces": "traces", "metrics": "metrics", "logs": "logs"}, token: "authorization: %s", env: map[string]string{"OPENSEARCH_PLAINTEXT": "true", "OPENSEARCH_AUTHORIZATION_FILE": token}},
		"signoz":     {paths: paths(""), token: "signoz-ingestion-key: %s", env: map[string]string{"SIGNOZ_ENDPOINT": sink.HTTP}},
		"uptrace":    {paths: paths(""), token: "uptrace-dsn: %s", delta: true, env: map[string]string{"UPTRACE_ENDPOINT": sink.HTTP}},
		"honeycomb":  {paths: paths(""), token: "x-honeycomb-team: %s", other: "x-honeycomb-dataset: otelauth_metrics", env: map[string]string{"HONEYCOMB_API_ENDPOINT": sink.HTTP}},
		"datadog":    {paths: paths(""), token: "dd-api-key: %s", other: "dd-protocol: otlp", delta: true, env: map[string]string{"DD_OTLP_ENDPOINT": sink.HTTP}},
		"newrelic":   {paths: paths(""), token: "api-key: %s", delta: true, env: map[string]string{"NEW_RELIC_OTLP_ENDPOINT": sink.HTTP}},
		"dynatrace":  {paths: paths("/api/v2/otlp"), token: "authorization: Api-Token %s", delta: true},
		"siem-otlp":  {paths: map[string]string{"logs": "/siem/v1/logs"}, token: "authorization: %s"},
	}
}

func TestOverlaySpeaksOTLP(t *testing.T) {
	t.Parallel()
	for name := range otlpCases(&collectortest.Sink{}, "") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := collectortest.NewSink(t)
			env := overlayEnvironment(t, sink)
			file := "backends/" + name + ".yaml"
			want := otlpCases(sink, env["DD_API_KEY_FILE"])[name]
			some := only(env, readConfig(t, file).required)
			maps.Copy(some, want.env)
			maps.Copy(some, quick)
			c := collectortest.Start(t, collectortest.Options{Configs: []string{"base.yaml", file}, Env: some})
			sendAll(t, c)
			if want.paths["traces"] != "" {
				sink.WaitSpans(t, 2)
			}
			if want.paths["metrics"] != "" {
				checkMetrics(t, sink, want.delta)
			}
			if want.paths["logs"] != "" {
				checkLogs(t, sink, strings.HasPrefix(name, "siem-"))
			}
			checkRequests(t, sink, want)
			if strings.Contains(string(sink.Bytes(t)), overlayToken) || strings.Contains(c.Log(), overlayToken) {
				t.Error("the token is in a place where it does not belong")
			}
		})
	}
}

func checkRequests(t *testing.T, sink *collectortest.Sink, want otlpCase) {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range sink.Requests() {
		if !slices.Contains(slices.Collect(maps.Values(want.paths)), r.Path) {
			t.Errorf("a request to %s", r.Path)
		}
		seen[r.Path] = true
		for _, header := range []string{want.token, want.other} {
			key, value, ok := strings.Cut(strings.ReplaceAll(header, "%s", overlayToken), ": ")
			if ok && !slices.Equal(r.Header[key], []string{value}) {
				t.Errorf("%s: header %s is %q, want %q", r.Path, key, r.Header[key], value)
			}
		}
		if encoding := r.Header["grpc-accept-encoding"]; r.Encoding != "gzip" && len(encoding) == 0 {
			t.Errorf("%s: the body is not compressed: %q", r.Path, r.Encoding)
		}
		if ct := r.Header["content-type"]; len(ct) != 1 || ct[0] != "application/x-protobuf" && ct[0] != "application/grpc" {
			t.Errorf("%s: content type %q", r.Path, ct)
		}
	}
	if len(seen) != len(want.paths) {
		t.Errorf("requests to %v, want %v", slices.Sorted(maps.Keys(seen)), want.paths)
	}
}

// checkMetrics waits for the second reading, and checks temporality, value and exemplar.
func checkMetrics(t *testing.T, sink *collectortest.Sink, delta bool) {
	t.Helper()
	temporality, value := pmetric.AggregationTemporalityCumulative, int64(10)
	if delta {
		temporality, value = pmetric.AggregationTemporalityDelta, 5
	}
	var sum, histogram bool
	collectortest.Wait(t, func() bool {
		for _, m := range sink.AllMetrics() {
			switch {
			case m.Name() == "auth.attempts":
				for _, p := range m.Sum().DataPoints().All() {
					sum = sum || m.Sum().AggregationTemporality() == temporality && p.IntValue() == value && traced(p.Exemplars())
				}
			case m.Name() == "auth.attempt.duration":
				for _, p := range m.Histogram().DataPoints().All() {
					histogram = histogram || m.Histogram().AggregationTemporality() == temporality && p.Count() == uint64(value) && traced(p.Exemplars())
				}
			}
		}
		return sum && histogram
	}, "sum and histogram as %v %d with an exemplar", temporality, value)
	for _, m := range sink.AllMetrics() {
		if m.Type() == pmetric.MetricTypeSum && m.Sum().IsMonotonic() && m.Sum().AggregationTemporality() != temporality {
			t.Errorf("%s is %v", m.Name(), m.Sum().AggregationTemporality())
		}
	}
}

func traced(exemplars pmetric.ExemplarSlice) bool {
	for _, e := range exemplars.All() {
		if !e.TraceID().IsEmpty() && !e.SpanID().IsEmpty() {
			return true
		}
	}
	return false
}

func checkLogs(t *testing.T, sink *collectortest.Sink, securityOnly bool) {
	t.Helper()
	if !securityOnly {
		sink.WaitLogs(t, 3)
		return
	}
	// A test cannot wait for the absence of a record. So it sends a later event in the same way:
	// when that one has arrived, the earlier record would have arrived too.
	for _, r := range sink.WaitLogs(t, 2) {
		if r.EventName() != "auth.attempt" {
			t.Errorf("a SIEM got %q", r.EventName())
		}
	}
}

// Only auth.* events reach a SIEM, even if records of both kinds are in the same batches.
func TestOnlySecurityEventsReachTheSIEM(t *testing.T) {
	t.Parallel()
	all, siem := collectortest.NewSink(t), collectortest.NewSink(t)
	env := overlayEnvironment(t, siem)
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/otlp.yaml", "backends/siem-otlp.yaml"},
		Env: map[string]string{
			"OTLP_ENDPOINT": all.HTTP, "SIEM_OTLP_LOGS_ENDPOINT": siem.HTTP + "/v1/logs",
			"SIEM_OTLP_AUTHORIZATION_FILE": env["SIEM_OTLP_AUTHORIZATION_FILE"],
		},
	})
	names := []string{"auth.attempt", "order.placed", "", "authx", "xauth.attempt", "auth.detection", "Auth.attempt"}
	const rounds = 20
	for range rounds {
		for _, name := range names {
			c.HTTP().MustLogs(t, otherLogs(name, 1))
		}
	}
	all.WaitLogs(t, rounds*len(names))
	siem.WaitLogs(t, rounds*2)
	if err := c.Shutdown(t); err != nil { // flushes pending data
		t.Error(err)
	}
	for _, r := range siem.LogRecords() {
		if r.EventName() != "auth.attempt" && r.EventName() != "auth.detection" {
			t.Errorf("the SIEM got %q", r.EventName())
		}
	}
	if n := len(siem.LogRecords()); n != rounds*2 {
		t.Errorf("the SIEM got %d records, want %d", n, rounds*2)
	}
}

// TLS is verified: a certificate of an unknown CA is refused, and the data waits. With the CA it
// is sent.
func TestOverlayVerifiesTLS(t *testing.T) {
	t.Parallel()
	sink := collectortest.NewSink(t)
	server := httptest.NewTLSServer(sink)
	t.Cleanup(server.Close)
	ca := testkit.WriteCA(t, server.Certificate())
	o := collectortest.Options{
		Configs: []string{"base.yaml", "backends/otlp.yaml"},
		Env:     map[string]string{"OTLP_ENDPOINT": server.URL},
		Dir:     t.TempDir(),
	}
	c := collectortest.Start(t, o)
	c.HTTP().MustLogs(t, collectortest.Events("auth.attempt", 3))
	collectortest.Wait(t, func() bool { return strings.Contains(c.Log(), "certificate") }, "an error about the certificate")
	if n := sink.Tried(); n != 0 {
		t.Errorf("%d requests although the certificate is unknown", n)
	}
	if err := c.Shutdown(t); err != nil {
		t.Log(err)
	}
	o.Env["OTLP_CA_FILE"] = ca
	collectortest.Start(t, o)
	sink.WaitLogs(t, 3)
}

// A token file that ends in a newline cannot be a header. The collector logs this, keeps the data,
// and does not print the token.
func TestTokenFileWithNewline(t *testing.T) {
	t.Parallel()
	sink := collectortest.NewSink(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(overlayToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := collectortest.Options{
		Configs: []string{"base.yaml", "backends/honeycomb.yaml"},
		Env:     map[string]string{"HONEYCOMB_API_KEY_FILE": token, "HONEYCOMB_API_ENDPOINT": sink.HTTP},
		Dir:     t.TempDir(),
	}
	c := collectortest.Start(t, o)
	c.HTTP().MustLogs(t, collectortest.Events("auth.attempt", 3))
	collectortest.Wait(t, func() bool { return strings.Contains(strings.ToLower(c.Log()), "invalid header field value") }, "an error about the header")
	if strings.Contains(c.Log(), overlayToken) {
		t.Error("the token is printed")
	}
	_ = c.Shutdown(t)
	if err := os.WriteFile(token, []byte(overlayToken), 0o600); err != nil {
		t.Fatal(err)
	}
	collectortest.Start(t, o)
	sink.WaitLogs(t, 3)
}
