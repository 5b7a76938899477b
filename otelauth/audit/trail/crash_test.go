// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk/disktest"
)

// faults is how many crashes and how many tamperings are tried. .ci/full asks for 10000.
var faults = flag.Int("faults", 500, "crashes and tamperings that are tried")

// A crash at any operation of the disk, after flushes that failed too, loses no line that was
// acknowledged, and the trail verifies afterwards.
func TestCrashes(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	for seed := range *faults {
		if err := crash(t, key, uint64(seed)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// crash runs a trail that crashes some times.
func crash(t *testing.T, key *trail.Key, seed uint64) error {
	t.Helper()
	chance := rand.New(rand.NewPCG(seed, 1))
	d := disktest.New(seed)
	cfg := trail.Config{Dir: "/trail", Key: key, SegmentBytes: 1 << 20, Responses: chance.IntN(2) == 0}
	var acknowledged []string
	for run := range 1 + chance.IntN(4) {
		d.CrashIn(chance.IntN(120))
		tr, err := trail.OpenOn(cfg, d)
		if err == nil {
			if chance.IntN(3) == 0 {
				d.FailSyncs(1 + chance.IntN(2))
			}
			acknowledged = append(acknowledged, attempts(t, tr, fmt.Sprintf("/%d", run), 1+chance.IntN(3), 1+chance.IntN(8))...)
			if chance.IntN(4) == 0 {
				d.CrashIn(-1)
			}
			_ = tr.Close(t.Context()) // fails if the host has crashed
		} else if !errors.Is(err, disktest.ErrCrashed) {
			return fmt.Errorf("Open: %w", err)
		}
		d = d.Crash()
	}
	tr, err := trail.OpenOn(cfg, d)
	if err != nil {
		return fmt.Errorf("the last Open: %w", err)
	}
	if err := tr.Close(t.Context()); err != nil {
		return err
	}
	return hasAll(t.Context(), d, key, acknowledged)
}

// hasAll verifies the trail and looks for paths.
func hasAll(ctx context.Context, d *disktest.Disk, key *trail.Key, paths []string) error {
	if _, err := trail.VerifyOn(ctx, d, "/trail", trail.VerifyOptions{Keys: []string{key.Public()}}); err != nil {
		return err
	}
	var all strings.Builder
	for _, name := range segments(d) {
		data, err := disk.ReadFile(d, "/trail/segments/"+name, 1<<30)
		if err != nil {
			return err
		}
		all.Write(data)
	}
	for _, p := range paths {
		if !strings.Contains(all.String(), `"url.path":"`+p+`"`) {
			return fmt.Errorf("the acknowledged line of %s is lost", p)
		}
	}
	return nil
}

func segments(d disk.FS) []string {
	names, _ := d.List("/trail/segments")
	return names
}

// attempts makes n attempts in each of some goroutines, and returns the paths of those whose lines
// were acknowledged.
func attempts(t *testing.T, tr *trail.Trail, prefix string, goroutines, n int) []string {
	t.Helper()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		done []string
	)
	for g := range goroutines {
		wg.Go(func() {
			for i := range n {
				path := fmt.Sprintf("%s/%d/%d", prefix, g, i)
				if decide(tr, path, attempt.Success) == nil {
					mu.Lock()
					done = append(done, path)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return done
}
