// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package policy decides who may make a request, by its method, host and path.
//
//	p, problems := policy.New(rules, nil)
//	...
//	var d policy.Decision
//	p.Decide(r, &d)
//	switch {
//	case d.Refusal.Status != 0: // the answer to every caller
//	case d.Allows(user):
//	}
//
// In the terms of package pathform: of the rules that the path as sent matches exactly, the most
// specific ones name it. Every other rule that a server may apply to the path restricts it too,
// unless a rule that names the path is an exception from it. The path is public if at least one
// rule names it, all rules that name it are public, and no rule restricts it.
package policy

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/pathform"
)

// Rule is who may call paths that match a pattern. Without Accounts and Groups it requires the
// credentials of any account.
type Rule struct {
	Pattern string // in the syntax of http.ServeMux
	Public  bool   // requires no credentials
	// Everything admits a Public rule for every path.
	Everything bool
	Sensitive  bool
	Accounts   []string // accounts that may call
	Groups     []string // groups whose members may call
}

// Problem is a problem of one field of the configuration.
type Problem struct {
	Field string // such as "Rules[2].Pattern"
	Err   error
}

// Policy is a set of rules. It is immutable and safe for concurrent use. [New] makes one.
type Policy struct {
	rules []*rule
	// by pathform.Pattern.Name, so that a long list costs no more than a short one
	named map[string][]*rule
	wild  []*rule             // rules whose pattern has no Name
	hosts []string            // hosts that rules name
	raw   []*pathform.Pattern // patterns beneath which unusual paths are admitted
}

// rule is a Rule with its parsed pattern.
type rule struct {
	Rule
	*pathform.Pattern
}

// allows reports whether r lets u call.
func (r *rule) allows(u otelauth.User) bool {
	if len(r.Accounts) == 0 && len(r.Groups) == 0 || slices.Contains(r.Accounts, u.Name) {
		return true
	}
	return slices.ContainsFunc(r.Groups, u.In)
}

// New returns the policy of the rules and all their problems. Paths with encoded slashes and the
// like are refused unless one of the patterns rawPaths matches them.
func New(rules []Rule, rawPaths []string) (*Policy, []Problem) {
	p := &Policy{named: make(map[string][]*rule)}
	var problems []Problem
	report := func(field string, err error) { problems = append(problems, Problem{Field: field, Err: err}) }
	for i := range rules {
		field := fmt.Sprintf("Rules[%d]", i)
		pattern, err := parse(rules[i].Pattern)
		if err != nil {
			report(field+".Pattern", fmt.Errorf("%q: %w", rules[i].Pattern, err))
			continue
		}
		r := &rule{Rule: rules[i], Pattern: pattern}
		r.Accounts, r.Groups = slices.Clone(r.Accounts), slices.Clone(r.Groups)
		for j, other := range p.rules {
			if r.IsWithin(other.Pattern) && other.IsWithin(r.Pattern) {
				report(field+".Pattern", fmt.Errorf("%q: matches the same requests as %q of rule %d; merge the two rules", r, other, j))
			}
		}
		if err := r.check(); err != nil {
			report(field, fmt.Errorf("%q: %w", r, err))
		}
		p.rules = append(p.rules, r)
		if name := r.Name(); name != "" {
			p.named[name] = append(p.named[name], r)
		} else {
			p.wild = append(p.wild, r)
		}
		if host := r.Host(); host != "" && !slices.Contains(p.hosts, host) {
			p.hosts = append(p.hosts, host)
		}
	}
	for i, text := range rawPaths {
		pattern, err := parse(text)
		if err != nil {
			report(fmt.Sprintf("AllowRawPaths[%d]", i), fmt.Errorf("%q: %w", text, err))
			continue
		}
		p.raw = append(p.raw, pattern)
	}
	return p, problems
}

func parse(text string) (*pathform.Pattern, error) {
	if i := strings.IndexByte(text, '/'); i >= 0 && strings.ContainsRune(text[i:], '%') {
		return nil, errors.New("a pattern has no percent-encoding: write the characters themselves")
	}
	return pathform.ParsePattern(text)
}

func (r *rule) check() error {
	switch {
	case r.Public && (len(r.Accounts) > 0 || len(r.Groups) > 0):
		return errors.New("a public rule admits every caller; remove Accounts and Groups, or Access")
	case slices.Contains(r.Accounts, ""), slices.Contains(r.Groups, ""):
		return errors.New("a name in Accounts or Groups is empty; remove it")
	case r.Public && !r.Everything:
		return r.CheckPublic()
	}
	return nil
}

// Decision is what one request requires. [Policy.Decide] fills it.
type Decision struct {
	// Pattern is the pattern of the rule that decided, or "" if no rule did.
	Pattern   string
	Public    bool
	Sensitive bool
	// Unusual reports whether a pattern for raw paths admitted the path.
	Unusual bool
	// Refusal is the answer to every caller if its Status is set.
	Refusal otelauth.Refusal

	needs []*rule  // rules that must all allow the account
	few   [4]*rule // backing array of needs
	named [4]*rule // backing array of the rules that name the path
}

// Allows reports whether u may make the request. The zero User is a caller without credentials.
func (d *Decision) Allows(u otelauth.User) bool {
	if u.Name == "" {
		return d.Public
	}
	return d.refusing(u) == nil
}

// RefusedBy returns the pattern of the rule that refuses u, or "" if Allows(u).
func (d *Decision) RefusedBy(u otelauth.User) string {
	if r := d.refusing(u); r != nil {
		return r.String()
	}
	return ""
}

func (d *Decision) refusing(u otelauth.User) *rule {
	for _, r := range d.needs {
		if !r.allows(u) {
			return r
		}
	}
	return nil
}

func (d *Decision) refuse(status int, reason attempt.Reason, detail string) {
	d.Refusal = otelauth.Refusal{Status: status, Reason: reason, Detail: detail}
}

// Decide fills d with what r requires by its method, host and path, and by the destination of a
// WebDAV method.
func (p *Policy) Decide(r *http.Request, d *Decision) {
	if detail := refusedMethod(r.Method); detail != "" {
		d.refuse(http.StatusBadRequest, attempt.ReasonMethodRefused, detail)
		return
	}
	path := pathform.Get(r.URL)
	defer path.Free()
	if p.check(r, path, d); d.Refusal.Status != 0 {
		return
	}
	q := query{policy: p, d: d, path: path, method: r.Method, host: p.host(r.Host)}
	q.decide()
	p.decideTree(r, &q)
}

// check refuses a path that cannot be compared.
func (p *Policy) check(r *http.Request, path *pathform.Path, d *Decision) {
	switch {
	case path.TooLong:
		d.refuse(http.StatusRequestURITooLong, attempt.ReasonRawPath, path.Refusal)
	case path.Refusal != "":
		d.refuse(http.StatusBadRequest, attempt.ReasonRawPath, path.Refusal)
	case path.Unusual == "":
	case p.admits(r, path):
		d.Unusual = true
	default:
		d.refuse(http.StatusBadRequest, attempt.ReasonRawPath, "The path holds "+path.Unusual+", which servers read in different ways.")
	}
}

// admits reports whether a pattern for raw paths matches r.
func (p *Policy) admits(r *http.Request, path *pathform.Path) bool {
	if len(p.raw) == 0 {
		return false
	}
	host := pathform.SentHost(r.Host)
	return slices.ContainsFunc(p.raw, func(raw *pathform.Pattern) bool {
		return raw.MatchesMethod(r.Method) && (raw.Host() == "" || raw.Host() == host) && raw.MatchesSent(path)
	})
}

// host returns the host to compare with rules, or "" if no rule names a host.
func (p *Policy) host(field string) string {
	if len(p.hosts) == 0 {
		return ""
	}
	return pathform.SentHost(field)
}

// refusedMethod returns why the method is refused, or "" if it is not.
func refusedMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodHead:
		return ""
	case http.MethodConnect:
		return "CONNECT is not supported: this server is not a forward proxy."
	case http.MethodTrace, "TRACK":
		return "TRACE and TRACK are not supported: they would reveal the headers that the gateway adds."
	}
	if strings.ToUpper(method) != method {
		return "Methods are case-sensitive: write them in upper case."
	}
	return ""
}

// query finds what a policy requires for a method on a path.
type query struct {
	policy       *Policy
	d            *Decision
	path         *pathform.Path
	method, host string
}

// decide fills the decision.
func (q *query) decide() {
	d := q.d
	named := q.named(d.named[:0])
	d.Public = len(named) > 0
	for _, r := range named {
		if len(r.Route()) > len(routeOf(d.Pattern)) {
			d.Pattern = r.String() // the longest of several is the route
		}
		d.Sensitive = d.Sensitive || r.Sensitive
		if !r.Public {
			d.need(r)
		}
	}
	q.restrict(named, (*pathform.Pattern).Restricts)
}

func routeOf(pattern string) string { return pattern[max(strings.IndexByte(pattern, '/'), 0):] }

// named appends the most specific rules that the path matches exactly.
func (q *query) named(found []*rule) []*rule {
	for list := range q.candidates() {
	next:
		for _, r := range list {
			if !r.MatchesMethod(q.method) || r.Host() != "" && r.Host() != q.host || !r.Opens(q.path) || slices.Contains(found, r) {
				continue
			}
			for _, other := range found {
				if other.Precedes(r.Pattern) {
					continue next
				}
			}
			found = slices.DeleteFunc(found, func(other *rule) bool { return r.Precedes(other.Pattern) })
			found = append(found, r)
		}
	}
	return found
}

// restrict adds every rule that applies to the path, except those from which a rule that names
// the path is an exception.
func (q *query) restrict(named []*rule, applies func(*pathform.Pattern, *pathform.Path) bool) {
	route := ""
	for list := range q.candidates() {
		for _, r := range list {
			if r.Public || !r.MatchesMethod(q.method) || !q.mayBeHost(r.Host()) || !applies(r.Pattern, q.path) {
				continue
			}
			if slices.ContainsFunc(named, func(e *rule) bool { return e.Lifts(r.Pattern) }) {
				continue
			}
			q.d.need(r)
			if len(r.Route()) > len(routeOf(route)) {
				route = r.String()
			}
		}
	}
	if q.d.Pattern == "" {
		q.d.Pattern = route
	}
}

// candidates yields the rules that may apply to the path or to a path beneath it.
func (q *query) candidates() iter.Seq[[]*rule] {
	return func(yield func([]*rule) bool) {
		var buffer [8][]byte
		names, all := q.path.Names(buffer[:0])
		if all || len(names) == 0 {
			yield(q.policy.rules)
			return
		}
		for _, name := range names {
			if list := q.policy.named[string(name)]; list != nil && !yield(list) {
				return
			}
		}
		yield(q.policy.wild)
	}
}

// mayBeHost reports whether a server may serve the request as one to host: it does not name
// another host of the rules.
func (q *query) mayBeHost(host string) bool {
	return host == "" || host == q.host || !slices.Contains(q.policy.hosts, q.host)
}

// need requires an account that r allows.
func (d *Decision) need(r *rule) {
	d.Public = false
	d.Sensitive = d.Sensitive || r.Sensitive
	if len(r.Accounts) == 0 && len(r.Groups) == 0 || slices.Contains(d.needs, r) {
		return
	}
	if d.needs == nil {
		d.needs = d.few[:0]
	}
	d.needs = append(d.needs, r)
}
