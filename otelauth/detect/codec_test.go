// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/google/go-cmp/cmp"
)

// unsaved are the fields of an engine that are not in a snapshot, with the reason.
var unsaved = map[string]string{
	"key":       "derived from the key of the snapshot",
	"th":        "of the configuration",
	"off":       "of the configuration",
	"loc":       "of the configuration",
	"onReport":  "of the configuration",
	"mark":      "of the configuration",
	"swept":     "the first sweep after a restart follows at once",
	"nonce":     "its passwords are not compared with those of another process",
	"spread":    "of the feed",
	"alone":     "of the feed",
	"passwords": "fingerprints of passwords change with each start",
	"recent":    "it only fills the lists of an episode with earlier attempts",
	"blocks":    "the counters bring their values",

	"thresholds": "of the configuration",
	"markCustom": "of the configuration",
	"addresses":  "restore counts them",
	"floor":      "it only saves a search",
}

// TestSnapshotHasTheState: a new field of the engine is in the snapshot, or there is a reason.
func TestSnapshotHasTheState(t *testing.T) {
	t.Parallel()
	e := testEngine()
	saved := map[string]bool{}
	for _, p := range e.parts() {
		saved[p.field] = true
	}
	typ := reflect.TypeFor[engine]()
	for f := range typ.Fields() {
		_, hasReason := unsaved[f.Name]
		switch {
		case saved[f.Name] == hasReason:
			t.Errorf("add the field %s of the engine to parts, or to unsaved with the reason (not to both)", f.Name)
		case saved[f.Name]:
			delete(saved, f.Name)
		}
	}
	for name := range saved {
		t.Errorf("%s is in parts, but no field of the engine", name)
	}
}

func testEngine() *engine {
	cfg := Config{Entries: 256, Now: func() time.Time { return sharedBase }}
	if err := cfg.complete(); err != nil {
		panic(err)
	}
	return newEngine(&cfg, sip{1, 2}, func(*Detection) {}, func(ruleID, uint64, *sample) {})
}

// ruled returns a new engine with rules of the operator.
func ruled() *engine {
	e := testEngine()
	e.replace(&Custom{Rules: countsOfEach})
	return e
}

// busy returns a ruled engine after a mix of successes and guesses.
func busy() *engine {
	e, rng := ruled(), rand.New(rand.NewPCG(1, 2))
	at := sharedBase
	for i := range 20_000 {
		at = at.Add(time.Duration(rng.IntN(120)) * time.Second)
		s := sample{at: at, client: netip.AddrFrom4([4]byte{198, 51, byte(rng.IntN(40)), 7}), route: fmt.Sprint("/", rng.IntN(3)), trace: trace.TraceID{1, byte(i)}}
		if rng.IntN(3) == 0 {
			s.client = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(rng.IntN(9)), 15: 1})
		}
		s.hash = fmt.Sprint("k:", rng.IntN(60))
		s.kind, s.sensitive = succeeded, rng.IntN(2) == 0
		if rng.IntN(2) == 0 {
			s.kind, s.fingerprint, s.unknown = guessed, rng.Uint64N(200)+1, rng.IntN(2) == 0
		}
		e.take(&s)
		e.sweep(at)
	}
	return e
}

// TestStateRoundTrip: a state that is restored is the same, and continues in the same way.
func TestStateRoundTrip(t *testing.T) {
	t.Parallel()
	e := busy()
	state := e.state()
	for typ, p := range e.encode().plans {
		if len(p.left) > 0 {
			t.Errorf("%v has fields that cannot be in a snapshot: %v", typ, p.left)
		}
	}
	open := 0
	for _, all := range e.episodes {
		open += len(all)
	}
	if open < 5 || len(e.endpoints) < 3 || e.blocks.used == 0 {
		t.Fatalf("%d open episodes, %d endpoints: the test proves little", open, len(e.endpoints))
	}
	for _, r := range e.custom.rules {
		if open += len(r.episodes); len(r.kept(e.now).evidence) == 0 && r.Count != CountPasswords {
			t.Fatalf("the rule %s has no evidence: the test proves little", r.Name)
		}
	}
	next := ruled()
	if err := next.restore(state, e.wall(e.now)); err != nil {
		t.Fatal(err)
	}
	if next.addresses != e.addresses {
		t.Errorf("%d addresses, want %d", next.addresses, e.addresses)
	}
	for _, table := range []*table[try]{next.tries} {
		for i := range table.buckets {
			for j := range table.buckets[i] {
				table.buckets[i][j].value.isResumed = false
			}
		}
	}
	if d := cmp.Diff(state, next.state()); d != "" {
		t.Errorf("the restored state differs: %d and %d bytes", len(state), len(next.state()))
	}
	if e.habits.live != next.habits.live || e.sources.live != next.sources.live {
		t.Error("the tables have other numbers of entries")
	}
}

// TestStateOfAnotherVersion: what a version does not know is skipped, and what it misses is zero.
func TestStateOfAnotherVersion(t *testing.T) {
	t.Parallel()
	type inner struct {
		kept, gone uint32
		changed    uint64
	}
	type before struct {
		list  []inner
		text  string
		extra map[string]float64
		last  int64
	}
	type innerAfter struct {
		added   bool
		changed string
		kept    uint32
	}
	type after struct {
		last  int64
		list  []innerAfter
		added netip.Prefix
	}
	old := before{[]inner{{1, 2, 3}, {4, 5, 6}}, "text", map[string]float64{"a": 1, "b": 2}, -7}
	var b blocks
	enc := newEncoder(&b)
	enc.section("state", &old)
	enc.section("other", &old)
	dec := newDecoder(&b, enc.bytes())
	var got after
	for len(dec.b) > 0 {
		if name, f := dec.tag(); dec.list[name] == "state:s" {
			dec.value(reflect.ValueOf(&got).Elem())
		} else {
			dec.skip(f)
		}
	}
	want := after{last: -7, list: []innerAfter{{false, "", 1}, {false, "", 4}}, added: netip.Prefix{}}
	if dec.bad || !reflect.DeepEqual(got, want) {
		t.Errorf("damaged: %t; %+v, want %+v", dec.bad, got, want)
	}
}

// FuzzRestore: no state makes restore panic or allocate without bound.
func FuzzRestore(f *testing.F) {
	state := busy().state()
	f.Add(state)
	f.Add(state[:len(state)/2])
	f.Add(state[:len(state)-1000]) // within the evidence of the operator's rules
	for i := range 32 {
		b := bytes.Clone(state)
		b[(i*7919)%len(b)] ^= byte(1 << (i % 8))
		f.Add(b)
	}
	f.Add(binary.AppendUvarint(nil, 1<<60))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := ruled()
		if err := e.restore(b, sharedBase.Add(1000*24*time.Hour)); err != nil {
			return
		}
		s := sample{at: sharedBase.Add(1000 * 24 * time.Hour), hash: "k:1", kind: succeeded}
		e.take(&s)
		e.sweep(s.at)
	})
}
