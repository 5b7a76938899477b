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

// Deadline is how long everything here waits for a condition. It is for a slow and loaded machine:
// no test passes because of it, one only fails later.
const Deadline = 60 * time.Second

// Ports that the shipped files listen on.
const (
	PortGRPC    = "4317"
	PortHTTP    = "4318"
	PortHealth  = "13133"
	PortMetrics = "8888"
)

// Options say how a collector is started.
type Options struct {
	// Configs are merged in order. A name is that of a file below collector-config; a path is
	// absolute; what begins with "yaml:" is configuration itself.
	Configs []string
	// Env is what the collector's environment holds besides PATH and what Start sets:
	// OTELAUTH_COLLECTOR_BIND, OTELAUTH_COLLECTOR_TOKEN_FILE and OTELAUTH_COLLECTOR_QUEUE_DIR. Env
	// wins. The environment of the tests is not inherited.
	Env map[string]string
	// Unset names variables that Start is not to set.
	Unset []string
	// Address is a loopback address of its own; default one that [LoopbackAddress] finds.
	Address string
	// Dir holds the token file and the queue. Default: t.TempDir().
	Dir string
	// Args are further arguments of the command line.
	Args []string
	// Before wraps the process: the collector's command line follows these words, as in "taskset",
	// "-c", "0".
	Before []string
}

// A Collector is a running collector. Its methods are for one goroutine.
type Collector struct {
	Address string // a loopback address of its own
	Token   string // what senders must present
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

// Start runs a collector until the test's end, and returns once it is healthy. The package's
// TestMain must call [Main].
func Start(t testing.TB, o Options) *Collector {
	t.Helper()
	c := prepare(t, o)
	t.Cleanup(func() {
		if c.cmd != nil {
			c.Kill()
		}
		if t.Failed() {
			t.Logf("the collector at %s said:\n%s", c.Address, tail(c.Log()))
		}
	})
	c.Start(t)
	return c
}

// Run runs a collector that is expected to end by itself, and returns what it said and its exit
// status. A collector that is still there after the deadline is a failure.
func Run(t testing.TB, o Options) (string, error) {
	t.Helper()
	return prepare(t, o).run(t)
}

// Validate runs the collector's command "validate" over the files.
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
		if err := os.WriteFile(token, []byte(c.Token), 0o600); err != nil { //nolint:gosec // the test's own directory
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
		t.Fatalf("collectortest: the collector did not end by itself; it said:\n%s", tail(c.Log()))
	}
	return c.Log(), err
}

// Start runs the collector again after [Collector.Kill] or [Collector.Shutdown], with the same
// address, token and directory.
func (c *Collector) Start(t testing.TB) {
	t.Helper()
	if c.cmd != nil {
		t.Fatal("collectortest: the collector runs already")
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
			t.Fatalf("collectortest: the collector ended at start (%v):\n%s", c.exit, tail(c.Log()))
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

// Kill ends the collector as kill -9 does: nothing is flushed.
func (c *Collector) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
	_ = c.stdin.Close()
	c.cmd = nil
}

// Shutdown ends the collector as its operator does, with SIGTERM, and returns its exit status.
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

// Log returns what the collector has said on its standard output and error, over all its lives.
func (c *Collector) Log() string { return c.log.String() }

// Scrape returns the collector's own metrics: of each name the sum over its series. Names as in
// the exposition, such as "otelcol_exporter_send_failed_log_records_total".
func (c *Collector) Scrape(t testing.TB) map[string]float64 {
	t.Helper()
	sums := map[string]float64{}
	for _, s := range c.Series(t) {
		sums[s.Name] += s.Value
	}
	return sums
}

// WaitMetric waits until the sum of one of the collector's own metrics is at least so much, and
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

// output collects what a process says.
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
	const last = 12000 // bytes: enough for the error, little enough to read
	if len(s) > last {
		return "…" + s[len(s)-last:]
	}
	return s
}

// ExitCode returns the exit status that an error of [Run] stands for, and -1 when it is none.
func ExitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}
