// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// what returns the visible properties of a hash's class.
func what(h *password.Hash) string {
	return fmt.Sprint(h.Scheme(), h.MemoryBytes())
}

func mixed(t testing.TB, bcrypts, argons, shas int) []*password.Hash {
	t.Helper()
	var all []*password.Hash
	for _, c := range []struct {
		n       int
		encoded string
	}{
		{bcrypts, "$2y$04$" + bcryptSalt + bcryptDigest},
		{argons, "$argon2id$v=19$m=64,t=1,p=1" + argon2idTail},
		{shas, "$6$rounds=1000$saltstring$" + sha512Digest},
	} {
		h := parse(t, password.Policy{}, c.encoded)
		for range c.n {
			all = append(all, h)
		}
	}
	return all
}

func TestEmptyMixIsTodaysDefault(t *testing.T) {
	t.Parallel()
	var nothing *password.Mix
	for _, m := range []*password.Mix{nothing, {}, new(password.Mix), password.NewMix(slices.Values([]*password.Hash{nil, {}}))} {
		d := m.Decoy(7)
		if d.Scheme() != "argon2id" || d.MemoryBytes() != 19<<20 {
			t.Errorf("%s", what(d))
		}
	}
	if (&password.Mix{}).Decoy(0).Verify([]byte("")).Match {
		t.Error("a decoy matches")
	}
}

func TestDecoysMatchNothing(t *testing.T) {
	t.Parallel()
	for _, h := range cheap(t) {
		for name, random := range map[string]*bytes.Reader{
			"zeros": bytes.NewReader(make([]byte, 1000)),
			"ones":  bytes.NewReader(bytes.Repeat([]byte{0xff}, 1000)),
		} {
			m := password.NewMixFrom(slices.Values([]*password.Hash{h}), random)
			d := m.Decoy(1)
			if !password.SameClass(d, h) || d.RehashNeeded() {
				t.Errorf("%s: the decoy is %s", what(h), what(d))
			}
			for _, pw := range []string{"", "wonderland", strings.Repeat("x", 72)} {
				if d.Verify([]byte(pw)).Match {
					t.Errorf("%s, %s: %q matches a decoy", h.Scheme(), name, pw)
				}
			}
			if got := d.Verify(bytes.Repeat([]byte("x"), 1<<20)); got != (password.Verdict{TooLong: true}) {
				t.Errorf("%s: a long password: %+v", h.Scheme(), got)
			}
		}
	}
}

// TestDecoyDeniesByItsMark: a decoy denies even if the random source yields the right salt and
// digest.
func TestDecoyDeniesByItsMark(t *testing.T) {
	t.Parallel()
	salt := bytes.Repeat([]byte{'s'}, 16)
	params := password.Params{MemoryKiB: 64, Passes: 1}
	encoded, err := params.Hash([]byte("wonderland"), bytes.NewReader(salt))
	if err != nil {
		t.Fatal(err)
	}
	h := parse(t, password.Policy{}, encoded)
	digest := decode(t, encoded[strings.LastIndexByte(encoded, '$')+1:])
	m := password.NewMixFrom(slices.Values([]*password.Hash{h}), bytes.NewReader(append(salt, digest...)))
	d := m.Decoy(1)
	if !h.Verify([]byte("wonderland")).Match {
		t.Fatal("the original does not match")
	}
	if d.Verify([]byte("wonderland")).Match || d.Equal(h) {
		t.Error("the decoy equals the real hash")
	}
}

func TestDecoysComeFromTheRandomSource(t *testing.T) {
	t.Parallel()
	hashes := mixed(t, 1, 1, 1)
	decoy := func(r *rand.ChaCha8) *password.Hash { return password.NewMixFrom(slices.Values(hashes), r).Decoy(3) }
	a, b, c := decoy(rand.NewChaCha8([32]byte{1})), decoy(rand.NewChaCha8([32]byte{1})), decoy(rand.NewChaCha8([32]byte{2}))
	if !a.Equal(b) || a.Equal(c) {
		t.Error("the decoy does not follow the source")
	}
	if password.NewMix(slices.Values(hashes)).Decoy(3).Equal(password.NewMix(slices.Values(hashes)).Decoy(3)) {
		t.Error("two mixes share a decoy: it is not from crypto/rand")
	}
	// A source that fails does not open an account.
	broken := password.NewMixFrom(slices.Values(hashes), iotest.ErrReader(errors.New("no entropy")))
	for key := range uint64(20) {
		if broken.Decoy(key).Verify(nil).Match {
			t.Error("a decoy of zeros matches")
		}
	}
}

func TestDecoysInProportion(t *testing.T) {
	t.Parallel()
	m := password.NewMix(slices.Values(mixed(t, 600, 300, 100)))
	const n = 100_000
	got := map[string]int{}
	for key := range uint64(n) {
		got[m.Decoy(key).Scheme()]++
	}
	for scheme, share := range map[string]float64{"bcrypt": .6, "argon2id": .3, "sha512-crypt": .1} {
		// Six standard deviations. The keys are always the same.
		if d := math.Abs(float64(got[scheme]) - n*share); d > 6*math.Sqrt(n*share*(1-share)) {
			t.Errorf("%s: %d of %d, want %.0f", scheme, got[scheme], n, n*share)
		}
	}
}

func TestDecoyIsStable(t *testing.T) {
	t.Parallel()
	hashes := mixed(t, 600, 300, 100)
	m := password.NewMix(slices.Values(hashes))
	shuffled := slices.Clone(hashes)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	other := password.NewMix(slices.Values(shuffled))
	grown := password.NewMix(slices.Values(append(shuffled, mixed(t, 10, 0, 0)...)))
	moved := 0
	for key := range uint64(10_000) {
		d := m.Decoy(key)
		if d != m.Decoy(key) {
			t.Fatal("the same key gets two decoys")
		}
		if d.Scheme() != other.Decoy(key).Scheme() {
			t.Fatalf("key %d: the order of the accounts matters", key)
		}
		if d.Scheme() != grown.Decoy(key).Scheme() {
			moved++
			if grown.Decoy(key).Scheme() != "bcrypt" {
				t.Errorf("key %d moved to a class that did not grow", key)
			}
		}
	}
	// bcrypt's share goes from 60 to 60.4 %.
	if moved == 0 || moved > 100 {
		t.Errorf("%d of 10,000 keys changed their class after 10 more accounts", moved)
	}
}

// TestDecoyClassesAreFixed: the class of a key must not change between releases, or an upgrade
// reveals which names are unknown.
func TestDecoyClassesAreFixed(t *testing.T) {
	t.Parallel()
	m := password.NewMix(slices.Values(mixed(t, 5, 3, 2)))
	var got strings.Builder
	for key := range uint64(24) {
		got.WriteByte(m.Decoy(key).Scheme()[0])
	}
	if want := "ssbbsbbaaaababbbbaabbbss"; got.String() != want {
		t.Errorf("%s, want %s", got.String(), want)
	}
}

func TestMixKeepsTheMostFrequentClasses(t *testing.T) {
	t.Parallel()
	var hashes []*password.Hash
	for i := range 100 {
		h := parse(t, password.Policy{}, fmt.Sprintf("$pbkdf2-sha256$%d%s", 1000+i, argon2idTail))
		hashes = append(hashes, h)
	}
	one, other := password.NewMix(slices.Values(hashes)), password.NewMix(slices.Values(hashes))
	for key := range uint64(1000) {
		if !password.SameClass(one.Decoy(key), other.Decoy(key)) {
			t.Fatalf("key %d: equally frequent classes are not always the same ones", key)
		}
	}
	frequent := mixed(t, 50, 0, 0)
	m := password.NewMix(slices.Values(append(hashes, frequent...)))
	bcrypts := 0
	for key := range uint64(1000) {
		if m.Decoy(key).Scheme() == "bcrypt" {
			bcrypts++
		}
	}
	// 50 of 50 + 63 remain.
	if bcrypts < 380 || bcrypts > 500 {
		t.Errorf("%d of 1,000 decoys are of the class of a third of the accounts", bcrypts)
	}
}

func TestDecoyAllocatesNothing(t *testing.T) {
	m := password.NewMix(slices.Values(mixed(t, 5, 3, 2)))
	key := uint64(0)
	if n := testing.AllocsPerRun(100, func() { key++; m.Decoy(key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
