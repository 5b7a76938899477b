// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.opentelemetry.io/otel"
	"go.yaml.in/yaml/v3"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

const victoriaLogs = "victoriametrics-logs-datasource"

// A board is the part of a dashboard that the tests read.
type board struct {
	File string `json:"-"`
	Text []byte `json:"-"`

	UID           string
	Title         string
	Description   string
	Tags          []string
	SchemaVersion int
	Panels        []boardPanel
	Templating    struct{ List []boardVariable }
	Annotations   struct{ List []boardAnnotation }
}

type boardPanel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ H, W, X, Y int }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []boardTarget
}

type boardTarget struct {
	Datasource struct{ Type, UID string }
	RefID      string
	Expr       string
	QueryType  string
	Instant    bool
	Exemplar   bool
}

type boardVariable struct {
	Type, Name, Label, Description, AllValue string
	Multi, IncludeAll                        bool
	Query                                    any
}

type boardAnnotation struct {
	Name, Expr string
	Datasource struct{ Type, UID string }
}

func dashboardsDir() string { return filepath.Join(collectortest.ConfigDir(), "dashboards") }

func boards(t *testing.T) []board {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dashboardsDir(), "*", "*.json"))
	if err != nil || len(files) < 5 {
		t.Fatalf("there are %d dashboards: %v", len(files), err)
	}
	var all []board
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b := board{Text: text}
		if err := json.Unmarshal(text, &b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		b.File, _ = filepath.Rel(dashboardsDir(), file)
		all = append(all, b)
	}
	return all
}

// spread are the fields that Grafana's schema leaves open in an annotation, because data sources
// add their own fields there.
var spread = []string{"step", "tagKeys", "titleFormat", "textFormat"}

// TestDashboardsFollowTheSchema decodes each file into the types that Grafana generates from its
// schemas of dashboards, panels and queries. A field that does not exist, or has another type, is
// an error.
func TestDashboardsFollowTheSchema(t *testing.T) {
	t.Parallel()
	plugins.RegisterDefaultPlugins()
	for _, b := range boards(t) {
		t.Run(b.File, func(t *testing.T) {
			t.Parallel()
			var fields map[string]any
			if err := json.Unmarshal(b.Text, &fields); err != nil {
				t.Fatal(err)
			}
			for _, a := range fields["annotations"].(map[string]any)["list"].([]any) {
				for _, name := range spread {
					delete(a.(map[string]any), name)
				}
			}
			closed, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			var d dashboard.Dashboard
			if err := d.UnmarshalJSONStrict(closed); err != nil {
				t.Error(err)
			}
			if err := d.Validate(); err != nil {
				t.Error(err)
			}
			if d.SchemaVersion != dashboard.NewDashboard().SchemaVersion {
				t.Errorf("schemaVersion is %d, that of the schema is %d", d.SchemaVersion, dashboard.NewDashboard().SchemaVersion)
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, b.Text, "", "  "); err != nil || !bytes.Equal(indented.Bytes(), b.Text) {
				t.Errorf("not indented by two spaces: %v", err)
			}
			// Grafana's schemas do not include the plugin's own queries.
			for _, p := range fields["panels"].([]any) {
				targets, _ := p.(map[string]any)["targets"].([]any)
				for _, target := range targets {
					target := target.(map[string]any)
					if target["datasource"].(map[string]any)["type"] != victoriaLogs {
						continue
					}
					for name := range target {
						if !slices.Contains([]string{"datasource", "expr", "queryType", "maxLines", "refId"}, name) {
							t.Errorf("panel %v: %s is not a field of a query of VictoriaLogs", p.(map[string]any)["title"], name)
						}
					}
				}
			}
		})
	}
}

var (
	interpolated = regexp.MustCompile(`\$(?:\{(\w+)[^}]*\}|(\w+))`)
	linkUID      = regexp.MustCompile(`"/d/([\w-]+)\?`)
)

// TestDashboardsAreWhole checks what the schema does not.
func TestDashboardsAreWhole(t *testing.T) {
	t.Parallel()
	uids := map[string]string{}
	for _, b := range boards(t) {
		if uids[b.UID] != "" {
			t.Errorf("%s and %s have the uid %s", b.File, uids[b.UID], b.UID)
		}
		uids[b.UID] = b.File
	}
	for _, want := range []string{"otelauth-overview", "otelauth-endpoint", "otelauth-client", "otelauth-client-victorialogs", "otelauth-verifier"} {
		if uids[want] == "" {
			t.Errorf("no dashboard has the uid %s, which links lead to", want)
		}
	}
	for _, b := range boards(t) {
		t.Run(b.File, func(t *testing.T) {
			t.Parallel()
			if b.Title == "" || b.Description == "" || !slices.Contains(b.Tags, "otelauth") {
				t.Error("title, description and the tag otelauth must be set")
			}
			for _, name := range []string{`"__inputs"`, `"__requires"`, `"gnetId"`, `"iteration"`, `"version"`, `"pluginVersion"`} {
				if strings.Contains(string(b.Text), name) {
					t.Errorf("%s belongs to an export, not to a file in a repository", name)
				}
			}
			for _, m := range linkUID.FindAllStringSubmatch(string(b.Text), -1) {
				if uids[m[1]] == "" {
					t.Errorf("a link leads to %s, which does not exist", m[1])
				}
			}
			known := map[string]bool{}
			for _, v := range b.Templating.List {
				known[v.Name] = true
				if v.Label == "" || v.Description == "" {
					t.Errorf("variable %s has no label or description", v.Name)
				}
				if !regexp.MustCompile(`\$\{?` + v.Name + `\b`).Match(b.Text) {
					t.Errorf("no query uses the variable %s", v.Name)
				}
			}
			for _, m := range interpolated.FindAllStringSubmatch(string(b.Text), -1) {
				if name := m[1] + m[2]; !known[name] && !strings.HasPrefix(name, "__") && name != "1" {
					t.Errorf("there is no variable %s", name)
				}
			}
			ids, cells := map[int]bool{}, map[[2]int]string{}
			for _, p := range b.Panels {
				if ids[p.ID] || p.ID == 0 || p.Title == "" {
					t.Errorf("panel %d %q: id and title must be set, the id once", p.ID, p.Title)
				}
				ids[p.ID] = true
				for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
					for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
						if cells[[2]int{x, y}] != "" || x > 23 {
							t.Fatalf("panel %q overlaps %q, or exceeds the grid", p.Title, cells[[2]int{x, y}])
						}
						cells[[2]int{x, y}] = p.Title
					}
				}
				if p.Type == "row" {
					continue
				}
				if p.Description == "" || len(p.Targets) == 0 {
					t.Errorf("panel %q has no description or no query", p.Title)
				}
				if (p.Type == "timeseries" || p.Type == "stat") && p.FieldConfig.Defaults.Unit == "" {
					t.Errorf("panel %q has no unit", p.Title)
				}
				for _, q := range p.Targets {
					if !known[strings.Trim(q.Datasource.UID, "${}")] {
						t.Errorf("panel %q: the data source %q is not a variable", p.Title, q.Datasource.UID)
					}
					for _, v := range b.Templating.List {
						if v.Multi && regexp.MustCompile(`[^~]"\$`+v.Name+`\b`).MatchString(q.Expr) {
							t.Errorf("panel %q: $%s may have several values, so it must follow =~", p.Title, v.Name)
						}
					}
					if q.Datasource.Type == "prometheus" {
						for _, complaint := range promQL(q.Expr) {
							t.Errorf("panel %q: %s", p.Title, complaint)
						}
					}
				}
			}
		})
	}
}

// promQL returns the problems of a query: a rate over a fixed time, a division by a value that may
// be zero, a label that would name a client or a user, an outcome or an error that does not exist.
func promQL(query string) (complaints []string) {
	if m := regexp.MustCompile(`\b(?:rate|increase)\([^\[]*\[([^\]]+)\]`).FindAllStringSubmatch(query, -1); m != nil {
		for _, window := range m {
			if window[1] != "$__rate_interval" && window[1] != "$__range" {
				complaints = append(complaints, "a rate over "+window[1])
			}
		}
	}
	if m := regexp.MustCompile(`\b(client|user|account)_(address|name|hash)\b`).FindString(query); m != "" {
		complaints = append(complaints, "metrics hold no "+m)
	}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(filled(query, nil))
	if err != nil {
		return append(complaints, err.Error())
	}
	closed := map[string][]string{"auth_outcome": nil, "error_type": nil}
	for _, o := range attempt.Outcomes() {
		closed["auth_outcome"] = append(closed["auth_outcome"], o.String())
	}
	for _, e := range attempt.ErrorTypes() {
		closed["error_type"] = append(closed["error_type"], e.String())
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			for _, m := range selector.LabelMatchers {
				for _, value := range language(m.Value, m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp) {
					if all, ok := closed[m.Name]; ok && value != "" && !slices.Contains(all, value) {
						complaints = append(complaints, value+" is no value of "+m.Name)
					}
				}
			}
		}
		division, ok := node.(*parser.BinaryExpr)
		if !ok || division.Op != parser.DIV {
			return nil
		}
		by := division.RHS
		for {
			inner, ok := by.(*parser.ParenExpr)
			if !ok {
				break
			}
			by = inner.Expr
		}
		if guard, ok := by.(*parser.BinaryExpr); !ok || guard.Op != parser.GTR || guard.RHS.String() != "0" {
			complaints = append(complaints, "a division by a value that may be zero: "+by.String())
		}
		return nil
	})
	return complaints
}

// filled replaces variables as Grafana does; values are inside of quotes.
func filled(query string, values map[string]string) string {
	all := map[string]string{"__rate_interval": "1m", "__interval": "15s", "__range": "30m", "job": ".+", "route": ".*", "service": ".+"}
	maps.Copy(all, values)
	return interpolated.ReplaceAllStringFunc(query, func(match string) string {
		if value, ok := all[strings.Trim(match, "${}")]; ok {
			return value
		}
		return match
	})
}

// several writes the values of a variable that may have many as Grafana's data source of
// Prometheus does.
func several(values ...string) string {
	var escaped []string
	for _, v := range values {
		v = strings.ReplaceAll(v, `\`, `\\\\`)
		for _, special := range `$^*{}[]'+?.()|` {
			v = strings.ReplaceAll(v, string(special), `\\`+string(special))
		}
		escaped = append(escaped, v)
	}
	return "(" + strings.Join(escaped, "|") + ")"
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// TestDashboardsQueriesAnswer runs every PromQL query of every panel, variable and annotation
// against a real Prometheus, with data that the real library, SDK and collector exported. An
// answer without a number is a failure, because it shows a panel that can never have data. So the
// story has an occasion for each panel. It is not parallel: see TestRulesReadRealSeries.
func TestDashboardsQueriesAnswer(t *testing.T) {
	t.Setenv("OTEL_GO_X_OBSERVABILITY", "true")
	scrape := servers.FreeAddrs(t, 1)[0]
	_, port, _ := net.SplitHostPort(scrape)
	backend := collectortest.NewSink(t)
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/otlp.yaml", "backends/prometheus-scrape.yaml"},
		Env:     map[string]string{"PROMETHEUS_SCRAPE_PORT": port, "OTLP_ENDPOINT": backend.HTTP, "OTELAUTH_COLLECTOR_DECISION_WAIT": "1s"},
	})
	losing := losingCollector(t)
	prometheus := servers.StartPrometheus(t, servers.PrometheusConfig{
		Scrape: []string{scrape, net.JoinHostPort(c.Address, collectortest.PortMetrics), net.JoinHostPort(losing.Address, collectortest.PortMetrics)},
		Rules:  quickRules(t),
	})

	s := newStory(t, c.HTTP().URL, c.Token)
	previous := otel.GetMeterProvider()
	otel.SetMeterProvider(s.meters)
	t.Cleanup(func() { otel.SetMeterProvider(previous) })
	s2 := newStory(t, c.HTTP().URL, c.Token) // with the SDK's own metrics
	s.traces, s.logs = s2.traces, s2.logs
	loseInService(t, sinkIn(t, collectortest.Reject))
	play := func() {
		send, end := s.service(t, otelauth.Config{Verifier: directory{}, Public: []string{"GET /orders/{id}"}})
		send(storyOwner, "/orders/7", "", "")
		end()
		s.play(t)
	}
	play()
	// A rate needs a series that rises, and span metrics arrive every 15 s.
	servers.Eventually(t, collectortest.Deadline, "the first part in Prometheus", func() error {
		if samples, err := prometheus.Query(`traces_span_metrics_calls_total and on () auth_attempts_total`); err != nil || len(samples) == 0 {
			return errors.Join(errors.New("nothing"), err)
		}
		return nil
	})

	open := map[string]func() error{}
	for _, b := range boards(t) {
		for _, v := range b.Templating.List {
			if query, ok := v.Query.(map[string]any); ok && query["qryType"] != nil {
				m := labelValues.FindStringSubmatch(query["query"].(string))
				if m == nil {
					t.Fatalf("%s: variable %s queries %v", b.File, v.Name, query["query"])
				}
				open[b.File+", variable "+v.Name] = func() error {
					samples, err := prometheus.Query("count by (" + m[2] + ") (" + filled(m[1], nil) + ")")
					if err == nil && !slices.ContainsFunc(samples, func(s servers.Sample) bool { return s.Labels[m[2]] != "" }) {
						err = errors.New("no value")
					}
					return err
				}
			}
		}
		for _, a := range b.Annotations.List {
			open[b.File+", annotation "+a.Name] = func() error { return answersRange(prometheus, filled(a.Expr, nil)) }
		}
		for _, p := range b.Panels {
			for _, q := range p.Targets {
				if q.Datasource.Type != "prometheus" {
					continue
				}
				for how, values := range map[string]map[string]string{
					"all":    nil,
					"chosen": {"job": several("shop/orders", "shop/none"), "route": several("/orders/{id}", "/admin")},
				} {
					expr := filled(q.Expr, values)
					name := fmt.Sprintf("%s, %s, %s (%s)", b.File, p.Title, q.RefID, how)
					// Behind an "or" a misspelt selector would not be noticed.
					for selector := range selectors(t, expr) {
						open[name+", "+selector] = func() error {
							samples, err := prometheus.Query("last_over_time(" + selector + "[1h])")
							if err == nil && len(samples) == 0 {
								err = errors.New("no series")
							}
							return err
						}
					}
					open[name] = func() error {
						if !q.Instant {
							return answersRange(prometheus, expr)
						}
						samples, err := prometheus.Query(expr)
						if err == nil && !slices.ContainsFunc(samples, func(s servers.Sample) bool { return !math.IsNaN(s.Value) }) {
							err = fmt.Errorf("no number: %s", expr)
						}
						return err
					}
					if q.Exemplar {
						open[name+", exemplars"] = func() error {
							exemplars, err := prometheus.Exemplars(expr)
							if err == nil && !slices.ContainsFunc(exemplars, func(e servers.Exemplar) bool { return hexTraceID.MatchString(e.Labels["trace_id"]) }) {
								err = fmt.Errorf("no exemplar leads to a trace: %s", expr)
							}
							return err
						}
					}
				}
			}
		}
	}
	if len(open) < 200 {
		t.Fatalf("only %d queries were found", len(open))
	}
	t.Logf("%d queries", len(open))
	var errs map[string]error
	next := time.Now()
	for end := next.Add(collectortest.Deadline); len(open) > 0 && time.Now().Before(end); {
		// An exemplar is lost if no scrape comes between two exports.
		if time.Now().After(next) {
			play()
			next = time.Now().Add(collectortest.Deadline / 4)
		}
		errs = map[string]error{}
		for name, ask := range open {
			if err := ask(); err != nil {
				errs[name] = err
			} else {
				delete(open, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(open)) {
		t.Errorf("%s: %v", name, errs[name])
	}
}

// selectors returns the selectors of a query, without times. If one selects several names, it
// returns each of them.
func selectors(t *testing.T, query string) map[string]bool {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	found := map[string]bool{}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		for i, m := range selector.LabelMatchers {
			if m.Name != model.MetricNameLabel || m.Type != labels.MatchRegexp {
				continue
			}
			for _, name := range language(m.Value, true) {
				matchers := slices.Clone(selector.LabelMatchers)
				matchers[i] = labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, name)
				found[(&parser.VectorSelector{LabelMatchers: matchers}).String()] = true
			}
			return nil
		}
		found[(&parser.VectorSelector{Name: selector.Name, LabelMatchers: selector.LabelMatchers}).String()] = true
		return nil
	})
	return found
}

func answersRange(p *servers.PrometheusServer, expr string) error {
	now := time.Now()
	series, err := p.QueryRange(expr, now.Add(-10*time.Minute), now, 15*time.Second)
	if err != nil {
		return err
	}
	for _, s := range series {
		for _, point := range s.Points {
			if !math.IsNaN(point.Value) {
				return nil
			}
		}
	}
	return fmt.Errorf("no number: %s", expr)
}

// quickRules are the shipped rules, evaluated every second.
func quickRules(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(collectortest.ConfigDir(), "alerts", "rules", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("rules: %d files, %v", len(files), err)
	}
	dir := t.TempDir()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = regexp.MustCompile(`(?m)^(    interval): \w+`).ReplaceAll(text, []byte("$1: 1s"))
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{filepath.Join(dir, "*.yaml")}
}

var blank = regexp.MustCompile(`\s+`)

// TestDashboardsAskWhatTheQueriesAsk compares the two dashboards about a client or account with
// alerts/queries: each query is a panel of both.
func TestDashboardsAskWhatTheQueriesAsk(t *testing.T) {
	t.Parallel()
	asked := map[string]bool{}
	for _, b := range boards(t) {
		for _, p := range b.Panels {
			for _, q := range p.Targets {
				asked[b.UID+" "+q.Expr] = true
			}
		}
	}
	for _, q := range logQueries(t) {
		flat := func(s string) string { return blank.ReplaceAllString(strings.TrimSpace(s), " ") }
		logql := strings.NewReplacer("[24h]", "[$__range]", `{service_name=~".+"}`, `{service_name=~"$service"}`).Replace(flat(q.LogQL))
		if !asked["otelauth-client "+logql] {
			t.Errorf("otelauth/client.json has no panel with the query %s: %s", q.Name, logql)
		}
		logsql := strings.Replace(flat(q.LogsQL), "_time:24h", "_time:$__range", 1)
		if !asked["otelauth-client-victorialogs "+logsql] {
			t.Errorf("victorialogs/client.json has no panel with the query %s: %s", q.Name, logsql)
		}
	}
}

// TestDashboardsNameFieldsOfRealEvents checks the log panels whose query is not in alerts/queries
// too.
func TestDashboardsNameFieldsOfRealEvents(t *testing.T) {
	t.Parallel()
	sink := collectortest.NewSink(t)
	newStory(t, sink.HTTP, "").play(t)
	fields := map[string]bool{"event_name": true, "trace_id": true, "service_name": true}
	events := []string{"auth.throttle.snapshot", "auth.detection.snapshot", "auth.detection.memory"}
	for _, r := range sink.LogRecords() {
		events = append(events, r.EventName())
		for k := range r.Attributes().All() {
			fields[k], fields[strings.ReplaceAll(k, ".", "_")] = true, true
		}
	}
	for _, b := range boards(t) {
		for _, p := range b.Panels {
			for _, q := range p.Targets {
				var names []string
				switch q.Datasource.Type {
				case "loki":
					names = fieldsOfLogQL(q.Expr)
				case victoriaLogs:
					names = fieldsOfLogsQL(q.Expr, events)
				}
				for _, name := range names {
					if !fields[name] {
						t.Errorf("%s, %s: no event that the library exported has the field %s", b.File, p.Title, name)
					}
				}
			}
		}
	}
}

// TestDashboardsAreProvisioned checks the files for Grafana. They name the directory of the
// dashboards and data sources that exist. A trace id leads from metrics to traces and events, from
// events to traces, and from traces to events.
func TestDashboardsAreProvisioned(t *testing.T) {
	t.Parallel()
	read := func(path string, into any) {
		text, err := os.ReadFile(filepath.Join(dashboardsDir(), "provisioning", path))
		if err != nil {
			t.Fatal(err)
		}
		decoder := yaml.NewDecoder(strings.NewReader(string(text)))
		decoder.KnownFields(true)
		if err := decoder.Decode(into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	var provided struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Folder, Type string
			DisableDeletion    bool `yaml:"disableDeletion"`
			AllowUIUpdates     bool `yaml:"allowUiUpdates"`
			Options            struct{ Path string }
		}
	}
	read("dashboards/otelauth.yaml", &provided)
	if len(provided.Providers) != 1 || provided.Providers[0].Options.Path != "/etc/otelauth/dashboards/otelauth" || provided.Providers[0].AllowUIUpdates {
		t.Errorf("the provider is %+v", provided)
	}
	type destination struct {
		Name, URL       string
		MatcherType     string `yaml:"matcherType"`
		MatcherRegex    string `yaml:"matcherRegex"`
		DatasourceUID   string `yaml:"datasourceUid"`
		URLDisplayLabel string `yaml:"urlDisplayLabel"`
	}
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault                    bool `yaml:"isDefault"`
			JSONData                     struct {
				Exemplars []destination  `yaml:"exemplarTraceIdDestinations"`
				Derived   []destination  `yaml:"derivedFields"`
				ToLogs    map[string]any `yaml:"tracesToLogsV2"`
				ToMetrics map[string]any `yaml:"tracesToMetrics"`
				Others    map[string]any `yaml:",inline"`
			} `yaml:"jsonData"`
		}
	}
	read("datasources/otelauth.yaml", &sources)
	var leads []string
	for _, s := range sources.Datasources {
		for _, d := range append(s.JSONData.Exemplars, s.JSONData.Derived...) {
			to := d.DatasourceUID
			if to == "" {
				to, _, _ = strings.Cut(d.URL, "?")
			}
			leads = append(leads, s.UID+" → "+to)
		}
		for _, m := range []map[string]any{s.JSONData.ToLogs, s.JSONData.ToMetrics} {
			if m != nil {
				leads = append(leads, fmt.Sprint(s.UID, " → ", m["datasourceUid"]))
			}
		}
	}
	want := []string{
		"prometheus → tempo", "prometheus → /d/otelauth-client", "loki → tempo", "loki → /d/otelauth-client", "tempo → loki", "tempo → prometheus",
	}
	if !slices.Equal(leads, want) {
		t.Errorf("a trace id leads\n%q, want\n%q", leads, want)
	}
}
