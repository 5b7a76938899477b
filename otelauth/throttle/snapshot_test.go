// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

var key = bytes.Repeat([]byte("k"), 32)

// notices records the notices it receives.
type notices struct {
	mu       sync.Mutex
	recorded []attempt.Notice
}

func (n *notices) Notice(_ context.Context, recorded attempt.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.recorded = append(n.recorded, recorded)
}

func (n *notices) all() []attempt.Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.recorded
}

// process starts one process of a service: its monotonic clock starts anew, its wall clock
// continues.
func process(t *testing.T, file string, wall time.Time, recorded *notices) (*throttle.Budgets, *throttle.Memory, *clock) {
	t.Helper()
	c := newClock()
	c.wall = wall
	m, err := throttle.NewMemory(throttle.MemoryConfig{
		Bytes: 1 << 20, SnapshotFile: file, SnapshotKey: key, Elapsed: c.Elapsed, Now: c.Now, Notice: recorded.Notice,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return newGuesses(t, throttle.Config{Store: m, Key: key, Elapsed: c.Elapsed, Now: c.Now}), m, c
}

func TestADeployForgetsNothing(t *testing.T) {
	t.Parallel()
	for name, gap := range map[string]time.Duration{"at once": 0, "an hour by the wall clock, back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "budgets")
			var recorded notices
			th, m, c := process(t, file, newClock().wall, &recorded)
			settle(t, th, guess("alice", "wonderland", home), throttle.Right)
			for i := range 20 {
				wrong(t, th, guess("robert", fmt.Sprint(i), office))
			}
			for i := range 50_000 { // evicts robert's debt into the sketch
				wrong(t, th, stranger(i))
			}
			c.Advance(3 * time.Second)
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(file)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("the snapshot: %v, %v", info, err)
			}
			data, _ := os.ReadFile(file) // random bytes hold a shorter word by chance
			for _, secret := range []string{"alice", "robert", "stranger", "192.0.2", "198.51", "wonderland"} {
				if bytes.Contains(data, []byte(secret)) {
					t.Errorf("the snapshot shows %q", secret)
				}
			}

			th, m, c = process(t, file, c.Now().Add(gap), &recorded)
			e, err := th.Explain(t.Context(), throttle.Subject{Account: "alice", Network: netip.MustParsePrefix(home)})
			if err != nil || !e.Known {
				t.Errorf("the owner is a stranger after the deploy: %+v, %v", e, err)
			}
			if v := wrong(t, th, guess("robert", "more", office)); v != throttle.Refused {
				t.Error("a deploy gave the guesser a fresh budget")
			}
			c.Advance(30 * 24 * time.Hour)
			if e, _ := th.Explain(t.Context(), throttle.Subject{Account: "alice", Network: netip.MustParsePrefix(home)}); e.Known {
				t.Error("known for longer than 30 days")
			}
			if n := recorded.all(); len(n) != 0 {
				t.Errorf("recorded %v", n)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestTimePassesDuringADeploy: time passes while no process runs.
func TestTimePassesDuringADeploy(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "budgets")
	var recorded notices
	th, m, c := process(t, file, newClock().wall, &recorded)
	for i := range 20 {
		wrong(t, th, guess("bob", fmt.Sprint(i), office))
	}
	m.Close()
	th, _, _ = process(t, file, c.Now().Add(5*time.Minute), &recorded)
	e, err := th.Explain(t.Context(), throttle.Subject{Account: "bob", Network: netip.MustParsePrefix(office)})
	if err != nil || e.Budgets[0].Left != 5 {
		t.Errorf("%+v, %v; want 5 guesses back after 5 minutes", e, err)
	}
}

func TestABrokenSnapshotIsSetAside(t *testing.T) {
	t.Parallel()
	whole := func(t *testing.T) []byte {
		t.Helper()
		file := filepath.Join(t.TempDir(), "budgets")
		th, m, _ := process(t, file, newClock().wall, &notices{})
		settle(t, th, guess("alice", "wonderland", home), throttle.Right)
		wrong(t, th, guess("bob", "x", office))
		m.Close()
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}(t)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, data := range map[string][]byte{
		"empty": {}, "text": []byte("hello, world, this is no snapshot of anything, and long enough"),
		"cut": whole[:len(whole)-7], "one bit": flipped, "more": append(bytes.Clone(whole), 0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "budgets")
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			var recorded notices
			_, m, _ := process(t, file, newClock().wall, &recorded)
			n := recorded.all()
			if len(n) != 1 || n[0].Kind != attempt.ThrottleSnapshot || n[0].Err == nil || n[0].Source != file || !strings.Contains(n[0].Message, ".broken") {
				t.Fatalf("recorded %+v", n)
			}
			if m.Len() != 0 {
				t.Errorf("%d budgets were taken from a broken file", m.Len())
			}
			aside, err := os.ReadFile(file + ".broken")
			if err != nil || !bytes.Equal(aside, data) {
				t.Errorf("set aside: %v", err)
			}
			if err := m.Save(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestASnapshotThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	var recorded notices
	_, m, _ := process(t, filepath.Join(t.TempDir(), "no", "such", "directory"), newClock().wall, &recorded)
	if err := m.Save(); err == nil || !strings.HasPrefix(err.Error(), "throttle: ") {
		t.Errorf("Save: %v", err)
	}
	if n := recorded.all(); len(n) != 1 || n[0].Err == nil {
		t.Errorf("recorded %+v", n)
	}
}

func TestASnapshotIsWrittenNowAndThen(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "budgets")
	synctest.Test(t, func(t *testing.T) {
		m, err := throttle.NewMemory(throttle.MemoryConfig{Bytes: 1 << 20, SnapshotFile: file, SnapshotKey: key})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if _, err := os.Stat(file); err == nil {
			t.Error("written at the start")
		}
		time.Sleep(throttle.DefaultSnapshotEvery)
		synctest.Wait()
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	})
}
