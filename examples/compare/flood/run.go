// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package flood

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/otelauth/otelauth-go/examples/compare/measure"
	"github.com/otelauth/otelauth-go/examples/compare/peers"
)

// Plan is what to measure. Its zero value measures nothing; [DefaultPlan] is the README's.
type Plan struct {
	Peers []peers.Peer
	Cells []Cell
	// Duration is how long the honest clients send in each cell.
	Duration time.Duration
	// Settle is how long the attack runs before the measurement.
	Settle time.Duration
	// Conns is the number of the attacker's connections.
	Conns int
	// Attempts ends a cell after that many guesses; 0 has no limit.
	Attempts int64
	// Cost is the bcrypt cost of every account.
	Cost int
	// RightPerSecond and FirstPerSecond are the rates of the honest clients.
	RightPerSecond, FirstPerSecond float64
	// Rounds is the number of repetitions. The tables show the median round.
	Rounds int
	// AttackerProcs is GOMAXPROCS of the attacker. On a small machine the attacker takes CPU from
	// the server, which a remote attacker does not.
	AttackerProcs int
}

// DefaultPlan measures every row of the README in about six minutes.
func DefaultPlan() Plan {
	p := Plan{
		Duration: 12 * time.Second, Settle: time.Second, Conns: 64, Cost: bcrypt.DefaultCost,
		RightPerSecond: 50, FirstPerSecond: 5, Rounds: 1, AttackerProcs: 1,
	}
	for _, name := range []string{"noauth", "otelauth", "caddy", "exporter-toolkit", "go-htpasswd"} {
		peer, err := peers.ByName(name)
		if err == nil {
			p.Peers = append(p.Peers, peer)
		}
	}
	for _, name := range []string{"paced/64", "closed/64", "closed/1+first", "closed/64+first"} {
		c, err := ParseCell(name)
		if err == nil {
			p.Cells = append(p.Cells, c)
		}
	}
	return p
}

// Observation is one peer in one cell of one round.
type Observation struct {
	Peer  peers.Peer
	Cell  Cell
	Right ClientReport
	First ClientReport
	// Attack is the zero value in an idle cell.
	Attack AttackReport
	// CPU is the CPU time that the server used while the honest clients sent; Elapsed is how long
	// they sent.
	CPU, Elapsed time.Duration
	// Hashes is the number of runs of the hash function in that time. Rehashed counts those for
	// the right client, whose credential was verified before. -1 when unknown.
	Hashes, Rehashed int64
}

// Run measures, and calls observed after each observation. Peers alternate within a cell, so that
// a slow drift of the machine affects all of them.
func (p Plan) Run(ctx context.Context, observed func(Observation)) ([]Observation, error) {
	dir, err := os.MkdirTemp("", "compare-flood-")
	if err != nil {
		return nil, fmt.Errorf("flood: %w", err)
	}
	defer os.RemoveAll(dir)
	accounts, err := p.makeAccounts(dir)
	if err != nil {
		return nil, err
	}
	var all []Observation
	for range p.Rounds {
		for _, cell := range p.Cells {
			for _, peer := range p.Peers {
				o, err := p.observe(ctx, peer, cell, accounts)
				if err != nil {
					return all, fmt.Errorf("flood: %s, %s: %w", peer.Name, cell, err)
				}
				all = append(all, o)
				observed(o)
			}
		}
	}
	return all, nil
}

// HashTime returns the median time of one verification at the plan's cost on the idle machine.
func (p Plan) HashTime() (time.Duration, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte("password"), p.Cost)
	if err != nil {
		return 0, fmt.Errorf("flood: %w", err)
	}
	var s measure.Samples
	for range 7 {
		begin := time.Now()
		_ = bcrypt.CompareHashAndPassword(hash, []byte("guess"))
		s = append(s, float64(time.Since(begin)))
	}
	return time.Duration(s.Median()), nil
}

// accounts are those of a measurement. Cells without first logins get a file without their
// accounts, because one of the peers reads the file on every request.
type accounts struct {
	right             peers.User
	first             []peers.User
	known             []string
	baseFile, allFile string
}

func (p Plan) makeAccounts(dir string) (accounts, error) {
	names := []string{"alice"}
	for _, c := range p.Cells {
		if c.First {
			for i := range int(p.Duration.Seconds()*p.FirstPerSecond) + 1 {
				names = append(names, fmt.Sprintf("user%04d", i+1))
			}
			break
		}
	}
	users, err := peers.NewUsers(p.Cost, names...)
	if err != nil {
		return accounts{}, err
	}
	base := []peers.User{users[0]}
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // hashes that no password matches
	for i := range 7 {
		base = append(base, peers.LockedUser("victim"+strconv.Itoa(i), p.Cost, rng))
	}
	a := accounts{
		right: users[0], first: users[1:],
		baseFile: filepath.Join(dir, "base"), allFile: filepath.Join(dir, "all"),
	}
	for _, u := range base {
		a.known = append(a.known, u.Name)
	}
	for file, users := range map[string][]peers.User{a.baseFile: base, a.allFile: append(base, a.first...)} {
		var b strings.Builder
		if err := peers.WriteUsers(&b, users); err != nil {
			return accounts{}, err
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			return accounts{}, fmt.Errorf("flood: %w", err)
		}
	}
	return a, nil
}

func (p Plan) observe(ctx context.Context, peer peers.Peer, cell Cell, who accounts) (Observation, error) {
	o := Observation{Peer: peer, Cell: cell}
	file := who.baseFile
	if cell.First {
		file = who.allFile
	}
	server, err := start(ctx, nil, "serve", "-peer", peer.Name, "-users", file)
	if err != nil {
		return o, err
	}
	defer server.stop()
	target, err := server.line()
	if err != nil {
		return o, err
	}

	right := Client{
		Target: target, Source: rightAddr, PerSecond: p.RightPerSecond,
		User: func(int) peers.User { return who.right },
	}
	if warm := right.send(ctx, 5); warm.OK != 5 {
		return o, fmt.Errorf("the right client got %d of 5 requests through before the attack", warm.OK)
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	attacker, attacked, err := p.attack(ctx, cancel, target, &o, who)
	if err != nil {
		return o, err
	}
	if attacker != nil {
		defer attacker.stop()
	}

	var before, after Stats
	if err := server.ask(&before); err != nil {
		return o, err
	}
	begin := time.Now()
	p.send(ctx, target, &right, &o, who)
	o.Elapsed = time.Since(begin)
	if err := server.ask(&after); err != nil {
		return o, err
	}
	if attacker != nil {
		_ = attacker.stdin.Close()
		if err := <-attacked; err != nil {
			return o, err
		}
	}
	o.count(before, after)
	return o, nil
}

// count computes the server's figures from its statistics before and after the measurement.
func (o *Observation) count(before, after Stats) {
	o.CPU = after.CPU - before.CPU
	o.Hashes, o.Rehashed = -1, -1
	if after.Hashes >= 0 {
		o.Hashes = after.Hashes - before.Hashes
		// Each first login costs one hash with the right password. Further ones were of the right
		// client. A client that gave up may have been hashed afterwards, so then the number is
		// unknown.
		if o.First.OK == len(o.First.Latencies) {
			o.Rehashed = after.RightHashes - before.RightHashes - int64(o.First.OK)
		}
	}
}

// attack starts the attacker of o's cell and waits until it has settled. It returns nil if the cell
// has none. The attacker's end writes o.Attack, sends on the channel and calls cancel.
func (p Plan) attack(ctx context.Context, cancel func(), target string, o *Observation, who accounts) (*process, <-chan error, error) {
	if o.Cell.Sources == 0 {
		return nil, nil, nil
	}
	attacker, err := start(ctx, []string{"GOMAXPROCS=" + strconv.Itoa(p.AttackerProcs)},
		"attack", "-target", target, "-cell", o.Cell.String(), "-known", strings.Join(who.known, ","),
		"-conns", strconv.Itoa(p.Conns), "-attempts", strconv.FormatInt(p.Attempts, 10))
	if err != nil {
		return nil, nil, err
	}
	attacked := make(chan error, 1)
	go func() {
		attacked <- attacker.decode(&o.Attack)
		cancel() // the attempts are used up, so the honest clients can stop
	}()
	pause(ctx, p.Settle)
	return attacker, attacked, nil
}

// send runs the honest clients for the duration of the cell.
func (p Plan) send(ctx context.Context, target string, right *Client, o *Observation, who accounts) {
	firsts := make(chan ClientReport, 1)
	go func() {
		if !o.Cell.First {
			firsts <- ClientReport{}
			return
		}
		c := Client{
			Target: target, Source: firstAddr, PerSecond: p.FirstPerSecond,
			User: func(i int) peers.User { return who.first[i] },
		}
		firsts <- c.Run(ctx, p.Duration)
	}()
	o.Right = right.Run(ctx, p.Duration)
	o.First = <-firsts
}

// untilEOF is the attacker process. It attacks until its input ends, then prints its report.
func (a Attack) untilEOF(stdin io.Reader) AttackReport {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, stdin)
	}()
	return a.Run(ctx)
}
