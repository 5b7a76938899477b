// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// The bounds of what an Operator keeps. The number of running episodes is bounded by
// detect.MaxEpisodes for each rule.
const (
	// maxPast bounds the episodes that have ended. Each takes at most 8 KiB, and 32 bytes for each
	// address.
	maxPast = 2048
	// maxPastAddresses bounds the addresses of all of them together. An episode beyond it keeps
	// the fewAddresses with most attempts.
	maxPastAddresses = 1 << 16
	fewAddresses     = 16
)

// episodes holds what detection has reported, apart from attempts: no number of attempts evicts an
// episode.
type episodes struct {
	mu        sync.Mutex
	running   map[string]*known
	past      []*known // the oldest end first
	addresses int      // of past
	forgotten uint64
}

// known is an episode and the event that it was made of.
type known struct {
	Episode
	last detect.Detection
}

// add stores a detection and returns the episode.
func (e *episodes) add(d *detect.Detection) Episode {
	k := &known{episodeOf(d), *d}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running == nil {
		e.running = make(map[string]*known)
	}
	delete(e.running, k.ID)
	if i := slices.IndexFunc(e.past, func(old *known) bool { return old.ID == k.ID }); i >= 0 {
		e.remove(i)
	}
	if k.Running {
		e.running[k.ID] = k
		return k.Episode
	}
	if len(e.past) >= maxPast {
		e.remove(e.leastSevere())
		e.forgotten++
	}
	if most := max(maxPastAddresses-e.addresses, fewAddresses); len(k.last.Addresses) > most {
		k.last.Addresses = slices.Clone(k.last.Addresses[:most])
	}
	e.addresses += len(k.last.Addresses)
	e.past = append(e.past, k)
	return k.Episode
}

func (e *episodes) remove(i int) {
	e.addresses -= len(e.past[i].last.Addresses)
	e.past = slices.Delete(e.past, i, i+1)
}

// leastSevere returns the oldest of the past episodes with the lowest severity.
func (e *episodes) leastSevere() int {
	least := 0
	for i, k := range e.past {
		if rankOf(k.Severity) < rankOf(e.past[least].Severity) {
			least = i
		}
	}
	return least
}

// find returns the last event of an episode.
func (e *episodes) find(id string) (k known, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at := e.running[id]; at != nil {
		return *at, true
	}
	for _, at := range e.past {
		if at.ID == id {
			return *at, true
		}
	}
	return known{}, false
}

func rankOf(severity string) int {
	return slices.Index([]string{detect.Low.String(), detect.Medium.String(), detect.High.String()}, severity)
}

// list returns the running episodes and then the past ones, the newest first.
func (e *episodes) list() (all []Episode, forgotten uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, k := range e.running {
		all = append(all, k.Episode)
	}
	newest := func(a, b Episode) int {
		return cmp.Or(b.Updated.Compare(a.Updated), b.First.Compare(a.First), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(all, newest)
	past := make([]Episode, 0, len(e.past))
	for _, k := range e.past {
		past = append(past, k.Episode)
	}
	slices.SortFunc(past, newest)
	return append(all, past...), e.forgotten
}

func (e *episodes) size() (running, past int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.running), len(e.past)
}

// idText returns auth.detection.episode.
func idText(episode uint64) string { return fmt.Sprintf("%016x", episode) }

func episodeOf(d *detect.Detection) Episode {
	ep := Episode{
		ID: idText(d.Episode), Rule: d.Rule.Name, Severity: d.Rule.Severity.String(), Technique: d.Rule.Technique,
		Summary: d.Rule.Summary, Running: d.Phase != detect.End, First: d.First.UTC(), Last: d.Last.UTC(), Updated: d.Time.UTC(),
		Attempts: d.Attempts, Accounts: []string{}, AccountCount: d.AccountCount, Networks: []string{}, NetworkCount: d.NetworkCount,
		TraceIDs: []string{}, Route: d.Route, DistanceKm: d.DistanceKm, SpeedKmh: d.SpeedKmPerHour, Folded: d.Folded,
	}
	if d.PartOf != 0 {
		ep.PartOf = idText(d.PartOf)
	}
	ep.Accounts = append(ep.Accounts, d.Accounts...)
	for _, n := range d.Networks {
		ep.Networks = append(ep.Networks, textOf(n))
	}
	for _, id := range d.Traces {
		ep.TraceIDs = append(ep.TraceIDs, id.String())
	}
	return ep
}

// detailOf returns all that an event says, without Meta.
func detailOf(k *known) EpisodeDetail {
	d := &k.last
	detail := EpisodeDetail{
		Episode: k.Episode, Message: d.Message(),
		Addresses:    tallies(d.Addresses, netip.Addr.String),
		AddressCount: d.AddressCount,
		Routes:       tallies(d.Routes, plainText), UserAgents: tallies(d.UserAgents, plainText), Origins: append([]string{}, d.Origins...),
		Refused: d.Refused, Throttled: d.Throttled, Succeeded: d.Succeeded, Takeovers: []string{}, DedupeKey: d.DedupeKey,
		Threshold: d.Advice.Threshold, Confidence: d.Advice.Confidence, ConfidenceReason: d.Advice.Why, FalsePositives: d.Advice.FalsePositives,
		NextStep: d.Advice.NextStep, Command: d.Advice.Command, Runbook: d.Advice.Runbook,
	}
	for _, id := range d.Takeovers {
		detail.Takeovers = append(detail.Takeovers, idText(id))
	}
	return detail
}

func plainText(s string) string { return s }

func tallies[T any](counts []detect.Count[T], text func(T) string) []Tally {
	all := make([]Tally, len(counts))
	for i, c := range counts {
		all[i] = Tally{text(c.Value), c.Attempts}
	}
	return all
}
