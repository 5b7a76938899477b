// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/internal/simulate"
)

// Main is the command. It returns the exit status.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, args, stdout, stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(stderr, err)
	return 1
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("detection", flag.ContinueOnError)
	fs.SetOutput(stderr)
	seed := fs.Uint64("seed", 1, "seed of the traffic")
	users := fs.Int("users", 500, "number of honest users")
	days := fs.Int("days", 25, "number of days; attacks begin on day 15, when habits are learned")
	whole := fs.Bool("whole", false, "give CrowdSec also the lines of addresses that never fail 6 times in a minute; far slower")
	name := fs.String("format", "nginx", "the log that is read: nginx, or openssh without django-axes")
	speeds := fs.String("speeds", "1,0.1", "`list` of speeds of the attacks; each is a separate run")
	if err := fs.Parse(args); err != nil {
		return err
	}
	f := formats[*name]
	if f == nil {
		return fmt.Errorf("detection: -format is %q; use nginx or openssh", *name)
	}
	if err := installed(); err != nil {
		return err
	}
	for field := range strings.SplitSeq(*speeds, ",") {
		speed, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
		if err != nil || !(speed > 0) {
			return fmt.Errorf("detection: -speeds has %q; use numbers above 0", field)
		}
		s := simulate.Scenario{Seed: *seed, Users: *users, Days: *days, Attacks: simulate.Attacks(speed)}
		r, err := compare(ctx, s, f, *whole, stderr)
		if err != nil {
			return err
		}
		if err := writeTable(stdout, speed, r); err != nil {
			return err
		}
	}
	return nil
}

func installed() error {
	for _, path := range []string{
		python, "/usr/bin/fail2ban-regex", "/etc/fail2ban/jail.conf", "/usr/bin/crowdsec", "/etc/crowdsec/profiles.yaml",
		"/var/lib/crowdsec/hub/.index.json", "/usr/lib/python3/dist-packages/axes",
	} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("detection: %w; install the programs: apt-get install fail2ban crowdsec python3-django-axes", err)
		}
	}
	return nil
}

func compare(ctx context.Context, s simulate.Scenario, of *format, whole bool, stderr io.Writer) (_ *comparison, err error) {
	dir, err := os.MkdirTemp("", "detection-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r, err := record(ctx, s, of)
	if err != nil {
		return nil, err
	}
	report, mine, err := ours(ctx, s)
	if err != nil {
		return nil, err
	}
	p := &replay{
		dir: dir, recording: r, attempts: filepath.Join(dir, "attempts.jsonl"), errorLog: filepath.Join(dir, "whole-error.log"),
		whole: whole, log: &locked{w: stderr},
	}
	if err := errors.Join(r.writeAttempts(p.attempts), r.writeErrorLog(p.errorLog, nil)); err != nil {
		return nil, err
	}
	lines, err := p.matched(ctx)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(p.log, "%d attempts; fail2ban-regex: %s\n", len(r.attempts), lines)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	peers := []struct {
		name string
		run  func(context.Context) (findings, error)
	}{{"otelauth, from the log", p.replayed}, {"fail2ban", p.fail2ban}, {"CrowdSec", p.crowdsec}}
	if of.web {
		peers = append(peers, struct {
			name string
			run  func(context.Context) (findings, error)
		}{"django-axes", p.axes})
	}
	columns := make([]column, len(peers))
	problems := make([]error, len(peers))
	var wg sync.WaitGroup
	for i, peer := range peers {
		wg.Go(func() {
			begin := time.Now()
			f, err := peer.run(ctx)
			if err != nil {
				problems[i] = err
				cancel()
				return
			}
			fmt.Fprintf(p.log, "%s: %d blocks, %d attempts refused, in %v\n", peer.name, len(f.blocks), len(f.refused), time.Since(begin).Round(time.Second))
			columns[i].name, columns[i].found = peer.name, f
			columns[i].attacks, columns[i].honest = score(r, f)
			columns[i].by = scenarios(f)
		})
	}
	wg.Wait()
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return &comparison{s, r, report, mine, columns}, nil
}

// locked is a Writer for concurrent programs.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
