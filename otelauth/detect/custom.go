// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Custom has the rules and the exceptions of the operator. Package rulefile reads it from a file.
type Custom struct {
	Rules      []CustomRule
	Exceptions []Exception
}

// CustomRule is a rule of the operator. It fires when the attempts that match count to AtLeast
// within Within. With a Feed, each process counts its own attempts.
type CustomRule struct {
	// Name is security_rule.name: 1 to 40 of a-z, 0-9 and _, and no name of [Rules].
	Name string
	// Summary is security_rule.description. Default: Name.
	Summary string
	// Severity of the events. Default: Low.
	Severity Severity

	// Match selects attempts. Default: all.
	Match Match
	// Except selects attempts that do not count although they match. Default: none.
	Except Match

	// Count is what is counted. Default: [CountAttempts].
	Count Counter
	// Per is what the count is kept for. Default: [PerAll].
	Per Subject
	// AtLeast is the count at which the rule fires, 1 to 200. Default: 1.
	AtLeast int
	// Within is the window of the count, 1 minute to 3 days. Default: 1 hour.
	Within time.Duration
}

// Match selects attempts. Each field that is not empty must have the attempt's value.
type Match struct {
	// Outcomes has "success", "failure" and "throttled".
	Outcomes []string
	// Routes has routes; a "*" at the end stands for any rest.
	Routes []string
	// Networks has the networks of clients.
	Networks []netip.Prefix
	// Accounts has names of accounts.
	Accounts []string
	// Groups has groups of accounts. Only a success has groups.
	Groups []string
}

// Counter is what a [CustomRule] counts.
type Counter uint8

// The counters.
const (
	CountAttempts Counter = iota
	CountAccounts
	CountNetworks
	CountRoutes
	CountPasswords
)

// Subject is what a [CustomRule] keeps a count for.
type Subject uint8

// The subjects.
const (
	PerAll Subject = iota
	PerAccount
	PerNetwork
	PerRoute
)

// Exception keeps attempts from firing a rule. They still count as evidence for the attempts of
// others.
type Exception struct {
	// Rule is the name of a rule, built in or of the operator; "*" means every rule.
	Rule string
	// Networks and Accounts select the attempts; at least one of them must not be empty. If both
	// have values, both must match.
	Networks []netip.Prefix
	Accounts []string
	// Until is when the exception ends. It is required.
	Until time.Time
	// Why is the reason. It is required.
	Why string
}

// The bounds of [Custom].
const (
	maxCustomRules = 64
	maxExceptions  = 256
	customEntries  = 1 << 12 // of each rule
	customEpisodes = 32      // of each rule
	maxValues      = 1024    // of each list
	leastWithin    = time.Minute
	mostWithin     = 3 * 24 * time.Hour
)

// outcomesOf has the numbers of the outcomes that a Match may have.
var outcomesOf = map[string]answer{"failure": answeredRefused, "throttled": answeredThrottled, "success": answeredSuccess}

// CustomError is an error of a [Custom]. Rule or Exception is the number of the entry, from 1.
type CustomError struct {
	Rule, Exception int
	Text            string
}

// Error returns the number of the entry and the text.
func (e *CustomError) Error() string {
	switch {
	case e.Rule > 0:
		return fmt.Sprintf("detect: rule %d: %s", e.Rule, e.Text)
	case e.Exception > 0:
		return fmt.Sprintf("detect: exception %d: %s", e.Exception, e.Text)
	}
	return "detect: " + e.Text
}

// Validate returns all errors of c, joined, or nil. Each is a [CustomError].
func (c *Custom) Validate() error {
	var problems []error
	if len(c.Rules) > maxCustomRules || len(c.Exceptions) > maxExceptions {
		problems = append(problems, &CustomError{Text: fmt.Sprintf("%d rules and %d exceptions; at most %d and %d are allowed",
			len(c.Rules), len(c.Exceptions), maxCustomRules, maxExceptions)})
	}
	names := map[string]bool{"*": true}
	for _, r := range rules {
		names[r.Name] = true
	}
	for i := range c.Rules {
		r := &c.Rules[i]
		found := r.problems()
		if names[r.Name] {
			found = append(found, fmt.Sprintf("the name %s is taken; choose another one", r.Name))
		}
		names[r.Name] = true
		for _, text := range found {
			problems = append(problems, &CustomError{Rule: i + 1, Text: text})
		}
	}
	for i := range c.Exceptions {
		for _, text := range c.Exceptions[i].problems(names) {
			problems = append(problems, &CustomError{Exception: i + 1, Text: text})
		}
	}
	return errors.Join(problems...)
}

// problems returns what is wrong with an exception. names has the rules.
func (x *Exception) problems(names map[string]bool) (all []string) {
	if !names[x.Rule] {
		all = append(all, fmt.Sprintf("%q is not a rule; use the name of a rule, or * for all", x.Rule))
	}
	if len(x.Networks) == 0 && len(x.Accounts) == 0 {
		all = append(all, "the exception has no network and no account, so it would turn the rule off; name one, or turn the rule off")
	}
	if x.Until.IsZero() {
		all = append(all, "the exception has no end; set until")
	}
	if strings.TrimSpace(x.Why) == "" {
		all = append(all, "the exception has no reason; set why")
	}
	return all
}

// problems returns what is wrong with a rule, contradictions included.
func (r *CustomRule) problems() (all []string) {
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if r.Name == "" || len(r.Name) > 40 || strings.Trim(r.Name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		add("the name is invalid; use 1 to 40 characters of a-z, 0-9 and _")
	}
	if r.AtLeast < 0 || r.AtLeast > distinctMax {
		add("at_least is %d; choose 1 to %d", r.AtLeast, distinctMax)
	}
	if r.Within != 0 && (r.Within < leastWithin || r.Within > mostWithin) {
		add("within is %v; choose %v to %v", r.Within, leastWithin, mostWithin)
	}
	if r.Severity > High {
		add("severity is unknown; use low, medium or high")
	}
	if r.Count > CountPasswords || r.Per > PerRoute {
		add("count or per is unknown")
	}
	for _, of := range [...]struct {
		counter Counter
		per     Subject
		what    string
	}{{CountAccounts, PerAccount, "accounts"}, {CountNetworks, PerNetwork, "networks"}, {CountRoutes, PerRoute, "routes"}} {
		if r.Count == of.counter && r.Per == of.per {
			add("it counts %s for each one of them, so the count is always 1; change count or per", of.what)
		}
	}
	for name, m := range r.matches() {
		for _, o := range m.Outcomes {
			if _, ok := outcomesOf[o]; !ok {
				add("%s: outcome %q is not evaluated; use success, failure or throttled", name, o)
			}
		}
		for _, n := range [...]int{len(m.Outcomes), len(m.Routes), len(m.Networks), len(m.Accounts), len(m.Groups)} {
			if n > maxValues {
				add("%s: a list has %d values; at most %d are allowed", name, n, maxValues)
			}
		}
	}
	only := func(m *Match, outcome string) bool {
		return len(m.Outcomes) > 0 && !slices.ContainsFunc(m.Outcomes, func(o string) bool { return o != outcome })
	}
	if len(r.Match.Groups) > 0 && len(r.Match.Outcomes) > 0 && !slices.Contains(r.Match.Outcomes, "success") {
		add("only a success has groups, but match excludes it; remove group, or add success to outcome")
	}
	if r.Count == CountPasswords && only(&r.Match, "success") {
		add("a success has no wrong password to count; change count or outcome")
	}
	return append(all, contradictions(&r.Match, &r.Except)...)
}

// matches yields both matches with their names.
func (r *CustomRule) matches() iter.Seq2[string, *Match] {
	return func(yield func(string, *Match) bool) {
		_ = yield("match", &r.Match) && yield("except", &r.Except)
	}
}

// contradictions returns why no attempt can match: match requires what except excludes.
func contradictions(match, except *Match) (all []string) {
	fields := 0
	for _, n := range [...]int{len(except.Outcomes), len(except.Routes), len(except.Networks), len(except.Accounts), len(except.Groups)} {
		if n > 0 {
			fields++
		}
	}
	if fields != 1 {
		return nil // except excludes only attempts that have all of its fields
	}
	excluded := func(what string, wanted int, isExcluded func(int) bool) {
		for i := range wanted {
			if !isExcluded(i) {
				return
			}
		}
		if wanted > 0 {
			all = append(all, fmt.Sprintf("except excludes every %s of match, so the rule can never fire; change one of them", what))
		}
	}
	excluded("outcome", len(match.Outcomes), func(i int) bool { return slices.Contains(except.Outcomes, match.Outcomes[i]) })
	excluded("account", len(match.Accounts), func(i int) bool { return slices.Contains(except.Accounts, match.Accounts[i]) })
	excluded("group", len(match.Groups), func(i int) bool { return slices.Contains(except.Groups, match.Groups[i]) })
	excluded("route", len(match.Routes), func(i int) bool {
		return slices.ContainsFunc(except.Routes, func(r string) bool { return r == match.Routes[i] || covers(r, match.Routes[i]) })
	})
	excluded("network", len(match.Networks), func(i int) bool {
		n := match.Networks[i]
		return slices.ContainsFunc(except.Networks, func(x netip.Prefix) bool { return x.Bits() <= n.Bits() && x.Contains(n.Addr()) })
	})
	return all
}

// covers reports whether a pattern of a Match has a route.
func covers(pattern, route string) bool {
	if rest, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(route, rest)
	}
	return pattern == route
}

// isEmpty reports whether m matches everything.
func (m *Match) isEmpty() bool {
	return len(m.Outcomes)+len(m.Routes)+len(m.Networks)+len(m.Accounts)+len(m.Groups) == 0
}

// has reports whether an attempt matches.
func (m *Match) has(s *moment) bool {
	either := func(n int, is func(int) bool) bool {
		for i := range n {
			if is(i) {
				return true
			}
		}
		return n == 0
	}
	return either(len(m.Outcomes), func(i int) bool { return outcomesOf[m.Outcomes[i]] == s.sample.answer() }) &&
		either(len(m.Routes), func(i int) bool { return covers(m.Routes[i], s.sample.route) }) &&
		either(len(m.Networks), func(i int) bool { return m.Networks[i].Contains(s.caller.addr) }) &&
		either(len(m.Accounts), func(i int) bool { return s.self.isNamed(m.Accounts[i]) }) &&
		either(len(m.Groups), func(i int) bool { return slices.Contains(s.self.groups, m.Groups[i]) })
}

// identity is the account of an attempt of this process.
type identity struct {
	name, hash string
	groups     []string
	isOwn      bool
}

func identityOf(s *sample) identity { return identity{s.name, s.hash, s.groups, true} }

// isNamed reports whether the account has a name. The names of a rule may be user.hash too.
func (c *identity) isNamed(name string) bool { return name != "" && (c.name == name || c.hash == name) }

// has reports whether an attempt is excepted from a rule.
func (x *Exception) has(rule string, m *moment, now time.Time) bool {
	if x.Rule != "*" && x.Rule != rule || !now.Before(x.Until) {
		return false
	}
	return (len(x.Networks) == 0 || slices.ContainsFunc(x.Networks, func(n netip.Prefix) bool { return n.Contains(m.caller.addr) })) &&
		(len(x.Accounts) == 0 || slices.ContainsFunc(x.Accounts, m.self.isNamed))
}

// customRule is a CustomRule with its evidence.
type customRule struct {
	CustomRule
	rule        Rule
	threshold   string
	fingerprint uint64
	evidence    *table[matched]
	episodes    map[uint64]*episode
}

// matched is the evidence for one subject.
type matched struct {
	tally  tally
	values distinct
}

// custom is the compiled form of Custom.
type custom struct {
	rules      []*customRule
	exceptions []Exception
}

// compile returns c without evidence.
func (c *Custom) compile(key sip) *custom {
	made := &custom{exceptions: slices.Clone(c.Exceptions)}
	for _, r := range c.Rules {
		r.AtLeast, r.Within = cmp.Or(r.AtLeast, 1), cmp.Or(r.Within, time.Hour)
		r.Summary = cmp.Or(r.Summary, r.Name)
		within := uint32(r.Within / time.Second)
		made.rules = append(made.rules, &customRule{
			CustomRule: r, rule: Rule{
				Name: r.Name, UUID: uuidOf(r.Name), Severity: r.Severity, Technique: "T1078", Summary: r.Summary, Default: r.String(), id: customID,
			},
			threshold: r.String(), fingerprint: fingerprintOf(&r, key),
			evidence: newTable[matched](customEntries, within, within), episodes: map[uint64]*episode{},
		})
	}
	return made
}

// customID is the id of each rule of the operator. It is in no batch of a feed.
const customID = ruleID(255)

// uuidOf returns a UUID of version 8 for a rule of the operator: the same name has the same one.
func uuidOf(name string) string {
	h := sha256.Sum256([]byte("otelauth rule " + name))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// String states when the rule fires.
func (r CustomRule) String() string {
	r.AtLeast, r.Within = cmp.Or(r.AtLeast, 1), cmp.Or(r.Within, time.Hour)
	what := [...]string{"attempts", "accounts", "networks", "routes", "different wrong passwords"}[r.Count]
	per := [...]string{"", " of one account", " from one network", " at one route"}[r.Per]
	within := r.Within.String()
	for _, zero := range [...]string{"0s", "0m"} {
		if whole := strings.TrimSuffix(within, zero); strings.HasSuffix(whole, "m") || strings.HasSuffix(whole, "h") {
			within = whole
		}
	}
	return fmt.Sprintf("%d %s%s that match, within %s", r.AtLeast, what, per, within)
}

// evaluate evaluates an attempt of this process.
func (c *custom) evaluate(e *engine, m *moment) {
	if c == nil || !m.self.isOwn {
		return
	}
	for _, r := range c.rules {
		if !r.Match.has(m) || !r.Except.isEmpty() && r.Except.has(m) || c.isExcepted(e, r.Name, m) {
			continue
		}
		key := r.subject(e, m)
		p := r.evidence.touch(key, e.now, 1)
		w := uint32(r.Within / time.Second)
		attempts, first := p.value.tally.add(e.now, w)
		n := attempts
		if value := r.value(e, m); value != 0 {
			slot := e.now / max(w/windowSlots, 1)
			p.value.values.add(&e.blocks, value, slot)
			n = uint64(p.value.values.count(&e.blocks, slot))
		} else if r.Count != CountAttempts {
			continue
		}
		if n >= uint64(r.AtLeast) {
			r.fire(e, m, key, attempts, first)
		}
	}
}

// isExcepted reports whether an attempt must not fire a rule.
func (c *custom) isExcepted(e *engine, rule string, m *moment) bool {
	if c == nil || len(c.exceptions) == 0 {
		return false
	}
	now := e.wall(e.now)
	return slices.ContainsFunc(c.exceptions, func(x Exception) bool { return x.has(rule, m, now) })
}

// subject returns the key that the count is kept for.
func (r *customRule) subject(e *engine, m *moment) uint64 {
	switch r.Per {
	case PerAccount:
		return m.account | 1
	case PerNetwork:
		return m.network
	case PerRoute:
		return e.key.text(m.sample.route) | 1
	}
	return 1
}

// value returns what is counted once; 0 if the attempt has none.
func (r *customRule) value(e *engine, m *moment) uint64 {
	switch r.Count {
	case CountAccounts:
		return m.account
	case CountNetworks:
		return m.network
	case CountRoutes:
		return e.key.text(m.sample.route) | 1
	case CountPasswords:
		if m.sample.kind == guessed {
			return m.password
		}
	}
	return 0
}

// keys returns the kind of the subject.
func (r *customRule) keys() keyKind {
	return [...]keyKind{PerAll: byEverything, PerAccount: byAccount, PerNetwork: byNetwork, PerRoute: byRoute}[r.Per]
}

// fire starts an episode, or adds to the open one. Subjects beyond the bound share one.
func (r *customRule) fire(e *engine, m *moment, key, attempts uint64, first uint32) {
	ep := r.episodes[key]
	if ep == nil && len(r.episodes) >= customEpisodes {
		key = 0
		ep = r.episodes[key]
	}
	phase := Update
	if ep == nil {
		phase = Start
		ep = &episode{
			id: e.key.pair(key^e.key.text(r.Name), uint64(e.now)), first: first, attempts: attempts, began: attempts, folded: key == 0,
			next: 2 * attempts,
		}
		if !ep.folded {
			ep.subject = subject(r.keys(), m)
		}
		r.episodes[key] = ep
		if e.markCustom != nil {
			e.markCustom(&r.rule, ep.id, m.sample)
		}
	} else {
		ep.attempts++
	}
	ep.last = e.now
	e.join(ep, m, firing{keys: r.keys(), accounts: 1, networks: 1})
	if phase == Start || ep.attempts >= ep.next {
		ep.next = 2 * ep.attempts
		e.emit(&r.rule, r.advise(ep), ep, phase, m.sample)
	}
}

func (r *customRule) advise(ep *episode) Advice {
	a := Advice{Threshold: r.threshold, Confidence: r.Severity.String(), Why: "a rule of the operator decides", Runbook: customRunbook}
	a.NextStep, a.Command = "decide with the addresses, routes and accounts of the event", ep.command(listBudgets)
	return a
}

const customRunbook = "https://github.com/otelauth/otelauth-go/blob/main/docs/detection-rules.md"

// end reports and removes the episodes that are over.
func (c *custom) end(e *engine) {
	if c == nil {
		return
	}
	for _, r := range c.rules {
		r.end(e, false)
	}
}

// end reports and removes the episodes that are over, or all.
func (r *customRule) end(e *engine, all bool) {
	for _, key := range slices.Sorted(maps.Keys(r.episodes)) {
		ep := r.episodes[key]
		if all || e.now-min(ep.last, e.now) > ep.quiet(0) {
			delete(r.episodes, key)
			e.emit(&r.rule, r.advise(ep), ep, End, nil)
		}
	}
}

// replace puts c in force. Rules with the same fingerprint continue; the episodes of others end.
func (e *engine) replace(c *Custom) {
	old := e.custom
	e.custom = c.compile(e.key)
	for _, r := range e.custom.rules {
		r.evidence.drop = func(m *matched) { m.values.release(&e.blocks) }
	}
	if old == nil {
		return
	}
	for _, before := range old.rules {
		if r := e.custom.find(before.fingerprint); r != nil {
			r.evidence, r.episodes = before.evidence, before.episodes
			continue
		}
		before.end(e, true)
		before.evidence.clear()
	}
}
