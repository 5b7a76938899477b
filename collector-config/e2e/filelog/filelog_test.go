// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package filelog

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.yaml.in/yaml/v3"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

var update = flag.Bool("update", false, "write testdata anew")

// reply is what a backend does with what it gets.
type reply int

const (
	accept reply = iota // record it, and say so
	refuse              // do not record it, and answer 503
	silent              // record it, and do not answer
)

// backend records what the collector exports.
type backend struct {
	url string

	mu    sync.Mutex
	logs  []plog.Logs
	reply reply
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	req := plogotlp.NewExportRequest()
	b.mu.Lock()
	does := b.reply
	if err != nil || req.UnmarshalProto(body) != nil {
		does = refuse
	}
	if does != refuse {
		b.logs = append(b.logs, req.Logs())
	}
	b.mu.Unlock()
	switch does {
	case refuse:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case silent:
		<-r.Context().Done()
		return
	}
	answer, _ := plogotlp.NewExportResponse().MarshalProto()
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(answer)
}

func (b *backend) will(r reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reply = r
}

// counts returns how often each line has arrived.
func (b *backend) counts() map[int64]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := map[int64]int{}
	for _, logs := range b.logs {
		for _, r := range records(logs) {
			seq, _ := r.Attributes().Get("auth.trail.seq")
			n[seq.Int()]++
		}
	}
	return n
}

func records(logs plog.Logs) (all []plog.LogRecord) {
	for _, rl := range logs.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				all = append(all, r)
			}
		}
	}
	return all
}

// config writes the configuration: the receiver and the storage of trail.yaml as they are, and an
// exporter instead of the processors and buses of base.yaml, which this collector does not have.
func config(t *testing.T, url, health string) string {
	t.Helper()
	text, err := os.ReadFile("../../trail.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	delete(c, "processors")
	c["extensions"].(map[string]any)["health_check"] = map[string]any{"endpoint": health}
	c["exporters"] = map[string]any{"otlp_http/test": map[string]any{
		"endpoint": url, "compression": "none", "sending_queue": map[string]any{"enabled": false}, "retry_on_failure": map[string]any{"enabled": false},
	}}
	c["service"] = map[string]any{
		"extensions": []string{"health_check", "file_storage/trail"},
		"telemetry":  map[string]any{"metrics": map[string]any{"level": "none"}},
		"pipelines": map[string]any{"logs/trail": map[string]any{
			"receivers": c["service"].(map[string]any)["pipelines"].(map[string]any)["logs/trail"].(map[string]any)["receivers"], "exporters": []string{"otlp_http/test"},
		}},
	}
	if text, err = yaml.Marshal(c); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "collector.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// collector is one that can be started again in the same place.
type collector struct {
	config, trail, queue, health string
}

// start starts it, and returns when it is healthy.
func (c *collector) start(t *testing.T) *testkit.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "--config", c.config)
	cmd.Env = []string{childEnv + "=1", "OTELAUTH_TRAIL_DIR=" + c.trail, "OTELAUTH_COLLECTOR_QUEUE_DIR=" + c.queue, "OTELAUTH_TRAIL_SERVICE=orders"}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close() })
	p := testkit.Start(t, cmd)
	p.WaitListening(t, "tcp", c.health)
	return p
}

func newCollector(t *testing.T) (*collector, *backend) {
	t.Helper()
	b, health := newBackend(t), net.JoinHostPort("127.0.0.1", testkit.FreePort(t))
	c := &collector{config: config(t, b.url, health), trail: t.TempDir(), queue: t.TempDir(), health: health}
	if err := os.Mkdir(filepath.Join(c.trail, "segments"), 0o700); err != nil {
		t.Fatal(err)
	}
	return c, b
}

// write appends lines to a segment, as a trail has them.
func (c *collector) write(t *testing.T, segment, from, to int) {
	t.Helper()
	var text bytes.Buffer
	for seq := from; seq < to; seq++ {
		fmt.Fprintf(&text, `{"seq":%d,"time":"2026-11-29T09:30:00.%09dZ","event":"auth.attempt","auth.scheme":"basic","auth.outcome":"failure","client.address":"192.0.2.7","url.path":"/%s"}`+"\n",
			seq, seq, strings.Repeat("x", seq%300))
	}
	f, err := os.OpenFile(filepath.Join(c.trail, "segments", fmt.Sprintf("%020d.jsonl", segment)), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(text.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// wait waits until the lines 0 to n-1 have arrived.
func wait(t *testing.T, p *testkit.Process, b *backend, n int) {
	t.Helper()
	p.Await(t, fmt.Sprintf("%d lines", n), func() bool { return len(b.counts()) >= n })
}

// twice returns the lines that arrived more than once.
func twice(b *backend) (lines []int64) {
	counts := b.counts()
	for _, seq := range slices.Sorted(maps.Keys(counts)) {
		if counts[seq] > 1 {
			lines = append(lines, seq)
		}
	}
	return lines
}

// A restart in the middle of a segment, with lines and segments written meanwhile, loses nothing,
// and repeats nothing whose answer the collector had read.
func TestRestart(t *testing.T) {
	t.Parallel()
	c, b := newCollector(t)
	c.write(t, 0, 0, 500)
	p := c.start(t)
	wait(t, p, b, 500)
	c.write(t, 0, 500, 700)
	c.write(t, 700, 700, 900)
	wait(t, p, b, 900)
	// A segment is sent in order, so the collector has read the answers to 900 lines when it sends
	// one line more of each segment. Those two may be in flight when it stops.
	c.write(t, 0, 900, 901)
	wait(t, p, b, 901)
	c.write(t, 700, 901, 902)
	wait(t, p, b, 902)
	p.Signal(t, syscall.SIGTERM)
	p.ExitCode(t)

	c.write(t, 700, 902, 1000)
	c.write(t, 1000, 1000, 1100)
	p = c.start(t)
	wait(t, p, b, 1100)
	for _, line := range twice(b) {
		if line != 900 && line != 901 {
			t.Errorf("line %d arrived twice", line)
		}
	}
}

// A stop repeats the batch in flight and nothing before it, and loses nothing.
func TestStopInFlight(t *testing.T) {
	t.Parallel()
	c, b := newCollector(t)
	c.write(t, 0, 0, 300)
	p := c.start(t)
	wait(t, p, b, 300)
	b.will(silent)
	c.write(t, 0, 300, 400)
	wait(t, p, b, 301)
	p.Signal(t, syscall.SIGTERM)
	p.ExitCode(t)
	b.will(accept)

	c.write(t, 0, 400, 500)
	p = c.start(t)
	wait(t, p, b, 500)
	lines := twice(b)
	if len(lines) == 0 || lines[0] != 300 || lines[len(lines)-1] >= 400 {
		t.Errorf("arrived twice: %v, want lines from 300 to at most 399", lines)
	}
}

// kill -9 loses nothing. It may repeat lines; auth.trail.seq identifies them.
func TestKill(t *testing.T) {
	t.Parallel()
	c, b := newCollector(t)
	c.write(t, 0, 0, 300)
	p := c.start(t)
	wait(t, p, b, 300)
	b.will(refuse) // these lines are read and not acknowledged
	c.write(t, 0, 300, 400)
	p.WaitLine(t, "503")
	p.Kill()
	b.will(accept)
	p = c.start(t)
	wait(t, p, b, 400)
}

// sortAttributes orders attributes by their keys; the receiver has them in a random order.
func sortAttributes(m pcommon.Map) {
	raw, sorted := m.AsRaw(), pcommon.NewMap()
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		value, _ := m.Get(key)
		value.CopyTo(sorted.PutEmpty(key))
	}
	sorted.CopyTo(m)
}

// TestReceiver holds the records against testdata/records.json, with which package e2e tests the
// processors.
func TestReceiver(t *testing.T) {
	t.Parallel()
	c, b := newCollector(t)
	lines := strings.Join([]string{
		`{"seq":0,"time":"2026-11-29T09:30:00.000000001Z","event":"auth.trail.segment","auth.trail.note":"orders\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— orders AAAA\n"}`,
		`{"seq":1,"time":"2026-11-29T09:30:00.5Z","event":"auth.attempt","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","auth.scheme":"basic","auth.outcome":"success","user.name":"alice","client.address":"192.0.2.7","client.port":51000,"http.request.header.x-request-id":["r-1"],"auth.credentials.exposed":true}`,
		`{"seq":2,"time":"2026-11-29T09:30:01Z","event":"auth.attempt","auth.scheme":"basic","auth.outcome":"failure","auth.reason":"wrong_password","client.address":"192.0.2.8","url.path":"/a\u0022,\"auth.outcome\":\"success\""}`,
		`{"seq":3,"time":"2026-11-29T09:30:02Z","event":"auth.attempt","auth.scheme":"basic","auth.outcome":"error","exception.message":"sqlstore: no answer"}`,
	}, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(c.trail, "segments", fmt.Sprintf("%020d.jsonl", 0)), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	p := c.start(t)
	wait(t, p, b, 4)
	all := plog.NewLogs()
	b.mu.Lock()
	for _, logs := range b.logs {
		for _, r := range records(logs) {
			r.SetObservedTimestamp(0)
			sortAttributes(r.Attributes())
		}
		logs.ResourceLogs().MoveAndAppendTo(all.ResourceLogs())
	}
	b.mu.Unlock()
	got, err := (&plog.JSONMarshaler{}).MarshalLogs(all)
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/records.json"
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(append(got, '\n'), want) {
		t.Errorf("%v\n got %s\nwant %s\nif the change is wanted: go test . -update", err, got, want)
	}
}
