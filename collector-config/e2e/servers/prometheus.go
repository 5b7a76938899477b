// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"time"
)

// PrometheusConfig configures a Prometheus. Its zero value scrapes nothing and accepts pushed
// data.
type PrometheusConfig struct {
	Program string   // [Prometheus2] (the zero value) or [Prometheus3]
	Addr    string   // host:port to listen on; default: a free one
	Scrape  []string // host:port of targets with /metrics
	// of scraping, and of rule groups without an interval of their own; 0 means one second
	Interval      time.Duration
	Rules         []string // paths or patterns of rule files
	Alertmanagers []string // host:port
	Args          []string // further command-line flags
}

// PrometheusServer is a running Prometheus. It accepts remote write, and Prometheus 3 also OTLP.
// It stores exemplars.
type PrometheusServer struct {
	*Process
	Addr string // host:port
	URL  string // http://host:port
}

// StartPrometheus starts a Prometheus.
func StartPrometheus(t Owner, cfg PrometheusConfig) *PrometheusServer {
	t.Helper()
	if cfg.Program == "" {
		cfg.Program = Prometheus2
	}
	if cfg.Interval == 0 {
		cfg.Interval = time.Second
	}
	path := found(t, cfg.Program)
	dir := t.TempDir()
	addr := cfg.Addr
	if addr == "" {
		addr = FreeAddrs(t, 1)[0]
	}

	// JSON is valid YAML.
	interval := strconv.FormatInt(cfg.Interval.Milliseconds(), 10) + "ms"
	config := map[string]any{
		"global":     map[string]any{"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
		"rule_files": cfg.Rules,
		// The collector's exporter sets job and instance itself.
		"scrape_configs": []any{map[string]any{
			"job_name": "collector", "honor_labels": true,
			"static_configs": []any{map[string]any{"targets": nonNil(cfg.Scrape)}},
		}},
		"alerting": map[string]any{"alertmanagers": []any{map[string]any{
			"static_configs": []any{map[string]any{"targets": nonNil(cfg.Alertmanagers)}},
		}}},
	}
	args := []string{
		"--config.file=" + filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + addr,
		"--web.enable-remote-write-receiver",
		"--web.enable-admin-api", // snapshots
		"--web.enable-lifecycle",
		"--enable-feature=exemplar-storage",
		"--log.level=warn",
		// An alert that fires before the Alertmanagers are discovered, seconds after the start,
		// would be sent again only after a minute.
		"--rules.alert.resend-delay=2s",
	}
	if cfg.Program == Prometheus3 {
		args = append(args, "--web.enable-otlp-receiver")
		config["otlp"] = map[string]any{"promote_resource_attributes": []string{}}
		// Samples of several senders, and retries, arrive out of order.
		config["storage"] = map[string]any{"tsdb": map[string]any{"out_of_order_time_window": "10m"}}
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		t.Fatalf("servers: %v", err)
	}
	writeFile(t, filepath.Join(dir, "prometheus.yml"), text)
	p := &PrometheusServer{Addr: addr, URL: "http://" + addr}
	p.Process = Start(t, Program{
		Name: cfg.Program, Path: path, Dir: dir, Args: append(args, cfg.Args...), Ready: answers(p.URL + "/-/ready"),
	})
	return p
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// Sample is one series of a result, with its value at one time.
type Sample struct {
	Labels map[string]string
	Value  float64
	Time   time.Time
}

// Query evaluates a PromQL expression at the current time.
func (p *PrometheusServer) Query(expr string) ([]Sample, error) {
	var answer struct {
		Data struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := ask(p.URL+"/api/v1/query", url.Values{"query": {expr}}, &answer); err != nil {
		return nil, err
	}
	if answer.Data.ResultType == "scalar" {
		var v point
		err := json.Unmarshal(answer.Data.Result, &v)
		return []Sample{{Value: v.value, Time: v.time}}, err
	}
	var series []struct {
		Metric map[string]string
		Value  point
	}
	if err := json.Unmarshal(answer.Data.Result, &series); err != nil {
		return nil, err
	}
	samples := make([]Sample, 0, len(series))
	for _, s := range series {
		samples = append(samples, Sample{Labels: s.Metric, Value: s.Value.value, Time: s.Value.time})
	}
	return samples, nil
}

// Series is one series of a result over a range of time.
type Series struct {
	Labels map[string]string
	Points []Sample // without Labels
}

// QueryRange evaluates a PromQL expression from start to end at each step.
func (p *PrometheusServer) QueryRange(expr string, start, end time.Time, step time.Duration) ([]Series, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Values []point
			}
		}
	}
	err := ask(p.URL+"/api/v1/query_range", url.Values{
		"query": {expr}, "start": {seconds(start)}, "end": {seconds(end)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	}, &answer)
	series := make([]Series, 0, len(answer.Data.Result))
	for _, r := range answer.Data.Result {
		s := Series{Labels: r.Metric}
		for _, v := range r.Values {
			s.Points = append(s.Points, Sample{Value: v.value, Time: v.time})
		}
		series = append(series, s)
	}
	return series, err
}

// Exemplar is an exemplar with the labels of its series.
type Exemplar struct {
	Series map[string]string
	Labels map[string]string // trace_id, span_id
	Value  float64
}

// Exemplars returns the exemplars of the series of an expression in the last hour.
func (p *PrometheusServer) Exemplars(expr string) ([]Exemplar, error) {
	now := time.Now()
	var answer struct {
		Data []struct {
			SeriesLabels map[string]string
			Exemplars    []struct {
				Labels map[string]string
				Value  string
			}
		}
	}
	err := ask(p.URL+"/api/v1/query_exemplars", url.Values{
		"query": {expr}, "start": {seconds(now.Add(-time.Hour))}, "end": {seconds(now.Add(time.Minute))},
	}, &answer)
	var exemplars []Exemplar
	for _, s := range answer.Data {
		for _, e := range s.Exemplars {
			value, _ := strconv.ParseFloat(e.Value, 64)
			exemplars = append(exemplars, Exemplar{Series: s.SeriesLabels, Labels: e.Labels, Value: value})
		}
	}
	return exemplars, err
}

// Alert is an alert that is pending or firing.
type Alert struct {
	Labels      map[string]string
	Annotations map[string]string
	State       string // pending, firing; in Alertmanager active or suppressed
	ActiveAt    time.Time
}

// Alerts returns the pending and firing alerts.
func (p *PrometheusServer) Alerts() ([]Alert, error) {
	var answer struct{ Data struct{ Alerts []Alert } }
	err := ask(p.URL+"/api/v1/alerts", nil, &answer)
	return answer.Data.Alerts, err
}

// RuleHealth returns the errors of rules by name, and the number of rules. A rule that was not
// evaluated yet counts as an error.
func (p *PrometheusServer) RuleHealth() (errs map[string]string, rules int, err error) {
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	if err := ask(p.URL+"/api/v1/rules", nil, &answer); err != nil {
		return nil, 0, err
	}
	errs = make(map[string]string)
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			rules++
			if r.Health != "ok" {
				errs[r.Name] = r.Health + ": " + r.LastError
			}
		}
	}
	return errs, rules, nil
}

// MetricNames returns the names of all metrics.
func (p *PrometheusServer) MetricNames() ([]string, error) {
	var answer struct{ Data []string }
	err := ask(p.URL+"/api/v1/label/__name__/values", nil, &answer)
	return answer.Data, err
}

// Snapshot writes the data in memory to a directory of blocks and returns its path.
func (p *PrometheusServer) Snapshot() (string, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, p.URL+"/api/v1/admin/tsdb/snapshot", http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		return "", err
	}
	if err := status(resp, body.Bytes()); err != nil {
		return "", err
	}
	var answer struct{ Data struct{ Name string } }
	if err := json.Unmarshal(body.Bytes(), &answer); err != nil {
		return "", err
	}
	return filepath.Join(p.Dir, "data", "snapshots", answer.Data.Name), nil
}

// point is Prometheus' [seconds, "value"].
type point struct {
	time  time.Time
	value float64
}

func (p *point) UnmarshalJSON(b []byte) error {
	var pair [2]any
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	at, ok1 := pair[0].(float64)
	text, ok2 := pair[1].(string)
	value, err := strconv.ParseFloat(text, 64)
	if !ok1 || !ok2 || err != nil {
		return fmt.Errorf("servers: %s is no point", b)
	}
	p.time, p.value = time.UnixMilli(int64(at*1000)), value
	return nil
}

func seconds(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}
