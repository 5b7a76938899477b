// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// The parts of answers that Meta.Local names.
const (
	partStatus   = "status"
	partAttempts = "attempts"
	partTraffic  = "traffic"
	partEpisodes = "episodes"
	partBudgets  = "budgets"
	partRules    = "rules"
	partActs     = "acts"

	partAddresses = "addresses"
	partAgents    = "user_agents"
	partOrigins   = "origins"
	partForgotten = "credentials and streams"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
	defaultTop   = 20
	defaultSpan  = 5 * time.Minute
)

// query reads the parameters of a request and remembers the first that is invalid.
type query struct {
	values url.Values
	err    error
}

// queryOf returns the query of r. Parameters outside of known are an error, so that a misspelled
// filter does not answer with everything.
func queryOf(r *http.Request, known ...string) *query {
	q := &query{}
	var err error
	if q.values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		q.fail("The query is not valid: %s. Encode it as in a URL.", shown(err.Error()))
	}
	for name, values := range q.values {
		if !slices.Contains(known, name) {
			q.fail("There is no parameter %q here. Use %s.", shown(name), strings.Join(known, ", "))
		} else if len(values) > 1 {
			q.fail("The parameter %s occurs twice.", name)
		}
	}
	return q
}

func (q *query) fail(format string, args ...any) {
	if q.err == nil {
		q.err = invalid(format, args...)
	}
}

func (q *query) number(name string, other, most int) int {
	text := q.values.Get(name)
	if text == "" {
		return other
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		q.fail("The parameter %s is %q. Use a number from 1 to %d.", name, shown(text), most)
	}
	return n
}

// since returns the moment that a parameter names: a time, or how long ago.
func (q *query) since(name string, now time.Time) time.Time {
	text := q.values.Get(name)
	if text == "" {
		return time.Time{}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d)
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		q.fail("The parameter %s is %q. Use a time such as 2026-01-31T12:00:00Z, or how long ago, such as 5m.", name, shown(text))
	}
	return t
}

// network returns a network, the zero Prefix without one. An address is a network of one.
func (q *query) network(name string) netip.Prefix {
	text := q.values.Get(name)
	if text == "" {
		return netip.Prefix{}
	}
	p, err := parseNetwork(text)
	if err != nil {
		q.err = err
	}
	return p
}

// parseNetwork reads an address or a network.
func parseNetwork(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, invalid("%q is not an address such as 192.0.2.7 or a network such as 192.0.2.0/24.", shown(text))
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func (q *query) outcomes(name string) []string {
	text := q.values.Get(name)
	if text == "" {
		return nil
	}
	list := strings.Split(text, ",")
	for _, o := range list {
		if !slices.ContainsFunc(attempt.Outcomes(), func(known attempt.Outcome) bool { return known.String() == o }) {
			q.fail("There is no outcome %q. Use success, missing, malformed, failure, throttled or error.", shown(o))
		}
	}
	return list
}

// hashOf returns user.hash of the account that a request names, "" without one.
func (o *Operator) hashOf(r *http.Request, name string) string {
	m := o.verifier.Load()
	if m == nil || name == "" {
		return ""
	}
	id, _ := m.Identify(r.Context(), name) // the hash is set in any case
	return id.Hash
}

// serveAttempts answers GET v1/attempts.
func (o *Operator) serveAttempts(r *http.Request) (any, error) {
	q := queryOf(r, "limit", "since", "before", "outcome", "account", "hash", "network", "route", "trace_id")
	now := o.cfg.Now()
	limit, since, before := q.number("limit", defaultLimit, maxLimit), q.since("since", now), q.number("before", 1<<62, 1<<62)
	outcomes, network := q.outcomes("outcome"), q.network("network")
	if q.err != nil {
		return nil, q.err
	}
	account, hash, route, id := q.values.Get("account"), q.values.Get("hash"), q.values.Get("route"), strings.ToLower(q.values.Get("trace_id"))
	accountHash := o.hashOf(r, account)
	m, _ := o.shared(r.Context(), []string{partAttempts}, nil)
	list := AttemptList{Meta: m, Attempts: []Attempt{}, Oldest: map[string]time.Time{}}
	for _, rec := range o.rings.all() {
		list.Oldest[rec.outcome.String()] = rec.at.UTC()
		switch {
		case rec.sequence >= uint64(before), rec.at.Before(since),
			outcomes != nil && !slices.Contains(outcomes, rec.outcome.String()),
			account != "" && rec.account != account && (accountHash == "" || rec.hash != accountHash),
			hash != "" && rec.hash != hash,
			network.IsValid() && !network.Contains(rec.client.Unmap()),
			route != "" && rec.route != route,
			id != "" && rec.trace.String() != id:
			continue
		case len(list.Attempts) == limit:
			list.More = true
			continue
		}
		list.Attempts = append(list.Attempts, rec.attempt())
	}
	return list, nil
}

// serveTraffic answers GET v1/traffic.
func (o *Operator) serveTraffic(r *http.Request) (any, error) {
	q := queryOf(r, "since", "top")
	now := o.cfg.Now()
	since, limit := q.since("since", now), q.number("top", defaultTop, maxLimit)
	if q.err != nil {
		return nil, q.err
	}
	if since.IsZero() {
		since = now.Add(-defaultSpan)
	}
	recent := slices.DeleteFunc(o.rings.all(), func(r record) bool { return r.at.Before(since) })
	m, _ := o.shared(r.Context(), []string{partTraffic}, nil)
	t := Traffic{
		Meta: m, BucketSeconds: bucketSeconds, Buckets: o.traffic.buckets(now), Endpoints: o.traffic.endpoints(),
		Since: since.UTC(),
	}
	t.Accounts, t.Networks = top(recent, limit)
	return t, nil
}

// serveEpisodes answers GET v1/episodes.
func (o *Operator) serveEpisodes(r *http.Request) (any, error) {
	q := queryOf(r, "limit", "offset", "state", "rule", "severity", "account", "network")
	offset, limit, network := q.number("offset", 0, 1<<30), q.number("limit", defaultLimit, maxLimit), q.network("network")
	state := q.values.Get("state")
	if state != "" && state != "running" && state != "past" {
		q.fail("The parameter state is %q. Use running or past.", shown(state))
	}
	if q.err != nil {
		return nil, q.err
	}
	rule, severity, account := q.values.Get("rule"), q.values.Get("severity"), q.values.Get("account")
	hash := o.hashOf(r, account)
	m, _ := o.shared(r.Context(), o.localEpisodes(), nil)
	list := EpisodeList{Meta: m, Episodes: []Episode{}}
	all, forgotten := o.episodes.list()
	list.Forgotten = forgotten
	for _, e := range all {
		isAbout := func(name string) bool { return name == account || hash != "" && name == hash }
		overlaps := func(text string) bool {
			p, err := parseNetwork(text)
			return err == nil && p.Overlaps(network)
		}
		switch {
		case state != "" && e.Running != (state == "running"),
			rule != "" && e.Rule != rule,
			severity != "" && e.Severity != severity,
			account != "" && !slices.ContainsFunc(e.Accounts, isAbout),
			network.IsValid() && !slices.ContainsFunc(e.Networks, overlaps):
			continue
		case offset > 0:
			offset--
			continue
		case len(list.Episodes) == limit:
			list.More = true
			continue
		}
		list.Episodes = append(list.Episodes, e)
	}
	return list, nil
}

// serveEpisode answers GET v1/episodes/{id}.
func (o *Operator) serveEpisode(r *http.Request) (any, error) {
	if q := queryOf(r); q.err != nil {
		return nil, q.err
	}
	k, ok := o.episodes.find(strings.ToLower(r.PathValue("id")))
	if !ok {
		return nil, refuse(http.StatusNotFound, CodeNotFound,
			"There is no episode %q in memory. GET /v1/episodes lists them; the backend has older ones as events auth.detection.", shown(r.PathValue("id")))
	}
	local := []string{partEpisodes}
	if o.cfg.SharedDetection {
		if k.Rule != detect.SamePassword { // which each process detects alone
			local = nil
		}
		local = append(local, partAddresses, partAgents, partOrigins)
	}
	detail := detailOf(&k)
	detail.Meta, _ = o.shared(r.Context(), local, nil)
	return detail, nil
}
