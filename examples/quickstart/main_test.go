// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// The tests are not parallel, because the program sets the global providers.

func TestMain(m *testing.M) {
	testkit.Unset("OTEL_")
	os.Exit(m.Run())
}

var passwords = []string{"wonderland", "builder", "toor", "looking-glass"}

// once runs the tour and returns what it printed.
func once(t *testing.T, flags ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), append(flags, "--addr", "127.0.0.1:0", "--once"), &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Fatalf("exit status %d, stderr %q", status, stderr.String())
	}
	otelauthtest.NoSecretsIn(t, "standard output", stdout.Bytes(), passwords...)
	return stdout.String()
}

var (
	columnGap = regexp.MustCompile(`\s{2,}`)
	hashCell  = regexp.MustCompile(`^r-[0-9a-f]{8}:[0-9a-f]{4}…$`)
	traceCell = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// table returns the cells of the table, with replacements for what differs from run to run.
func table(t *testing.T, out string) (cells [][]string, traceIDs map[string]string) {
	t.Helper()
	traceIDs = make(map[string]string)
	head, _, _ := strings.Cut(out, "\n\n")
	for i, line := range strings.Split(head, "\n") {
		row := fields(line)
		if len(row) != 6 {
			t.Fatalf("row %q has %d cells", line, len(row))
		}
		if i > 0 {
			if !traceCell.MatchString(row[5]) {
				t.Errorf("%q is no trace id", row[5])
			}
			traceIDs[row[0]], row[5] = row[5], ""
			if hashCell.MatchString(row[3]) {
				row[3] = "hash"
			}
		}
		cells = append(cells, row)
	}
	return cells, traceIDs
}

// fields splits a row at its columns; a cell may hold single spaces.
func fields(line string) []string {
	var cells []string
	rest := []rune(line)
	for _, width := range []int{22, 7, 10, 17, 10} {
		if len(rest) < width {
			return columnGap.Split(line, -1)
		}
		cells = append(cells, strings.TrimSpace(string(rest[:width])))
		rest = rest[width:]
	}
	return append(cells, string(rest))
}

// TestPage: without a flag, the quickstart prints one page of text.
func TestPage(t *testing.T) {
	out := once(t)
	_, traceIDs := table(t, out)
	if n := strings.Count(out, "\n"); n > 50 {
		t.Errorf("%d lines are more than a page", n)
	}
	if strings.Contains(out, "\x1b") {
		t.Error("there are colours, but no terminal")
	}
	for line := range strings.Lines(out) {
		if n := utf8.RuneCountInString(line); n > 150 {
			t.Errorf("%d characters: %s", n, line)
		}
	}
	for _, text := range []string{
		"\nTrace " + traceIDs["wrong password"] + "\n  GET /orders/{id} ",
		"\n  └─ authenticate basic ", "\n     └─ verify password ",
		"\n  auth.attempts ", "\n  auth.attempt.duration ", "\n  http.server.request.duration ",
		"\nEvent auth.attempt WARN\n", "\n  user.name                  bob\n", "\n  error.type                 invalid_credentials\n",
	} {
		if !strings.Contains(out, text) {
			t.Errorf("%q is missing:\n%s", text, out)
		}
	}
}

// TestColors: colours are for terminals whose user has not set NO_COLOR.
func TestColors(t *testing.T) {
	terminal, tty, err := pty.Open()
	if err != nil {
		t.Skip("there is no pseudo-terminal: mount devpts at /dev/pts: ", err)
	}
	defer func() { _, _ = terminal.Close(), tty.Close() }()
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	if !hasColors(tty) || hasColors(new(bytes.Buffer)) {
		t.Error("colours are for terminals")
	}
	b := newBoard(tty, false)
	if got := b.bold("Trace"); got != "\x1b[1mTrace\x1b[0m" {
		t.Errorf("%q is not bold", got)
	}
	t.Setenv("NO_COLOR", "1")
	if hasColors(tty) {
		t.Error("NO_COLOR is ignored")
	}
}

func TestTour(t *testing.T) {
	out := once(t, "--json")
	got, traceIDs := table(t, out)
	want := [][]string{
		{"attempt", "status", "outcome", "user", "cache", "trace id"},
		{"right password", "200", "success", "alice", "miss", ""},
		{"the same again", "200", "success", "alice", "hit", ""},
		{"wrong password", "401", "failure", "bob", "miss", ""},
		{"unknown user", "401", "failure", "hash", "miss", ""},
		{"no credentials", "401", "missing", "-", "-", ""},
		{"malformed header", "400", "malformed", "-", "-", ""},
		{"403 from the handler", "403", "success", "alice", "hit", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if len(traceIDs) != len(want)-1 {
		t.Errorf("%d attempts have a trace of their own, want %d", len(traceIDs), len(want)-1)
	}

	d := parse(t, out)
	id := traceIDs["wrong password"]
	var names []string
	for _, s := range d.spans {
		names = append(names, s.Name)
		if s.SpanContext.TraceID != id {
			t.Errorf("span %q is of trace %s, the table has %s", s.Name, s.SpanContext.TraceID, id)
		}
	}
	if diff := cmp.Diff([]string{"verify password", "authenticate basic", "GET /orders/{id}"}, names); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if d.event.EventName != "auth.attempt" || d.event.TraceID != id {
		t.Errorf("event %q of trace %s, want auth.attempt of %s", d.event.EventName, d.event.TraceID, id)
	}
	points := d.exemplars()
	for _, name := range []string{"auth.attempts", "auth.attempt.duration", "auth.password.verify.duration", "http.server.request.duration"} {
		if len(points[name]) == 0 {
			t.Errorf("no point of %s leads to the trace", name)
		}
	}
	for name, traces := range points {
		for _, traceID := range traces {
			if traceID != id {
				t.Errorf("an exemplar of %s leads to %s, want %s", name, traceID, id)
			}
		}
	}
}

// documents are the JSON documents that are printed for one attempt.
type documents struct {
	spans []struct {
		Name        string
		SpanContext struct{ TraceID string }
	}
	metrics struct {
		ScopeMetrics []struct {
			Metrics []struct {
				Name string
				Data struct {
					DataPoints []struct {
						Exemplars []struct{ TraceID []byte }
					}
				}
			}
		}
	}
	event struct{ EventName, TraceID string }
}

// exemplars returns the traces that the exemplars of each metric lead to.
func (d *documents) exemplars() map[string][]string {
	points := make(map[string][]string)
	for _, s := range d.metrics.ScopeMetrics {
		for _, m := range s.Metrics {
			for _, p := range m.Data.DataPoints {
				for _, e := range p.Exemplars {
					points[m.Name] = append(points[m.Name], hex.EncodeToString(e.TraceID))
				}
			}
		}
	}
	return points
}

func parse(t *testing.T, out string) (d documents) {
	t.Helper()
	_, out, found := strings.Cut(out, "\nTrace:\n")
	spans, out, found2 := strings.Cut(out, "\nMetric points")
	_, out, found3 := strings.Cut(out, ":\n")
	points, event, found4 := strings.Cut(out, "\nEvent:\n")
	if !found || !found2 || !found3 || !found4 {
		t.Fatal("a heading is missing")
	}
	dec := json.NewDecoder(strings.NewReader(spans))
	for dec.More() {
		d.spans = append(d.spans, struct {
			Name        string
			SpanContext struct{ TraceID string }
		}{})
		if err := dec.Decode(&d.spans[len(d.spans)-1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.NewDecoder(strings.NewReader(points)).Decode(&d.metrics); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(strings.NewReader(event)).Decode(&d.event); err != nil {
		t.Fatal(err)
	}
	return d
}

// output is a standard output that never blocks its writer, read line by line.
type output struct {
	mu     sync.Mutex
	more   *sync.Cond
	text   bytes.Buffer
	closed bool
}

func newOutput() *output {
	o := new(output)
	o.more = sync.NewCond(&o.mu)
	return o
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.more.Broadcast()
	return o.text.Write(p)
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.more.Broadcast()
}

// next waits for a whole line. It reports false at the end of the output.
func (o *output) next() (line string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !bytes.Contains(o.text.Bytes(), []byte("\n")) {
		if o.closed {
			return "", false
		}
		o.more.Wait()
	}
	line, _ = o.text.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), true
}

// serving runs the quickstart. until returns the next line that begins with a prefix, and every
// line before it.
func serving(t *testing.T, flags ...string) (url string, until func(prefix string) (line string, before []string)) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	stdout, stderr := newOutput(), new(bytes.Buffer)
	go func() {
		ended <- run(ctx, append(flags, "--addr", "127.0.0.1:0"), stdout, stderr)
		stdout.close()
	}()
	t.Cleanup(func() {
		stop()
		if status := <-ended; status != 0 || stderr.Len() > 0 {
			t.Errorf("exit status %d, stderr %q", status, stderr.String())
		}
	})
	until = func(prefix string) (line string, before []string) {
		t.Helper()
		for line, ok := stdout.next(); ok; line, ok = stdout.next() {
			if strings.HasPrefix(line, prefix) {
				return line, before
			}
			before = append(before, line)
		}
		t.Fatalf("no line begins with %q; stderr %q", prefix, stderr.String())
		return "", nil
	}
	line, _ := until("Serving on ")
	until("    curl -i -u root")
	until("") // the line after the commands
	return strings.Fields(line)[2], until
}

// call sends a request and checks the status.
func call(t *testing.T, method, url, name, password string, want int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if name != "" {
		r.SetBasicAuth(name, password)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != want {
		t.Errorf("%s %s: status %d, want %d", method, url, resp.StatusCode, want)
	}
}

// TestServesOn: each attempt adds one line.
func TestServesOn(t *testing.T) {
	url, until := serving(t)
	for _, c := range []struct {
		method, path, name, password string
		status                       int
		row                          []string // nil: no attempt
	}{
		{"GET", "/", "", "", 200, nil},
		{"POST", "/orders", "bob", "builder", 201, []string{"POST /orders", "201", "success", "bob", "miss"}},
		{"GET", "/orders/8", "alice", "toor", 401, []string{"GET /orders/8", "401", "failure", "alice", "miss"}},
		{"GET", "/admin", "root", "toor", 200, []string{"GET /admin", "200", "success", "root", "miss"}},
	} {
		call(t, c.method, url+c.path, c.name, c.password, c.status)
		if c.row == nil {
			continue
		}
		line, before := until(c.row[0])
		if diff := cmp.Diff(c.row, fields(line)[:5]); diff != "" || len(before) > 0 {
			t.Errorf("%q before the row (-want +got):\n%s", before, diff)
		}
	}
}

// TestServesJSON: with --json, each attempt is followed by all of its telemetry.
func TestServesJSON(t *testing.T) {
	url, until := serving(t, "--json")
	call(t, "GET", url+"/orders/8", "alice", "toor", 401)
	line, _ := until("GET /orders/8")
	id := fields(line)[5]
	span, _ := until(`    "TraceID"`)
	event, _ := until(`  "TraceID"`)
	if !strings.Contains(span, id) || !strings.Contains(event, id) {
		t.Errorf("the trace %s and the event %s do not have the trace id of the row, %s", span, event, id)
	}
}

func TestBusyPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"--addr", taken.Addr().String()}, &stdout, &stderr)
	message := stderr.String()
	if status != 1 || stdout.Len() > 0 || strings.Count(message, "\n") != 1 ||
		!strings.Contains(message, taken.Addr().String()) || !strings.Contains(message, "--addr") {
		t.Errorf("exit status %d, stdout %q, stderr %q", status, stdout.String(), message)
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{{"--port", "1"}, {"serve"}} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), args, &stdout, &stderr); status != 2 || stderr.Len() == 0 {
			t.Errorf("%q: exit status %d, stderr %q", args, status, stderr.String())
		}
	}
}

// receiver keeps what an OTLP/HTTP collector would receive.
type receiver struct {
	mu     sync.Mutex
	bodies map[string][]byte // by path
}

func (c *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies[r.URL.Path] = append(c.bodies[r.URL.Path], body...)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func TestExportsToCollector(t *testing.T) {
	collector := &receiver{bodies: make(map[string][]byte)}
	server := httptest.NewServer(collector)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	out := once(t)
	rows, traceIDs := table(t, out)
	if len(rows) != len(steps)+1 {
		t.Errorf("%d rows, want %d", len(rows), len(steps)+1)
	}
	if strings.Contains(out, "{") {
		t.Error("what is exported to a collector was printed too")
	}

	collector.mu.Lock()
	defer collector.mu.Unlock()
	for path, names := range map[string][]string{
		"/v1/traces":  {"authenticate basic", "verify password", "GET /orders/{id}"},
		"/v1/metrics": {"auth.attempts", "auth.account.count", "http.server.request.duration"},
		"/v1/logs":    {"auth.attempt", "auth.identity_key.random"},
	} {
		body := collector.bodies[path]
		otelauthtest.NoSecretsIn(t, path, body, passwords...)
		for _, name := range names {
			if !bytes.Contains(body, []byte(name)) {
				t.Errorf("%s: no %q", path, name)
			}
		}
		if path == "/v1/metrics" {
			continue // exemplars lead to some of the traces only
		}
		for attempt, id := range traceIDs {
			raw, err := hex.DecodeString(id)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(body, raw) {
				t.Errorf("%s: the trace id of %q, %s, was not exported", path, attempt, id)
			}
		}
	}
}

// The tour with --trail leaves a trail with each attempt, and prints how to verify it.
func TestTrail(t *testing.T) {
	dir := t.TempDir() + "/trail"
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"--addr", "127.0.0.1:0", "--once", "--trail", dir}, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Fatalf("exit status %d, stderr %q", status, stderr.String())
	}
	command := "go run ./otelauth/cmd/otelauth trail verify --public-key " + dir + ".key.pub " + dir
	if !strings.Contains(stdout.String(), "\n  "+command+"\n") {
		t.Errorf("the command %q is not printed:\n%s", command, stdout.String())
	}
	key, err := os.ReadFile(dir + ".key.pub")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trail.Verify(t.Context(), dir, trail.VerifyOptions{Keys: []string{string(key)}}); err != nil {
		t.Error(err)
	}
	lines := 0
	for line, err := range trail.Lines(t.Context(), dir, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if line.Event == semconv.EventAttempt {
			lines++
		}
		otelauthtest.NoSecretsIn(t, "the trail", line.JSON, passwords...)
	}
	if rows := strings.Count(strings.SplitN(stdout.String(), "\n\n", 2)[0], "\n"); lines != rows {
		t.Errorf("the trail has %d attempts, the table %d", lines, rows)
	}
}
