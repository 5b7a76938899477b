// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package flood

import (
	"bufio"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Attack sends wrong passwords over many connections. No two guesses are the same. It ignores
// Retry-After.
type Attack struct {
	// Target is a host:port.
	Target string
	// Conns is how many connections guess at the same time.
	Conns int
	// Think is the pause of each connection after an answer; 0 is a closed loop.
	Think time.Duration
	// Sources are the local addresses, which the connections use in turn. Empty: the system
	// chooses.
	Sources []netip.Addr
	// Known are the names of accounts to guess. Names says how they are mixed with unknown ones.
	Known []string
	Names Names
	// Attempts ends the attack after that many guesses; 0 has no limit.
	Attempts int64
}

// AttackReport is the result of an attack.
type AttackReport struct {
	// Statuses counts the answers by HTTP status code.
	Statuses map[int]int64
	// Errors counts connections that broke or could not be opened.
	Errors int64
	// Elapsed is the duration of the attack.
	Elapsed time.Duration
}

// Answered is the number of answers.
func (r AttackReport) Answered() (n int64) {
	for _, c := range r.Statuses {
		n += c
	}
	return n
}

// Run attacks until ctx ends or the attempts are used up.
func (a Attack) Run(ctx context.Context) AttackReport {
	start := time.Now()
	report := AttackReport{Statuses: make(map[int]int64)}
	var (
		mu   sync.Mutex
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for i := range a.Conns {
		wg.Go(func() {
			statuses, errors := a.connection(ctx, i, &next)
			mu.Lock()
			defer mu.Unlock()
			report.Errors += errors
			for status, n := range statuses {
				report.Statuses[status] += n
			}
		})
	}
	wg.Wait()
	report.Elapsed = time.Since(start)
	return report
}

// connection guesses over one connection, and reconnects whenever it breaks.
func (a Attack) connection(ctx context.Context, i int, next *atomic.Int64) (statuses map[int]int64, errors int64) {
	statuses = make(map[int]int64)
	dialer := net.Dialer{Timeout: 5 * time.Second}
	if len(a.Sources) > 0 {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.Sources[i%len(a.Sources)], 0))
	}
	var conn net.Conn
	var answers *bufio.Reader
	hangUp := func() {
		if conn != nil {
			_ = conn.Close()
			conn = nil
		}
	}
	defer hangUp()
	for ctx.Err() == nil {
		if conn == nil {
			c, err := dialer.DialContext(ctx, "tcp", a.Target)
			if err != nil {
				errors++
				// a refused connection must not become a busy loop
				if !pause(ctx, 10*time.Millisecond) {
					break
				}
				continue
			}
			conn, answers = c, bufio.NewReader(c)
			// The attacker waits without a timeout, but not beyond the end of the attack.
			defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
		}
		n := next.Add(1)
		if a.Attempts > 0 && n > a.Attempts {
			break
		}
		status, reusable, err := a.guess(conn, answers, n)
		switch {
		case err == nil:
			statuses[status]++
		case ctx.Err() == nil:
			errors++
		}
		if err != nil || !reusable {
			hangUp()
		}
		if a.Think > 0 && !pause(ctx, a.Think) {
			break
		}
	}
	return statuses, errors
}

// guess sends the n-th guess and reads the answer to its end.
func (a Attack) guess(conn io.Writer, answers *bufio.Reader, n int64) (status int, reusable bool, err error) {
	number := strconv.FormatInt(n, 10)
	name := a.Known[n%int64(len(a.Known))]
	if a.Names == Unknown || a.Names == Mixed && n%2 == 0 {
		name = "nobody-" + number
	}
	token := base64.StdEncoding.EncodeToString([]byte(name + ":guess-" + number))
	request := "GET / HTTP/1.1\r\nHost: compare.invalid\r\nAuthorization: Basic " + token + "\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, false, err
	}
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		return 0, false, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, false, err
	}
	return resp.StatusCode, !resp.Close, nil
}

// pause waits for d and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
