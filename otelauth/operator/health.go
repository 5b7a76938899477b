// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// health holds the last notice of each kind and source. Kinds and sources are those of the
// configuration, so their number is bounded; maxNotices is a second bound.
type health struct {
	mu      sync.Mutex
	last    map[noticeKey]*report
	reloads Reloads
}

const maxNotices = 64

type noticeKey struct {
	kind   attempt.NoticeKind
	source string
}

type report struct {
	message string
	bad     bool
	since   time.Time // when bad last changed
}

// warnings are the notices that report a problem although they have no Err.
var warnings = []attempt.NoticeKind{
	attempt.IdentityKeyRandom, attempt.UntrustedForwarded, attempt.TelemetryUnrecorded, attempt.TrailAnomaly,
}

func (h *health) add(n *attempt.Notice) {
	if n.Kind == attempt.ThrottleChanged || n.Kind == attempt.OperatorAct {
		return // acts, not states
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	at := n.Time.UTC()
	if n.Kind == attempt.AccountReload {
		h.reloads.Last, h.reloads.LastError = &at, ""
		if n.Err != nil {
			h.reloads.Failed++
			h.reloads.LastError = shown(n.Err.Error())
		} else {
			h.reloads.Succeeded++
		}
	}
	key := noticeKey{n.Kind, n.Source}
	r := h.last[key]
	if r == nil {
		if len(h.last) >= maxNotices {
			return
		}
		if h.last == nil {
			h.last = make(map[noticeKey]*report)
		}
		r = &report{since: at}
		h.last[key] = r
	}
	bad := n.Err != nil || slices.Contains(warnings, n.Kind)
	if bad != r.bad {
		r.since = at
	}
	r.bad, r.message = bad, shown(n.Message)
}

// problems returns the problems that last, the oldest first.
func (h *health) problems() []Problem {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := []Problem{}
	for key, r := range h.last {
		if r.bad {
			all = append(all, Problem{Kind: string(key.kind), Message: r.message, Since: r.since})
		}
	}
	slices.SortFunc(all, func(a, b Problem) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Message, b.Message))
	})
	return all
}

// stores returns the stores that have sent a notice.
func (h *health) stores() []Store {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := []Store{}
	for key, r := range h.last {
		name, isStore := storeNames[key.kind]
		if !isStore {
			continue
		}
		since := r.since
		all = append(all, Store{Name: name, OK: !r.bad, Since: &since, Detail: r.message})
	}
	slices.SortFunc(all, func(a, b Store) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Detail, b.Detail)) })
	return all
}

// storeNames are the stores that send a notice of each kind.
var storeNames = map[attempt.NoticeKind]string{
	attempt.AccountReload: "accounts", attempt.ThrottleStore: "redis, guess budgets", attempt.DetectionFeed: "redis, detection",
	attempt.ThrottleSnapshot: "file of guess budgets", attempt.DetectionSnapshot: "file of detection", attempt.TrailAnomaly: "trail",
}

func (h *health) reloaded() Reloads {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reloads
}
