// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/examples/shop/otlpview"
	"github.com/otelauth/otelauth-go/examples/traffic/load"
	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
)

// output is what a program has printed so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed at the next write
}

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(p)
}

// find waits for output that matches the pattern, and returns the groups.
func (o *output) find(t *testing.T, pattern string) []string {
	t.Helper()
	re, deadline := regexp.MustCompile(pattern), time.After(time.Minute)
	for {
		o.mu.Lock()
		found, more := re.FindStringSubmatch(o.text.String()), o.more
		o.mu.Unlock()
		if found != nil {
			return found
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("nothing matches %s in:\n%s", pattern, o.text.String())
		}
	}
}

var changing = regexp.MustCompile(`[0-9a-f]{32}|\d+\.\d ms|shop:[0-9a-f]{32}`)

// TestDemonstration runs the demonstration until its end. The layout must be the same each time.
func TestDemonstration(t *testing.T) {
	// Telemetry also goes to a second destination.
	elsewhere := otlpview.New()
	collector := httptest.NewServer(elsewhere)
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, ended := newOutput(), make(chan error, 1)
	go func() { ended <- demonstrate(ctx, 0, false, cheap(), out) }()
	found := out.find(t, `(?s)one trace through three services: ([0-9a-f]{32})\n.*was also exported to the destinations that the OTEL_ variables name.*Serving on (https://127\.0\.0\.2:\d+) .*--cacert (\S+) -u alice`)
	denial, url, ca := found[1], found[2], found[3]

	trust, err := trustOf(ca)
	if err != nil {
		t.Fatal(err)
	}
	client := load.NewClient(load.ClientConfig{Roots: trust.RootCAs})
	defer client.CloseIdleConnections()
	if status, _, err := load.Do(ctx, client, url, load.Visit{Method: "GET", Path: "/products/lamp", Name: "alice", Password: "looking-glass"}); status != http.StatusUnauthorized {
		t.Errorf("status %d, %v", status, err)
	}
	out.find(t, `\n  storefront +401 +failure +wrong_password +alice +127\.0\.0\.1 +/products/\{item\} +[0-9a-f]{32}\n`)
	out.mu.Lock()
	otelauthtest.NoSecretsIn(t, "standard output", out.text.Bytes(), "looking-glass", "Winter2026!")
	out.mu.Unlock()

	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := trustOf(ca); err == nil {
		t.Error("the directory with the secrets was not removed")
	}
	services := make(map[string]bool)
	for _, e := range elsewhere.Events("auth.attempt") {
		if e.TraceID.String() == denial {
			services[e.Service] = true
		}
	}
	if len(services) != 3 {
		t.Errorf("the second destination has these events for the denial: %v", services)
	}
}

func TestOnceIsStable(t *testing.T) {
	t.Parallel()
	page := func() string {
		var out bytes.Buffer
		if err := demonstrate(t.Context(), 0, true, cheap(), &out); err != nil {
			t.Fatal(err)
		}
		// whose estimates differ
		head, _, _ := strings.Cut(changing.ReplaceAllString(out.String(), "…"), "What detection found")
		return head
	}
	if a, b := page(), page(); regexp.MustCompile(` +`).ReplaceAllString(a, " ") != regexp.MustCompile(` +`).ReplaceAllString(b, " ") {
		t.Errorf("first run:\n%s\nsecond run:\n%s", a, b)
	}
}

func TestBadInput(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "") // a service sets it; restored after the test
	taken, err := net.Listen("tcp", "127.0.0.4:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var stdout, stderr bytes.Buffer
	status := report(demonstrate(t.Context(), taken.Addr().(*net.TCPAddr).Port, true, cheap(), &stdout), &stderr)
	if message := stderr.String(); status != 1 || stdout.Len() > 0 || strings.Count(message, "\n") != 1 ||
		!strings.Contains(message, taken.Addr().String()) || !strings.Contains(message, "--port") {
		t.Errorf("a busy port: exit status %d, stdout %q, stderr %q", status, stdout.String(), message)
	}
	empty, full := t.TempDir(), t.TempDir()
	if _, err := setup(full, time.Now(), cheap()); err != nil {
		t.Fatal(err)
	}
	inventoryDir := filepath.Join(full, inventoryName)
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--port", "70000"}, 2, "choose 0 to 65535"},
		{[]string{"warehouse"}, 2, `"warehouse" is not a command`},
		{[]string{"setup"}, 2, "the directory"},
		{[]string{"setup", "a", "b"}, 2, `unexpected argument "b"`},
		{[]string{"setup", "/dev/null/x"}, 1, "/dev/null"},
		{[]string{"inventory", "--secrets", empty}, 1, filepath.Join(empty, certFile)},
		{[]string{"inventory", "--secrets", inventoryDir, "--listen", taken.Addr().String()}, 1, "address already in use; choose another"},
		{[]string{"inventory", "--secrets", inventoryDir, "--listen", "192.0.2.1:0"}, 1, "192.0.2.1"},
		{[]string{"inventory", "--trusted-callers", "orders"}, 2, `--trusted-callers: "orders" is neither`},
		{[]string{"inventory", "--secrets", inventoryDir, "--listen", "127.0.0.1:0", "--slow-ten-minutes", "1"}, 1, "SlowTenMinutes"},
		{[]string{"inventory", "--slow-ten-minutes", "few"}, 2, "is not a number"},
		{[]string{"orders", "--next", "http://inventory:8443"}, 2, "https"},
		{[]string{"storefront", "--secrets", filepath.Join(full, storefrontName), "--listen", "127.0.0.1:0", "--trusted-proxies", "0.0.0.0/0"}, 1, "trusts every client"},
		{[]string{"health", "--ca", "/none", "https://127.0.0.1:1/healthz"}, 1, "/none"},
		{[]string{"health", "--ca", filepath.Join(inventoryDir, caFile), "https://127.0.0.1:1/healthz"}, 1, "refused"},
	} {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), c.args, &stdout, &stderr)
		if message := stderr.String(); status != c.status || stdout.Len() > 0 || strings.Count(message, "\n") != 1 ||
			!strings.HasPrefix(message, "shop: ") || !strings.Contains(message, c.says) {
			t.Errorf("%q: exit status %d, %q%q", c.args, status, stdout.String(), message)
		}
	}
	for args, want := range map[string]int{"--speed": 2, "--help": 0, "storefront --help": 0} {
		var stderr bytes.Buffer
		if status := run(t.Context(), strings.Fields(args), &stderr, &stderr); status != want || stderr.Len() == 0 {
			t.Errorf("%s: exit status %d", args, status)
		}
	}
}

// TestReadme compares the README's table of flags with the code.
func TestReadme(t *testing.T) {
	t.Parallel()
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	if _, err := configure(flags, storefrontName, func(int) error { return nil }); err != nil {
		t.Fatal(err)
	}
	want := make(map[string]string)
	flags.VisitAll(func(f *flag.Flag) {
		want[f.Name] = regexp.MustCompile(`SHOP_[A-Z_]+`).FindString(f.Usage)
		if "SHOP_"+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")) != want[f.Name] {
			t.Errorf("--%s has the variable %q", f.Name, want[f.Name])
		}
	})
	got := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| `(SHOP_[A-Z_]+)` \\| ([^ ,]+)").FindAllStringSubmatch(string(mustRead(t, "README.md")), -1) {
		got[row[1]] = row[2]
		if f := flags.Lookup(row[1]); f != nil && f.DefValue != "" && f.DefValue != row[3] {
			t.Errorf("the default of --%s is %s, the README has %s", row[1], f.DefValue, row[3])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags (-code +README):\n%s", diff)
	}
}

// TestAlone runs each service as a process of its own, as in containers, with Redis, a collector
// that requires a token, and a health check.
func TestAlone(t *testing.T) {
	view := otlpview.New()
	var refused sync.Map
	dir := t.TempDir()
	if _, err := setup(dir, time.Now(), cheap()); err != nil {
		t.Fatal(err)
	}
	token := string(mustRead(t, filepath.Join(dir, "collector", otlpTokenFile)))
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			refused.Store(r.URL.Path, true)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		view.ServeHTTP(w, r)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "") // a service sets it; restored after the test
	for _, delay := range []string{"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY", "OTEL_METRIC_EXPORT_INTERVAL"} {
		t.Setenv(delay, "3600000") // nothing is exported before the end
	}
	redisAddr, askRedis := startRedis(t, filepath.Join(dir, "redis", redisConfFile))

	// launch returns the URL of a service, and a function that ends it.
	launch := func(name string, args ...string) (string, func()) {
		t.Helper()
		ctx, stop := context.WithCancel(t.Context())
		out, stderr, ended := newOutput(), newOutput(), make(chan int, 1)
		go func() {
			ended <- run(ctx, append([]string{
				name, "--listen", "127.0.0.1:0", "--secrets", filepath.Join(dir, name), "--redis", redisAddr,
			}, args...), out, stderr)
			_, _ = out.Write([]byte("ended\n" + stderr.text.String()))
		}()
		found := out.find(t, `serves on (https://127\.0\.0\.1:\d+)|ended\n.*`)
		if found[1] == "" {
			t.Fatal(found[0])
		}
		end := sync.OnceFunc(func() {
			stop()
			if status := <-ended; status != 0 {
				t.Errorf("%s: exit status %d, %s", name, status, stderr.text.String())
			}
		})
		t.Cleanup(end)
		return found[1], end
	}
	inventoryURL, endInventory := launch(inventoryName)
	ordersURL, endOrders := launch(ordersName, "--next", inventoryURL, "--trusted-callers", "127.0.0.0/8")
	record := filepath.Join(t.TempDir(), "record")
	url, endStorefront := launch(storefrontName, "--next", ordersURL, "--trail", record)

	ca := filepath.Join(dir, storefrontName, caFile)
	for _, u := range []string{url, ordersURL, inventoryURL} {
		var stderr bytes.Buffer
		if status := run(t.Context(), []string{"health", "--secrets", filepath.Dir(ca), u + healthPath}, &stderr, &stderr); status != 0 {
			t.Errorf("health of %s: %s", u, stderr.String())
		}
	}
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{"health", "--ca", ca, url + "/orders"}, &stderr, &stderr); status != 1 || !strings.Contains(stderr.String(), "401") {
		t.Errorf("health of a stopped service: %d, %s", status, stderr.String())
	}
	trust, err := trustOf(ca)
	if err != nil {
		t.Fatal(err)
	}
	client := load.NewClient(load.ClientConfig{Roots: trust.RootCAs})
	defer client.CloseIdleConnections()
	visit := func(path, name, password string, want int) {
		t.Helper()
		if status, _, err := load.Do(t.Context(), client, url, load.Visit{Method: "GET", Path: path, Name: name, Password: password}); status != want {
			t.Errorf("%s: status %d, %v; want %d", path, status, err, want)
		}
	}
	visit("/products/lamp", "alice", "wonderland", http.StatusOK)
	visit("/products/piano", "alice", "wonderland", http.StatusNotFound)
	visit("/orders", "alice", "looking-glass", http.StatusUnauthorized)
	const strangers = 40 // twice as many as are reported one by one
	for i := range strangers {
		visit("/orders", fmt.Sprintf("member%d", i), "looking-glass", http.StatusUnauthorized)
	}
	if keys := askRedis("--scan"); !strings.Contains(keys, "{shop:storefront}") {
		t.Errorf("Redis holds %q", keys)
	}

	// At the end every recorded event arrives, without a flush by the test.
	endStorefront()
	endOrders()
	endInventory()
	got := make(map[string]int)
	for _, e := range view.Events("auth.attempt") {
		got[e.Service+" "+e.Attributes["http.response.status_code"]]++
	}
	for _, want := range []string{"storefront 200", "storefront 404", "storefront 401", "orders 200", "orders 404", "inventory 200", "inventory 404"} {
		if got[want] == 0 {
			t.Errorf("no event %s: %v", want, got)
		}
	}
	// Events that the middleware held back arrive too.
	single, folded := 0, 0
	for _, e := range view.Events("auth.attempt") {
		if e.Attributes["auth.reason"] == "unknown_user" {
			single++
		}
	}
	for _, e := range view.Events("auth.events.suppressed") {
		n, err := strconv.Atoi(e.Attributes["auth.events.suppressed.count"])
		if err != nil || e.Service != storefrontName {
			t.Errorf("%v: %v", e, err)
		}
		folded += n
	}
	if folded == 0 || single+folded != strangers {
		t.Errorf("of %d guesses %d were reported one by one and %d together", strangers, single, folded)
	}
	// Every attempt is in the trail, and the checkpoints that arrived agree with it.
	var checkpoints [][]byte
	for _, e := range view.Events("auth.trail.checkpoint") {
		checkpoints = append(checkpoints, []byte(e.Attributes["auth.trail.note"]))
	}
	key := strings.TrimSpace(string(mustRead(t, record+".key.pub")))
	report, err := trail.Verify(t.Context(), record, trail.VerifyOptions{Keys: []string{key}, Checkpoints: checkpoints})
	if err != nil || len(checkpoints) == 0 || report.Lines < 4 {
		t.Errorf("%d checkpoints of %d lines: %v", len(checkpoints), report.Lines, err)
	}
	refused.Range(func(path, _ any) bool { t.Errorf("%s came without the token", path); return true })
}

// startRedis starts a redis-server with the configuration that setup wrote.
func startRedis(t *testing.T, conf string) (addr string, ask func(...string) string) {
	t.Helper()
	server, errServer := exec.LookPath("redis-server")
	cli, errCLI := exec.LookPath("redis-cli")
	if errServer != nil || errCLI != nil {
		t.Skip("redis-server is not installed: apt-get install redis-server")
	}
	port := testkit.FreePort(t)
	ctx := context.WithoutCancel(t.Context())
	process := testkit.Start(t, exec.CommandContext(ctx, server, conf, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir()))
	_, secret, _ := strings.Cut(strings.Split(string(mustRead(t, conf)), "\n")[0], " ")
	ask = func(args ...string) string {
		c := exec.CommandContext(ctx, cli, append([]string{"-p", port}, args...)...)
		c.Env = []string{"REDISCLI_AUTH=" + secret}
		out, _ := c.CombinedOutput()
		return string(out)
	}
	process.Await(t, "an answer of redis-server", func() bool { return strings.Contains(ask("ping"), "PONG") })
	return net.JoinHostPort("127.0.0.1", port), ask
}
