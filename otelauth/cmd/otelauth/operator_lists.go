// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/legible"
	"github.com/otelauth/otelauth-go/otelauth/operator"
)

// statusCommand prints the state of a gateway.
type statusCommand struct {
	apiFlags
	Settings bool `help:"Print the settings in force too."`
}

// Run prints the state.
func (c *statusCommand) Run(t *terminal) error {
	return call(t, &c.apiFlags, func(ctx context.Context, api *operator.Client) (operator.Status, error) {
		return api.Status(ctx)
	}, func(s operator.Status) {
		t.printStatus(&s)
		if c.Settings {
			settings := newTable(t, "SETTING", "VALUE", "FROM")
			for _, one := range s.Configuration {
				settings.row(one.Name, one.Value, one.Place)
			}
			t.print("\n%s", strings.TrimSuffix(settings.String(), "\n"))
			t.printDetection(&s)
		}
		t.printScope(&s.Meta)
	})
}

// printDetection prints which built-in rules of detection are off, and the operator's rules and
// exceptions.
func (t *terminal) printDetection(s *operator.Status) {
	if len(s.DetectionOff) > 0 {
		t.print("\nRules of detection that are off: %s", strings.Join(s.DetectionOff, ", "))
	}
	if len(s.DetectionRules) > 0 {
		rules := newTable(t, "RULE", "SEVERITY", "FIRES AT")
		for _, r := range s.DetectionRules {
			rules.row(r.Name, r.Severity, r.Fires)
		}
		t.print("\n%s", strings.TrimSuffix(rules.String(), "\n"))
	}
	if len(s.DetectionExceptions) > 0 {
		exceptions := newTable(t, "EXCEPTION FROM", "NETWORKS", "ACCOUNTS", "UNTIL", "WHY")
		for _, x := range s.DetectionExceptions {
			until := x.Until.Format(time.DateTime)
			if x.Ended {
				until += " (ended)"
			}
			exceptions.row(x.Rule, strings.Join(x.Networks, " "), strings.Join(x.Accounts, " "), until, x.Why)
		}
		t.print("\n%s", strings.TrimSuffix(exceptions.String(), "\n"))
	}
}

func (t *terminal) printStatus(s *operator.Status) {
	health := coloured("healthy", green, t.isTerminal())
	if !s.Healthy {
		health = coloured("needs attention", red, t.isTerminal())
	}
	acts := "read-only"
	if s.Acts {
		acts = "operators may act"
	}
	t.print("otelauth %s on %s, up %s: %s; %s", legible.Text(s.Version), legible.Text(s.Host), ago(s.Now, s.Started), health, acts)
	for _, p := range s.Problems {
		t.print("  %s since %s: %s", p.Kind, clockOf(p.Since), legible.Text(p.Message))
	}
	rates := newTable(t, "OUTCOME", "LAST MINUTE", "SINCE START")
	for _, o := range s.Outcomes {
		rates.row(ofOutcome(o.Outcome), o.LastMinute, o.Total)
	}
	t.print("\n%s", rates)
	t.print("hashing: %d of %d slots run, %d of %d places wait; cache: %d entries, %d hits, %d misses",
		s.Hashing.Running, s.Hashing.Slots, s.Hashing.Queued, s.Hashing.Queue, s.Cache.Entries, s.Cache.Hits, s.Cache.Misses)
	tables := newTable(t, "TABLE", "USED", "LIMIT")
	for _, one := range s.Tables {
		limit := ""
		if one.Limit > 0 {
			limit = strconv.FormatInt(one.Limit, 10)
		}
		tables.row(one.Name, one.Used, cell{text: limit, right: true})
	}
	t.print("\n%s", tables)
	if len(s.Stores) > 0 {
		stores := newTable(t, "STORE", "STATE", "DETAIL")
		for _, one := range s.Stores {
			state := cell{text: "ok", colour: green}
			if !one.OK {
				state = cell{text: "down", colour: red}
			}
			stores.row(one.Name, state, one.Detail)
		}
		t.print("%s", stores)
	}
	t.printCoverage(&s.Coverage)
	if u := s.Upstream; u != nil {
		state := coloured("answers", green, t.isTerminal())
		if !u.OK {
			state = coloured("does not answer since "+clockOf(*u.Since), red, t.isTerminal())
		}
		last := "never"
		if u.LastAnswer != nil {
			last = ago(s.Now, *u.LastAnswer) + " ago"
		}
		t.print("upstream: %s; last answer %s; %d errors%s", state, last, u.Errors, inParentheses(u.LastError))
	}
	var exporters []string
	for _, e := range s.Exporters {
		exporters = append(exporters, e.Signal+" to "+legible.Text(e.Exporter))
	}
	t.print("accounts: %d, %d reloads, %d failed; exporters: %s", s.Reloads.Accounts, s.Reloads.Succeeded, s.Reloads.Failed,
		cmp.Or(strings.Join(exporters, ", "), "unknown"))
	if e := s.ExportErrors; e.Count > 0 {
		t.print("export errors: %d, the last %s ago: %s", e.Count, ago(s.Now, *e.Last), legible.Text(e.LastError))
	}
	if len(s.Peers) > 1 {
		peers := newTable(t, "REPLICA", "HOST", "VERSION", "UP", "SEEN", "CLOCK")
		for _, p := range s.Peers {
			peers.row(p.Instance, p.Host, p.Version, ago(s.Now, p.Started), ago(s.Now, p.Seen)+" ago", fmt.Sprintf("%+.1fs", p.ClockSkewSeconds))
		}
		t.print("\n%s", strings.TrimSuffix(peers.String(), "\n"))
	}
}

// printCoverage prints which endpoints are in doubt.
func (t *terminal) printCoverage(c *operator.Coverage) {
	if c.Registered > 0 {
		t.print("endpoints: %d of %d registered ones have served an authenticated caller since %s", c.Authenticated, c.Registered, clockOf(*c.Since))
	}
	if len(c.Gaps) == 0 {
		return
	}
	gaps := newTable(t, "COVERAGE GAP", "METHOD", "ROUTE", "SINCE")
	for _, g := range c.Gaps {
		gaps.row(g.Finding, g.Method, g.Route, clockOf(g.Since))
	}
	t.print("\n%s", gaps)
}

// inParentheses returns " (text)", or "" without a text.
func inParentheses(text string) string {
	if text == "" {
		return ""
	}
	return " (" + legible.Text(text) + ")"
}

// attemptsCommand prints recent attempts.
type attemptsCommand struct {
	apiFlags
	Outcome []string   `placeholder:"OUTCOME,…" help:"Only attempts with these outcomes: success, missing, malformed, failure, throttled, error."`
	Account string     `placeholder:"NAME" help:"Only attempts of this account."`
	Network networkArg `placeholder:"NETWORK" help:"Only attempts from this address or network."`
	Route   string     `placeholder:"PATTERN" help:"Only attempts at this endpoint."`
	Trace   string     `placeholder:"ID" help:"Only attempts of this trace."`
	Since   span       `placeholder:"TIME" help:"Only attempts of this last time, such as 5m."`
	Limit   int        `placeholder:"NUMBER" default:"50" help:"How many attempts are printed, 1 to 1000. Default: 50."`
}

// Run prints the attempts, the newest last, as in a log.
func (c *attemptsCommand) Run(t *terminal) error {
	q := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	set(q, "outcome", strings.Join(c.Outcome, ","))
	set(q, "account", c.Account)
	set(q, "network", string(c.Network))
	set(q, "route", c.Route)
	set(q, "trace_id", c.Trace)
	if c.Since > 0 {
		q.Set("since", secondsText(c.Since))
	}
	return call(t, &c.apiFlags, func(ctx context.Context, api *operator.Client) (operator.AttemptList, error) {
		return api.Attempts(ctx, q)
	}, func(l operator.AttemptList) {
		if len(l.Attempts) == 0 {
			t.print("No attempt matches.")
		}
		tab := newTable(t, "TIME", "OUTCOME", "REASON", "ACCOUNT", "CLIENT", "METHOD", "ROUTE", "STATUS", "TRACE")
		for _, a := range slices.Backward(l.Attempts) {
			tab.row(clockOf(a.Time), ofOutcome(a.Outcome), cmp.Or(a.Reason, a.ErrorType), nameOr(a.Account, a.Hash), a.Client, a.Method,
				a.Route, a.Status, a.TraceID)
		}
		fmt.Fprint(t.out, tab)
		if l.More {
			t.print("(more match: set --limit, or narrow the search)")
		}
		t.printScope(&l.Meta)
	})
}

// nameOr returns a name, or the hash of a name that is not an account.
func nameOr(name, hash string) string { return cmp.Or(name, hash) }

// secondsText returns a span in the form of the API.
func secondsText(s span) string { return strconv.FormatInt(int64(s)/1e9, 10) + "s" }

// episodesCommand prints the episodes of detection, or one of them in detail.
type episodesCommand struct {
	apiFlags
	ID       string     `arg:"" optional:"" placeholder:"ID" help:"The id of one episode: print all that is known about it, and what to do."`
	State    string     `enum:"running,past,all" default:"all" placeholder:"running|past|all" help:"Which episodes are printed. Default: all."`
	Rule     string     `placeholder:"RULE" complete:"rule" help:"Only episodes of this rule, such as password_spray."`
	Severity string     `enum:"high,medium,low," default:"" placeholder:"high|medium|low" help:"Only episodes of this severity."`
	Account  string     `placeholder:"NAME" help:"Only episodes about this account."`
	Network  networkArg `placeholder:"NETWORK" help:"Only episodes about this address or network."`
	Limit    int        `placeholder:"NUMBER" default:"50" help:"How many episodes are printed, 1 to 1000. Default: 50."`
	Offset   int        `placeholder:"NUMBER" help:"How many episodes are left out before: the next page. Default: 0."`
}

// Run prints the episodes with their evidence.
func (c *episodesCommand) Run(t *terminal) error {
	if c.ID != "" {
		return c.explain(t)
	}
	q := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	if c.State != "all" {
		q.Set("state", c.State)
	}
	if c.Offset > 0 {
		q.Set("offset", strconv.Itoa(c.Offset))
	}
	set(q, "rule", c.Rule)
	set(q, "severity", c.Severity)
	set(q, "account", c.Account)
	set(q, "network", string(c.Network))
	return call(t, &c.apiFlags, func(ctx context.Context, api *operator.Client) (operator.EpisodeList, error) {
		return api.Episodes(ctx, q)
	}, func(l operator.EpisodeList) {
		if len(l.Episodes) == 0 {
			t.print("No attack is in memory that matches.")
		}
		for i := range l.Episodes {
			t.printEpisode(&l.Episodes[i], &l.Meta)
		}
		if l.More {
			t.print("(more match: set --limit or --offset, or narrow the search)")
		}
		t.printScope(&l.Meta)
	})
}

// explain prints one episode.
func (c *episodesCommand) explain(t *terminal) error {
	if *c != (episodesCommand{apiFlags: c.apiFlags, ID: c.ID, State: "all", Limit: defaultEpisodes}) {
		return usageError{errors.New("an id names one episode: remove the other flags that select episodes, or remove the id")}
	}
	return call(t, &c.apiFlags, func(ctx context.Context, api *operator.Client) (operator.EpisodeDetail, error) {
		return api.Episode(ctx, c.ID)
	}, func(d operator.EpisodeDetail) {
		t.printEpisode(&d.Episode, &d.Meta)
		t.printDetail(&d)
		t.printScope(&d.Meta)
	})
}

// defaultEpisodes is the default of --limit.
const defaultEpisodes = 50

// printDetail prints what an episode has beside its summary.
func (t *terminal) printDetail(d *operator.EpisodeDetail) {
	t.print("    answers: %d refused with 401, %d throttled with 429, %d succeeded", d.Refused, d.Throttled, d.Succeeded)
	if len(d.Takeovers) > 0 {
		t.print("    successes that complete it: %s", strings.Join(d.Takeovers, ", "))
	}
	if len(d.Origins) > 0 {
		t.print("    owners of the addresses: %s", legible.Text(strings.Join(d.Origins, "; ")))
	}
	for _, list := range []struct {
		head    string
		tallies []operator.Tally
		total   int
	}{{"ADDRESS", d.Addresses, d.AddressCount}, {"ENDPOINT", d.Routes, 0}, {"USER AGENT", d.UserAgents, 0}} {
		if len(list.tallies) == 0 {
			continue
		}
		tab := newTable(t, "ATTEMPTS", list.head)
		for _, one := range list.tallies {
			tab.row(one.Attempts, one.Value)
		}
		t.print("\n%s", strings.TrimSuffix(tab.String(), "\n"))
		if more := list.total - len(list.tallies); more > 0 {
			t.print("(and %d more addresses)", more)
		}
	}
	t.print("")
	for _, line := range []struct{ name, text string }{
		{"In one sentence", d.Message}, {"The rule fires at", d.Threshold}, {"Confidence", d.Confidence + ": " + d.ConfidenceReason},
		{"Without an attack", d.FalsePositives}, {"What to do first", d.NextStep}, {"Command", d.Command}, {"More about the rule", d.Runbook},
	} {
		if line.text != "" && line.text != ": " {
			t.print("%s: %s", line.name, legible.Text(line.text))
		}
	}
}

func (t *terminal) printEpisode(e *operator.Episode, m *operator.Meta) {
	colour := map[string]string{"high": red, "medium": yellow}[e.Severity]
	state := "running, last attempt " + ago(m.Now, e.Last) + " ago"
	if !e.Running {
		state = "ended, last attempt " + clockOf(e.Last)
	}
	t.print("%s  %s  %s: %s (%s)", e.ID, coloured(e.Severity, colour, t.isTerminal()), e.Rule, e.Summary, state)
	t.print("    %d attempts since %s", e.Attempts, clockOf(e.First))
	evidence := func(what string, list []string, total int) {
		if len(list) == 0 {
			return
		}
		for i := range list {
			list[i] = legible.Text(list[i])
		}
		more := ""
		if total > len(list) {
			more = fmt.Sprintf(" and about %d more", total-len(list))
		}
		t.print("    %s: %s%s", what, strings.Join(list, ", "), more)
	}
	evidence("accounts", e.Accounts, e.AccountCount)
	evidence("networks", e.Networks, e.NetworkCount)
	evidence("traces", e.TraceIDs, 0)
	if e.PartOf != "" {
		t.print("    completes the attack %s", e.PartOf)
	}
	if e.Route != "" {
		t.print("    endpoint: %s", legible.Text(e.Route))
	}
	if e.DistanceKm > 0 {
		t.print("    %.0f km at %.0f km/h", e.DistanceKm, e.SpeedKmh)
	}
}
