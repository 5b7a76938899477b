// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// silent is a notifier that reports only what the test sends.
type silent chan struct{}

func (silent) watch([]string)            {}
func (s silent) events() <-chan struct{} { return s }
func (silent) close()                    {}

// watched opens m in a synctest bubble and waits for the first look.
func watched(t *testing.T, m *memory) (*File, silent, <-chan verify.Reload) {
	t.Helper()
	events := make(silent, 1)
	f, err := open(Config{Path: "users", FS: m}, func() notifier { return events })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	synctest.Wait()
	return f, events, reports(t, f)
}

func wantNothing(t *testing.T, reloads <-chan verify.Reload) {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-reloads:
		t.Fatalf("reloads %+v", r)
	default:
	}
}

func wantReload(t *testing.T, reloads <-chan verify.Reload, accounts int) error {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-reloads:
		if r.Accounts != accounts {
			t.Fatalf("%d accounts, want %d: %v", r.Accounts, accounts, r.Err)
		}
		return r.Err
	default:
		t.Fatal("no report")
		return nil
	}
}

func TestPollingFindsAChangeWithoutNotification(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(one)
		f, _, reloads := watched(t, m)
		m.write(two)
		time.Sleep(defaultPoll)
		wantNothing(t, reloads) // seen, but it may still be changing
		time.Sleep(defaultSettle)
		if err := wantReload(t, reloads, 2); err != nil || lookup(t, f, "bob") == nil {
			t.Errorf("bob is not served: %v", err)
		}
		time.Sleep(time.Hour)
		wantNothing(t, reloads)
	})
}

func TestEventIsFasterThanPolling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(two)
		f, events, reloads := watched(t, m)
		m.write(one)
		events <- struct{}{}
		time.Sleep(defaultSettle)
		if err := wantReload(t, reloads, 1); err != nil || lookup(t, f, "bob") != nil {
			t.Errorf("bob, removed, is still served: %v", err)
		}
	})
}

// TestEventBeforeTheContent: the event of a truncation may come before the content is written.
func TestEventBeforeTheContent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(one)
		_, events, reloads := watched(t, m)
		events <- struct{}{}
		synctest.Wait()
		m.write(two)
		time.Sleep(2 * defaultSettle)
		_ = wantReload(t, reloads, 2)
	})
}

// TestChangeDuringOpen: a change between the reading and the first look is not lost.
func TestChangeDuringOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(one)
		m.after = map[int]string{2: two}
		_, _, reloads := watched(t, m)
		time.Sleep(defaultSettle)
		_ = wantReload(t, reloads, 2)
	})
}

// TestChangeDuringTheReading: a file that seemed complete may change while it is read.
func TestChangeDuringTheReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(one)
		_, events, reloads := watched(t, m) // opened 2 + 2 times
		m.write(two)
		m.after = map[int]string{8: three} // after two looks, before the reading
		events <- struct{}{}
		time.Sleep(defaultSettle)
		wantNothing(t, reloads)
		time.Sleep(defaultSettle)
		_ = wantReload(t, reloads, 3)
	})
}

// TestHalfWrittenFileIsNotServed: prometheus/exporter-toolkit answers 200 without credentials
// while its file is half-written. Here a slow writer is waited for, at every byte where it may
// pause.
func TestHalfWrittenFileIsNotServed(t *testing.T) {
	t.Parallel()
	for cut := 0; cut <= len(three); cut += 7 {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory("# old\n" + three)
			f, events, reloads := watched(t, m)
			before := [3]*verify.Account{lookup(t, f, "alice"), lookup(t, f, "bob"), lookup(t, f, "carol")}
			for _, content := range []string{"", three[:cut], three + "# dave is to come\n", three + "dave:" + bcryptHash + "\n"} {
				m.write(content)
				events <- struct{}{}
				time.Sleep(defaultSettle - time.Millisecond)
				wantNothing(t, reloads)
				if [3]*verify.Account{lookup(t, f, "alice"), lookup(t, f, "bob"), lookup(t, f, "carol")} != before {
					t.Fatalf("cut at %d: an account is gone", cut)
				}
			}
			time.Sleep(2 * defaultSettle)
			if err := wantReload(t, reloads, 4); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFileWithoutALastNewlineIsWaitedForLonger: "alice:hash" may be the first part of
// "alice:hash:disabled".
func TestFileWithoutALastNewlineIsWaitedForLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory("bob:" + argon2Hash + "\n")
		f, events, reloads := watched(t, m)
		m.write(two[:len(one)-1])
		events <- struct{}{}
		time.Sleep(unsureFactor*defaultSettle - time.Millisecond)
		wantNothing(t, reloads)
		if lookup(t, f, "alice") != nil {
			t.Fatal("alice is served")
		}
		time.Sleep(2 * time.Millisecond)
		_ = wantReload(t, reloads, 1)
		if lookup(t, f, "alice") == nil {
			t.Fatal("alice is not served")
		}
	})
}

func TestEachStateIsReportedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(two)
		f, _, reloads := watched(t, m)
		alice := lookup(t, f, "alice")
		const soon = defaultPoll + unsureFactor*defaultSettle

		for _, state := range []struct {
			name string
			to   func()
			is   error // nil means any
		}{
			{"deleted", m.remove, fs.ErrNotExist},
			{"emptied", func() { m.write("") }, ErrNoAccounts},
			{"permission lost", func() { m.fail(fs.ErrPermission) }, fs.ErrPermission},
			{"truncated", func() { m.write(two[:len(one)+2]) }, nil},
		} {
			state.to()
			time.Sleep(soon)
			err := wantReload(t, reloads, 2)
			if err == nil || state.is != nil && !errors.Is(err, state.is) {
				t.Errorf("%s: %v", state.name, err)
			}
			time.Sleep(time.Hour) // 720 polls
			wantNothing(t, reloads)
			if lookup(t, f, "alice") != alice || f.Len() != 2 {
				t.Errorf("%s: the last good accounts are gone", state.name)
			}
		}

		m.write(two) // what was served all the time: the operator is reloads that it is well again
		time.Sleep(soon)
		if err := wantReload(t, reloads, 2); err != nil {
			t.Error(err)
		}
		if lookup(t, f, "alice") != alice {
			t.Error("alice did not change and has another pointer")
		}
	})
}

// TestShortAbsenceIsNotReported: a file that is deleted and written again is not reported as
// missing.
func TestShortAbsenceIsNotReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(one)
		_, events, reloads := watched(t, m)
		m.remove()
		events <- struct{}{}
		time.Sleep(defaultSettle / 2)
		m.write(two)
		events <- struct{}{}
		time.Sleep(2 * defaultSettle)
		if err := wantReload(t, reloads, 2); err != nil {
			t.Error(err)
		}
		wantNothing(t, reloads)
	})
}

func TestTouchedFileIsNotReloaded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(one)
		_, events, reloads := watched(t, m)
		m.write(one)
		for range 10 {
			events <- struct{}{}
			time.Sleep(time.Minute)
		}
		wantNothing(t, reloads)
	})
}

func TestRestlessFileIsReportedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(one)
		f, events, reloads := watched(t, m)
		for i := range 300 {
			m.write(fmt.Sprintf("%s# %d\n", two, i))
			select {
			case events <- struct{}{}:
			default:
			}
			time.Sleep(defaultSettle / 2)
		}
		err := wantReload(t, reloads, 1)
		want := "htpasswd: users: never stops changing: replace it by rename, or find the program that writes it " +
			"(the previous 1 accounts are still served)"
		if err == nil || err.Error() != want {
			t.Errorf("got %v", err)
		}
		wantNothing(t, reloads)
		time.Sleep(2 * defaultSettle)
		if err := wantReload(t, reloads, 2); err != nil || lookup(t, f, "bob") == nil {
			t.Errorf("not read after it stopped changing: %v", err)
		}
	})
}

// TestEventsAreDebounced: a flood of events causes one look per Settle, whatever its rate.
func TestEventsAreDebounced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(one)
		_, events, _ := watched(t, m)
		m.mu.Lock()
		before := m.opens
		m.mu.Unlock()
		for range 1000 {
			select {
			case events <- struct{}{}:
			default:
			}
			time.Sleep(time.Millisecond)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		// Each look opens the file twice: for its mode and for its content.
		if looks := (m.opens - before) / 2; looks > 12 {
			t.Errorf("%d looks in a second", looks)
		}
	})
}

func TestReloadDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(two)
		f, events, reloads := watched(t, m)
		m.write(one)
		events <- struct{}{}
		if err := f.Reload(); err != nil || lookup(t, f, "bob") != nil {
			t.Fatalf("bob is still served: %v", err)
		}
		if err := wantReload(t, reloads, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		wantNothing(t, reloads) // the watch does not read it again
	})
}

func TestSettler(t *testing.T) {
	t.Parallel()
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	a, b, c := fingerprints{accounts: fingerprint{sum: 1}}, fingerprints{accounts: fingerprint{sum: 2}}, fingerprints{accounts: fingerprint{sum: 3}}
	cut := fingerprints{groups: fingerprint{sum: 4, unsure: true}}
	type see struct {
		ms   int
		p    fingerprints
		want verdict
	}
	for name, sees := range map[string][]see{
		"nothing new":       {{0, a, rest}, {9999, a, rest}},
		"still":             {{0, b, wait}, {99, b, wait}, {100, b, settled}},
		"changed twice":     {{0, b, wait}, {90, c, wait}, {110, c, wait}, {190, c, settled}},
		"there and back":    {{0, b, wait}, {50, a, rest}, {120, b, wait}, {219, b, wait}, {220, b, settled}},
		"changed and back":  {{0, b, wait}, {50, c, wait}, {100, b, wait}, {200, b, settled}},
		"looks unsure":      {{0, cut, wait}, {100, cut, wait}, {499, cut, wait}, {500, cut, settled}},
		"the clock is slow": {{0, b, wait}, {0, b, wait}, {100, b, settled}},
	} {
		s := settler{settle: 100 * time.Millisecond}
		s.judge(a)
		for i, step := range sees {
			if got := s.see(at(step.ms), step.p); got != step.want {
				t.Errorf("%s, look %d: %d, want %d", name, i, got, step.want)
			}
		}
	}
}

// TestFingerprints: the content decides and not the time stamps, and every part of a fingerprint
// matters.
func TestFingerprints(t *testing.T) {
	t.Parallel()
	m := newMemory(one)
	f, err := Open(Config{Path: "users", FS: m})
	if err != nil {
		t.Fatal(err)
	}
	before := f.look()
	m.write(strings.Replace(one, "alice", "alicf", 1)) // the same size
	if f.look() == before {
		t.Error("another name of the same length looks the same")
	}
	m.write(one)
	if f.look() != before {
		t.Error("the same content looks different")
	}
	m.write(strings.TrimSuffix(one, "\n"))
	if !f.look().unsure() || before.unsure() {
		t.Error("an open last line looks like a closed one")
	}
	m.write("")
	if !f.look().unsure() {
		t.Error("an empty file looks whole")
	}
	m.remove()
	if p := f.look(); p.accounts.err == "" || !p.unsure() {
		t.Errorf("a missing file looks like %+v", p)
	}
}
