// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// Gate admits hash functions to the processor. Several Engines may share one, and should: the
// processor is shared too. It is safe for concurrent use.
//
// The same credential, tried by many at once from one network, is hashed once. Whether it is known
// plays no part in that (CVE-2026-88010). Networks share no hash: the time of an answer would show
// what another network sends.
//
// Waiting attempts stand in one queue for each client network, and the networks take turns; so
// whoever sends the most waits the longest, and somebody new waits one round at most. A right
// credential gives the turn back to its network, as the budget gives its guess back: otherwise a
// hundred colleagues who log in through one address would each wait a round of a flood's networks.
// Credentials that were right from their network before have a lane of their own that gets three
// turns of four. When all places are taken, the longest queue gives one up.
//
// A Gate holds at most Limits.Queued waiting attempts, and one queue for each network among them.
type Gate struct {
	mu      sync.Mutex
	limits  Limits
	running int
	memory  int64
	queued  int // tickets in both lanes
	holding int // attempts that wait for a guess budget, not for a slot
	lanes   [2]lane
	turn    int
	jobs    map[mac]*job  // waiting or running, by the credential and network that they judge
	typical time.Duration // moving average of a hash's time

	returning *returning // not under mu
}

// NewGate returns a Gate with these limits.
func NewGate(limits Limits) *Gate {
	return &Gate{limits: limits.withDefaults(), jobs: make(map[mac]*job), returning: new(returning)}
}

// SetLimits changes the limits. What runs or waits goes on; new limits bind what comes after.
func (g *Gate) SetLimits(limits Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits = limits.withDefaults()
	g.dispatch(nil)
}

// Load returns how many hash functions run and how many attempts wait.
func (g *Gate) Load() (running, queued int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running, g.queued + g.holding
}

const (
	ordinary = iota
	favoured
)

const (
	favouredTurns = 3 // of favouredRound turns, when both lanes wait
	favouredRound = 4
)

// refusal says why a Gate did not run a job.
type refusal struct {
	reason     attempt.Reason
	retryAfter time.Duration
}

// enter joins the job of this key, or queues the one that create returns. The ticket is nil when
// the job has run, or runs already. shared reports that another caller had asked for it before.
//
// A job that finds a free slot runs here and now: to wake another processor for it costs more than everything
// else that the Gate does.
func (g *Gate) enter(key mac, network netip.Prefix, favour bool, create func() *job) (j *job, t *ticket, shared bool, r *refusal) {
	j, t, shared, r, here := g.queue(key, network, favour, create)
	if here {
		g.run(j)
	}
	return j, t, shared, r
}

// queue is enter under the lock; here has its caller run the job.
func (g *Gate) queue(key mac, network netip.Prefix, favour bool, create func() *job) (j *job, t *ticket, shared bool, r *refusal, here bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if j = g.jobs[key]; j != nil {
		if j.started {
			return j, nil, true, nil, false
		}
		j.ticket.waiters++
		return j, j.ticket, true, nil, false
	}
	l := &g.lanes[ordinary]
	if favour {
		l = &g.lanes[favoured]
	}
	mine := 0
	if f := l.flows[network]; f != nil {
		mine = len(f.tickets)
	}
	wait := g.estimate(l, mine)
	if wait > g.limits.MaxWait {
		return nil, nil, false, &refusal{attempt.ReasonQueueTimeout, wait}, false
	}
	if g.queued >= g.limits.Queued && !g.shed(mine) {
		return nil, nil, false, &refusal{attempt.ReasonQueueFull, wait}, false
	}
	j = create()
	g.jobs[key] = j
	t = &ticket{job: j, waiters: 1}
	l.push(network, t)
	j.ticket = t
	g.queued++
	if here = g.dispatch(j); here || j.started {
		t = nil
	}
	return j, t, false, nil, here
}

// leave takes a caller who has gone, or waited too long, out of the queue. It reports false when
// the job runs: its verdict is near and should be waited for.
func (g *Gate) leave(j *job, t *ticket) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if j.started {
		return false
	}
	if t.waiters--; t.waiters == 0 && !t.gone {
		g.drop(t, &refusal{reason: attempt.ReasonQueueTimeout})
	}
	return true
}

// hold takes a place among those who wait for a guess budget to settle, and reports whether there
// was one; release gives it back.
func (g *Gate) hold() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holding >= g.limits.Queued {
		return false
	}
	g.holding++
	return true
}

func (g *Gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holding--
}

// maxWait bounds a wait of any kind.
func (g *Gate) maxWait() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limits.MaxWait
}

// estimate is how long a ticket would at least wait behind mine others of its own network: for one round of the other
// networks and, if those others turn out to be right, for nobody but them; the favoured lane is called three times for each
// turn of the ordinary one. Who turns out to wait longer is refused when MaxWait is over.
func (g *Gate) estimate(l *lane, mine int) time.Duration {
	ahead := min(l.waiting, mine+len(l.flows))
	if l == &g.lanes[ordinary] {
		ahead += min(g.lanes[favoured].waiting, favouredTurns*(ahead+1))
	} else {
		ahead += min(g.lanes[ordinary].waiting, ahead/favouredTurns+1)
	}
	return time.Duration(ahead+g.running) * g.typical / time.Duration(g.limits.Slots)
}

// shed takes the newest ticket from the longest queue, if that is longer than the newcomer's would be. A
// newcomer whose queue is above the average is refused without a search.
func (g *Gate) shed(mine int) bool {
	flows := len(g.lanes[ordinary].flows) + len(g.lanes[favoured].flows)
	if mine*flows > g.queued {
		return false
	}
	var longest *flow
	for i := range g.lanes {
		for _, f := range g.lanes[i].flows {
			if longest == nil || len(f.tickets) > len(longest.tickets) {
				longest = f
			}
		}
	}
	if longest == nil || len(longest.tickets) <= mine+1 {
		return false
	}
	n := len(longest.tickets)
	g.drop(longest.tickets[n-1], &refusal{attempt.ReasonQueueFull, g.estimate(longest.lane, n)})
	return true
}

// drop takes a waiting ticket out of its queue and refuses its job.
func (g *Gate) drop(t *ticket, r *refusal) {
	g.unqueue(t)
	j := t.job
	delete(g.jobs, j.key)
	j.refusal = r
	close(j.done)
}

func (g *Gate) unqueue(t *ticket) {
	t.gone = true
	f := t.flow
	i := slices.Index(f.tickets, t)
	f.tickets = slices.Delete(f.tickets, i, i+1)
	f.lane.waiting--
	g.queued--
	if len(f.tickets) == 0 {
		f.lane.remove(f)
	}
}

// dispatch starts jobs while there are slots, each in a goroutine but own, which its caller runs: it reports whether there
// is that to do. A job that does not fit into the memory left waits, and
// those behind it with it, or it would never be called.
func (g *Gate) dispatch(own *job) (here bool) {
	for g.running < g.limits.Slots && g.queued > 0 {
		l := &g.lanes[ordinary]
		if g.lanes[favoured].waiting > 0 && (g.turn < favouredTurns || l.waiting == 0) {
			l = &g.lanes[favoured]
		}
		j := l.turn.tickets[0].job
		if g.running > 0 && j.memory+g.memory > g.limits.MemoryBytes {
			break
		}
		g.turn = (g.turn + 1) % favouredRound
		l.turn = l.turn.next
		g.unqueue(j.ticket)
		j.started = true
		g.running++
		g.memory += j.memory
		if j == own {
			here = true
		} else {
			go g.run(j)
		}
	}
	return here
}

// guarded judges. A panic, of somebody's Verifier most likely, must neither keep the slot nor end the process. Its
// value is not told: it may hold what the Verifier was given.
func guarded(judge func() judgement) (out judgement) {
	defer func() {
		if p := recover(); p != nil {
			out = judgement{err: fmt.Errorf("verify: the verification panicked with a %T", p)}
		}
	}()
	return judge()
}

// run judges outside of the lock, then gives the slot back.
func (g *Gate) run(j *job) {
	start := time.Now()
	j.judgement = guarded(j.judge)
	took := time.Since(start)

	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.jobs, j.key)
	close(j.done)
	g.running--
	g.memory -= j.memory
	if j.judgement.reason == "" && j.judgement.err == nil {
		j.ticket.flow.lane.giveBack(j.ticket.flow)
	}
	if g.typical == 0 {
		g.typical = took
	}
	g.typical += (took - g.typical) / 8
	g.dispatch(nil)
}
