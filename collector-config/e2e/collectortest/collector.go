// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package collectortest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Deadline bounds every wait of this package. It is long enough for a slow and loaded machine, so
// it only delays the failure of a test.
const Deadline = 60 * time.Second

// Ports that the shipped files listen on.
const (
	PortGRPC    = "4317"
	PortHTTP    = "4318"
	PortHealth  = "13133"
	PortMetrics = "8888"
)

// Options configures a collector.
type Options struct {
	// Configs are merged in order. A name refers to a file below collector-config, and a path is
	// absolute. An entry that begins with "yaml:" is configuration itself.
	Configs []string
	// Env is the collector's environment, in addition to PATH and to the variables that Start
	// sets: OTELAUTH_COLLECTOR_BIND, OTELAUTH_COLLECTOR_TOKEN_FILE and
	// OTELAUTH_COLLECTOR_QUEUE_DIR. Env takes precedence. The collector does not inherit the
	// environment of the tests.
	Env map[string]string
	// Unset names variables that Start must not set.
	Unset []string
	// Address is a loopback address of the collector's own. Default: one from [LoopbackAddress].
	Address string
	// Dir holds the token file and the queue. Default: t.TempDir().
	Dir string
	// Args are further arguments of the command line.
	Args []string
	// Before wraps the process: the collector's command line follows these words, as in "taskset",
	// "-c", "0".
	Before []string
}

// A Collector is a running collector. Its methods are not safe for concurrent use.
type Collector struct {
	Address string // a loopback address of its own
	Token   string // required from senders
	Dir     string // token file and queue

	options Options
	cmd     *exec.Cmd
	stdin   io.Closer
	log     *output
	done    chan struct{} // closed when the process has ended
	exit    error         // set before done is closed
}

// ConfigDir returns the directory of the shipped files.
func ConfigDir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Start runs a collector until the end of the test. It returns when the collector is healthy. The
// package's TestMain must call [Main].
func Start(t testing.TB, o Options) *Collector {
	t.Helper()
	c := prepare(t, o)
	t.Cleanup(func() {
		if c.cmd != nil {
			c.Kill()
		}
		if t.Failed() {
			t.Logf("log of the collector at %s:\n%s", c.Address, tail(c.Log()))
		}
	})
	c.Start(t)
	return c
}

// Run runs a collector that is expected to exit by itself. It returns the collector's output and
// exit status. The test fails if the collector still runs after the deadline.
func Run(t testing.TB, o Options) (string, error) {
	t.Helper()
	return prepare(t, o).run(t)
}

// Validate runs the collector's command "validate" on the files.
func Validate(t testing.TB, o Options) (string, error) {
	t.Helper()
	return prepare(t, o).run(t, "validate")
}

func prepare(t testing.TB, o Options) *Collector {
	t.Helper()
	c := &Collector{options: o, Dir: o.Dir, log: &output{}}
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	c.Address = o.Address
	if c.Address == "" {
		c.Address = LoopbackAddress(t, PortGRPC, PortHTTP, PortHealth, PortMetrics)
	}
	token := filepath.Join(c.Dir, "token")
	if b, err := os.ReadFile(token); err == nil {
		c.Token = strings.TrimSpace(string(b))
	} else {
		c.Token = rand.Text()
		if err := os.WriteFile(token, []byte(c.Token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *Collector) environment() []string {
	env := map[string]string{
		"PATH":                          os.Getenv("PATH"),
		"OTELAUTH_COLLECTOR_BIND":       c.Address,
		"OTELAUTH_COLLECTOR_TOKEN_FILE": filepath.Join(c.Dir, "token"),
		"OTELAUTH_COLLECTOR_QUEUE_DIR":  filepath.Join(c.Dir, "queue"),
		childEnv:                        "1",
	}
	for _, name := range c.options.Unset {
		delete(env, name)
	}
	maps.Copy(env, c.options.Env)
	var list []string
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	slices.Sort(list)
	return list
}

func (c *Collector) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	words := append(slices.Clone(c.options.Before), self)
	words = append(words, args...)
	for _, name := range c.options.Configs {
		if !filepath.IsAbs(name) && !strings.HasPrefix(name, "yaml:") {
			name = filepath.Join(ConfigDir(), name)
		}
		words = append(words, "--config="+name)
	}
	words = append(words, c.options.Args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec // the test binary itself
	cmd.Env = c.environment()
	cmd.Dir = c.Dir
	cmd.Stdout, cmd.Stderr = c.log, c.log
	return cmd, nil
}

func (c *Collector) run(t testing.TB, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Deadline)
	defer cancel()
	cmd, err := c.command(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	err = cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("collectortest: the collector did not exit by itself; its output:\n%s", tail(c.Log()))
	}
	return c.Log(), err
}

// Start runs the collector again after [Collector.Kill] or [Collector.Shutdown], with the same
// address, token and directory.
func (c *Collector) Start(t testing.TB) {
	t.Helper()
	if c.cmd != nil {
		t.Fatal("collectortest: the collector is already running")
	}
	cmd, err := c.command(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.cmd, c.done = cmd, make(chan struct{})
	go func() {
		c.exit = cmd.Wait()
		close(c.done)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), Deadline)
	defer cancel()
	for {
		select {
		case <-c.done:
			c.cmd = nil
			t.Fatalf("collectortest: the collector exited at start (%v):\n%s", c.exit, tail(c.Log()))
		case <-ctx.Done():
			t.Fatalf("collectortest: the collector is not healthy after %v:\n%s", Deadline, tail(c.Log()))
		case <-time.After(20 * time.Millisecond):
		}
		if c.Healthy(ctx) {
			return
		}
	}
}

// Healthy reports whether the health endpoint answers 200.
func (c *Collector) Healthy(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Address+":"+PortHealth+"/", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Kill sends SIGKILL to the collector, so nothing is flushed.
func (c *Collector) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
	_ = c.stdin.Close()
	c.cmd = nil
}

// Shutdown sends SIGTERM to the collector and returns its exit status.
func (c *Collector) Shutdown(t testing.TB) error {
	t.Helper()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(Deadline):
		t.Fatalf("collectortest: the collector did not shut down in %v", Deadline)
	}
	_ = c.stdin.Close()
	c.cmd = nil
	return c.exit
}

// Pid returns the process id.
func (c *Collector) Pid() int { return c.cmd.Process.Pid }

// Log returns the collector's standard output and error, since its first start.
func (c *Collector) Log() string { return c.log.String() }

// Scrape returns the collector's own metrics: for each name the sum over its series. Names are
// those of the exposition, such as "otelcol_exporter_send_failed_log_records_total".
func (c *Collector) Scrape(t testing.TB) map[string]float64 {
	t.Helper()
	sums := map[string]float64{}
	for _, s := range c.Series(t) {
		sums[s.Name] += s.Value
	}
	return sums
}

// WaitMetric waits until the sum of one of the collector's own metrics is at least min, and
// returns it.
func (c *Collector) WaitMetric(t testing.TB, name string, atLeast float64) float64 {
	t.Helper()
	var got float64
	Wait(t, func() bool {
		got = c.Scrape(t)[name]
		return got >= atLeast
	}, "%s of the collector to reach %v", name, atLeast)
	return got
}

// Wait polls until the condition holds.
func Wait(t testing.TB, condition func() bool, what string, args ...any) {
	t.Helper()
	for end := time.Now().Add(Deadline); !condition(); time.Sleep(25 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for "+what, append([]any{Deadline}, args...)...)
		}
	}
}

// output collects what a process prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func tail(s string) string {
	const last = 12000 // bytes: enough for the error, short enough to read
	if len(s) > last {
		return "…" + s[len(s)-last:]
	}
	return s
}

// ExitCode returns the exit status in an error of [Run], or -1 if the error has none.
func ExitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}
