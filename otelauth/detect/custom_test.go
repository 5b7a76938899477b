// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
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

// TestReplaceOneRule: one rule of ten changes, and the nine others keep their counts. A new
// severity, summary or number to reach keeps the counts and the open episode too.
func TestReplaceOneRule(t *testing.T) {
	t.Parallel()
	var c detect.Custom
	for i := range 10 {
		c.Rules = append(c.Rules, detect.CustomRule{Name: fmt.Sprint("rule", i), AtLeast: 3})
	}
	use := func(w *watch, change func([]detect.CustomRule)) {
		rules := slices.Clone(c.Rules)
		change(rules)
		if err := w.d.Use(detect.Custom{Rules: rules}); err != nil {
			t.Fatal(err)
		}
	}
	w := newWatch(t, only(), custom(c))
	w.try(try{})
	w.try(try{})
	use(w, func(rules []detect.CustomRule) {
		rules[4].Within = 2 * time.Hour
		rules[5].AtLeast = 4
		slices.Reverse(rules)
	})
	w.try(try{})
	if w.starts("") != 8 || w.starts("rule4") != 0 || w.starts("rule5") != 0 {
		t.Errorf("%d rules fire, rule4 %d times, rule5 %d times", w.starts(""), w.starts("rule4"), w.starts("rule5"))
	}
	w.try(try{})
	if w.starts("rule5") != 1 {
		t.Error("a higher number loses the count")
	}
	w.found = nil
	use(w, func(rules []detect.CustomRule) { rules[0].Severity, rules[0].Summary = detect.High, "other words" })
	w.none("other words")
	w.pass(24 * time.Hour)
	if len(w.found) != 9 {
		t.Errorf("%d of 9 open episodes end", len(w.found))
	}
	for _, d := range w.found {
		if d.Phase != detect.End || d.Rule.Name == "rule0" && (d.Rule.Severity != detect.High || d.Rule.Summary != "other words") {
			t.Errorf("%v of %+v", d.Phase, d.Rule)
		}
	}
}

// TestCustomAfterARestart: wherever a restart is, a rule fires at the same attempt. A count of
// passwords begins anew.
func TestCustomAfterARestart(t *testing.T) {
	t.Parallel()
	for _, r := range []detect.CustomRule{
		{Count: detect.CountAttempts, Per: detect.PerAccount},
		{Count: detect.CountAccounts, Per: detect.PerNetwork},
		{Count: detect.CountNetworks, Per: detect.PerRoute, Match: detect.Match{Outcomes: []string{"failure"}}},
		{Count: detect.CountRoutes, Per: detect.PerAll, Except: detect.Match{Accounts: []string{"nobody"}}},
		{Count: detect.CountPasswords, Per: detect.PerAccount},
	} {
		const atLeast, none = 6, -1
		r.Name, r.AtLeast = "mine", atLeast
		for at := none; at < atLeast; at++ {
			var notices []attempt.Notice
			change := []func(*detect.Config){only(), custom(detect.Custom{Rules: []detect.CustomRule{r}}), kept(filepath.Join(t.TempDir(), "evidence"), &notices)}
			w := newWatch(t, change...)
			fired := 0
			for i := 1; fired == 0; i++ {
				if i-1 == at {
					w = w.restart(change...)
				}
				a := try{password: uint64(i)}
				switch r.Count {
				case detect.CountAccounts:
					a.name = fmt.Sprint("user", i)
				case detect.CountNetworks:
					a.from = network(i)
				case detect.CountRoutes:
					a.route = fmt.Sprint("/", i)
				}
				w.try(a)
				w.pass(time.Minute)
				if len(w.found) > 0 {
					fired = i
				}
			}
			want := atLeast
			if r.Count == detect.CountPasswords {
				want += max(at, 0)
			}
			if fired != want || len(notices) > 0 {
				t.Errorf("%v, a restart before attempt %d: it fires at attempt %d, want %d; notices %v", r, at+1, fired, want, notices)
			}
		}
	}
}

// TestChangedRuleAfterARestart: a rule that counts something else, or a new one, begins anew, and
// the episodes of the previous one are gone; the others continue.
func TestChangedRuleAfterARestart(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*detect.CustomRule)
		keeps  bool
	}{
		"nothing":  {func(*detect.CustomRule) {}, true},
		"severity": {func(r *detect.CustomRule) { r.Severity = detect.High }, true},
		"summary":  {func(r *detect.CustomRule) { r.Summary = "other words" }, true},
		"at_least": {func(r *detect.CustomRule) { r.AtLeast = 2 }, true},
		"name":     {func(r *detect.CustomRule) { r.Name = "other" }, false},
		"within":   {func(r *detect.CustomRule) { r.Within = 2 * time.Hour }, false},
		"per":      {func(r *detect.CustomRule) { r.Per = detect.PerAccount }, false},
		"match":    {func(r *detect.CustomRule) { r.Match.Accounts = []string{"alice"} }, false},
		"except":   {func(r *detect.CustomRule) { r.Except.Accounts = []string{"bob"} }, false},
	} {
		var notices []attempt.Notice
		rules := []detect.CustomRule{{Name: "mine", AtLeast: 3}, {Name: "kept", AtLeast: 3}, {Name: "fired"}}
		file := kept(filepath.Join(t.TempDir(), "evidence"), &notices)
		w := newWatch(t, only(), custom(detect.Custom{Rules: rules}), file)
		w.try(try{})
		w.try(try{})
		changed := slices.Clone(rules)
		tc.change(&changed[0])
		changed[2].Within = 2 * time.Hour
		w = w.restart(only(), custom(detect.Custom{Rules: changed}), file)
		w.pass(0)
		w.none("the start")
		w.try(try{})
		if got := w.starts(changed[0].Name) == 1; got != tc.keeps || w.starts("kept") != 1 || w.starts("fired") != 1 || len(notices) > 0 {
			t.Errorf("%s: the count continues: %t, want %t; kept %d, fired %d; notices %v", name, got, tc.keeps, w.starts("kept"), w.starts("fired"), notices)
		}
	}
}

// TestCustomEpisodeAfterARestart: an open episode of a rule of the operator continues with its id
// and its lists. OnEpisode gets it, and no second start is reported.
func TestCustomEpisodeAfterARestart(t *testing.T) {
	t.Parallel()
	var notices []attempt.Notice
	change := []func(*detect.Config){
		only(), kept(filepath.Join(t.TempDir(), "evidence"), &notices),
		custom(detect.Custom{Rules: []detect.CustomRule{{Name: "mine", Per: detect.PerAccount}}}),
	}
	w := newWatch(t, change...)
	w.try(try{})
	began := w.found[0]
	var listed []detect.Detection
	w = w.restart(append(change, func(cfg *detect.Config) { cfg.OnEpisode = func(d detect.Detection) { listed = append(listed, d) } })...)
	w.pass(time.Minute)
	if len(listed) != 1 || listed[0].Episode != began.Episode || listed[0].Phase != detect.Update || listed[0].Rule != began.Rule {
		t.Errorf("OnEpisode got %+v", listed)
	}
	w.none("the start")
	w.try(try{from: "203.0.113.7"})
	w.pass(24 * time.Hour)
	if len(w.found) != 2 || w.found[0].Phase != detect.Update || w.found[1].Phase != detect.End {
		t.Fatalf("after the restart: %+v", w.found)
	}
	if last := w.found[1]; last.Episode != began.Episode || last.Attempts != 2 || len(last.Addresses) != 2 || !last.First.Equal(began.First) || last.DedupeKey != began.DedupeKey {
		t.Errorf("the end is %+v, the start was %+v", last, began)
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
