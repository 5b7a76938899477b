// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command gateway puts proxies that verify Basic credentials in front of the same upstream and
// loads them with wrk. They are otelauth gateway with telemetry off and with all signals, nginx
// auth_basic, Caddy basicauth, forward-auth, and two proxies that verify nothing. It prints
// requests per second, added latency, CPU per request, memory with idle connections and time to
// the first answer as Markdown.
//
// Everything runs on loopback, in processes that it starts and ends itself. The proxies alternate
// (A B A B), because the speed of a machine drifts. It needs the programs of Debian's packages
// nginx, caddy, apache2-utils and wrk. It leaves out what is not installed, and the report says
// so.
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

// plan says what is measured, and for how long.
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
	p, err := parsePlan(args, stderr)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "compare-gateway-")
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	defer os.RemoveAll(dir)
	//nolint:gosec // G302: nginx runs its workers as another user, and the directory holds no secret
	if err := os.Chmod(dir, 0o755); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	if p.binary == "" {
		if p.binary, err = build(ctx, dir, stderr); err != nil {
			return err
		}
	}
	l, err := newLab(ctx, p, dir, stderr)
	if err != nil {
		return err
	}
	defer l.close()
	return l.measure(ctx, stdout)
}

// parsePlan reads the flags.
func parsePlan(args []string, stderr io.Writer) (*plan, error) {
	p := &plan{parts: make(map[string]bool)}
	fs := flag.NewFlagSet("gateway", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&p.rounds, "rounds", 5, "number of rounds; medians are shown")
	fs.DurationVar(&p.duration, "duration", 4*time.Second, "duration of each run of wrk, at least 1s")
	fs.IntVar(&p.connections, "connections", 32, "connections of wrk while throughput and CPU are measured")
	fs.DurationVar(&p.settle, "settle", 6*time.Second, "pause after each run of a proxy that exports, so that late exports are charged to it; the SDK waits up to 5s")
	fs.IntVar(&p.idle, "idle", 10_000, "idle keep-alive connections while memory is measured")
	fs.IntVar(&p.accounts, "accounts", 1000, "accounts in the file while start-up is measured")
	fs.IntVar(&p.cost, "cost", 10, "of bcrypt")
	fs.StringVar(&p.binary, "otelauth", "", "`path` of the otelauth command; default: it is built")
	pick := fs.String("pick", "", "`regexp` of the proxies to measure; all by default")
	parts := fs.String("parts", "load,idle,start", "comma-separated `tables`")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case fs.NArg() > 0:
		return nil, fmt.Errorf("gateway: unexpected argument %q", fs.Arg(0))
	case p.rounds < 1 || p.duration < time.Second || p.connections < 1 || p.idle < 1 || p.accounts < 1 || p.settle < 0:
		return nil, errors.New("gateway: counts must be above 0 and -duration at least 1s")
	case p.cost < 4 || p.cost > 17:
		return nil, errors.New("gateway: -cost must be 4 to 17, as for htpasswd")
	}
	for part := range strings.SplitSeq(*parts, ",") {
		if part != "load" && part != "idle" && part != "start" {
			return nil, fmt.Errorf("gateway: -parts: %q is not a part; write load, idle or start", part)
		}
		p.parts[part] = true
	}
	var err error
	if p.pick, err = regexp.Compile(*pick); err != nil {
		return nil, fmt.Errorf("gateway: -pick: %w", err)
	}
	return p, nil
}

// build builds the command in its own module, which differs from this one.
func build(ctx context.Context, dir string, stderr io.Writer) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/otelauth/otelauth-go").Output()
	if err != nil {
		return "", fmt.Errorf("gateway: finding otelauth (run this inside examples/compare, or set -otelauth): %w", err)
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
