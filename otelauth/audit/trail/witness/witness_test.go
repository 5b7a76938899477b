// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package witness_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/witness"
)

// tree is a log in memory.
type tree struct {
	key    *trail.Key
	signer note.Signer
	hashes []tlog.Hash
	roots  []tlog.Hash // of each size
}

func newTree(t *testing.T, lines int) *tree {
	t.Helper()
	key, err := trail.GenerateKey(rand.Reader, "host.example/trail")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(key.Private())
	if err != nil {
		t.Fatal(err)
	}
	l := &tree{key: key, signer: signer}
	for i := range lines {
		l.add(t, fmt.Sprintf("line %d", i))
	}
	return l
}

func (l *tree) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = l.hashes[x]
		}
		return out, nil
	})
}

func (l *tree) add(t *testing.T, line string) {
	t.Helper()
	hashes, err := tlog.StoredHashes(int64(len(l.roots)), []byte(line), l.reader())
	if err != nil {
		t.Fatal(err)
	}
	l.hashes = append(l.hashes, hashes...)
	root, err := tlog.TreeHash(int64(len(l.roots)+1), l.reader())
	if err != nil {
		t.Fatal(err)
	}
	l.roots = append(l.roots, root)
}

func (l *tree) checkpoint(t *testing.T, size int64) trail.Checkpoint {
	t.Helper()
	root := l.roots[size-1]
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("host.example/trail\n%d\n%s\n", size, root)}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	return trail.Checkpoint{Origin: "host.example/trail", Size: size, Root: root, Note: signed}
}

func (l *tree) prove(size int64) func(int64) (tlog.TreeProof, error) {
	return func(old int64) (tlog.TreeProof, error) { return tlog.ProveTree(size, old, l.reader()) }
}

func start(t *testing.T, l *tree) (*testkit.Witness, *witness.Client) {
	t.Helper()
	s := testkit.NewWitness(t, l.key.Public())
	c, err := witness.New(witness.Config{URL: s.URL, Key: s.Key()})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// A client that has just started does not know what the witness has seen: it learns the size from
// 409. After that one request is enough.
func TestCosign(t *testing.T) {
	t.Parallel()
	l := newTree(t, 300)
	s, first := start(t, l)
	for _, size := range []int64{1, 7, 7, 256} {
		lines, err := first.Cosign(t.Context(), l.checkpoint(t, size), l.prove(size))
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		if bytes.Count(lines, []byte("\n")) != 1 || !bytes.HasPrefix(lines, []byte("— witness.example/w ")) {
			t.Errorf("signature lines: %q", lines)
		}
		at, err := witness.CosignedAt(append(l.checkpoint(t, size).Note, lines...), s.Key())
		if err != nil || !at.Equal(time.Unix(1_700_000_000, 0)) {
			t.Errorf("CosignedAt: %v, %v", at, err)
		}
	}
	again, err := witness.New(witness.Config{URL: s.URL, Key: s.Key()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Cosign(t.Context(), l.checkpoint(t, 300), l.prove(300)); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(s.Calls(), ","), "old 0,old 1,old 7,old 7,old 0,old 256"; got != want {
		t.Errorf("requests %s, want %s", got, want)
	}
}

func TestCutAndForkedTrails(t *testing.T) {
	t.Parallel()
	l := newTree(t, 20)
	s, c := start(t, l)
	if _, err := c.Cosign(t.Context(), l.checkpoint(t, 20), l.prove(20)); err != nil {
		t.Fatal(err)
	}
	// An old copy, by a client that has just started and by one that remembers.
	fresh, err := witness.New(witness.Config{URL: s.URL, Key: s.Key()})
	if err != nil {
		t.Fatal(err)
	}
	for name, client := range map[string]*witness.Client{"remembers": c, "fresh": fresh} {
		if _, err := client.Cosign(t.Context(), l.checkpoint(t, 12), l.prove(12)); !errors.Is(err, witness.ErrBehind) {
			t.Errorf("%s: a shorter trail: %v", name, err)
		}
	}
	// Another tree under the same key.
	forked := &tree{key: l.key, signer: l.signer}
	for i := range 25 {
		forked.add(t, fmt.Sprintf("other %d", i))
	}
	for _, size := range []int64{20, 25} {
		if _, err := fresh.Cosign(t.Context(), forked.checkpoint(t, size), forked.prove(size)); !errors.Is(err, witness.ErrFork) {
			t.Errorf("a forked trail of %d lines: %v", size, err)
		}
	}
}

func TestUnknownTrail(t *testing.T) {
	t.Parallel()
	l := newTree(t, 3)
	_, c := start(t, newTree(t, 1)) // knows another key
	if _, err := c.Cosign(t.Context(), l.checkpoint(t, 3), l.prove(3)); !errors.Is(err, witness.ErrUnknown) {
		t.Errorf("error %v", err)
	}
}

// What is no witness, or a hostile one, gives an error and no signature line.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter, s *testkit.Witness, text string){
		"nothing": func(w http.ResponseWriter, _ *testkit.Witness, _ string) { w.WriteHeader(http.StatusOK) },
		"no signature": func(w http.ResponseWriter, _ *testkit.Witness, _ string) {
			_, _ = w.Write([]byte("<html>hello</html>"))
		},
		"endless": func(w http.ResponseWriter, _ *testkit.Witness, _ string) {
			_, _ = w.Write(bytes.Repeat([]byte("— x AAAA\n"), 100_000))
		},
		"redirect": func(w http.ResponseWriter, _ *testkit.Witness, _ string) {
			w.Header().Set("Location", "/w/other")
			w.WriteHeader(307)
		},
		"another text": func(w http.ResponseWriter, s *testkit.Witness, text string) {
			_, _ = w.Write(s.Cosign(strings.Replace(text, "\n3\n", "\n2\n", 1), 1))
		},
		"time after 2^63":   func(w http.ResponseWriter, s *testkit.Witness, text string) { _, _ = w.Write(s.Cosign(text, 1<<63)) },
		"409 without size":  func(w http.ResponseWriter, _ *testkit.Witness, _ string) { w.WriteHeader(http.StatusConflict) },
		"409 negative size": conflict("-1\n"),
		"409 same size":     conflict("0\n"),
		"500": func(w http.ResponseWriter, _ *testkit.Witness, _ string) {
			w.WriteHeader(http.StatusInternalServerError)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTree(t, 3)
			s, c := start(t, l)
			checkpoint := l.checkpoint(t, 3)
			text, _, _ := strings.Cut(string(checkpoint.Note), "\n\n")
			s.Answers = func(w http.ResponseWriter) bool { answer(w, s, text+"\n"); return true }
			lines, err := c.Cosign(t.Context(), checkpoint, l.prove(3))
			if err == nil || lines != nil || !strings.HasPrefix(err.Error(), "witness: ") {
				t.Errorf("lines %q, error %v", lines, err)
			}
			if len(s.Calls()) > 3 {
				t.Errorf("%d requests", len(s.Calls()))
			}
		})
	}
}

func conflict(size string) func(http.ResponseWriter, *testkit.Witness, string) {
	return func(w http.ResponseWriter, _ *testkit.Witness, _ string) {
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, size)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	s, _ := start(t, newTree(t, 1))
	plain, _, err := note.GenerateKey(rand.Reader, "plain.example")
	if err != nil {
		t.Fatal(err)
	}
	key, err := trail.ParseKey(plain)
	if err != nil {
		t.Fatal(err)
	}
	for _, vkey := range []string{s.Key(), " " + s.Key() + "\n", key.Public()} {
		if _, err := witness.New(witness.Config{URL: "https://witness.example", Key: vkey}); err != nil {
			t.Errorf("%q: %v", vkey, err)
		}
	}
	wrong := strings.Replace(s.Key(), "witness.example", "another.example", 1)
	for _, cfg := range []witness.Config{
		{}, {URL: "https://witness.example"}, {Key: s.Key()}, {URL: "witness.example", Key: s.Key()},
		{URL: "https://u:secret@witness.example", Key: s.Key()}, {URL: "https://witness.example", Key: wrong},
		{URL: "https://witness.example", Key: "a+b"}, {URL: "https://witness.example", Key: "a+00000000+!"},
		{URL: "https://witness.example", Key: "a+00000000+BA=="}, {URL: "https://witness.example", Key: "a+00000000+"},
	} {
		if _, err := witness.New(cfg); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: error %v", cfg, err)
		}
	}
}

// FuzzParseKey: no text panics, and a key that is accepted has a name.
func FuzzParseKey(f *testing.F) {
	f.Add("witness.example+a1b2c3d4+BAAA")
	f.Add("+00000000+BA==")
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := witness.ParseKey(text); err == nil && v.Name() == "" {
			t.Errorf("%q has no name", text)
		}
	})
}
