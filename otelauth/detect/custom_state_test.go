// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/snapshot"
)

// countsOfEach has a rule for each counter that an attempt of busy adds to.
var countsOfEach = []CustomRule{
	{Name: "attempts", Per: PerNetwork, AtLeast: 200},
	{Name: "accounts", Count: CountAccounts, Per: PerRoute, AtLeast: 150, Within: 3 * 24 * time.Hour},
	{Name: "networks", Count: CountNetworks, Per: PerAccount, AtLeast: 5, Within: 24 * time.Hour},
	{Name: "passwords", Count: CountPasswords, Per: PerAccount, AtLeast: 150, Within: 3 * 24 * time.Hour},
}

// TestFingerprint: a field of a rule or of a Match changes the fingerprint, or does not change
// what the counts mean.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	neutral := map[string]bool{"Summary": true, "Severity": true, "AtLeast": true}
	set := func(v reflect.Value) {
		switch v.Addr().Interface().(type) {
		case *[]string:
			v.Set(reflect.ValueOf([]string{"a"}))
		case *[]netip.Prefix:
			v.Set(reflect.ValueOf([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}))
		case *string:
			v.SetString("other")
		default:
			if v.CanUint() {
				v.SetUint(1)
				return
			}
			v.SetInt(1)
		}
	}
	key := sip{1, 2}
	seen := map[uint64]string{fingerprintOf(&CustomRule{}, key): "the zero rule"}
	check := func(field string, r *CustomRule) {
		f := fingerprintOf(r, key)
		if same, ok := seen[f]; ok != neutral[field] {
			t.Errorf("%s: the fingerprint is the one of %q; add the field to fingerprintOf, or to neutral", field, same)
		}
		seen[f] = field
	}
	for f := range reflect.TypeFor[CustomRule]().Fields() {
		if f.Type != reflect.TypeFor[Match]() {
			var r CustomRule
			set(reflect.ValueOf(&r).Elem().FieldByIndex(f.Index))
			check(f.Name, &r)
			continue
		}
		for in := range f.Type.Fields() {
			var r CustomRule
			set(reflect.ValueOf(&r).Elem().FieldByIndex(f.Index).FieldByIndex(in.Index))
			check(f.Name+"."+in.Name, &r)
		}
	}
	for _, lists := range [...][]string{{"a b"}, {"a", "b"}, {`a" "b`}} {
		check(fmt.Sprintf("%q", lists), &CustomRule{Match: Match{Accounts: lists}})
	}
	if _, ok := seen[fingerprintOf(&CustomRule{}, sip{3, 4})]; ok {
		t.Error("the fingerprint does not depend on the key, so it would reveal names")
	}
}

// TestDamagedCustom: a state that ends within the evidence of the operator's rules, or in which it
// is impossible, is refused.
func TestDamagedCustom(t *testing.T) {
	t.Parallel()
	e := busy()
	state := e.state()
	changed := func(change func(*keptRule)) []byte {
		enc := newEncoder(&e.blocks)
		enc.section("now", &e.now)
		rule := e.custom.rules[0].kept(e.now)
		change(&rule)
		enc.tag("custom", sized)
		enc.within(func() { enc.value(reflect.ValueOf(&rule).Elem()) })
		return enc.bytes()
	}
	many := func(n int) func(*keptRule) {
		return func(r *keptRule) {
			r.episodes = map[uint64]*episode{}
			for i := range n {
				r.episodes[uint64(i)] = &episode{}
			}
		}
	}
	older := newEncoder(&e.blocks)
	older.section("now", &e.now)
	for name, c := range map[string]struct {
		state []byte
		want  error
	}{
		"whole":                 {changed(func(*keptRule) {}), nil},
		"cut off":               {state[:len(state)-1], snapshot.ErrDamaged},
		"cut in the middle":     {state[:len(state)-2000], snapshot.ErrDamaged},
		"an entry without key":  {changed(func(r *keptRule) { r.evidence[3].key = 0 }), snapshot.ErrDamaged},
		"as many episodes":      {changed(many(customEpisodes + 1)), nil},
		"one episode too many":  {changed(many(customEpisodes + 2)), snapshot.ErrDamaged},
		"too many of no rule":   {changed(func(r *keptRule) { r.fingerprint = 1; many(customEpisodes + 2)(r) }), snapshot.ErrDamaged},
		"of an older version":   {older.bytes(), nil},
		"of a rule that is not": {changed(func(r *keptRule) { r.fingerprint = 1 }), nil},
	} {
		if err := testEngine().restore(c.state, e.wall(e.now)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestCustomBlocks: counters that are evicted, or whose rule is gone or unknown, return their
// blocks.
func TestCustomBlocks(t *testing.T) {
	t.Parallel()
	e := testEngine()
	rule := CustomRule{Name: "mine", Count: CountAccounts, Per: PerNetwork, AtLeast: 100}
	fill := func(n int) {
		r := e.custom.rules[0]
		for i := range n {
			p := r.evidence.touch(e.key.pair(uint64(i), 1)|1, e.now, 1)
			for j := range inlineMax + 1 {
				p.value.values.add(&e.blocks, e.key.pair(uint64(j), 2), e.now)
			}
		}
	}
	e.replace(&Custom{Rules: []CustomRule{rule}})
	fill(5 * customEntries)
	if used := e.blocks.used; used > customEntries+1 || used < customEntries/2 {
		t.Fatalf("%d blocks for %d entries", used, customEntries)
	}
	rule.Within = 2 * time.Hour
	e.replace(&Custom{Rules: []CustomRule{rule}})
	if len(e.blocks.free) != int(e.blocks.used) {
		t.Errorf("a rule has changed: %d of %d blocks are free", len(e.blocks.free), e.blocks.used)
	}
	fill(100)
	next := testEngine()
	if err := next.restore(e.state(), e.wall(e.now)); err != nil || len(next.blocks.free) != int(next.blocks.used) || next.blocks.used == 0 {
		t.Errorf("the rule is unknown: %d of %d blocks are free; %v", len(next.blocks.free), next.blocks.used, err)
	}
}

// TestLargeCustom: the counts of a rule that would make the state too large are left out; its
// episodes and the counts of others remain.
func TestLargeCustom(t *testing.T) {
	t.Parallel()
	e := testEngine()
	c := Custom{}
	for i := range 4 {
		c.Rules = append(c.Rules, CustomRule{Name: fmt.Sprint("rule", i), Count: CountAccounts, Per: PerNetwork, AtLeast: 100})
	}
	e.replace(&c)
	for i, r := range e.custom.rules {
		r.episodes[3] = &episode{id: uint64(i + 1)}
		for n := range 4 * customEntries {
			p := r.evidence.touch(e.key.pair(uint64(n), 1)|1, e.now, 1)
			for j := 0; i < 3 && j < exactMax && p.value.values.n < exactMax; j++ {
				p.value.values.add(&e.blocks, e.key.pair(uint64(j), 2), e.now)
			}
		}
	}
	next := testEngine()
	next.replace(&c)
	state := e.state()
	if err := next.restore(state, e.wall(e.now)); err != nil {
		t.Fatal(err)
	}
	var counted []bool
	for i, r := range next.custom.rules {
		counted = append(counted, r.evidence.live > 0)
		if len(r.episodes) != 1 || r.episodes[3].id != uint64(i+1) {
			t.Errorf("rule %d: the episode is lost", i)
		}
	}
	if want := []bool{true, true, false, true}; !reflect.DeepEqual(counted, want) || len(state) > maxCustomBytes+1<<16 {
		t.Errorf("rules with counts: %v, want %v; %d bytes", counted, want, len(state))
	}
	if n := len(e.custom.rules[0].kept(e.now + hour).evidence); n != 0 {
		t.Errorf("%d counts remain in the state after their window", n)
	}
}

// TestResumedAddresses: the addresses of episodes that another engine had count for the bound.
func TestResumedAddresses(t *testing.T) {
	t.Parallel()
	before, e := busy(), ruled()
	want := 0
	for _, ep := range before.custom.all {
		want += len(ep.addresses.list)
	}
	keptCustom{e}.resume(before)
	if e.addresses != want || want == 0 {
		t.Errorf("%d addresses, want %d", e.addresses, want)
	}
}
