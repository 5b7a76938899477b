// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// The minimum parameters of argon2id: the default of password.Params, from the OWASP Password
// Storage Cheat Sheet.
const (
	leastMemoryKiB = 19456
	leastPasses    = 2
	mostPasses     = 8
	calibrateSteps = 6
	memoryStepKiB  = 1024
)

// mostMemoryKiB returns the memory limit of one hash: slots hashes at once must fit into the
// memory limit of the hash gate, and the default Bounds must admit the hash.
func mostMemoryKiB(slots int) uint32 {
	const bounds = 256 << 20
	return uint32(max(leastMemoryKiB<<10, min(bounds, verify.DefaultMemoryBytes/max(1, slots))) >> 10)
}

// calibrate returns parameters of argon2id whose hash takes about target. It raises memory first,
// which costs an attacker the most (RFC 9106, section 4), then passes. It measures at most
// calibrateSteps times and never goes below the minimum.
func calibrate(target time.Duration, mostKiB uint32, measure func(password.Params) (time.Duration, error)) (password.Params, time.Duration, error) {
	p := password.Params{MemoryKiB: leastMemoryKiB, Passes: leastPasses, Lanes: 1}
	best := p
	took, err := measure(p)
	if err != nil {
		return p, 0, err
	}
	bestTook := took
	for range calibrateSteps - 1 {
		// The time is nearly proportional to memory times passes.
		work := float64(p.MemoryKiB) * float64(p.Passes) * float64(target) / float64(max(took, 1))
		next := password.Params{Lanes: 1, Passes: leastPasses}
		next.MemoryKiB = uint32(min(max(work/leastPasses, leastMemoryKiB), float64(mostKiB)))
		next.MemoryKiB = max(leastMemoryKiB, next.MemoryKiB/memoryStepKiB*memoryStepKiB)
		if next.MemoryKiB+memoryStepKiB > mostKiB {
			// At most four passes over 256 MiB, which the default Bounds admit.
			most := min(mostPasses, 4*(256<<10)/float64(next.MemoryKiB))
			next.Passes = uint32(min(max(math.Round(work/float64(next.MemoryKiB)), leastPasses), most))
		}
		if next == p {
			break
		}
		if took, err = measure(next); err != nil {
			return best, bestTook, err
		}
		p = next
		if distance(took, target) < distance(bestTook, target) {
			best, bestTook = p, took
		}
		if distance(took, target) < target/20 {
			break
		}
	}
	return best, bestTook, nil
}

func distance(a, b time.Duration) time.Duration { return (a - b).Abs() }

// measureHash returns the shorter of two runs, because other load only makes a run longer.
func measureHash(p password.Params) (time.Duration, error) {
	best := time.Duration(math.MaxInt64)
	for range 2 {
		start := time.Now()
		if _, err := p.Hash([]byte("calibration"), nil); err != nil {
			return 0, err
		}
		best = min(best, time.Since(start))
	}
	return best, nil
}

// progress shows the current measurement on one line of a terminal.
type progress struct {
	w    io.Writer
	live bool
}

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, live: ok && term.IsTerminal(int(f.Fd()))}
}

func (p *progress) measuring(n int, params password.Params) {
	if p.live {
		fmt.Fprintf(p.w, "\r\x1b[Kcalibrating, step %d of at most %d: %s …", n, calibrateSteps, describe(params))
	}
}

func (p *progress) end() {
	if p.live {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// describe returns the parameters in the notation of the stored hash.
func describe(p password.Params) string {
	if p.Scheme == "bcrypt" {
		return "bcrypt"
	}
	return fmt.Sprintf("argon2id m=%d,t=%d,p=%d", p.MemoryKiB, p.Passes, p.Lanes)
}
