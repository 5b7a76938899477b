// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/examples/compare/measure"
	"github.com/otelauth/otelauth-go/examples/compare/peers"
)

// AtOnce is the number of requests that a block sends at the same time.
const AtOnce = 64

// A remembered failure takes a few microseconds, which is near the resolution of the clock. So one
// sample is the best of this many batches, of this many repeats each.
const (
	batches = 3
	repeats = 64
)

// Scenario is one store of accounts behind one verifier.
type Scenario struct {
	Peer peers.Peer
	// Costs are the bcrypt costs in the store, in equal shares. At least one is required. With an
	// even number the median falls between two costs and means nothing.
	Costs []int
	// Names is the number of known and the number of unknown names.
	Names int
	// Concurrent measures [AtOnce] requests at a time instead of one.
	Concurrent bool
	// Seed determines names, hashes and passwords.
	Seed uint64
}

// String returns the costs of the store: "10", or "8–12 mixed".
func (s Scenario) String() string {
	if len(s.Costs) == 1 {
		return strconv.Itoa(s.Costs[0])
	}
	return fmt.Sprintf("%d–%d mixed", slices.Min(s.Costs), slices.Max(s.Costs))
}

// Comparison is one kind of measurement of both classes, in seconds.
type Comparison struct {
	What string
	// Wall marks wall time. For concurrent requests the place in the queue determines it, and the
	// quantiles of two samples of the same class differ by more than the bound.
	Wall           bool
	Known, Unknown measure.Samples
}

// quantiles are compared.
var quantiles = [...]float64{0.05, 0.25, 0.5, 0.75, 0.95}

// Worst returns the largest relative difference of the quantiles 5, 25, 50, 75 and 95 %, with the
// sign of unknown against known.
func (c Comparison) Worst() float64 {
	var worst float64
	for _, q := range quantiles {
		if d := measure.RelativeDifference(c.Known.Quantile(q), c.Unknown.Quantile(q)); max(d, -d) > max(worst, -worst) {
			worst = d
		}
	}
	return worst
}

// Result is the result of a scenario.
type Result struct {
	Scenario    Scenario
	Comparisons []Comparison
	// Known and Unknown count the answers by status. A class that is shed more often is revealed
	// without a clock.
	Known, Unknown map[int]int
}

// Probe measures one scenario. It switches the garbage collector off while it takes a sample, so
// it should have the process for itself.
func Probe(ctx context.Context, sc Scenario) (Result, error) {
	if len(sc.Costs) == 0 || sc.Names < 1 {
		return Result{}, fmt.Errorf("oracle: a scenario needs a cost and a name")
	}
	p := prober{
		sc: sc, rng: rand.New(rand.NewPCG(sc.Seed, 0)), //nolint:gosec // names, not keys
		statuses: [2]map[int]int{make(map[int]int), make(map[int]int)},
	}
	users := make([]peers.User, sc.Names)
	for i := range users {
		users[i] = peers.LockedUser(p.name(), sc.Costs[i%len(sc.Costs)], p.rng)
	}
	p.rng.Shuffle(len(users), func(i, j int) { users[i], users[j] = users[j], users[i] })
	for _, u := range users {
		p.names[known] = append(p.names[known], u.Name)
		p.names[unknown] = append(p.names[unknown], p.name())
	}
	s, err := sc.Peer.New(users, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	if err != nil {
		return Result{}, err
	}
	defer s.Close()
	p.service = s

	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	result := Result{Scenario: sc, Known: p.statuses[known], Unknown: p.statuses[unknown]}
	if sc.Concurrent {
		result.Comparisons, err = p.concurrent(ctx)
	} else {
		result.Comparisons, err = p.single(ctx)
	}
	return result, err
}

// The two classes.
const (
	known = iota
	unknown
)

type prober struct {
	sc       Scenario
	rng      *rand.Rand
	service  *peers.Service
	names    [2][]string
	statuses [2]map[int]int
}

// name returns 12 characters that do not show whether they are an account.
func (p *prober) name() string { return fmt.Sprintf("u%011x", p.rng.Uint64()>>20) }

// request returns a guess for a name from the i-th address. The password is never used again.
func (p *prober) request(name string, i int) *http.Request {
	r, _ := http.NewRequest(http.MethodGet, "http://127.0.0.1/", nil) // a constant URL parses
	r.SetBasicAuth(name, fmt.Sprintf("guess-%016x", p.rng.Uint64()))
	addr := netip.AddrFrom4([4]byte{127, 16, byte(i % AtOnce), 1})
	r.RemoteAddr = netip.AddrPortFrom(addr, uint16(1024+i%60000)).String()
	return p.service.Request(r)
}

// single measures one name after the other: the first attempt with a credential, and the repeat.
func (p *prober) single(ctx context.Context) ([]Comparison, error) {
	first, again := Comparison{What: "first try, CPU"}, Comparison{What: "repeat, CPU"}
	for i := -2; i < p.sc.Names; i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if i%AtOnce == 0 {
			runtime.GC()
		}
		for turn := range 2 {
			class := (i + turn) & 1 // the classes take turns to be first
			// The first rounds warm up code and caches, and do not count.
			r := p.request(p.names[class][max(i, 0)], 0)
			tried := p.cpu(class, r, 1)
			repeated := p.cpu(class, r, 1).Seconds()
			if repeated < 1e-3 { // remembered
				for range batches {
					repeated = min(repeated, p.cpu(class, r, repeats).Seconds()/repeats)
				}
			}
			if i < 0 {
				continue
			}
			add(&first, class, tried.Seconds())
			add(&again, class, repeated)
		}
	}
	return []Comparison{first, again}, nil
}

// cpu returns the CPU time of n requests.
func (p *prober) cpu(class int, r *http.Request, n int) time.Duration {
	var w status
	before := measure.ProcessCPU()
	for range n {
		w = status{}
		p.service.Handler.ServeHTTP(&w, r)
	}
	spent := measure.ProcessCPU() - before
	p.statuses[class][w.code] += n
	return spent
}

// concurrent sends blocks of one class, whose CPU time is known, and blocks of both classes, which
// wait in one queue.
func (p *prober) concurrent(ctx context.Context) ([]Comparison, error) {
	what := fmt.Sprintf("%d at once", AtOnce)
	var (
		cpu   = Comparison{What: what + ", CPU, mean of a block"}
		apart = Comparison{What: what + ", wall", Wall: true}
		mixed = Comparison{What: what + ", both classes in one queue, wall", Wall: true}
	)
	for begin := 0; begin < p.sc.Names; begin += AtOnce {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		end := min(begin+AtOnce, p.sc.Names)
		for turn := range 2 {
			class := (begin/AtOnce + turn) & 1
			b := p.block(p.names[class][begin:end], nil)
			if hashed := b.answered(); hashed > 0 {
				add(&cpu, class, b.cpu.Seconds()/float64(hashed))
			}
			p.count(&apart, class, b.answers)
		}
		half := (end - begin + 1) / 2
		b := p.block(p.names[known][begin:begin+half], p.names[unknown][begin:begin+half])
		p.count(&mixed, known, b.answers[:half])
		p.count(&mixed, unknown, b.answers[half:])
	}
	return []Comparison{cpu, apart, mixed}, nil
}

// block is requests at the same time.
type block struct {
	cpu     time.Duration
	answers []answer
}

type answer struct {
	code int
	wall time.Duration
}

// answered counts the guesses that were judged. A shed guess costs almost nothing.
func (b block) answered() (n int) {
	for _, a := range b.answers {
		if a.code == http.StatusUnauthorized {
			n++
		}
	}
	return n
}

// block sends the names of both lists at the same time, interleaved, and returns the answers in
// the order of the lists.
func (p *prober) block(these, those []string) block {
	names := slices.Concat(these, those)
	requests := make([]*http.Request, len(names))
	for i, name := range names {
		requests[i] = p.request(name, i)
	}
	order := p.rng.Perm(len(names))
	runtime.GC()
	b := block{answers: make([]answer, len(names))}
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for _, i := range order {
		wg.Go(func() {
			<-gate
			var w status
			begin := time.Now()
			p.service.Handler.ServeHTTP(&w, requests[i])
			b.answers[i] = answer{w.code, time.Since(begin)}
		})
	}
	before := measure.ProcessCPU()
	close(gate)
	wg.Wait()
	b.cpu = measure.ProcessCPU() - before
	return b
}

func (p *prober) count(c *Comparison, class int, answers []answer) {
	for _, a := range answers {
		p.statuses[class][a.code]++
		if a.code == http.StatusUnauthorized {
			add(c, class, a.wall.Seconds())
		}
	}
}

func add(c *Comparison, class int, v float64) {
	if class == known {
		c.Known = append(c.Known, v)
		return
	}
	c.Unknown = append(c.Unknown, v)
}

// status is a ResponseWriter that keeps the status.
type status struct {
	header http.Header
	code   int
}

func (s *status) Header() http.Header {
	if s.header == nil {
		s.header = make(http.Header)
	}
	return s.header
}

func (s *status) Write(b []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	return len(b), nil
}

func (s *status) WriteHeader(code int) {
	if s.code == 0 {
		s.code = code
	}
}

// statuses formats a count of answers.
func statuses(m map[int]int) string {
	var parts []string
	for code, n := range m {
		parts = append(parts, fmt.Sprintf("%d × %d", n, code))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
