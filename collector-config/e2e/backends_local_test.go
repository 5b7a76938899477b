// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/internal/testkit"
)

// eventNames returns the event names of OTLP JSON lines.
func eventNames(t testing.TB, path string) map[string]int {
	t.Helper()
	names := map[string]int{}
	b, _ := os.ReadFile(path)
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(lines.Bytes())
		if err != nil {
			continue // the line that is being written
		}
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, r := range sl.LogRecords().All() {
					names[r.EventName()]++
				}
			}
		}
	}
	return names
}

// Files are readable by the collector's user only. auth.* events are in a file of their own. A
// full file is rotated, and the number of rotated files is bounded.
func TestFileOverlay(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "by the collector")
	env := map[string]string{"FILE_DIR": dir, "FILE_MAX_MB": "1", "FILE_BACKUPS": "2"}
	maps.Copy(env, quick)
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/file.yaml"}, Env: env,
	})
	sendAll(t, c)
	file := func(name string) string { return filepath.Join(dir, name+".jsonl") }
	collectortest.Wait(t, func() bool {
		for _, name := range []string{"traces", "metrics", "logs", "security"} {
			if b, err := os.ReadFile(file(name)); err != nil || !bytes.Contains(b, []byte(collectortest.ServiceName)) {
				return false
			}
		}
		return eventNames(t, file("logs"))["order.placed"] == 1 && eventNames(t, file("security"))["auth.attempt"] == 2
	}, "four files with what was sent")
	if names := eventNames(t, file("security")); len(names) != 1 {
		t.Errorf("security.jsonl holds %v", names)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v %v", info.Mode(), err)
	}

	filler := strings.Repeat("x", 4000)
	logs := collectortest.Events("auth.attempt", 100)
	for _, r := range logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().All() {
		r.Attributes().PutStr("url.path", filler)
	}
	for range 15 { // 6 MB
		c.HTTP().MustLogs(t, logs)
	}
	rotated := func() []string {
		names, _ := filepath.Glob(filepath.Join(dir, "security-*"))
		return names
	}
	collectortest.Wait(t, func() bool { return len(rotated()) == 2 }, "two rotated files and no more")
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a file that was rotated away meanwhile
		}
		info, err := d.Info()
		// files that other users cannot write or execute, and directories that they cannot enter
		if err == nil && info.Mode().Perm()&0o133 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if err == nil && info.Size() > 1<<20+1<<19 {
			t.Errorf("%s has %d bytes", path, info.Size())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, url, accept string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

// Prometheus reads metrics with the names of the rules, the labels job and instance, no scope
// labels, and the exemplar.
func TestPrometheusScrapeOverlay(t *testing.T) {
	t.Parallel()
	port := testkit.FreePort(t)
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/prometheus-scrape.yaml"}, Env: map[string]string{"PROMETHEUS_SCRAPE_PORT": port},
	})
	metrics, id := testMetrics(time.Now().Add(-time.Minute), 1)
	metrics.ResourceMetrics().At(0).Resource().Attributes().PutStr("service.instance.id", "one")
	c.HTTP().MustMetrics(t, metrics)
	var page string
	collectortest.Wait(t, func() bool {
		page = get(t, "http://127.0.0.1:"+port+"/metrics", "application/openmetrics-text")
		return strings.Contains(page, "auth_attempts_total{")
	}, "auth_attempts_total")
	for _, line := range []string{
		`(?m)^auth_attempts_total\{auth_outcome="failure",instance="one",job="collectortest"\} 5(\.0)? # \{.*trace_id="` + id.String(),
		`(?m)^auth_attempt_duration_seconds_bucket\{instance="one",job="collectortest",le="1(\.0)?"\} 5 # \{.*trace_id="` + id.String(),
	} {
		if !regexp.MustCompile(line).MatchString(page) {
			t.Errorf("no line %s in:\n%s", line, page)
		}
	}
}

// A request to an HTTP endpoint that is not an OTLP sink.
type rawRequest struct {
	path   string
	header http.Header
	body   []byte // decompressed
}

type rawServer struct {
	url string

	mu       sync.Mutex
	requests []rawRequest
}

func newRawServer(t testing.TB, answer string) *rawServer {
	t.Helper()
	s := &rawServer{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			zipped, err := gzip.NewReader(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			body = zipped
		}
		b, err := io.ReadAll(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.requests = append(s.requests, rawRequest{r.URL.RequestURI(), r.Header, b})
		s.mu.Unlock()
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *rawServer) all() []rawRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func TestSplunkOverlay(t *testing.T) {
	t.Parallel()
	ingest, hec := newRawServer(t, ""), newRawServer(t, `{"text":"Success","code":0}`)
	env := overlayEnvironment(t, &collectortest.Sink{})
	some := only(env, readConfig(t, "backends/splunk.yaml").required)
	some["SPLUNK_INGEST_URL"], some["SPLUNK_HEC_URL"] = ingest.url, hec.url+"/services/collector"
	maps.Copy(some, quick)
	c := collectortest.Start(t, collectortest.Options{Configs: []string{"base.yaml", "backends/splunk.yaml"}, Env: some})
	sendAll(t, c)
	var events []map[string]any
	collectortest.Wait(t, func() bool {
		events = nil
		for _, r := range hec.all() {
			decoder := json.NewDecoder(bytes.NewReader(r.body))
			for decoder.More() {
				var event map[string]any
				if err := decoder.Decode(&event); err != nil {
					t.Fatalf("%v: %q", err, r.body)
				}
				events = append(events, event)
			}
		}
		paths := map[string]bool{}
		for _, r := range ingest.all() {
			paths[r.path] = true
		}
		return len(events) == 3 && paths["/v2/trace/otlp"] && paths["/v2/datapoint/otlp"]
	}, "three events, traces and metrics")
	for _, r := range hec.all() {
		if r.path != "/services/collector" || r.header.Get("Authorization") != "Splunk "+overlayToken || r.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("HEC got %s %v", r.path, r.header)
		}
	}
	for _, r := range ingest.all() {
		if (r.path != "/v2/trace/otlp" && r.path != "/v2/datapoint/otlp") || r.header.Get("X-Sf-Token") != overlayToken || r.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("ingest got %s %v", r.path, r.header)
		}
	}
	outcomes := 0
	for _, event := range events {
		if event["index"] != "main" || event["sourcetype"] != "otel:auth" || event["source"] != "otelauth" {
			t.Errorf("%v", event)
		}
		if fields, _ := event["fields"].(map[string]any); fields["auth.outcome"] == "failure" && fields["event.name"] == "auth.attempt" && fields["trace_id"] != nil {
			outcomes++
		}
	}
	if outcomes != 2 {
		t.Errorf("%d events with their outcome: %v", outcomes, events)
	}
	if strings.Contains(c.Log(), overlayToken) {
		t.Error("the token is printed")
	}
}

// With all overlays in one collector, every backend gets what it would get alone.
func TestOverlaysTogether(t *testing.T) {
	t.Parallel()
	sink, broker, hec, ingest := collectortest.NewSink(t), newKafka(t), newRawServer(t, `{"text":"Success","code":0}`), newRawServer(t, "")
	env := overlayEnvironment(t, sink)
	token := env["DD_API_KEY_FILE"]
	want := map[string]bool{}
	for _, c := range otlpCases(sink, token) {
		maps.Copy(env, c.env)
		for _, path := range c.paths {
			want[path] = true
		}
	}
	maps.Copy(env, broker.env(t, "KAFKA_", "producer"))
	maps.Copy(env, broker.env(t, "SIEM_KAFKA_", "producer"))
	maps.Copy(env, broker.env(t, "KAFKA_CONSUMER_", "consumer"))
	dir, port := filepath.Join(t.TempDir(), "telemetry"), testkit.FreePort(t)
	maps.Copy(env, map[string]string{
		"FILE_DIR": dir, "PROMETHEUS_SCRAPE_PORT": port, "SPLUNK_INGEST_URL": ingest.url, "SPLUNK_HEC_URL": hec.url + "/services/collector",
		"SIEM_SYSLOG_PORT": "9", "KAFKA_CONSUMER_TOPIC_PREFIX": "otelauth_other",
	})
	maps.Copy(env, quick)
	configs := []string{"base.yaml"}
	for _, name := range overlayNames(t) {
		configs = append(configs, "backends/"+name+".yaml")
	}
	if out, err := collectortest.Validate(t, collectortest.Options{Configs: configs, Env: env}); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	slices.Reverse(configs[1:]) // the order of overlays does not matter
	c := collectortest.Start(t, collectortest.Options{Configs: configs, Env: env})
	sendAll(t, c)
	var missing []string
	collectortest.Wait(t, func() bool {
		seen := map[string]bool{}
		for _, r := range sink.Requests() {
			seen[r.Path] = true
		}
		missing = nil
		for path := range want {
			if !seen[path] {
				missing = append(missing, path)
			}
		}
		for what, ok := range map[string]bool{
			"splunk hec":    len(hec.all()) > 0,
			"splunk ingest": len(ingest.all()) >= 2,
			"file":          eventNames(t, filepath.Join(dir, "security.jsonl"))["auth.attempt"] == 2,
			"scrape":        strings.Contains(get(t, "http://127.0.0.1:"+port+"/metrics", "*/*"), "auth_attempts_total"),
			"kafka":         broker.held("otelauth_traces") > 0 && broker.held("otelauth_metrics") > 0 && broker.held("otelauth_logs") > 0,
			"siem-kafka":    broker.held("otelauth_security") > 0,
		} {
			if !ok {
				missing = append(missing, what)
			}
		}
		return len(missing) == 0
	}, "every backend; missing %v", printer{&missing})
}

// A printer prints the current value that its pointer refers to.
type printer struct{ list *[]string }

func (p printer) String() string { return fmt.Sprint(*p.list) }
