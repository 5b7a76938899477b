// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Witness is a witness as c2sp.org/tlog-witness and c2sp.org/tlog-cosignature describe it, for one
// log. It shares no code with the client of this module. It is safe for concurrent use.
type Witness struct {
	// URL is its submission prefix.
	URL string
	// Answers replaces the answer to a request if it returns true. Set it before the first request.
	Answers func(w http.ResponseWriter) bool

	name string
	key  ed25519.PrivateKey
	log  note.Verifier

	mu    sync.Mutex
	size  int64
	root  tlog.Hash
	calls []string // the first line of each request
}

// NewWitness starts a witness for the log with this public key, until the end of the test.
func NewWitness(t testing.TB, publicKey string) *Witness {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	verifier, err := note.NewVerifier(publicKey)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	s := &Witness{name: "witness.example/w", key: private, log: verifier}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL + "/w/"
	return s
}

// Key returns its public key.
func (s *Witness) Key() string {
	return fmt.Sprintf("%s+%08x+%s", s.name, s.id(), base64.StdEncoding.EncodeToString(s.public()))
}

// Size returns the size of the last tree that it has cosigned.
func (s *Witness) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// Calls returns the first line of each request.
func (s *Witness) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *Witness) public() []byte { return append([]byte{4}, s.key.Public().(ed25519.PublicKey)...) }

func (s *Witness) id() uint32 {
	sum := sha256.Sum256(append([]byte(s.name+"\n"), s.public()...))
	return binary.BigEndian.Uint32(sum[:])
}

// ServeHTTP answers add-checkpoint.
func (s *Witness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method != http.MethodPost || r.URL.Path != "/w/add-checkpoint" {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, _ := io.ReadAll(r.Body)
	head, signed, _ := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	s.calls = append(s.calls, lines[0])
	if s.Answers != nil && s.Answers(w) {
		return
	}
	old, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "old "), 10, 64)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n, err := note.Open([]byte(signed), note.VerifierList(s.log))
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	text := strings.Split(n.Text, "\n")
	if text[0] != s.log.Name() {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	size, _ := strconv.ParseInt(text[1], 10, 64)
	root, _ := tlog.ParseHash(text[2])
	s.update(w, n.Text, old, size, root, lines[1:])
}

func (s *Witness) update(w http.ResponseWriter, text string, old, size int64, root tlog.Hash, lines []string) {
	var proof tlog.TreeProof
	for _, line := range lines {
		h, err := tlog.ParseHash(line)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		proof = append(proof, h)
	}
	switch {
	case old > size:
		w.WriteHeader(http.StatusBadRequest)
		return
	case old != s.size || old == size && root != s.root:
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, "%d\n", s.size)
		return
	case old == 0 && len(proof) > 0, old == size && len(proof) > 0,
		old > 0 && old < size && tlog.CheckTree(proof, size, root, old, s.root) != nil:
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	s.size, s.root = size, root
	_, _ = w.Write(s.Cosign(text, 1_700_000_000))
}

// Cosign returns signature lines for the text of a checkpoint, one of them of an unknown key.
func (s *Witness) Cosign(text string, seconds uint64) []byte {
	sig := binary.BigEndian.AppendUint32(nil, s.id())
	sig = binary.BigEndian.AppendUint64(sig, seconds)
	sig = append(sig, ed25519.Sign(s.key, []byte(fmt.Sprintf("cosignature/v1\ntime %d\n%s", seconds, text)))...)
	return []byte("— other.example/w AAAAAAAA\n— " + s.name + " " + base64.StdEncoding.EncodeToString(sig) + "\n")
}
