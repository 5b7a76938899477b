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

// Gate limits how many hashes run at once. All Engines of a process should share one, because
// they share the processors. It is safe for concurrent use.
//
// If many clients of one network try the same credential at once, it is hashed once. Whether the
// name is known does not matter (CVE-2026-88010). Networks do not share a hash, because the time
// of an answer would show what another network sends.
//
// Waiting attempts form one queue for each client network, and the networks take turns. The
// network that sends most waits longest, and a new network waits one round at most. A right
// credential returns the turn to its network, as it refunds its guess. Otherwise a hundred
// colleagues behind one address would each wait a round of a flood's networks. Credentials that
// were right from their network before have a lane of their own, which gets three of four turns.
// If all places are taken, the longest queue loses one.
//
// A Gate holds at most Limits.Queued waiting attempts and one queue for each network among them.
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

	returning returning // not under mu
}

// NewGate returns a Gate with these limits.
func NewGate(limits Limits) *Gate {
	return &Gate{limits: limits.withDefaults(), jobs: make(map[mac]*job), returning: newReturning()}
}

// SetLimits changes the limits. Running and waiting attempts continue; the new limits apply to
// later ones.
func (g *Gate) SetLimits(limits Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits = limits.withDefaults()
	g.dispatch(nil)
}

// Limits returns the limits in force, defaults included.
func (g *Gate) Limits() Limits {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limits
}

// Load returns the number of running hashes and of waiting attempts.
func (g *Gate) Load() (running, queued int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running, g.queued + g.holding
}

// The lanes.
const (
	ordinary = iota
	favoured
)

const (
	favouredTurns = 3 // of favouredRound turns, when both lanes wait
	favouredRound = 4
)

// refusal is the reason why a Gate did not run a job.
type refusal struct {
	reason     attempt.Reason
	retryAfter time.Duration
}

// admission is the result of [Gate.enter]. Either job or refusal is set.
type admission struct {
	job     *job
	ticket  *ticket // nil if the job runs or has run
	shared  bool    // another caller created the job
	refusal *refusal
}

// enter joins the job with this key, or queues the job that create returns.
//
// A job that finds a free slot runs in this goroutine. Waking another processor for it would cost
// more than everything else that the Gate does.
func (g *Gate) enter(key mac, network netip.Prefix, favour bool, create func() *job) admission {
	a, runHere := g.queue(key, network, favour, create)
	if runHere {
		g.run(a.job)
	}
	return a
}

// queue is enter under the lock. If runHere is true, the caller runs the job.
func (g *Gate) queue(key mac, network netip.Prefix, favour bool, create func() *job) (a admission, runHere bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if j := g.jobs[key]; j != nil {
		if j.started {
			return admission{job: j, shared: true}, false
		}
		j.ticket.waiters++
		return admission{job: j, ticket: j.ticket, shared: true}, false
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
		return admission{refusal: &refusal{attempt.ReasonQueueTimeout, wait}}, false
	}
	if g.queued >= g.limits.Queued && !g.shed(mine) {
		return admission{refusal: &refusal{attempt.ReasonQueueFull, wait}}, false
	}
	j := create()
	g.jobs[key] = j
	t := &ticket{job: j, waiters: 1}
	l.push(network, t)
	j.ticket = t
	g.queued++
	runHere = g.dispatch(j)
	if runHere || j.started {
		t = nil
	}
	return admission{job: j, ticket: t}, runHere
}

// leave removes a caller that has gone or waited too long. It returns false if the job runs: its
// result is near, so the caller should wait for it.
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

// tryHold takes a place among the attempts that wait for a guess budget, and reports whether
// there was one. release returns it.
func (g *Gate) tryHold() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holding >= g.limits.Queued {
		return false
	}
	g.holding++
	return true
}

// release returns the place of tryHold.
func (g *Gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holding--
}

// maxWait returns the current Limits.MaxWait, which bounds every kind of wait.
func (g *Gate) maxWait() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limits.MaxWait
}

// estimate returns the least time that a ticket waits behind mine others of its own network. It
// counts one round of the other networks, and assumes that the others of its network are right
// and return the turn. The favoured lane gets three turns for each turn of the ordinary one. A
// longer wait ends with MaxWait.
func (g *Gate) estimate(l *lane, mine int) time.Duration {
	ahead := min(l.waiting, mine+len(l.flows))
	if l == &g.lanes[ordinary] {
		ahead += min(g.lanes[favoured].waiting, favouredTurns*(ahead+1))
	} else {
		ahead += min(g.lanes[ordinary].waiting, ahead/favouredTurns+1)
	}
	return time.Duration(ahead+g.running) * g.typical / time.Duration(g.limits.Slots)
}

// shed drops the newest ticket of the longest queue, if that queue is longer than the newcomer's
// would be. It refuses a newcomer whose queue is above the average without a search.
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

// drop removes a waiting ticket from its queue and refuses its job.
func (g *Gate) drop(t *ticket, r *refusal) {
	g.unqueue(t)
	j := t.job
	delete(g.jobs, j.key)
	j.refusal = r
	close(j.done)
}

// unqueue removes a waiting ticket from its queue.
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

// dispatch starts jobs while there are free slots. Each runs in a goroutine, except own: if own
// starts, dispatch returns true and the caller runs it. A job that does not fit into the free
// memory waits, and so do those behind it; otherwise it would never start.
func (g *Gate) dispatch(own *job) (runOwn bool) {
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
			runOwn = true
		} else {
			go g.run(j)
		}
	}
	return runOwn
}

// judgeRecovered calls judge and turns a panic, most likely of a Verifier, into an error, so that
// it neither keeps the slot nor ends the process. The error has only the type of the panic's
// value, which may contain the password.
func judgeRecovered(judge func() judgement) (out judgement) {
	defer func() {
		if p := recover(); p != nil {
			out = judgement{err: fmt.Errorf("verify: the Verifier panicked with a %T: correct its code", p)}
		}
	}()
	return judge()
}

// run calls the job outside of the lock, then returns the slot.
func (g *Gate) run(j *job) {
	start := time.Now()
	j.judgement = judgeRecovered(j.judge)
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
