// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"fmt"
	"strings"
	"testing"
)

// counting returns a Hash of a scheme that takes the password want and counts its work.
func counting(name, want string, limit int, work *int) *Hash {
	s := &scheme{name: name, maxPassword: limit, match: func(_ *stored, password []byte) bool {
		*work++
		return string(password) == want
	}}
	return &Hash{newStored(class{scheme: s, cost: 1}, "salt", "digest")}
}

// TestFormerWork: whatever is tried, both hashes run once, and Match alone never speaks for the former password.
func TestFormerWork(t *testing.T) {
	t.Parallel()
	var current, former int
	h := counting("new", "new", 8, &current).WithFormer(counting("old", "old", 12, &former))
	for pass, want := range map[string]Verdict{
		"new":           {Match: true},
		"old":           {Former: true},
		"wrong":         {},
		"":              {},
		"nine octets":   {TooLong: true},
		"far too long.": {TooLong: true},
	} {
		current, former = 0, 0
		if got := h.Verify([]byte(pass)); got != want || current != 1 || former != 1 {
			t.Errorf("%q: %+v after %d and %d runs, want %+v after 1 and 1", pass, got, current, former, want)
		}
	}

	same := counting("new", "new", 8, &current).WithFormer(counting("old", "new", 12, &former))
	if got := same.Verify([]byte("new")); got != (Verdict{Match: true}) {
		t.Errorf("the same password twice: %+v", got)
	}
	long := counting("new", "new", 2, &current).WithFormer(counting("old", "old", 12, &former))
	if got := long.Verify([]byte("old")); got != (Verdict{Former: true}) {
		t.Errorf("a former password that the new scheme cannot take: %+v", got)
	}
}

func TestWithFormer(t *testing.T) {
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
	former := params(Params{MemoryKiB: 256, Passes: 1}, "old")
	both := current.WithFormer(former)

	if current.HasFormer() || !both.HasFormer() || (*Hash)(nil).HasFormer() {
		t.Error("HasFormer is wrong, or WithFormer has changed its receiver")
	}
	if both.WithFormer(nil) != both || (*Hash)(nil).WithFormer(both) != nil || current.WithFormer(&Hash{}) != current {
		t.Error("WithFormer with nothing to add returns another Hash")
	}
	if v := former.WithFormer(current.WithFormer(former)); v.s.former.former != nil {
		t.Error("a former of a former is kept")
	}
	if both.MemoryBytes() != 256<<10 || both.Lanes() != 2 || both.Scheme() != "argon2id" {
		t.Errorf("%d bytes, %d lanes, %s", both.MemoryBytes(), both.Lanes(), both.Scheme())
	}
	if both.Equal(current) || current.Equal(both) || both.Equal(former.WithFormer(current)) || !both.Equal(current.WithFormer(former)) {
		t.Error("Equal does not compare the former hash")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		for _, text := range []string{fmt.Sprintf(verb, both), fmt.Sprintf(verb, *both)} {
			if !strings.Contains(text, "redacted") && strings.ContainsAny(text, "$") {
				t.Errorf("%s prints %q", verb, text)
			}
		}
	}
}

// TestFormerMix: among a thousand accounts of which a quarter has two passwords, a quarter of the names that are no
// account costs twice, with the schemes of a pair that exists; and it changes for as many as begin to rotate.
func TestFormerMix(t *testing.T) {
	t.Parallel()
	old := &Hash{newStored(class{scheme: bcryptScheme, cost: 4}, "salt", "digest")}
	one := &Hash{newStored(class{scheme: argon2idScheme, cost: 1, memory: 64, lanes: 1}, "salt", "digest")}
	pair := one.WithFormer(old)
	mix := func(pairs int) *Mix {
		hashes := make([]*Hash, 0, 1000)
		for i := range 1000 {
			if i < pairs {
				hashes = append(hashes, pair)
			} else {
				hashes = append(hashes, one)
			}
		}
		return NewMix(hashes)
	}
	before, during := mix(0), mix(250)
	twice := 0
	for key := range uint64(4000) {
		if before.Decoy(key).HasFormer() {
			t.Fatal("a decoy costs twice where no account does")
		}
		d := during.Decoy(key)
		if !d.HasFormer() {
			continue
		}
		twice++
		if d.s.former.class != old.s.class || d.s.class != one.s.class {
			t.Fatal("a decoy of two hashes that no account has")
		}
		if v := d.Verify(nil); v != (Verdict{}) || !d.s.decoy || !d.s.former.decoy {
			t.Fatal("a decoy matches")
		}
	}
	if twice < 800 || twice > 1200 {
		t.Errorf("%d of 4000 unknown names cost twice, want about 1000", twice)
	}
}
