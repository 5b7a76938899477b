// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// TestFirstRequestNeverCounts: browsers and curl first send no credentials, for which fail2ban
// bans them.
func TestFirstRequestNeverCounts(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	for range 5000 {
		w.try(try{sensitive: true, outcome: attempt.Missing})
		w.pass(time.Minute)
	}
	w.none("a crawler without credentials")
}

// TestUnjudgedNeverCounts: credentials that were not verified are not guesses.
func TestUnjudgedNeverCounts(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	for i := range 500 {
		req := attempt.Request{Context: t.Context(), Time: w.now, Sensitive: true}
		w.decide(&req, &attempt.Result{Outcome: attempt.Failure, ErrorType: attempt.InsecureTransport, UserHash: fmt.Sprint("k:", i)})
		w.decide(&req, &attempt.Result{Outcome: attempt.Malformed, ErrorType: attempt.MalformedCredentials})
		w.decide(&req, &attempt.Result{ErrorType: attempt.Overloaded, UserHash: fmt.Sprint("k:", i)})
		w.pass(time.Minute)
	}
	w.none("attempts that were not verified")
}

// TestStaleClientIsNoGuesser: one wrong password, repeated from every network of a phone.
func TestStaleClientIsNoGuesser(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	for i := range 14 * 24 * 4 {
		w.try(try{password: 7, from: network(i / 10), sensitive: i%50 == 0})
		w.pass(15 * time.Minute)
	}
	w.none("a travelling phone with an old password")
}

// TestFleetWithStaleSecret: 500 pods, each in its own network, with one old secret.
func TestFleetWithStaleSecret(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	for round := range 20 {
		for pod := range 500 {
			w.try(try{name: "fleet", password: 7, from: network(pod)})
		}
		w.pass(time.Minute + time.Duration(round)*time.Second)
	}
	w.outage("a fleet with a stale secret")
}

// TestFleetWithThreeSecrets: 500 pods, each in its own network, with one of the last three secrets.
func TestFleetWithThreeSecrets(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	for round := range 5 {
		for pod := range 500 {
			w.try(try{name: "fleet", password: uint64(pod%3 + 1), from: network(pod)})
		}
		w.pass(time.Minute + time.Duration(round)*time.Second)
	}
	w.outage("a fleet with three stale secrets")
}

// outage fails the test unless the only episode is one of stale_credential.
func (w *watch) outage(what string) {
	w.t.Helper()
	if w.starts("") != 1 || w.starts(detect.StaleCredential) != 1 {
		w.t.Errorf("%s: %d episodes, %d of them of stale_credential", what, w.starts(""), w.starts(detect.StaleCredential))
	}
}

// TestOfficeMistypes: 300 users behind one address each mistype twice on Monday morning.
func TestOfficeMistypes(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	for i := range 300 {
		w.try(try{name: fmt.Sprint("user", i)})
	}
	w.pass(48 * time.Hour)
	for i := range 300 {
		name := fmt.Sprint("user", i)
		w.try(try{name: name, password: uint64(2*i + 1)})
		w.pass(time.Duration(1+i%7) * time.Second)
		w.try(try{name: name, password: uint64(2*i + 2)})
		w.try(try{name: name})
	}
	w.none("a Monday morning")
}

// TestMondayAfterRestart: the process has no evidence yet, 2,000 users behind one address log in,
// and one in twenty mistypes.
func TestMondayAfterRestart(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	for i := range 2000 {
		name := fmt.Sprint("user", i)
		if i%20 == 10 {
			w.try(try{name: name, password: uint64(i)})
			w.pass(time.Duration(1+i%7) * time.Second)
		}
		w.try(try{name: name})
		w.pass(time.Second)
	}
	w.none("the first morning")
}

// TestCrowdRaisesThreshold: new users of a network with many users mistype too.
func TestCrowdRaisesThreshold(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	for i := range 200 {
		w.try(try{name: fmt.Sprint("user", i)})
	}
	for i := range 25 {
		w.try(try{name: fmt.Sprint("new", i), password: uint64(i + 1)})
		w.pass(time.Duration(100+i*i) * time.Second)
		w.try(try{name: fmt.Sprint("new", i)})
	}
	w.none("25 new users among 200")
	// On the first day, most users of the network may not have arrived yet, while others mistype.
	w.fail(0, 60)
	w.none("60 names that fail on the first day, beside 225 that succeed")
	w.pass(24 * time.Hour)
	w.fail(60, 120)
	if w.starts(detect.PasswordSpray) != 1 {
		t.Error("a spray from the network is not detected")
	}
}

// TestFirstDay: on the first day, a spray needs as many names as accounts use its network.
func TestFirstDay(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	for i := range 30 {
		w.try(try{name: fmt.Sprint("user", i)})
	}
	w.fail(0, 28)
	w.none("28 names that fail on the first day, beside 30 that succeed")
	w.fail(28, 40)
	if w.starts(detect.PasswordSpray) != 1 {
		t.Error("a spray on the first day is not detected")
	}
}

// fail plays a wrong password for each victim from the first to the last but one.
func (w *watch) fail(first, end int) {
	for i := first; i < end; i++ {
		w.try(try{name: fmt.Sprint("victim", i), password: uint64(i + 100)})
		w.pass(time.Duration(100+37*i%100) * time.Second)
	}
}

// TestOwnAccounts: an attacker who registers a hundred accounts does not become a crowd.
func TestOwnAccounts(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	w.live(10, "owner", network(1))
	for i := range 100 {
		w.try(try{name: fmt.Sprint("own", i)})
	}
	w.found = nil
	for i := range 10 {
		w.try(try{name: fmt.Sprint("victim", i), password: uint64(i + 1)})
		w.pass(time.Duration(100+i*i) * time.Second)
	}
	if w.starts(detect.PasswordSpray) != 1 {
		t.Error("accounts of the attacker hide a spray")
	}
}

// TestSensitiveWithSuccess: a network with a success does not fire sensitive_only_denied.
func TestSensitiveWithSuccess(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	w.try(try{name: "bob"})
	for i := range 8 {
		w.try(try{password: uint64(i + 1), sensitive: true})
		w.pass(time.Duration(100+i*i) * time.Second)
	}
	w.none("a network with a success")
}

// TestClockJumps: steps of an hour forth and back cause no detection and hide none.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	w := newWatch(t, located)
	w.live(15, "", "")
	for i := range 10 {
		jump := time.Hour
		if i%2 == 1 {
			jump = -time.Hour
		}
		w.now = w.now.Add(jump)
		w.try(try{})
		w.try(try{password: 7})
		w.pass(time.Minute)
	}
	w.none("a clock that jumps")
	for i := range 40 {
		w.now = w.now.Add(time.Duration(1-2*(i%2)) * time.Hour)
		w.try(try{password: uint64(i + 10)})
	}
	if w.starts(detect.BruteForce) != 1 {
		t.Error("a clock that jumps hides brute force")
	}
	w.now = w.now.Add(-1000 * 24 * time.Hour)
	w.try(try{})
	w.now = w.now.Add(200 * 365 * 24 * time.Hour)
	w.try(try{})
	w.pass(time.Hour)
}

// TestHostileKeys: a hostile name neither breaks the Detector nor remains in memory.
func TestHostileKeys(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	long := string(make([]byte, 64<<10))
	for i := range 40 {
		w.try(try{name: fmt.Sprint("\x00\r\n\xff", long, i), password: uint64(i + 1)})
	}
	if w.starts(detect.PasswordSpray) != 1 {
		t.Fatalf("%d episodes", w.starts(""))
	}
	for _, d := range w.found {
		for _, a := range d.Accounts {
			if len(a) > 256 {
				t.Fatalf("a name of %d bytes is listed", len(a))
			}
		}
	}
	// An unknown address is one network.
	w = newWatch(t)
	for i := range 40 {
		req := attempt.Request{Context: t.Context(), Time: w.now}
		w.decide(&req, &attempt.Result{
			Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, UserHash: "k:1", PasswordFingerprint: uint64(i + 1),
		})
	}
	if w.starts(detect.BruteForce) != 1 {
		t.Error("brute force from unknown addresses is not detected")
	}
}
