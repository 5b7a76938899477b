// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
)

// This file keeps the evidence of the operator's rules over a restart and over a reload.

// maxCustomBytes bounds the counts of all rules in a state. The counts of a rule that would exceed
// it are left out, so that they do not keep the rest of the state out of a feed.
const maxCustomBytes = 3 << 20

// fingerprintOf returns a keyed hash of the name of r and of all that decides what its counts mean.
// A rule with another summary, severity or AtLeast therefore continues.
func fingerprintOf(r *CustomRule, key sip) uint64 {
	return key.text(fmt.Sprintf("%s %d %d %d %q %q", r.Name, r.Count, r.Per, r.Within, r.Match, r.Except))
}

// find returns the rule with a fingerprint, or nil.
func (c *custom) find(fingerprint uint64) *customRule {
	if i := slices.IndexFunc(c.rules, func(r *customRule) bool { return r.fingerprint == fingerprint }); i >= 0 {
		return c.rules[i]
	}
	return nil
}

// all yields the open episodes with their rules.
func (c *custom) all(yield func(*customRule, *episode) bool) {
	for _, r := range c.rules {
		for _, ep := range r.episodes {
			if !yield(r, ep) {
				return
			}
		}
	}
}

// keptRule is the evidence of a rule in a snapshot.
type keptRule struct {
	fingerprint uint64
	evidence    []place[matched]
	episodes    map[uint64]*episode
}

// kept returns the evidence of r that is not over at now.
func (r *customRule) kept(now uint32) keptRule {
	k := keptRule{fingerprint: r.fingerprint, episodes: r.episodes}
	if r.Count == CountPasswords {
		return k // the fingerprints of passwords change with each start
	}
	for i := range r.evidence.buckets {
		for _, p := range r.evidence.buckets[i] {
			if p.key != 0 && now-min(p.last, now) < r.evidence.life {
				k.evidence = append(k.evidence, p)
			}
		}
	}
	return k
}

// keptCustom writes the evidence of the operator's rules.
type keptCustom struct{ *engine }

func (k keptCustom) save(e *encoder, name string) {
	e.tag(name, sized)
	e.within(func() {
		begin := len(e.b)
		for _, r := range k.custom.rules {
			at, rule := len(e.b), r.kept(k.now)
			e.value(reflect.ValueOf(&rule).Elem())
			if len(e.b)-begin > maxCustomBytes {
				e.b, rule.evidence = e.b[:at], nil
				e.value(reflect.ValueOf(&rule).Elem())
			}
		}
	})
}

// load continues the rules that are unchanged. More episodes than a rule can have are damage.
func (k keptCustom) load(d *decoder) {
	var all []keptRule
	d.value(reflect.ValueOf(&all).Elem())
	for i := range all {
		rule := &all[i]
		r := k.custom.find(rule.fingerprint)
		for j := range rule.evidence {
			p := &rule.evidence[j]
			switch {
			case p.key == 0:
				d.fail()
			case r == nil:
				p.value.values.release(d.blocks)
			default:
				*r.evidence.touch(p.key, p.last, p.weight) = *p
			}
		}
		if len(rule.episodes) > customEpisodes+1 { // one is folded
			d.fail()
		}
		if r != nil && rule.episodes != nil {
			r.episodes = rule.episodes
		}
	}
}

// shared returns c without what must not leave the process.
func (c *custom) shared() *custom {
	public := &custom{}
	for _, r := range c.rules {
		copied := *r
		copied.episodes = map[uint64]*episode{}
		for key, ep := range r.episodes {
			copied.episodes[key] = ep.shared()
		}
		public.rules = append(public.rules, &copied)
	}
	return public
}

// shared returns ep without what must not leave the process.
func (ep *episode) shared() *episode {
	copied := *ep
	copied.detail.addresses, copied.detail.agents = top[netip.Addr]{}, top[agent]{}
	return &copied
}

// resume continues the open episodes of before, an engine of the same process, and as many others
// as there is room for.
func (k keptCustom) resume(before *engine) {
	for _, old := range before.custom.rules {
		r := k.custom.find(old.fingerprint)
		if r == nil {
			continue
		}
		learned := r.episodes
		r.episodes = old.episodes
		for _, ep := range r.episodes {
			k.addresses += len(ep.addresses.list)
		}
		for _, key := range slices.Sorted(maps.Keys(learned)) {
			if r.episodes[key] == nil && len(r.episodes) < customEpisodes {
				r.episodes[key] = learned[key]
			}
		}
	}
}
