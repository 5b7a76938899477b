// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command gateway puts proxies that verify Basic credentials before the same upstream, and drives
// them with wrk: otelauth gateway with telemetry off and with all signals, nginx auth_basic, Caddy
// basicauth, forward-auth, and two proxies that verify nothing. It prints requests per second,
// added latency, CPU per request, memory with idle connections and time to the first answer as
// Markdown.
//
// Everything runs on the loopback in processes that it starts and ends itself, in turns (A B A B),
// because a machine drifts. It needs the programs of Debian's packages nginx, caddy, apache2-utils
// and wrk; what is not installed is left out, and the report says so.
//
//	go run ./cmd/gateway
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// plan is what is measured, and for how long.
type plan struct {
	rounds      int
	duration    time.Duration // of each run of wrk
	connections int
	settle      time.Duration // after each run, before CPU is read
	idle        int           // keep-alive connections
	accounts    int           // at the start-up
	cost        int           // bcrypt
	binary      string        // of otelauth; "" builds it
	pick        *regexp.Regexp
	parts       map[string]bool
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		if child, ok := children[args[0]]; ok {
			return child(args[1:], stdin, stdout)
		}
	}
	p := plan{parts: make(map[string]bool)}
	fs := flag.NewFlagSet("gateway", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&p.rounds, "rounds", 5, "how often each is measured; medians are shown")
	fs.DurationVar(&p.duration, "duration", 4*time.Second, "of each run of wrk, at least 1s")
	fs.IntVar(&p.connections, "connections", 32, "of wrk, while throughput and CPU are measured")
	fs.DurationVar(&p.settle, "settle", 6*time.Second, "after each run of a proxy that exports, so that what is exported late is charged to it; the SDK waits up to 5s")
	fs.IntVar(&p.idle, "idle", 10_000, "idle keep-alive connections, while memory is measured")
	fs.IntVar(&p.accounts, "accounts", 1000, "in the file, while start-up is measured")
	fs.IntVar(&p.cost, "cost", 10, "of bcrypt")
	fs.StringVar(&p.binary, "otelauth", "", "`path` of the command; it is built by default")
	pick := fs.String("pick", "", "`regexp` of the proxies to measure; all by default")
	parts := fs.String("parts", "load,idle,start", "comma-separated `tables`")
	if err := fs.Parse(args); err != nil {
		return err
	}
	switch {
	case fs.NArg() > 0:
		return fmt.Errorf("gateway: unexpected argument %q", fs.Arg(0))
	case p.rounds < 1 || p.duration < time.Second || p.connections < 1 || p.idle < 1 || p.accounts < 1 || p.settle < 0:
		return errors.New("gateway: counts must be above 0 and -duration at least 1s")
	case p.cost < 4 || p.cost > 17:
		return errors.New("gateway: -cost is 4 to 17, as htpasswd takes it")
	}
	for part := range strings.SplitSeq(*parts, ",") {
		if part != "load" && part != "idle" && part != "start" {
			return fmt.Errorf("gateway: -parts: there is no %q; write load, idle or start", part)
		}
		p.parts[part] = true
	}
	var err error
	if p.pick, err = regexp.Compile(*pick); err != nil {
		return fmt.Errorf("gateway: -pick: %w", err)
	}

	dir, err := os.MkdirTemp("", "compare-gateway-")
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // G302: nginx gives its workers another user, and what is here is no secret
		return fmt.Errorf("gateway: %w", err)
	}
	if p.binary == "" {
		if p.binary, err = build(ctx, dir, stderr); err != nil {
			return err
		}
	}
	l, err := newLab(ctx, &p, dir, stderr)
	if err != nil {
		return err
	}
	defer l.close()
	return l.measure(ctx, stdout)
}

// build builds the command in the module where its dependencies are, which is not this one.
func build(ctx context.Context, dir string, stderr io.Writer) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/otelauth/otelauth-go").Output()
	if err != nil {
		return "", fmt.Errorf("gateway: finding otelauth (run this inside examples/compare, or name -otelauth): %w", err)
	}
	binary := filepath.Join(dir, "otelauth")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./otelauth/cmd/otelauth")
	cmd.Dir = strings.TrimSpace(string(out))
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("gateway: building otelauth: %w", err)
	}
	return binary, nil
}
