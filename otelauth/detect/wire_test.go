// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/detect/internal/feed"
)

var samplesOfTest = []relayed{
	{sample: sample{
		at: time.UnixMilli(1772438400123), client: netip.MustParseAddr("192.0.2.0"), hash: "k:alice", route: "/orders/{id}",
		fingerprint: 1 << 63, trace: trace.TraceID{1, 15: 2}, kind: guessed, sensitive: true, proven: true,
	}},
	{sample: sample{
		at: time.UnixMilli(1), client: netip.MustParseAddr("2001:db8:1::"), hash: "k:bob", kind: succeeded, proven: true,
	}, lat: -33.9, lon: 151.2, placed: true},
	{sample: sample{at: time.UnixMilli(1772438400124), route: "/", unknown: true, unusable: true}},
}

func batchOf(samples []relayed) []byte {
	b := []byte{wireVersion, byte(wireSamples)}
	for i := range samples {
		b = appendSample(b, &samples[i])
	}
	return b
}

func TestWire(t *testing.T) {
	t.Parallel()
	in := append([]relayed{}, samplesOfTest...)
	in[0].name, in[0].client = "Alice", netip.MustParseAddr("::ffff:192.0.2.77")
	in[0].span = spanRef{trace.SpanID{9}, trace.FlagsSampled} // not sent
	in[1].client, in[1].lat = netip.MustParseAddr("2001:db8:1:2:3::4"), -33.8688
	b := batchOf(in)
	if bytes.Contains(b, []byte("Alice")) || bytes.Contains(b, []byte{192, 0, 2, 77}) {
		t.Error("a name or an address leaves the process")
	}
	r, kind, err := readHeader(b)
	if err != nil || kind != wireSamples {
		t.Fatal(kind, err)
	}
	out, err := r.samples()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(samplesOfTest, out, cmp.AllowUnexported(relayed{}, sample{}, spanRef{}, agent{}), cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Error(d)
	}

	long := relayed{sample: sample{
		client: netip.MustParseAddr("2001:db8::1"), hash: strings.Repeat("h", 1<<16), route: strings.Repeat("é", 1<<16), trace: trace.TraceID{1},
	}, placed: true}
	if n := len(appendSample(nil, &long)); n > wireSampleMax {
		t.Errorf("a sample takes %d bytes; want at most %d", n, wireSampleMax)
	}
	for n := range b {
		if r, _, err := readHeader(b[:n]); err == nil {
			_, err = r.samples()
			if err == nil && n != 2 && n != len(batchOf(in[:1])) && n != len(batchOf(in[:2])) {
				t.Errorf("a batch truncated at %d is read", n)
			}
		}
	}
}

// FuzzWire: a batch is read completely or not at all, and writing what was read gives the same
// bytes.
func FuzzWire(f *testing.F) {
	f.Add(batchOf(samplesOfTest))
	ep := &episode{id: 7, first: epoch, last: epoch + 1, attempts: 9, next: 18}
	f.Add(appendEpisode([]byte{wireVersion, byte(wireEpisodes)}, lowAndSlow, 5, ep, func(uint32) time.Time { return time.Unix(1, 0) }))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, kind, err := readHeader(b)
		if err != nil {
			return
		}
		if kind == wireEpisodes {
			if all, err := r.episodes(); err == nil && len(all)*(1+7*8) != len(b)-2 {
				t.Errorf("%d episodes of %d bytes", len(all), len(b))
			}
			return
		}
		all, err := r.samples()
		if err != nil {
			return
		}
		again := batchOf(all)
		r, _, err = readHeader(again)
		if err != nil && len(again) <= feed.MaxBatchBytes {
			t.Fatal(err)
		} else if err != nil {
			return
		}
		twice, err := r.samples()
		if err != nil || len(twice) != len(all) {
			t.Fatalf("%d samples become %d: %v", len(all), len(twice), err)
		}
		if !bytes.Equal(batchOf(twice), again) {
			t.Error("a batch changes when it is read and written again")
		}
	})
}

func TestTokens(t *testing.T) {
	t.Parallel()
	tk := tokens{key: sip{1, 2}, of: newTable[lately](64, day, day)}
	a := tk.token("k:alice", 7, epoch)
	if tk.token("k:alice", 7, epoch) != a {
		t.Error("the same password of the same account has another token")
	}
	if tk.token("k:bob", 7, epoch) == a || tk.token("k:alice", 8, epoch) == a {
		t.Error("two accounts or two passwords have the same token")
	}
	other := tokens{key: sip{3, 4}, of: newTable[lately](64, day, day)}
	if other.token("k:alice", 7, epoch) == a {
		t.Error("another process has the same token")
	}
	for fp := range uint64(4) {
		tk.token("k:alice", 100+fp, epoch)
	}
	if tk.token("k:alice", 7, epoch) == a {
		t.Error("more than four tokens of an account are kept")
	}
}

// TestGoldenWire holds the wire format of version 1: processes of several versions share a feed.
// testdata/wire.golden has one line for each sample and each rule. go generate adds missing lines
// and never changes one.
func TestGoldenWire(t *testing.T) {
	t.Parallel()
	const file = "testdata/wire.golden"
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]string{}
	for line := range strings.Lines(string(golden)) {
		name, bytes, _ := strings.Cut(strings.TrimSpace(line), " ")
		recorded[name] = bytes
	}
	check := func(name string, b []byte) {
		got := hex.EncodeToString(b)
		switch want, ok := recorded[name]; {
		case ok && got != want:
			t.Errorf("%s: the wire format has changed; a new format needs a new wireVersion\n got %s\nwant %s", name, got, want)
		case !ok && *update:
			golden = fmt.Appendf(golden, "%s %s\n", name, got)
		case !ok:
			t.Errorf("%s has no line %q; run go generate ./otelauth/detect", file, name)
		}
		delete(recorded, name)
	}
	for i := range samplesOfTest {
		check(fmt.Sprint("sample/", i), batchOf(samplesOfTest[i:i+1]))
	}
	ep := &episode{id: 7, first: epoch, last: epoch + 60, attempts: 9, next: 18, accountCount: 1, networkCount: 10}
	wall := func(s uint32) time.Time { return time.Unix(1772438400+int64(s)-epoch, 0) }
	for id, r := range rules {
		if !r.local {
			check("episode/"+r.Name, appendEpisode([]byte{wireVersion, byte(wireEpisodes)}, ruleID(id), 5, ep, wall))
		}
	}
	for name := range recorded {
		t.Errorf("%s has a line %q that nothing produces; a wire number must not be removed", file, name)
	}
	if *update {
		if err := os.WriteFile(file, golden, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
