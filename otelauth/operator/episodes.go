// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// maxPast bounds the episodes that have ended, of at most 4 KiB each. The number of running ones
// is bounded by detect.MaxEpisodes for each rule.
const maxPast = 2048

// episodes holds what detection has reported, apart from attempts: no number of attempts evicts an
// episode.
type episodes struct {
	mu        sync.Mutex
	running   map[string]*Episode
	past      []*Episode // the oldest end first
	forgotten uint64
}

// add stores a detection and returns the episode.
func (e *episodes) add(d *detect.Detection) Episode {
	ep := episodeOf(d)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running == nil {
		e.running = make(map[string]*Episode)
	}
	delete(e.running, ep.ID)
	e.past = slices.DeleteFunc(e.past, func(old *Episode) bool { return old.ID == ep.ID })
	if ep.Running {
		e.running[ep.ID] = &ep
		return ep
	}
	if len(e.past) >= maxPast {
		e.forget()
	}
	e.past = append(e.past, &ep)
	return ep
}

// forget removes the oldest of the past episodes with the lowest severity.
func (e *episodes) forget() {
	least := 0
	for i, ep := range e.past {
		if rankOf(ep.Severity) < rankOf(e.past[least].Severity) {
			least = i
		}
	}
	e.past = slices.Delete(e.past, least, least+1)
	e.forgotten++
}

func rankOf(severity string) int {
	return slices.Index([]string{detect.Low.String(), detect.Medium.String(), detect.High.String()}, severity)
}

// list returns the running episodes and then the past ones, the newest first.
func (e *episodes) list() (all []Episode, forgotten uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ep := range e.running {
		all = append(all, *ep)
	}
	newest := func(a, b Episode) int {
		return cmp.Or(b.Updated.Compare(a.Updated), b.First.Compare(a.First), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(all, newest)
	past := make([]Episode, 0, len(e.past))
	for _, ep := range e.past {
		past = append(past, *ep)
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
