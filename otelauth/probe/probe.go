// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Prober probes the endpoints of one target. Use it for one run.
type Prober struct {
	config   Config
	target   *url.URL
	prefix   string
	names    *names
	selected []Probe
	public   string          // the path of a public endpoint, or ""
	open     map[string]bool // paths that may be opened by others than the endpoint under test

	pace *pace

	mu         sync.Mutex
	report     *Report
	gaps       map[Gap]int
	findings   []Finding
	publicPage words
	timing     *Endpoint // the first endpoint at which times can be compared
	done, cut  int
	taken      int // of done: those of an earlier run
	stopped    string
}

// New validates the configuration. It returns all problems at once.
func New(c Config) (*Prober, error) {
	c.Endpoints, c.Identities = slices.Clone(c.Endpoints), slices.Clone(c.Identities)
	target, err := c.validate()
	if err != nil {
		return nil, err
	}
	p := &Prober{config: c, target: target, prefix: target.Path, open: make(map[string]bool)}
	p.names = &names{run: randomHex(4)}
	for _, probe := range probes {
		if p.selects(probe) {
			p.selected = append(p.selected, probe)
		}
	}
	for _, e := range c.Endpoints {
		if e.Access == Protected || e.Skip != "" {
			continue
		}
		path, _, _ := strings.Cut(e.Path, "?")
		p.open[p.prefix+path] = true
		if e.Access == Public && e.Method == "GET" && (p.public == "" || len(path) > 1 && p.public == p.prefix+"/") {
			p.public = p.prefix + path
		}
	}
	p.pace = newPace(c)
	p.pace.waits = p.progress
	p.gaps = make(map[Gap]int)
	p.report = &Report{
		Tool: "otelauth probe", Target: c.Target, Run: p.names.run, Verdicts: make(map[Verdict]int), Identities: c.Identities,
		Findings: []Finding{}, NotTested: []Gap{},
	}
	return p, nil
}

// selects reports whether Only and Without admit a probe. The group control always belongs to a
// run.
func (p *Prober) selects(probe Probe) bool {
	named := func(list []string) bool {
		return slices.Contains(list, probe.Name) || slices.Contains(list, probe.Group)
	}
	if probe.Group == groupControl || probe.Name == "none" {
		return true
	}
	return (len(p.config.Only) == 0 || named(p.config.Only)) && !named(p.config.Without)
}

// Canaries returns what no telemetry may hold: the passwords of the identities with their tokens,
// and prefixes of all wrong passwords and tokens of the run. Do not print them.
func (p *Prober) Canaries() []string {
	// The first 15 bytes of a name are the same for the run; 15 bytes are 20 digits of base64.
	list := []string{"wrong-" + p.names.run, encodeBase64(("probe-" + p.names.run + "-")[:15])}
	for _, id := range p.config.Identities {
		list = append(list, id.Password, token(id.Username, id.Password))
	}
	return list
}

// Run probes the endpoints. A context that ends does not make an error: the report is valid and
// says that it is not complete. An error is returned if the target cannot be reached at all, or if
// [Config.Each] failed.
func (p *Prober) Run(ctx context.Context) (*Report, error) {
	p.report.Started = p.config.Now()
	if p.config.Done != nil {
		p.pace.spend(p.report.Started)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := p.preflight(ctx); err != nil {
		return nil, err
	}
	queue := make(chan Endpoint)
	rows := make([]Row, 0)
	var eachErr error
	finish := func(row Row) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.done++
		if row.Cut {
			p.cut++
		}
		if p.config.Each == nil {
			rows = append(rows, row)
		} else if err := p.config.Each(row); err != nil && eachErr == nil {
			eachErr = err
			cancel(err)
		}
	}
	var workers sync.WaitGroup
	for range p.config.Workers {
		workers.Go(func() {
			s := p.sender()
			defer s.close()
			for e := range queue {
				finish(p.endpoint(ctx, s, e))
			}
		})
	}
	for _, e := range p.config.Endpoints {
		queue <- e
	}
	close(queue)
	workers.Wait()
	if eachErr != nil {
		return nil, fmt.Errorf("probe: cannot keep the attempts: %w", eachErr)
	}
	p.plaintext(ctx)
	p.compareTimes(ctx)
	return p.conclude(rows), nil
}

// preflight reads the public page, or another one, to see that the target answers.
func (p *Prober) preflight(ctx context.Context) error {
	s := p.sender()
	defer s.close()
	path := "/"
	if p.public != "" {
		path = p.public[len(p.prefix):]
	}
	c := p.cell(Endpoint{Method: "GET", Path: path})
	a, res := p.attempt(ctx, s, c, Probe{Name: "public-page", Group: groupControl}, c.plain())
	if res == nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("probe: the target %s does not answer: %s", p.config.Target, a.Answer.Error)
	}
	p.publicPage = wordsOf(res.body)
	return nil
}

func (p *Prober) sender() sender {
	if p.config.Handler != nil {
		return newMemory(p.target, &p.config)
	}
	return newWire(p.target, &p.config)
}

// cell returns what requests of the endpoint are made from.
func (p *Prober) cell(e Endpoint) *cell {
	path, query, found := strings.Cut(e.Path, "?")
	if found {
		query = "?" + query
	}
	c := &cell{
		endpoint: e, path: p.prefix + path, query: query, prefix: p.prefix, scheme: p.target.Scheme, host: p.target.Host,
		throwaway: p.config.Throwaway, public: p.public, unsafe: p.config.UnsafeMethods, names: p.names,
	}
	for i := range p.config.Identities {
		if id := &p.config.Identities[i]; admits(e, id) {
			c.right = id
			break
		}
	}
	return c
}

// admits reports whether an identity should be able to use the endpoint.
func admits(e Endpoint, id *Identity) bool {
	return len(e.Groups) == 0 || slices.ContainsFunc(e.Groups, func(g string) bool { return slices.Contains(id.Groups, g) })
}

// conclude completes the report.
func (p *Prober) conclude(rows []Row) *Report {
	r := p.report
	r.Rows = rows
	r.Ended = p.config.Now()
	r.Requests = p.pace.sent()
	r.Throttles = p.pace.describe()
	r.Stopped = p.stopped
	r.Complete = p.stopped == ""
	r.Findings = append(r.Findings, p.findings...)
	if p.cut > 0 {
		r.NotTested = append(r.NotTested, Gap{Why: "the run ended before: " + p.stopped, Times: p.cut})
	}
	for g, n := range p.gaps {
		if g.Endpoint == "" {
			g.Times = n
		}
		r.NotTested = append(r.NotTested, g)
	}
	slices.SortFunc(r.NotTested, func(a, b Gap) int {
		return compareText(a.Endpoint+a.Probe+a.Why, b.Endpoint+b.Probe+b.Why)
	})
	r.Accept(p.config.Baseline)
	r.Sort()
	return r
}

// Accept marks the findings that a baseline accepts. An entry that has expired accepts nothing. It
// may be called again when findings were added.
func (r *Report) Accept(baseline []Acceptance) {
	r.Unused, r.Expired = nil, nil
	for _, a := range baseline {
		used := false
		for i := range r.Findings {
			if f := &r.Findings[i]; f.ID == a.ID {
				used = true
				if r.Ended.Before(a.Expires) {
					f.Accepted = &a
				}
			}
		}
		switch {
		case !used && r.Complete:
			r.Unused = append(r.Unused, a)
		case used && !r.Ended.Before(a.Expires):
			r.Expired = append(r.Expired, a)
		}
	}
}

func (p *Prober) stop(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped == "" {
		p.stopped = why
	}
}

// gap records that something was not tested. Gaps with the same reason are counted together.
func (p *Prober) gap(g Gap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gaps[g]++
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// Run probes the endpoints of a target. It is New and [Prober.Run] in one call.
func Run(ctx context.Context, c Config) (*Report, error) {
	p, err := New(c)
	if err != nil {
		return nil, err
	}
	return p.Run(ctx)
}

var errBound = errors.New("the bound of requests was reached: raise --max-requests")

// elapsed is the time since the start of the run.
func (p *Prober) elapsed() time.Duration { return p.config.Now().Sub(p.report.Started) }
