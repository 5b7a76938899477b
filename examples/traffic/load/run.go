// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// The bounds of a run.
const (
	MaxRate     = 200            // requests a second
	MaxDuration = 24 * time.Hour // of a run
	MaxInFlight = 32             // requests at once

	DefaultRate     = 10
	DefaultDuration = time.Minute
)

// Config configures one run. Client and Target are required.
type Config struct {
	Client *http.Client
	Target string // "https://127.0.0.2:8443"
	// Attack runs beside the honest customers, with every other request; [LowAndSlow] at its own
	// pace. Default: None.
	Attack Attack
	// Rate is requests a second, above 0 to MaxRate. Default: DefaultRate.
	Rate float64
	// Duration is at most MaxDuration. Default: DefaultDuration.
	Duration time.Duration
	// Pace is the time between two guesses of LowAndSlow, at least a second. Default: DefaultPace.
	Pace time.Duration
	// Seed makes the customers' visits repeatable.
	Seed uint64
}

func (cfg *Config) complete() error {
	var errs []error
	report := func(format string, args ...any) { errs = append(errs, fmt.Errorf("load: "+format, args...)) }
	if cfg.Attack == "" {
		cfg.Attack = None
	}
	if cfg.Rate == 0 {
		cfg.Rate = DefaultRate
	}
	if cfg.Duration == 0 {
		cfg.Duration = DefaultDuration
	}
	if cfg.Pace == 0 {
		cfg.Pace = DefaultPace
	}
	if cfg.Client == nil {
		report("Client is missing; use NewClient")
	}
	if u, err := url.Parse(cfg.Target); err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		// The error does not repeat the target, which may hold a password.
		report("the target is not the URL of a server; write it as https://127.0.0.2:8443")
	}
	if !(cfg.Rate >= 0.01 && cfg.Rate <= MaxRate) {
		report("the rate is %v requests a second; choose 0.01 to %d", cfg.Rate, MaxRate)
	}
	if cfg.Duration < 0 || cfg.Duration > MaxDuration {
		report("the duration is %v; choose at most %v", cfg.Duration, MaxDuration)
	}
	if cfg.Pace < time.Second {
		report("the pace is %v; choose at least 1s", cfg.Pace)
	}
	if _, err := ParseAttack(string(cfg.Attack)); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Run sends visits until the duration is over or ctx ends, waits for the last answers, and returns
// the summary. Its error is about the Config, or is [ErrPublicTarget], which ends the run. Other
// visits that fail are in the Summary. While MaxInFlight visits wait for an answer, Run sends none
// and counts them as skipped.
func Run(ctx context.Context, cfg Config) (*Summary, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Duration)
	defer cancel()
	var (
		sum     = newSummary()
		crowd   = NewCrowd(cfg.Seed)
		flights = make(chan struct{}, MaxInFlight)
		pending sync.WaitGroup
		guesses int
		slow    time.Time // when the next guess of LowAndSlow is due
	)
	ticks := time.NewTicker(time.Duration(float64(time.Second) / cfg.Rate))
	defer ticks.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			pending.Wait()
			if err := sum.Failure(); errors.Is(err, ErrPublicTarget) {
				return nil, err
			}
			return sum, nil
		case now := <-ticks.C:
			v := Visit{}
			due := n%2 == 1
			if cfg.Attack == LowAndSlow {
				if due = !now.Before(slow); due {
					slow = now.Add(cfg.Pace)
				}
			}
			if attack, ok := cfg.Attack.Guess(guesses); ok && due {
				v = attack
				guesses++
			} else {
				v = crowd.Visit()
			}
			select {
			case flights <- struct{}{}:
			default:
				sum.skip()
				continue
			}
			pending.Go(func() {
				defer func() { <-flights }()
				// A visit that is in flight at the end is not canceled; the client's own timeout
				// bounds it.
				status, _, err := Do(context.WithoutCancel(ctx), cfg.Client, cfg.Target, v)
				sum.count(v.Who, status, err)
				if errors.Is(err, ErrPublicTarget) {
					cancel()
				}
			})
		}
	}
}
