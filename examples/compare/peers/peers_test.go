// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package peers_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/otelauth/otelauth-go/examples/compare/peers"
)

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

// TestEveryPeerJudgesAlike checks that every peer verifies. A peer that skips the work must not
// appear in a table.
func TestEveryPeerJudgesAlike(t *testing.T) {
	t.Parallel()
	users, err := peers.NewUsers(bcrypt.MinCost, "alice", "bob")
	if err != nil {
		t.Fatal(err)
	}
	request := func(name, pw string, credentials bool) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/", nil)
		r.RemoteAddr = "127.0.0.1:4711"
		if credentials {
			r.SetBasicAuth(name, pw)
		}
		return r
	}
	for _, p := range peers.All() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			s, err := p.New(users, http.HandlerFunc(hello))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			refused := http.StatusUnauthorized
			if p.Open {
				refused = http.StatusOK
			}
			tests := []struct {
				name string
				req  func() *http.Request
				want int
			}{
				{"right", func() *http.Request { return request("alice", users[0].Password, true) }, 200},
				{"right again", func() *http.Request { return request("alice", users[0].Password, true) }, 200},
				{"wrong", func() *http.Request { return request("alice", "guess", true) }, refused},
				{"wrong again", func() *http.Request { return request("alice", "guess", true) }, refused},
				{"another's password", func() *http.Request { return request("bob", users[0].Password, true) }, refused},
				{"unknown", func() *http.Request { return request("mallory", "guess", true) }, refused},
				{"no credentials", func() *http.Request { return request("", "", false) }, refused},
				{"right at last", func() *http.Request { return request("bob", users[1].Password, true) }, 200},
			}
			for _, tt := range tests {
				w := httptest.NewRecorder()
				s.Handler.ServeHTTP(w, s.Request(tt.req()))
				if w.Code != tt.want {
					t.Errorf("%s: status %d, want %d", tt.name, w.Code, tt.want)
				}
				if got := w.Body.String() == "hello"; got != (tt.want == 200) {
					t.Errorf("%s: protected body served: %t", tt.name, got)
				}
			}
			if s.Verify != nil {
				if !s.Verify(request("alice", users[0].Password, true)) {
					t.Error("Verify refuses the right password")
				}
				if p.Hashed && s.Verify(request("alice", "guess", true)) {
					t.Error("Verify accepts a wrong password")
				}
			}
			if s.Counts != nil && s.Counts.Right.Load() == 0 {
				t.Error("the hash function ran uncounted")
			}
		})
	}
}

func TestUsersSurviveTheFile(t *testing.T) {
	t.Parallel()
	want := []peers.User{{Name: "a", Password: "p", Hash: "$2a$04$x"}, {Name: "b", Hash: "$2a$04$y"}}
	var b bytes.Buffer
	if err := peers.WriteUsers(&b, want); err != nil {
		t.Fatal(err)
	}
	got, err := peers.ReadUsers(&b)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := peers.ReadUsers(bytes.NewBufferString("no hash\n")); err == nil {
		t.Error("a broken line is accepted")
	}
}

func TestLockedUserCostsWhatItSays(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		u := peers.LockedUser("nobody", 5, rng)
		if cost, err := bcrypt.Cost([]byte(u.Hash)); err != nil || cost != 5 {
			t.Fatalf("Cost(%q) = %d, %v", u.Hash, cost, err)
		}
	}
	u := peers.LockedUser("nobody", bcrypt.MinCost, rng)
	if err := bcrypt.CompareHashAndPassword([]byte(u.Hash), []byte("guess")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Errorf("comparing with a locked account: %v", err)
	}
}

func TestByNameListsThePeers(t *testing.T) {
	t.Parallel()
	if _, err := peers.ByName("nobody"); err == nil {
		t.Error("an unknown peer is found")
	}
}

func ExampleByName() {
	p, err := peers.ByName("chi")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	users, err := peers.NewUsers(bcrypt.MinCost, "alice")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	s, err := p.New(users, http.HandlerFunc(hello))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer s.Close()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	users[0].Authorize(r)
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, s.Request(r))
	fmt.Println(w.Code, w.Body)
	// Output: 200 hello
}
