// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk/disktest"
)

// evidence is a trail of some segments, older copies of it, and checkpoints that were kept outside.
type evidence struct {
	key         *trail.Key
	files       map[string][]byte
	older       []map[string][]byte
	checkpoints [][]byte
}

// collect makes evidence of n segments.
func collect(t testing.TB, n int) *evidence {
	t.Helper()
	e := &evidence{key: newKey(t)}
	d := disktest.New(1)
	for i := range n {
		tr, err := trail.OpenOn(trail.Config{Dir: "/trail", Key: e.key, Durability: trail.Ordered}, d)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 + 150*i {
			_ = decide(tr, "/orders", attempt.Success)
		}
		if err := tr.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.checkpoints = append(e.checkpoints, tr.Status().Checkpoint.Note)
		e.files = d.Files()
		e.older = append(e.older, e.files)
	}
	e.older = e.older[:n-1]
	return e
}

func (e *evidence) verify(t testing.TB, files map[string][]byte, checkpoints ...[]byte) error {
	t.Helper()
	_, err := trail.VerifyOn(t.Context(), disktest.With(1, files), "/trail",
		trail.VerifyOptions{Keys: []string{e.key.Public()}, Checkpoints: checkpoints})
	return err
}

// segment returns the name of one segment.
func segment(chance *rand.Rand, files map[string][]byte) string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(name, "/trail/segments/") {
			names = append(names, name)
		}
	}
	return names[chance.IntN(len(names))]
}

// tamperings change files, which is a copy.
var tamperings = []struct {
	name   string
	tamper func(t *testing.T, chance *rand.Rand, e *evidence, files map[string][]byte)
}{
	{"bit", func(_ *testing.T, chance *rand.Rand, _ *evidence, files map[string][]byte) {
		name := segment(chance, files)
		data := bytes.Clone(files[name])
		data[chance.IntN(len(data))] ^= 1 << chance.IntN(8)
		files[name] = data
	}},
	{"line removed", lines(func(chance *rand.Rand, all [][]byte) [][]byte {
		i := chance.IntN(len(all))
		return slices.Delete(all, i, i+1)
	})},
	{"line repeated", lines(func(chance *rand.Rand, all [][]byte) [][]byte {
		i := chance.IntN(len(all))
		return slices.Insert(all, chance.IntN(len(all)+1), all[i])
	})},
	{"line written", lines(func(chance *rand.Rand, all [][]byte) [][]byte {
		return slices.Insert(all, chance.IntN(len(all)+1), []byte("{\"seq\":7,\"time\":\"2026-01-02T03:04:05.000000006Z\",\"event\":\"auth.attempt\"}\n"))
	})},
	{"name changed", lines(func(chance *rand.Rand, all [][]byte) [][]byte {
		i := 1 + chance.IntN(len(all)-1)
		all[i] = bytes.Replace(all[i], []byte("alice"), []byte("mallory"), 1)
		if !bytes.Contains(all[i], []byte("mallory")) {
			all[i] = all[0]
		}
		return all
	})},
	{"lines reordered", lines(func(chance *rand.Rand, all [][]byte) [][]byte {
		i, j := chance.IntN(len(all)), chance.IntN(len(all)-1)
		if j >= i {
			j++
		}
		all[i], all[j] = all[j], all[i]
		return all
	})},
	{"segment removed", func(_ *testing.T, chance *rand.Rand, _ *evidence, files map[string][]byte) {
		delete(files, segment(chance, files))
	}},
	{"segments swapped", func(_ *testing.T, chance *rand.Rand, _ *evidence, files map[string][]byte) {
		a, b := segment(chance, files), segment(chance, files)
		for a == b {
			b = segment(chance, files)
		}
		files[a], files[b] = files[b], files[a]
	}},
	{"segment truncated", func(_ *testing.T, chance *rand.Rand, _ *evidence, files map[string][]byte) {
		name := segment(chance, files)
		files[name] = files[name][:chance.IntN(len(files[name]))]
	}},
	{"bytes appended", func(_ *testing.T, chance *rand.Rand, _ *evidence, files map[string][]byte) {
		name := segment(chance, files)
		files[name] = append(bytes.Clone(files[name]), "{}\n"[chance.IntN(2):]...)
	}},
	{"checkpoint removed", func(_ *testing.T, _ *rand.Rand, _ *evidence, files map[string][]byte) {
		delete(files, "/trail/checkpoint")
	}},
	{"file added", func(_ *testing.T, _ *rand.Rand, _ *evidence, files map[string][]byte) {
		files["/trail/segments/notes.txt"] = nil
	}},
	{"rolled back", func(_ *testing.T, chance *rand.Rand, e *evidence, files map[string][]byte) {
		clear(files)
		maps.Copy(files, e.older[chance.IntN(len(e.older))])
	}},
	{"forked", func(t *testing.T, chance *rand.Rand, e *evidence, files map[string][]byte) {
		t.Helper()
		d := disktest.With(1, e.older[chance.IntN(len(e.older))])
		tr, err := trail.OpenOn(trail.Config{Dir: "/trail", Key: e.key, Durability: trail.Ordered}, d)
		if err != nil {
			t.Fatal(err)
		}
		for range 1 + chance.IntN(1500) {
			_ = decide(tr, "/another", attempt.Success)
		}
		if err := tr.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		clear(files)
		maps.Copy(files, d.Files())
	}},
}

// lines changes the lines of a segment.
func lines(change func(chance *rand.Rand, all [][]byte) [][]byte) func(*testing.T, *rand.Rand, *evidence, map[string][]byte) {
	return func(_ *testing.T, chance *rand.Rand, _ *evidence, files map[string][]byte) {
		name := segment(chance, files)
		files[name] = bytes.Join(change(chance, bytes.SplitAfter(bytes.TrimSuffix(files[name], []byte("\n")), []byte("\n"))), nil)
		files[name] = append(files[name], '\n')
	}
}

// Every change of the lines is found by who has the last checkpoint.
func TestTamperings(t *testing.T) {
	t.Parallel()
	e := collect(t, 4)
	last := e.checkpoints[len(e.checkpoints)-1]
	if err := e.verify(t, e.files, e.checkpoints...); err != nil {
		t.Fatal(err)
	}
	for seed := range *faults {
		chance := rand.New(rand.NewPCG(uint64(seed), 2))
		how := tamperings[seed%len(tamperings)]
		files := maps.Clone(e.files)
		how.tamper(t, chance, e, files)
		if same(files, e.files) {
			continue // two equal lines were swapped, for example
		}
		err := e.verify(t, files, last)
		var found *trail.VerificationError
		if !errors.As(err, &found) {
			t.Errorf("seed %d: %s: Verify returns %v", seed, how.name, err)
		}
	}
}

func same(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }
