// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

func custom(c detect.Custom) func(*detect.Config) {
	return func(cfg *detect.Config) { cfg.Custom = c }
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, s := range texts {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// TestCustomRule: a rule of the operator counts what matches, fires at its number, and says so in
// the event.
func TestCustomRule(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		rule  detect.CustomRule
		tries []try
		want  int // the attempt at which it fires, from 1; 0: never
	}{
		{"an account outside its network", detect.CustomRule{
			Match:  detect.Match{Accounts: []string{"ci"}, Outcomes: []string{"success"}},
			Except: detect.Match{Networks: prefixes("192.0.2.0/24")},
		}, []try{{name: "ci"}, {name: "bob", from: "203.0.113.7"}, {name: "ci", password: 1, from: "203.0.113.7"}, {name: "ci", from: "203.0.113.7"}}, 4},
		{"three failures at a route", detect.CustomRule{
			Match: detect.Match{Routes: []string{"/admin*"}, Outcomes: []string{"failure"}}, Per: detect.PerNetwork, AtLeast: 3, Within: 10 * time.Minute,
		}, []try{
			{route: "/admin/a", password: 1}, {route: "/admin/a", password: 1}, {route: "/other", password: 1},
			{route: "/admin/b", password: 1, from: "203.0.113.7"}, {route: "/admin/b", password: 1},
		}, 5},
		{"many accounts of one network", detect.CustomRule{
			Match: detect.Match{Networks: prefixes("198.51.100.0/24")}, Count: detect.CountAccounts, Per: detect.PerNetwork, AtLeast: 3,
		}, []try{
			{name: "a", from: "198.51.100.1"}, {name: "b", from: "198.51.100.2"}, {name: "a", from: "198.51.100.1"}, {name: "c", from: "192.0.2.1"},
			{name: "c", from: "198.51.100.9"},
		}, 5},
		{"different passwords, not repetitions", detect.CustomRule{
			Match: detect.Match{Outcomes: []string{"failure"}}, Count: detect.CountPasswords, Per: detect.PerAccount, AtLeast: 2,
		}, []try{{password: 1}, {password: 1}, {password: 1}, {password: 2}}, 4},
		{"a group", detect.CustomRule{Match: detect.Match{Groups: []string{"admins"}}}, []try{{name: "bob"}, {name: "root", groups: []string{"admins"}}}, 2},
		{"throttled", detect.CustomRule{Match: detect.Match{Outcomes: []string{"throttled"}}}, []try{{password: 1}, {password: 1, outcome: attempt.Throttled}}, 2},
	} {
		tc.rule.Name, tc.rule.Severity = "mine", detect.High
		w := newWatch(t, only(), custom(detect.Custom{Rules: []detect.CustomRule{tc.rule}}))
		fired := 0
		for i, a := range tc.tries {
			w.try(a)
			if fired == 0 && len(w.found) > 0 {
				fired = i + 1
			}
			w.pass(time.Second)
		}
		if fired != tc.want {
			t.Errorf("%s: fired at attempt %d, want %d", tc.name, fired, tc.want)
			continue
		}
		d := w.found[0]
		if d.Rule.Name != "mine" || d.Rule.Severity != detect.High || len(d.Rule.UUID) != 36 || d.Phase != detect.Start || len(d.Addresses) != 1 {
			t.Errorf("%s: %+v", tc.name, d)
		}
		w.pass(10 * 24 * time.Hour)
		if last := w.found[len(w.found)-1]; last.Phase != detect.End || last.Episode != d.Episode {
			t.Errorf("%s: the last event is %v of %x", tc.name, last.Phase, last.Episode)
		}
	}
}

// TestCustomWindow: attempts older than the window do not count.
func TestCustomWindow(t *testing.T) {
	t.Parallel()
	rule := detect.CustomRule{Name: "mine", Match: detect.Match{Outcomes: []string{"success"}}, AtLeast: 3, Within: time.Hour}
	w := newWatch(t, only(), custom(detect.Custom{Rules: []detect.CustomRule{rule}}))
	for range 20 {
		w.try(try{})
		w.pass(31 * time.Minute)
	}
	w.none("two an hour")
	for range 3 {
		w.try(try{})
	}
	if w.starts("mine") != 1 {
		t.Error("three at once do not fire")
	}
}

// TestException: an exception keeps a built-in rule and a rule of the operator from firing for
// its network and account, until it ends.
func TestException(t *testing.T) {
	t.Parallel()
	c := detect.Custom{
		Rules: []detect.CustomRule{{Name: "mine", Match: detect.Match{Outcomes: []string{"failure"}}}},
		Exceptions: []detect.Exception{
			{Rule: detect.BruteForce, Networks: prefixes("192.0.2.0/24"), Until: monday.Add(2 * time.Hour), Why: "a test"},
			{Rule: "mine", Accounts: []string{"alice"}, Until: monday.Add(2 * time.Hour), Why: "a test"},
		},
	}
	w := newWatch(t, only(detect.BruteForce), custom(c))
	for i := range 40 {
		w.try(try{password: uint64(i + 1)})
	}
	w.none("the exception")
	for i := range 40 {
		w.try(try{name: "bob", password: uint64(i + 1), from: "203.0.113.7"})
	}
	if w.starts(detect.BruteForce) != 1 || w.starts("mine") != 1 {
		t.Errorf("%d and %d starts for another account and network", w.starts(detect.BruteForce), w.starts("mine"))
	}
	w.pass(3 * time.Hour)
	w.try(try{password: 99})
	if w.starts(detect.BruteForce) != 2 {
		t.Error("the exception does not end")
	}
}

// TestReplaceRules: an unchanged rule keeps its evidence, a removed one ends its episodes, and a
// Custom with errors changes nothing.
func TestReplaceRules(t *testing.T) {
	t.Parallel()
	rule := func(name string, atLeast int) detect.CustomRule {
		return detect.CustomRule{Name: name, Match: detect.Match{Outcomes: []string{"failure"}}, AtLeast: atLeast}
	}
	w := newWatch(t, only(), custom(detect.Custom{Rules: []detect.CustomRule{rule("kept", 3), rule("gone", 1)}}))
	w.try(try{password: 1})
	w.try(try{password: 1})
	if err := w.d.Use(detect.Custom{Rules: []detect.CustomRule{rule("Bad Name", 1)}}); err == nil {
		t.Error("a rule without a valid name is accepted")
	}
	if err := w.d.Use(detect.Custom{Rules: []detect.CustomRule{rule("kept", 3), rule("new", 1)}}); err != nil {
		t.Fatal(err)
	}
	if last := w.found[len(w.found)-1]; last.Rule.Name != "gone" || last.Phase != detect.End {
		t.Errorf("the last event is %v of %s", last.Phase, last.Rule.Name)
	}
	w.try(try{password: 1})
	if w.starts("kept") != 1 || w.starts("new") != 1 || w.starts("gone") != 1 {
		t.Errorf("starts: kept %d, new %d, gone %d", w.starts("kept"), w.starts("new"), w.starts("gone"))
	}
	if got := w.d.Custom(); len(got.Rules) != 2 || got.Rules[0].Name != "kept" {
		t.Errorf("in force: %+v", got)
	}
}

// TestCustomErrors: contradictions are refused, each with the number of its rule.
func TestCustomErrors(t *testing.T) {
	t.Parallel()
	office := prefixes("192.0.2.0/24")
	for want, r := range map[string]detect.CustomRule{
		"the name is invalid":              {Name: "A"},
		"the name brute_force is taken":    {Name: "brute_force"},
		"at_least is 201":                  {AtLeast: 201},
		"within is 1s":                     {Within: time.Second},
		"the count is always 1":            {Count: detect.CountAccounts, Per: detect.PerAccount},
		"is not evaluated":                 {Match: detect.Match{Outcomes: []string{"missing"}}},
		"only a success has groups":        {Match: detect.Match{Groups: []string{"g"}, Outcomes: []string{"failure"}}},
		"no wrong password to count":       {Count: detect.CountPasswords, Match: detect.Match{Outcomes: []string{"success"}}},
		"except excludes every network of": {Match: detect.Match{Networks: prefixes("192.0.2.128/25")}, Except: detect.Match{Networks: office}},
		"except excludes every account of": {Match: detect.Match{Accounts: []string{"a"}}, Except: detect.Match{Accounts: []string{"a", "b"}}},
		"except excludes every route of":   {Match: detect.Match{Routes: []string{"/admin/x"}}, Except: detect.Match{Routes: []string{"/admin/*"}}},
		"except excludes every outcome of": {Match: detect.Match{Outcomes: []string{"failure"}}, Except: detect.Match{Outcomes: []string{"failure"}}},
	} {
		if r.Name == "" {
			r.Name = "mine"
		}
		err := (&detect.Custom{Rules: []detect.CustomRule{r}}).Validate()
		var of *detect.CustomError
		if !errors.As(err, &of) || of.Rule != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	good := detect.Exception{Rule: "*", Networks: office, Until: monday, Why: "x"}
	if err := (&detect.Custom{Exceptions: []detect.Exception{good}}).Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*detect.Exception){
		"is not a rule": func(x *detect.Exception) { x.Rule = "brute" }, "turn the rule off": func(x *detect.Exception) { x.Networks = nil },
		"set until": func(x *detect.Exception) { x.Until = time.Time{} }, "set why": func(x *detect.Exception) { x.Why = " " },
	} {
		x := good
		change(&x)
		if err := (&detect.Custom{Exceptions: []detect.Exception{x}}).Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
