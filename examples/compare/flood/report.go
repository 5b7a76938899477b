// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package flood

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/examples/compare/measure"
	"github.com/otelauth/otelauth-go/examples/compare/peers"
)

// Report writes a table for each cell, then the targets of the project.
func Report(w io.Writer, p Plan, all []Observation, hash time.Duration) error {
	fmt.Fprintf(w, "bcrypt cost %d: %.1f ms at rest. %d CPUs, %s %s/%s. %d attacking connections, right client %g/s for %s.\n",
		p.Cost, ms(hash.Seconds()), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH,
		p.Conns, p.RightPerSecond, p.Duration)
	sums := summarize(all)
	for _, cell := range p.Cells {
		t := measure.Table{Header: []string{
			"server", "right p50 ms", "p99 ms", "success", "p99 ÷ no auth",
			"first p50 ms", "p99 ms", "success", "guesses/s", "answers", "server CPU s/s", "hashes/s", "right client hashed again",
		}}
		floor := find(sums, cell, "noauth")
		for _, s := range sums {
			if s.Cell != cell {
				continue
			}
			ratio := "–"
			if floor != nil {
				ratio = measure.Ratio(s.right.p99, floor.right.p99)
			}
			row := []string{title(s.Peer), s.right.P50(), s.right.P99(), s.right.Success(), ratio}
			if cell.First {
				row = append(row, s.first.P50(), s.first.P99(), s.first.Success())
			} else {
				row = append(row, "", "", "")
			}
			t.Add(append(row, number(s.guesses), s.answers, fmt.Sprintf("%.2f", s.cpu), count(s.hashes), count(s.rehashed))...)
		}
		fmt.Fprintf(w, "\n%s\n\n", describe(cell, p))
		if _, err := t.WriteTo(w); err != nil {
			return fmt.Errorf("flood: report: %w", err)
		}
	}
	return reach(w, p, sums, hash)
}

// reach compares otelauth's rows with the targets.
func reach(w io.Writer, p Plan, sums []summary, hash time.Duration) error {
	t := measure.Table{Header: []string{"cell", "bound", "measured", "kept"}}
	h := hash.Seconds()
	for _, cell := range p.Cells {
		us := find(sums, cell, "otelauth")
		if us == nil || cell.Sources == 0 {
			continue
		}
		add := func(bound, measured string, kept bool) {
			t.Add(cell.String(), bound, measured, map[bool]string{true: "yes", false: "**no**"}[kept])
		}
		add("right client: 100 % success", us.right.Success(), us.right.success == 1)
		if floor := find(sums, cell, "noauth"); floor != nil && cell.Paced {
			add("right client: p99 ≤ 3 × no auth", measure.Ratio(us.right.p99, floor.right.p99), us.right.p99 <= 3*floor.right.p99)
		}
		if caddy := find(sums, cell, "caddy"); caddy != nil && !cell.Paced {
			add("right client: p99 ≥ 20 × better than Caddy", measure.Ratio(caddy.right.p99, us.right.p99), caddy.right.p99 >= 20*us.right.p99)
		}
		if us.rehashed >= 0 {
			add("right client: never hashed again", number(us.rehashed), us.rehashed == 0)
		}
		if cell.First {
			bound, words := 8*h, "8 hash times"
			if cell.Sources > 1 {
				// One fair round: every other network has one turn before the same network has its
				// next.
				bound += float64(cell.Sources) * h / float64(max(1, runtime.GOMAXPROCS(0)-1))
				words += " + a fair round"
			}
			add("first logins: ≥ 99 % success", us.first.Success(), us.first.success >= 0.99)
			add(fmt.Sprintf("first logins: p99 ≤ %s = %.0f ms", words, ms(bound)), us.first.P99()+" ms", us.first.p99 <= bound)
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	if _, err := t.WriteTo(w); err != nil {
		return fmt.Errorf("flood: report: %w", err)
	}
	return nil
}

// latency is that of the median round of one client; the success is that of the worst round.
type latency struct{ p50, p99, success float64 }

func (l latency) P50() string     { return latencyCell(l.p50) }
func (l latency) P99() string     { return latencyCell(l.p99) }
func (l latency) Success() string { return fmt.Sprintf("%.4g %%", math.Floor(l.success*1e4)/100) }

func latencyCell(seconds float64) string {
	switch {
	case math.IsNaN(seconds):
		return "–"
	case seconds >= Timeout.Seconds():
		return fmt.Sprintf("> %.0f", ms(Timeout.Seconds()))
	case seconds < 0.01:
		return fmt.Sprintf("%.2f", ms(seconds))
	default:
		return fmt.Sprintf("%.0f", ms(seconds))
	}
}

// summary is one peer in one cell over all rounds.
type summary struct {
	Peer             peers.Peer
	Cell             Cell
	right, first     latency
	guesses, cpu     float64 // per second
	hashes, rehashed float64 // per second, in total; -1 when unknown
	answers          string
}

// summarize keeps the order of the first round.
func summarize(all []Observation) []summary {
	type key struct {
		peer string
		cell Cell
	}
	groups := make(map[key][]Observation)
	var order []key
	for _, o := range all {
		k := key{o.Peer.Name, o.Cell}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], o)
	}
	sums := make([]summary, 0, len(order))
	for _, k := range order {
		rounds := groups[k]
		s := summary{Peer: rounds[0].Peer, Cell: k.cell, answers: answers(rounds)}
		s.right = latencyOf(rounds, func(o Observation) ClientReport { return o.Right })
		s.first = latencyOf(rounds, func(o Observation) ClientReport { return o.First })
		s.guesses = median(rounds, func(o Observation) float64 {
			return float64(o.Attack.Answered()) / max(o.Attack.Elapsed.Seconds(), 1e-9)
		})
		s.cpu = median(rounds, func(o Observation) float64 { return o.CPU.Seconds() / o.Elapsed.Seconds() })
		s.hashes, s.rehashed = -1, -1
		if rounds[0].Hashes >= 0 {
			s.hashes = median(rounds, func(o Observation) float64 { return float64(o.Hashes) / o.Elapsed.Seconds() })
			s.rehashed = 0
			for _, o := range rounds {
				if o.Rehashed < 0 {
					s.rehashed = -1
					break
				}
				s.rehashed += float64(o.Rehashed)
			}
		}
		sums = append(sums, s)
	}
	return sums
}

func latencyOf(rounds []Observation, of func(Observation) ClientReport) latency {
	l := latency{success: 1}
	l.p50 = median(rounds, func(o Observation) float64 { return of(o).Latencies.Quantile(0.5) })
	l.p99 = median(rounds, func(o Observation) float64 { return of(o).Latencies.Quantile(0.99) })
	for _, o := range rounds {
		l.success = min(l.success, of(o).Success())
	}
	return l
}

func median(rounds []Observation, of func(Observation) float64) float64 {
	var s measure.Samples
	for _, o := range rounds {
		s = append(s, of(o))
	}
	return s.Median()
}

// answers is the share of each status code in the attacker's answers.
func answers(rounds []Observation) string {
	statuses := make(map[int]int64)
	var total, broken int64
	for _, o := range rounds {
		for code, n := range o.Attack.Statuses {
			statuses[code] += n
			total += n
		}
		broken += o.Attack.Errors
	}
	var parts []string
	codes := make([]int, 0, len(statuses))
	for code := range statuses {
		codes = append(codes, code)
	}
	slices.SortFunc(codes, func(a, b int) int { return cmp.Compare(statuses[b], statuses[a]) })
	for _, code := range codes {
		parts = append(parts, fmt.Sprintf("%d: %.1f %%", code, 100*float64(statuses[code])/float64(total)))
	}
	if broken > 0 {
		parts = append(parts, fmt.Sprintf("broken: %d", broken))
	}
	return strings.Join(parts, ", ")
}

func find(sums []summary, cell Cell, peer string) *summary {
	for i := range sums {
		if sums[i].Cell == cell && sums[i].Peer.Name == peer {
			return &sums[i]
		}
	}
	return nil
}

func describe(c Cell, p Plan) string {
	if c.Sources == 0 {
		return fmt.Sprintf("**%s**: no attack.", c)
	}
	s := fmt.Sprintf("**%s**: %d connections from %d addresses, ", c, p.Conns, c.Sources)
	if c.Paced {
		s += fmt.Sprintf("%s between guesses", Think)
	} else {
		s += "closed loop"
	}
	s += map[Names]string{Known: ", known names", Unknown: ", unknown names", Mixed: ", known and unknown names"}[c.Names]
	if c.First {
		s += fmt.Sprintf("; first logins from another address, %g/s", p.FirstPerSecond)
	}
	return s + "."
}

func title(p peers.Peer) string {
	// the repository that contains this module
	if v := p.Version(); v != "" && v != "v0.0.0-00010101000000-000000000000" {
		return p.Title + " " + v
	}
	return p.Title
}

func ms(seconds float64) float64 { return seconds * 1000 }

func number(n float64) string { return fmt.Sprintf("%.0f", n) }

func count(n float64) string {
	if n < 0 {
		return "?"
	}
	return number(n)
}
