// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password_test

import (
	"bufio"
	"encoding/base64"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

type vector struct {
	madeBy, scheme string
	password       []byte
	encoded        string
}

func (v vector) legacy() bool { return v.scheme == "apr1" || v.scheme == "sha" || v.scheme == "ssha" }

// 100 MiB.
func (v vector) costly() bool { return strings.Contains(v.madeBy, "Argon2PasswordHasher") }
func (v vector) django() bool { return strings.HasPrefix(v.madeBy, "Django") }

// vectors reads testdata/vectors.txt, made by testdata/make-vectors.py.
func vectors(t testing.TB) []vector {
	t.Helper()
	f, err := os.Open("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []vector
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		c := strings.Split(lines.Text(), "\t")
		if len(c) != 4 {
			t.Fatalf("a line of %d columns", len(c))
		}
		v := vector{madeBy: c[0], scheme: c[1], encoded: c[3]}
		if c[2] != "-" {
			if v.password, err = base64.StdEncoding.DecodeString(c[2]); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, v)
	}
	if len(all) < 250 {
		t.Fatalf("%d vectors, want 250 at least", len(all))
	}
	return all
}

// everything accepts all encodings.
var everything = password.Policy{DangerouslyAllowLegacy: true, Django: true}

func TestVectorsOfOtherImplementations(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, v := range vectors(t) {
		h, err := everything.Parse(v.encoded)
		if err != nil {
			t.Errorf("%s, %d bytes: %v", v.madeBy, len(v.password), err)
			continue
		}
		seen[h.Scheme()] = true
		if h.Scheme() != v.scheme {
			t.Errorf("%s: scheme %q, want %q", v.madeBy, h.Scheme(), v.scheme)
		}
		if got, want := h.Verify(v.password), (password.Verdict{Match: true}); got != want {
			t.Errorf("%s, password %q: %+v, want %+v", v.madeBy, v.password, got, want)
		}
		if string(v.password) != "wonderland" || v.costly() {
			// One wrong password for each way of making a hash is enough, under the race
			// detector.
			continue
		}
		wrong := append(slices.Clone(v.password), 'x')
		if h.Verify(wrong).Match {
			t.Errorf("%s: %q matches the hash of %q", v.madeBy, wrong, v.password)
		}
	}
	for _, s := range password.Schemes() {
		if !seen[s] {
			t.Errorf("no vector of %s", s)
		}
	}
}

func TestZeroPolicyRefusesLegacyAndDjango(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		_, err := password.Parse(v.encoded)
		var want error
		switch {
		case v.django():
			want = password.ErrUnknownScheme
		case v.legacy():
			want = password.ErrLegacy
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", v.madeBy, err, want)
		}
	}
}
