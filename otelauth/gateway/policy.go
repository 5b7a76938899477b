// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/rawpath"
)

// policy says what a request needs. It is immutable.
type policy struct {
	strict matcher
	folded *matcher // as a lenient upstream reads the patterns; nil: no different
	hosts  []string // that rules name
	raw    []*pattern
}

// rule is a Rule at work.
type rule struct {
	Rule
	*pattern
}

// restricts reports whether a path that might be under r must be treated as if it were.
func (r *rule) restricts() bool { return r.Access != Public }

// allows reports whether u may call what is under r.
func (r *rule) allows(u otelauth.User) bool {
	if len(r.Accounts) == 0 && len(r.Groups) == 0 || slices.Contains(r.Accounts, u.Name) {
		return true
	}
	return slices.ContainsFunc(r.Groups, u.In)
}

// decision is what one request needs.
type decision struct {
	pattern   string // of the rule that names it
	public    bool
	sensitive bool
	normal    bool             // the path is in normal form
	needs     []*rule          // the account must be allowed by all
	few       [4]*rule         // where needs lie, most often
	literal   bool             // a rule names the path letter by letter
	refusal   otelauth.Refusal // the answer, whoever asks
}

// allows reports whether u, the zero User for nobody, may do this.
func (d *decision) allows(u otelauth.User) bool {
	if u.Name == "" {
		return d.public
	}
	for _, r := range d.needs {
		if !r.allows(u) {
			return false
		}
	}
	return true
}

func newPolicy(rules []Rule, rawPaths []string) (*policy, []error) {
	p := &policy{}
	var faults []error
	fault := func(field string, err error) { faults = append(faults, &ConfigError{Field: field, Err: err}) }
	differs := false
	var strict, folded []*rule
	for i := range rules {
		field := fmt.Sprintf("Rules[%d]", i)
		r, err := newRule(rules[i])
		if err != nil {
			fault(field+".Pattern", fmt.Errorf("%q: %w", rules[i].Pattern, err))
			continue
		}
		for j, other := range strict {
			if r.within(other.pattern) && other.within(r.pattern) {
				fault(field+".Pattern", fmt.Errorf("%q: means the same as %q of an earlier rule (%d); make them one", r.text, other.text, j))
			}
		}
		if err := r.check(); err != nil {
			fault(field, fmt.Errorf("%q: %w", r.text, err))
		}
		strict = append(strict, r)
		lenient := *r
		lenient.pattern = r.fold()
		folded = append(folded, &lenient)
		differs = differs || !slices.Equal(lenient.segments, r.segments)
		if r.host != "" && !slices.Contains(p.hosts, r.host) {
			p.hosts = append(p.hosts, r.host)
		}
	}
	p.strict = newMatcher(strict)
	if differs {
		m := newMatcher(folded)
		p.folded = &m
	}
	for i, text := range rawPaths {
		raw, err := parsePattern(text)
		if err != nil {
			fault(fmt.Sprintf("AllowRawPaths[%d]", i), fmt.Errorf("%q: %w", text, err))
			continue
		}
		p.raw = append(p.raw, raw)
	}
	return p, faults
}

func newRule(from Rule) (*rule, error) {
	from.Accounts, from.Groups = slices.Clone(from.Accounts), slices.Clone(from.Groups)
	p, err := parsePattern(from.Pattern)
	if err != nil {
		return nil, err
	}
	return &rule{Rule: from, pattern: p}, nil
}

func (r *rule) check() error {
	switch {
	case r.Access > Public:
		return fmt.Errorf("Access is %d; use Required or Public", r.Access)
	case r.Access == Public && (len(r.Accounts) > 0 || len(r.Groups) > 0):
		return errors.New("what is Public is for everybody; remove Accounts and Groups, or Access")
	case r.Access == Public && r.everything() && r.method != http.MethodOptions:
		return fmt.Errorf("opens every path; write %q for the root page", strings.TrimSuffix(r.text, r.path())+"/{$}")
	case slices.Contains(r.Accounts, ""), slices.Contains(r.Groups, ""):
		return errors.New("a name in Accounts or Groups is empty")
	}
	return nil
}

// judge says what r needs by its method, host and path. It writes all of d, which lies in the exchange: a request costs no allocation here but for the
// segments of its path.
func (p *policy) judge(r *http.Request, d *decision) {
	if d.refusal = refuseMethod(r.Method); d.refusal.Status != 0 {
		return
	}
	d.normal = rawpath.Normal(r.URL)
	if !d.normal && !p.allowsRaw(r) {
		d.refusal = otelauth.Refusal{
			Status: http.StatusBadRequest, Reason: attempt.ReasonRawPath,
			Detail: "The path is not in normal form: it holds an encoded slash, backslash, dot or percent sign, a dot segment, an empty segment, " +
				"a semicolon, a control character or octets that are not UTF-8.",
		}
		return
	}
	var buffer [16]string
	host := ""
	if len(p.hosts) > 0 {
		host = canonicalHost(r.Host)
	}
	if d.normal {
		path := split(r.URL.Path, buffer[:0])
		q := query{policy: p, d: d, method: r.Method, host: host}
		q.asSent(path)
		if d.literal {
			q.hosts(&p.strict, path) // who wrote this path meant it, and no other
			return
		}
		q.read(path)
		if strings.ContainsAny(r.URL.Path, "?#") || disguised(r.URL.Path) {
			p.everyReading(&q, r.URL.Path) // which nobody can decode any further
		}
		return
	}
	q := query{policy: p, d: d, method: r.Method, host: host}
	q.asSent(split(escaped(r.URL), buffer[:0]))
	d.public = false
	p.everyReading(&q, escaped(r.URL))
}

// everyReading adds what any decoding of the path leads to. Public is what all of them name as public.
func (p *policy) everyReading(q *query, sent string) {
	all, ok := readings(sent)
	if !ok {
		q.d.refusal = otelauth.Refusal{
			Status: http.StatusBadRequest, Reason: attempt.ReasonRawPath,
			Detail: "The path can be read in too many ways.",
		}
		return
	}
	for _, s := range all {
		path := split(s, nil)
		q.read(path)
		q.d.public = q.d.public && q.named(path)
	}
}

// escaped is the path as it was sent, as far as net/url keeps it.
func escaped(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

// allowsRaw reports whether a pattern names the path.
func (p *policy) allowsRaw(r *http.Request) bool {
	if len(p.raw) == 0 || !strings.HasPrefix(r.URL.Path, "/") {
		return false
	}
	path := split(escaped(r.URL), nil)
	for i, s := range path {
		if plain, err := url.PathUnescape(s); err == nil {
			path[i] = plain
		}
	}
	host := canonicalHost(r.Host)
	return slices.ContainsFunc(p.raw, func(raw *pattern) bool {
		return raw.matchMethod(r.Method) && raw.matchHost(host) && raw.matchPath(path)
	})
}

// split appends the segments of a path that begins with "/".
func split(path string, segments []string) []string {
	for {
		path = path[1:]
		i := strings.IndexByte(path, '/')
		if i < 0 {
			return append(segments, path)
		}
		segments = append(segments, path[:i])
		path = path[i:]
	}
}

// refuseMethod refuses what no rule can be about.
func refuseMethod(method string) otelauth.Refusal {
	var detail string
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodHead:
		return otelauth.Refusal{}
	case http.MethodConnect:
		detail = "This is not a forward proxy."
	case http.MethodTrace, "TRACK":
		detail = "TRACE would show the headers that the gateway adds."
	default:
		if strings.ToUpper(method) == method {
			return otelauth.Refusal{}
		}
		detail = "Methods are case-sensitive, and written in upper case."
	}
	return otelauth.Refusal{Status: http.StatusBadRequest, Reason: attempt.ReasonMethodRefused, Detail: detail}
}

// query is one call of judge.
type query struct {
	policy       *policy
	d            *decision
	method, host string
}

// asSent finds the rules that name the path, and with them route, public and what is needed.
func (q *query) asSent(path []string) {
	var buffer [8]*rule
	found := q.policy.strict.match(q.method, q.host, path, buffer[:0])
	q.d.public = len(found) > 0
	longest := 0
	for i, r := range found {
		// Where several hold, the longest path names the route.
		if i == 0 || len(r.path()) > longest {
			q.d.pattern, longest = r.text, len(r.path())
		}
		q.d.sensitive = q.d.sensitive || r.Sensitive
		q.d.literal = q.d.literal || r.literal()
		q.add(r)
	}
}

// named reports whether a rule names the path.
func (q *query) named(path []string) bool {
	var buffer [8]*rule
	return len(q.policy.strict.match(q.method, q.host, path, buffer[:0])) > 0
}

// read adds what a lenient upstream may take the path for.
func (q *query) read(path []string) {
	folded := foldSegments(path)
	q.slashes(&q.policy.strict, path)
	if q.policy.folded != nil {
		lower := folded
		if lower == nil {
			lower = path
		}
		q.slashes(q.policy.folded, lower)
	} else if folded != nil {
		q.slashes(&q.policy.strict, folded)
	}
	if trimmed := trimSegments(path); trimmed != nil {
		q.slashes(&q.policy.strict, trimmed)
	}
	if folded == nil {
		folded = path
	}
	if trimmed := trimSegments(folded); trimmed != nil {
		m := q.policy.folded
		if m == nil {
			m = &q.policy.strict
		}
		q.slashes(m, trimmed)
	}
}

// slashes looks at path with and without a slash at its end, for every site that it may be for.
func (q *query) slashes(m *matcher, path []string) {
	q.hosts(m, path)
	if n := len(path); path[n-1] != "" {
		q.hosts(m, append(path, ""))
	} else if n > 1 {
		q.hosts(m, path[:n-1])
	}
}

func (q *query) hosts(m *matcher, path []string) {
	q.restrict(m, q.host, path)
	if len(q.policy.hosts) > 0 && !slices.Contains(q.policy.hosts, q.host) {
		for _, host := range q.policy.hosts {
			q.restrict(m, host, path)
		}
	}
}

func (q *query) restrict(m *matcher, host string, path []string) {
	var buffer [8]*rule
	for _, r := range m.match(q.method, host, path, buffer[:0]) {
		if r.restricts() {
			q.d.sensitive = q.d.sensitive || r.Sensitive
			q.add(r)
		}
	}
}

func (q *query) add(r *rule) {
	if !r.restricts() {
		return
	}
	q.d.public = false
	if len(r.Accounts) == 0 && len(r.Groups) == 0 {
		return
	}
	// The folded twin of a rule restricts as the rule does.
	for _, known := range q.d.needs {
		if known.text == r.text {
			return
		}
	}
	if q.d.needs == nil {
		q.d.needs = q.d.few[:0]
	}
	q.d.needs = append(q.d.needs, r)
}

// matcher finds the rules that hold for a path. Rules lie by their first segment, so that a long list costs no more than
// a short one.
type matcher struct {
	first map[string][]*rule
	wild  []*rule
}

func newMatcher(rules []*rule) matcher {
	m := matcher{first: make(map[string][]*rule)}
	for _, r := range rules {
		if len(r.segments) == 0 || r.segments[0].any {
			m.wild = append(m.wild, r)
		} else {
			literal := r.segments[0].literal
			m.first[literal] = append(m.first[literal], r)
		}
	}
	return m
}

// match appends the rules that match and that no other one that matches goes before.
func (m *matcher) match(method, host string, path []string, found []*rule) []*rule {
	for _, list := range [...][]*rule{m.first[path[0]], m.wild} {
	next:
		for _, r := range list {
			if !r.matchMethod(method) || !r.matchHost(host) || !r.matchPath(path) {
				continue
			}
			for _, other := range found {
				if other.before(r.pattern) {
					continue next
				}
			}
			found = slices.DeleteFunc(found, func(other *rule) bool { return r.before(other.pattern) })
			found = append(found, r)
		}
	}
	return found
}
