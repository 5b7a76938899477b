// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
	"context"
	"net/http"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// serveStatus answers GET v1/status.
func (o *Operator) serveStatus(r *http.Request) (any, error) {
	if q := queryOf(r); q.err != nil {
		return nil, q.err
	}
	return o.status(r.Context()), nil
}

// status returns the state of the process.
func (o *Operator) status(ctx context.Context) Status {
	now := o.cfg.Now()
	state := o.state()
	m, others := o.shared(ctx, []string{partStatus}, nil)
	s := Status{
		Meta: m, Version: o.cfg.Version, Host: o.host, Started: o.started.UTC(), Actor: actorOf(ctx), Acts: o.cfg.Acts,
		UptimeSeconds: int64(now.Sub(o.started).Seconds()),
		Outcomes:      o.traffic.rates(now), Hashing: hashingOf(state), Stores: o.health.stores(), Reloads: o.health.reloaded(),
		Cache: Cache{
			Entries: state.CacheEntries, Hits: o.traffic.cache[attempt.Hit].Load(),
			Misses: o.traffic.cache[attempt.Miss].Load(), Coalesced: o.traffic.cache[attempt.Coalesced].Load(),
		},
		Tables: o.tables(state), Exporters: []Exporter{}, Configuration: []Setting{},
		DetectionOff: rulesOff(&detect.Config{}), DetectionRules: []DetectionRule{}, DetectionExceptions: []DetectionException{},
	}
	s.Reloads.Accounts = state.Accounts
	s.Peers = []Replica{o.self()}
	if r := o.replicas.Load(); r != nil {
		s.Peers[0].ClockSkewSeconds = -r.docs.Ahead().Seconds()
	}
	for _, p := range others {
		s.Peers = append(s.Peers, p.Replica)
	}
	o.judge(&s)
	return s
}

// judge adds to s what needs attention, and what only the service knows.
func (o *Operator) judge(s *Status) {
	s.Problems = o.health.problems()
	s.Coverage = o.coverage(s)
	if o.cfg.Describe != nil {
		o.cfg.Describe(s)
	}
	s.Healthy = len(s.Problems) == 0
}

// coverage returns which endpoints are in doubt. One that serves callers without credentials is a
// problem of the process.
func (o *Operator) coverage(s *Status) Coverage {
	all := Coverage{Gaps: []Gap{}}
	m := o.verifier.Load()
	if m == nil {
		return all
	}
	known := m.Coverage()
	all.Registered, all.Authenticated = known.Registered, known.Authenticated
	if since := known.Since.UTC(); known.Registered > 0 {
		all.Since = &since
	}
	for _, g := range known.Gaps {
		all.Gaps = append(all.Gaps, Gap{Finding: string(g.Finding), Method: g.Method, Route: g.Route, Since: g.Since.UTC()})
		if g.Finding == attempt.AnonymousAccess {
			s.Problems = append(s.Problems, Problem{
				Kind: string(attempt.Coverage), Since: g.Since.UTC(),
				Message: "the endpoint " + shown(g.Route) + " serves callers without credentials and is not public; see coverage",
			})
		}
	}
	return all
}

// ListDetection sets which built-in rules are off by cfg, and adds the rules and exceptions of the
// operator, cfg.Custom, to s. A service whose detect.Config has On, Off or Custom calls it in
// [Config].Describe.
func (s *Status) ListDetection(cfg *detect.Config) {
	s.DetectionOff = rulesOff(cfg)
	c := &cfg.Custom
	for _, r := range c.Rules {
		s.DetectionRules = append(s.DetectionRules, DetectionRule{
			Name: r.Name, Severity: r.Severity.String(), Summary: cmp.Or(r.Summary, r.Name), Fires: r.String(),
		})
	}
	for _, x := range c.Exceptions {
		networks := []string{}
		for _, n := range x.Networks {
			networks = append(networks, n.String())
		}
		s.DetectionExceptions = append(s.DetectionExceptions, DetectionException{
			Rule: x.Rule, Networks: networks, Accounts: append([]string{}, x.Accounts...), Until: x.Until.UTC(), Why: x.Why, Ended: !s.Now.Before(x.Until),
		})
	}
}

// rulesOff returns the names of the built-in rules that are off by cfg.
func rulesOff(cfg *detect.Config) []string {
	off := []string{}
	for _, r := range detect.Rules() {
		if !cfg.IsOn(r.Name) {
			off = append(off, r.Name)
		}
	}
	return off
}

// self returns this process as a replica.
func (o *Operator) self() Replica {
	return Replica{
		Instance: o.instance, Host: o.host, Version: o.cfg.Version, Started: o.started.UTC(), Seen: o.cfg.Now().UTC(),
	}
}

func hashingOf(s attempt.State) Hashing {
	return Hashing{Slots: s.HashSlots, Running: s.HashesActive, Queued: s.HashesQueued, Queue: s.HashQueue}
}

// tables returns the occupancy of the bounded tables.
func (o *Operator) tables(state attempt.State) []Table {
	used, limit := o.rings.size()
	running, past := o.episodes.size()
	tables := []Table{
		{Name: "accounts", Used: state.Accounts},
		{Name: "verified credentials and known failures", Used: state.CacheEntries},
		{Name: "guess budgets", Used: state.ThrottleEntries},
		{Name: "recent attempts", Used: int64(used), Limit: int64(limit)},
		{Name: "running episodes", Used: int64(running), Limit: int64(len(detect.Rules()) * (detect.MaxEpisodes + 1))},
		{Name: "past episodes", Used: int64(past), Limit: maxPast},
		{Name: "endpoints", Used: int64(len(*o.traffic.routes.Load()) - 1), Limit: maxRoutes},
	}
	if b := o.budgets(); b != nil {
		tables = append(tables, Table{Name: "rules", Used: int64(len(b.Rules())), Limit: maxRules})
	}
	return tables
}

// maxRules is the bound of package throttle, for the answer only.
const maxRules = 10_000

// localEpisodes names the parts of a list of episodes that are of this process only.
func (o *Operator) localEpisodes() []string {
	if o.cfg.SharedDetection {
		return []string{partEpisodes + " of " + detect.SamePassword}
	}
	return []string{partEpisodes}
}
