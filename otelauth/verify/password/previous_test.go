// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// counting returns a Hash of a new scheme whose password is want. It counts its runs in work.
func counting(name, want string, limit int, work *int) *Hash {
	s := &scheme{name: name, maxPassword: limit, match: func(_ *stored, password []byte) bool {
		*work++
		return string(password) == want
	}}
	return &Hash{newStored(class{scheme: s, cost: 1}, "salt", "digest")}
}

// TestPreviousWork: both hashes run once for every password, and the previous password never sets
// Match.
func TestPreviousWork(t *testing.T) {
	t.Parallel()
	var current, previous int
	h := counting("new", "new", 8, &current).WithPrevious(counting("old", "old", 12, &previous))
	for pass, want := range map[string]Verdict{
		"new":           {Match: true},
		"old":           {Previous: true},
		"wrong":         {},
		"":              {},
		"nine bytes":    {TooLong: true},
		"far too long.": {TooLong: true},
	} {
		current, previous = 0, 0
		if got := h.Verify([]byte(pass)); got != want || current != 1 || previous != 1 {
			t.Errorf("%q: %+v after %d and %d runs, want %+v after 1 and 1", pass, got, current, previous, want)
		}
	}

	same := counting("new", "new", 8, &current).WithPrevious(counting("old", "new", 12, &previous))
	if got := same.Verify([]byte("new")); got != (Verdict{Match: true}) {
		t.Errorf("the same password twice: %+v", got)
	}
	long := counting("new", "new", 2, &current).WithPrevious(counting("old", "old", 12, &previous))
	if got := long.Verify([]byte("old")); got != (Verdict{Previous: true}) {
		t.Errorf("a previous password that is too long for the new scheme: %+v", got)
	}
}

func TestWithPrevious(t *testing.T) {
	t.Parallel()
	parse := func(encoded string) *Hash {
		h, err := Parse(encoded)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	params := func(p Params, pass string) *Hash {
		encoded, err := p.Hash([]byte(pass), nil)
		if err != nil {
			t.Fatal(err)
		}
		return parse(encoded)
	}
	current := params(Params{MemoryKiB: 64, Passes: 1, Lanes: 2}, "new")
	previous := params(Params{MemoryKiB: 256, Passes: 1}, "old")
	both := current.WithPrevious(previous)

	if current.HasPrevious() || !both.HasPrevious() || (*Hash)(nil).HasPrevious() {
		t.Error("HasPrevious is wrong, or WithPrevious has changed its receiver")
	}
	if both.WithPrevious(nil) != both || (*Hash)(nil).WithPrevious(both) != nil || current.WithPrevious(&Hash{}) != current {
		t.Error("WithPrevious with nothing to add returns another Hash")
	}
	if v := previous.WithPrevious(current.WithPrevious(previous)); v.s.previous.previous != nil {
		t.Error("the previous password of a previous one is kept")
	}
	if both.MemoryBytes() != 256<<10 || both.Scheme() != "argon2id" {
		t.Errorf("%d bytes, %s", both.MemoryBytes(), both.Scheme())
	}
	if both.Equal(current) || current.Equal(both) || both.Equal(previous.WithPrevious(current)) || !both.Equal(current.WithPrevious(previous)) {
		t.Error("Equal does not compare the previous hash")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		for _, text := range []string{fmt.Sprintf(verb, both), fmt.Sprintf(verb, *both)} {
			if !strings.Contains(text, "redacted") && strings.ContainsAny(text, "$") {
				t.Errorf("%s prints %q", verb, text)
			}
		}
	}
}

// TestPreviousMix has a thousand accounts, a quarter of them with two passwords. A quarter of the
// unknown names must cost two hashes, of a pair of schemes that exists. Only as many names change
// as accounts begin to rotate.
func TestPreviousMix(t *testing.T) {
	t.Parallel()
	old := &Hash{newStored(class{scheme: bcryptScheme, cost: 4}, "salt", "digest")}
	one := &Hash{newStored(class{scheme: argon2idScheme, cost: 1, memory: 64, lanes: 1}, "salt", "digest")}
	pair := one.WithPrevious(old)
	mix := func(pairs int) *Mix {
		hashes := make([]*Hash, 0, 1000)
		for i := range 1000 {
			if i < pairs {
				hashes = append(hashes, pair)
			} else {
				hashes = append(hashes, one)
			}
		}
		return NewMix(slices.Values(hashes))
	}
	before, during := mix(0), mix(250)
	twice := 0
	for key := range uint64(4000) {
		if before.Decoy(key).HasPrevious() {
			t.Fatal("a decoy has two hashes and no account has")
		}
		d := during.Decoy(key)
		if !d.HasPrevious() {
			continue
		}
		twice++
		if d.s.previous.class != old.s.class || d.s.class != one.s.class {
			t.Fatal("a decoy has a pair of hashes that no account has")
		}
		if v := d.Verify(nil); v != (Verdict{}) || !d.s.decoy || !d.s.previous.decoy {
			t.Fatal("a decoy matches")
		}
	}
	if twice < 800 || twice > 1200 {
		t.Errorf("%d of 4000 unknown names have two hashes, want about 1000", twice)
	}
}
