// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// Replicas share through the documents of the budgets: each publishes who it blocks, and all append
// to one list of acts. An act that must happen in every process (forget) is carried out by each
// when the list reaches it.
const (
	replicasDocument = "replicas"  // which replicas there are
	replicaDocument  = "replica."  // and an instance: what one publishes
	actsDocument     = "acts"      // the acts of all
	replicaPace      = time.Second // a fifth of it while something changes
	replicaLife      = 15 * time.Second
	replicasLife     = time.Hour
	actsLife         = 90 * 24 * time.Hour
	// maxPublished bounds the budgets that a replica publishes.
	maxPublished = 256
	// maxReplicas bounds the replicas that an answer reads.
	maxReplicas = 64
	// forgetWithin is how old an act may be that a replica carries out when it learns of it.
	forgetWithin = 10 * time.Minute
	// gatherFor is how long an answer uses what was read for another one.
	gatherFor = 200 * time.Millisecond
)

// published is what a replica publishes.
type published struct {
	Replica Replica  `json:"replica"`
	Budgets []Budget `json:"budgets"`
	// More reports that it has more than maxPublished.
	More bool `json:"more,omitempty"`
}

// replicas is the connection to the other processes.
type replicas struct {
	docs *throttle.Documents
	done sync.WaitGroup
	stop func() // ends the watch of the acts

	mu       sync.Mutex
	gathered time.Time
	others   []published
	err      error
}

// join starts to share with the other processes.
func (o *Operator) join(docs *throttle.Documents) {
	r := &replicas{docs: docs}
	o.replicas.Store(r)
	r.stop = docs.Watch(actsDocument, o.receiveActs)
	r.done.Go(func() { o.announce(r) })
}

// leave ends the sharing.
func (o *Operator) leave() {
	r := o.replicas.Load()
	if r == nil {
		return
	}
	r.stop()
	r.done.Wait()
}

// announce publishes this replica until Close.
func (o *Operator) announce(r *replicas) {
	tick := time.NewTicker(replicaPace / 5)
	defer tick.Stop()
	var last []byte
	var at, listed time.Time
	for {
		now := time.Now()
		if now.Sub(listed) > replicasLife/4 && o.list(r, true) == nil {
			listed = now
		}
		budgets := o.blockedHere()
		content, err := json.Marshal(budgets[:min(len(budgets), maxPublished)])
		if err == nil && (now.Sub(at) >= 5*replicaPace || string(content) != string(last)) {
			if o.publishReplica(r, budgets) == nil {
				last, at = content, now
			} else {
				listed = time.Time{} // the list may be lost
			}
		}
		select {
		case <-o.quit:
			_ = o.list(r, false) // otherwise the entry expires
			return
		case <-tick.C:
		}
	}
}

func (o *Operator) publishReplica(r *replicas, budgets []Budget) error {
	p := published{Replica: o.self(), Budgets: budgets[:min(len(budgets), maxPublished)], More: len(budgets) > maxPublished}
	p.Replica.ClockSkewSeconds = -r.docs.Ahead().Seconds()
	p.Replica.Seen = o.sharedNow()
	return r.docs.Update(context.Background(), replicaDocument+o.instance, replicaLife, func([]byte) ([]byte, error) { return json.Marshal(p) })
}

// sharedNow returns the clock by which the acts of all replicas are ordered.
func (o *Operator) sharedNow() time.Time {
	now := o.cfg.Now()
	if r := o.replicas.Load(); r != nil {
		now = now.Add(r.docs.Ahead())
	}
	return now.UTC()
}

// list adds this replica to the list of all, or removes it.
func (o *Operator) list(r *replicas, add bool) error {
	return r.docs.Update(context.Background(), replicasDocument, replicasLife, func(current []byte) ([]byte, error) {
		all := map[string]time.Time{}
		if current != nil && json.Unmarshal(current, &all) != nil {
			return nil, throttle.ErrForeignDocument
		}
		now := o.sharedNow()
		maps.DeleteFunc(all, func(_ string, seen time.Time) bool { return now.Sub(seen) > replicasLife })
		if delete(all, o.instance); add {
			all[o.instance] = now
		}
		return json.Marshal(all)
	})
}

// gather returns what the other replicas publish. It reads the store at most five times a second.
func (o *Operator) gather(ctx context.Context) ([]published, error) {
	r := o.replicas.Load()
	if r == nil {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.gathered.IsZero() && time.Since(r.gathered) < gatherFor {
		return r.others, r.err
	}
	r.others, r.err = o.readReplicas(context.WithoutCancel(ctx), r)
	r.gathered = time.Now()
	return r.others, r.err
}

func (o *Operator) readReplicas(ctx context.Context, r *replicas) ([]published, error) {
	content, err := r.docs.Read(ctx, replicasDocument)
	if err != nil {
		return nil, err
	}
	all := map[string]time.Time{}
	if content != nil && json.Unmarshal(content, &all) != nil {
		return nil, throttle.ErrForeignDocument
	}
	var others []published
	for _, instance := range slices.Sorted(maps.Keys(all)) {
		if instance == o.instance || len(others) == maxReplicas {
			continue
		}
		content, err := r.docs.Read(ctx, replicaDocument+instance)
		if err != nil {
			return others, err
		}
		var p published
		if content != nil && json.Unmarshal(content, &p) == nil { // nil: it has ended
			others = append(others, p)
		}
	}
	return others, nil
}

// notShared is Meta.Degraded while the shared store does not answer.
const notShared = "The shared store does not answer, so this answer is of this process only. Acts apply here, and everywhere once it answers again."

// shared returns what begins an answer that is of all replicas, and what the others publish. local
// names what is of this process in any case, and alone what is while nothing is shared.
func (o *Operator) shared(ctx context.Context, local, alone []string) (Meta, []published) {
	if o.replicas.Load() == nil {
		return o.meta(append(alone, local...)...), nil
	}
	others, err := o.gather(ctx)
	isDegraded := err != nil
	if budgets := o.budgets(); budgets != nil && !isDegraded {
		_, isShared := budgets.Sharing()
		isDegraded = !isShared
	}
	if isDegraded {
		local = append(append([]string{}, alone...), local...)
	}
	m := o.meta(local...)
	m.Replicas = 1 + len(others)
	if isDegraded {
		m.Degraded = notShared
	}
	return m, others
}

// joinBudgets merges the budgets of all replicas.
func joinBudgets(own []Budget, others []published) []Budget {
	all := slices.Clone(own)
	type key struct{ kind, hash, network string }
	at := map[key]int{}
	for i, b := range all {
		at[key{b.Kind, b.Hash, b.Network}] = i
	}
	for _, p := range others {
		for _, b := range p.Budgets {
			k := key{b.Kind, b.Hash, b.Network}
			i, have := at[k]
			if !have {
				at[k] = len(all)
				all = append(all, b)
				continue
			}
			mine := &all[i]
			mine.Refused += b.Refused
			mine.Account = cmp.Or(mine.Account, b.Account)
			mine.Instances = append(slices.Clone(mine.Instances), b.Instances...)
			if b.First.Before(mine.First) {
				mine.First = b.First
			}
			if b.Last.After(mine.Last) {
				mine.Last, mine.Until = b.Last, b.Until
			}
		}
	}
	sortBudgets(all)
	return all
}

// shareActs adds the acts of this process to the list of all replicas.
func (o *Operator) shareActs(ctx context.Context) {
	r := o.replicas.Load()
	if r == nil {
		return
	}
	// Meta.Degraded reports an error.
	_ = r.docs.Update(ctx, actsDocument, actsLife, func(current []byte) ([]byte, error) {
		all, err := decodeActs(current)
		if err != nil {
			return nil, err
		}
		o.acts.mu.Lock()
		defer o.acts.mu.Unlock()
		return json.Marshal(mergeActs(all, o.acts.list))
	})
}

func decodeActs(content []byte) (all []*done, err error) {
	if content == nil {
		return nil, nil
	}
	if json.Unmarshal(content, &all) != nil {
		return nil, throttle.ErrForeignDocument
	}
	return all, nil
}

// mergeActs returns the acts of two lists, the oldest first.
func mergeActs(a, b []*done) []*done {
	by := map[string]*done{}
	for _, d := range slices.Concat(a, b) {
		if have := by[d.ID]; have == nil || have.UndoneBy == "" {
			by[d.ID] = d
		}
	}
	all := slices.SortedFunc(maps.Values(by), func(a, b *done) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
	})
	return all[max(len(all)-maxActs, 0):]
}

// receiveActs takes over the acts of the other replicas.
func (o *Operator) receiveActs(content []byte) {
	theirs, err := decodeActs(content)
	if err != nil {
		return
	}
	o.acts.mu.Lock()
	known := map[string]bool{}
	for _, d := range o.acts.list {
		known[d.ID] = true
	}
	o.acts.list = mergeActs(theirs, o.acts.list)
	var fresh []done // copies: an undo changes the originals
	for _, d := range o.acts.list {
		if !known[d.ID] {
			fresh = append(fresh, *d)
		}
	}
	lacks := len(o.acts.list) > len(theirs)
	o.acts.mu.Unlock()
	now := o.sharedNow()
	for _, d := range fresh {
		if d.Verb == VerbForget && d.Instance != o.instance && now.Sub(d.Time).Abs() < forgetWithin {
			o.forgetHere(d.Subject.Account, d.Name)
		}
		if now.Sub(d.Time).Abs() < forgetWithin {
			o.publishAct(&d)
		}
	}
	if lacks { // acts of an outage
		o.shareActs(context.Background())
	}
}
