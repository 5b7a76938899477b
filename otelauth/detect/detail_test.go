// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// TestAddresses: an event lists the addresses with most attempts and the newest ones, and the last
// event every address.
func TestAddresses(t *testing.T) {
	t.Parallel()
	w := newWatch(t, only(detect.BruteForce))
	const addresses = 200
	for i := range 2 * addresses {
		from := fmt.Sprintf("192.0.2.%d", 1+i%addresses)
		if i%4 == 0 {
			from = "192.0.2.250"
		}
		w.try(try{password: uint64(i + 1), from: from})
		w.pass(time.Second)
	}
	w.pass(10 * time.Hour)
	last := w.found[len(w.found)-1]
	update := w.found[len(w.found)-2]
	if last.Phase != detect.End || update.Phase != detect.Update {
		t.Fatalf("%v, %v", update.Phase, last.Phase)
	}
	if n := len(update.Addresses); n != 12 || update.Addresses[0].Value != netip.MustParseAddr("192.0.2.250") {
		t.Errorf("an update lists %d addresses: %v", n, update.Addresses)
	}
	// Of attempt 120, at which the count has doubled twice.
	newest := netip.MustParseAddr("192.0.2.120")
	if !slices.ContainsFunc(w.found[2].Addresses, func(c detect.Count[netip.Addr]) bool { return c.Value == newest || c.Value == newest.Prev() }) {
		t.Errorf("the newest addresses are not listed: %v", w.found[2].Addresses)
	}
	// One in four attempts came from one address.
	if len(last.Addresses) != last.AddressCount || last.AddressCount != 3*addresses/4+1 {
		t.Errorf("the end lists %d addresses of %d", len(last.Addresses), last.AddressCount)
	}
	sum := uint64(0)
	for _, a := range last.Addresses {
		sum += a.Attempts
	}
	if sum != last.Refused || sum < 2*addresses-1 || sum > 2*addresses {
		t.Errorf("%d attempts of all addresses, %d refused", sum, last.Refused)
	}
}

// only turns every other rule off.
func only(names ...string) func(*detect.Config) {
	return func(cfg *detect.Config) {
		for _, r := range detect.Rules() {
			if !slices.Contains(names, r.Name) {
				cfg.Off = append(cfg.Off, r.Name)
			}
		}
	}
}

// TestTakeoverIsLinked: an attack names the episode of the success that completes it, and is then
// more certain; the episode of the success names the attack.
func TestTakeoverIsLinked(t *testing.T) {
	t.Parallel()
	w := newWatch(t, only(detect.PasswordSpray, detect.SuccessAfterFailures))
	w.live(9, "owner", "")
	for i := range 45 {
		w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 1), from: "203.0.113.9"})
		if i == 30 {
			w.try(try{name: "user7", from: "203.0.113.9"})
		}
		w.pass(time.Minute)
	}
	w.pass(30 * 24 * time.Hour)
	var attack, takeover detect.Detection
	for _, d := range w.found {
		switch {
		case d.Rule.Name == detect.PasswordSpray && d.Phase == detect.End:
			attack = d
		case d.Rule.Name == detect.SuccessAfterFailures && d.Phase == detect.Start:
			takeover = d
		}
	}
	if takeover.PartOf == 0 || takeover.PartOf != attack.Episode || !slices.Equal(attack.Takeovers, []uint64{takeover.Episode}) {
		t.Errorf("the takeover %x is part of %x; the attack %x has the takeovers %x", takeover.Episode, takeover.PartOf, attack.Episode, attack.Takeovers)
	}
	if takeover.Advice.Confidence != "high" || attack.Advice.Confidence != "high" {
		t.Errorf("confidence %+v, %+v", takeover.Advice, attack.Advice)
	}
	if want := fmt.Sprintf("otelauth budgets deny user7 --for 1h --reason %016x", takeover.Episode); takeover.Advice.Command != want {
		t.Errorf("command %q, want %q", takeover.Advice.Command, want)
	}
	if takeover.Succeeded != 1 || takeover.DedupeKey != "success_after_failures:user7" {
		t.Errorf("%d successes, key %q", takeover.Succeeded, takeover.DedupeKey)
	}
}

// TestCommandsAreSafe: no name of a client gets into a command that a shell reads.
func TestCommandsAreSafe(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"$(reboot)", "a b", "-x", "a;b", "a'b", "a\nb", "ä"} {
		w := newWatch(t, only(detect.UnusableAccount))
		for range 5 {
			w.try(try{name: name, password: 1, reason: "account_disabled"})
			w.pass(time.Minute)
		}
		if len(w.found) == 0 || w.found[0].Advice.Command != "otelauth budgets list" {
			t.Errorf("%q: %+v", name, w.found)
		}
		if strings.ContainsAny(w.found[0].Message(), "\n\x1b") {
			t.Errorf("body %q", w.found[0].Message())
		}
	}
}

// TestClaimedName: a name that is not an account is listed where the service allows it.
func TestClaimedName(t *testing.T) {
	t.Parallel()
	w := newWatch(t, only(detect.BruteForce))
	for i := range 31 {
		req := attempt.Request{Context: t.Context(), Time: w.now, Client: netip.MustParseAddr("192.0.2.7")}
		w.decide(&req, &attempt.Result{
			Outcome: attempt.Failure, Reason: attempt.ReasonUnknownUser, UserHash: "k:1", ClaimedName: "admin", PasswordFingerprint: uint64(i + 1),
		})
	}
	if len(w.found) == 0 || !slices.Equal(w.found[0].Accounts, []string{"admin"}) {
		t.Errorf("%+v", w.found)
	}
}

// owners is a Locator that knows owners.
type owners struct{}

func (owners) Locate(netip.Addr) (float64, float64, bool) { return 0, 0, false }

func (owners) Owner(a netip.Addr) (string, uint32, string) {
	if a.Is4() {
		return "DE", 64500, "Example Net"
	}
	return "", 0, ""
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	w := newWatch(t, only(detect.BruteForce), func(cfg *detect.Config) { cfg.Locator = owners{} })
	for i := range 31 {
		w.try(try{password: uint64(i + 1)})
	}
	if got := w.found[0].Origins; !slices.Equal(got, []string{"AS64500 Example Net, DE"}) {
		t.Errorf("origins %q", got)
	}
}

// TestThresholdIsTheConfigured: the event states the number that is in force.
func TestThresholdIsTheConfigured(t *testing.T) {
	t.Parallel()
	w := newWatch(t, only(detect.BruteForce), func(cfg *detect.Config) {
		cfg.Thresholds.BruteForcePasswords, cfg.Thresholds.RunBeforeSuccess = 5, 5
	})
	for i := range 6 {
		w.try(try{password: uint64(i + 1)})
	}
	if got := w.found[0].Advice.Threshold; !strings.HasPrefix(got, "5 different wrong passwords for one account") {
		t.Errorf("threshold %q", got)
	}
}
