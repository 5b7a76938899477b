// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// badTarget serves the index page as usual, and each other path by answer.
func badTarget(t *testing.T, answer func(conn net.Conn)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				if r.RequestURI == "/" {
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
					return
				}
				answer(conn)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// aFew are enough probes to see how a target that misbehaves is judged.
var aFew = []string{"unknown-user", "head", "semicolon"}

// endless writes header, and then piece until the client closes the connection.
func endless(conn net.Conn, header, piece string) {
	io.WriteString(conn, header)
	for {
		if _, err := io.WriteString(conn, piece); err != nil {
			return
		}
	}
}

// badAnswers are those of targets that misbehave, with a part of the reason in the report.
var badAnswers = map[string]struct {
	answer func(conn net.Conn)
	want   string // a part of the reason
}{
	"hangs":          {func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, "no answer in time"},
	"closes":         {func(net.Conn) {}, "closed the connection"},
	"resets":         {func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }, "the connection"},
	"not HTTP":       {func(conn net.Conn) { io.WriteString(conn, "SSH-2.0-OpenSSH_9.2\r\n\r\n") }, "not HTTP/1.1"},
	"endless header": {func(conn net.Conn) { endless(conn, "HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("a", 8000)+"\r\n") }, "too large"},
	"endless line":   {func(conn net.Conn) { endless(conn, "HTTP/1.1 200 OK\r\nX-A: ", strings.Repeat("a", 8000)) }, "too large"},
	"only 103":       {func(conn net.Conn) { endless(conn, "", "HTTP/1.1 103 Early Hints\r\n\r\n") }, "informational"},
	"endless body":   {func(conn net.Conn) { endless(conn, "HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("a b ", 2000)) }, "was not compared"},
	"10 GB": {func(conn net.Conn) {
		endless(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", strings.Repeat("a b ", 2000))
	}, "was not compared"},
	"slow body": {func(conn net.Conn) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
		_, _ = io.Copy(io.Discard, conn)
	}, "was not compared"},
	"redirect loop": {func(conn net.Conn) {
		io.WriteString(conn, "HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n")
	}, "302 to /a"},
	"bad chunks": {func(conn net.Conn) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
	}, "was not compared"},
	"two lengths": {func(conn net.Conn) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
	}, "not HTTP/1.1"},
	"upgrade to h2": {func(conn net.Conn) {
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
	}, "101"},
	"status too large": {func(conn net.Conn) { io.WriteString(conn, "HTTP/1.1 99999 OK\r\n\r\n") }, "not HTTP/1.1"},
}

func TestBadTargets(t *testing.T) {
	t.Parallel()
	for name, c := range badAnswers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := testkit.Patience
			if name == "hangs" || name == "slow body" {
				timeout = 300 * time.Millisecond
			}
			report, err := probe.Run(t.Context(), probe.Config{
				Target: badTarget(t, c.answer), Endpoints: []probe.Endpoint{{Path: "/a"}}, Rate: -1, Only: aFew, Samples: -1,
				Identities: []probe.Identity{{Username: "alice", Password: "right-of-alice"}}, Timeout: timeout,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range report.Findings {
				t.Errorf("false finding %s: %s", f.ID, f.Detail)
			}
			if !gapHas(report, c.want) {
				t.Errorf("no reason with %q in %+v", c.want, report.NotTested)
			}
			for _, a := range report.Rows[0].Attempts {
				if len(a.Answer.Excerpt) > probe.ExcerptBytes || a.Answer.BodyBytes > probe.DefaultMaxBodyBytes {
					t.Errorf("%s keeps %d bytes of %d", a.ID, len(a.Answer.Excerpt), a.Answer.BodyBytes)
				}
			}
		})
	}
}

func gapHas(report *probe.Report, part string) bool {
	for _, g := range report.NotTested {
		if strings.Contains(g.Why, part) {
			return true
		}
	}
	return false
}

// TestTargetThatCannotBeReached: the error says what to do.
func TestTargetThatCannotBeReached(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for target, want := range map[string]string{
		"http://127.0.0.1:" + testkit.FreePort(t):           "the connection was refused",
		"http://no-such-host.invalid":                       "cannot connect",
		secure.URL:                                          "the certificate of the target is not valid",
		strings.Replace(plain.URL, "http:", "https:", 1):    "does not use TLS",
		"http://127.0.0.1:" + testkit.FreePort(t) + "/base": "is the service running?",
	} {
		_, err := probe.Run(t.Context(), probe.Config{Target: target, Endpoints: []probe.Endpoint{{Path: "/a"}}, Timeout: 5 * time.Second})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", target, err, want)
		}
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	_, err := probe.New(probe.Config{
		Target:     "http://alice:canary@shop.example",
		Endpoints:  []probe.Endpoint{{Path: "orders"}, {Method: "GET /", Path: "/a"}, {Path: "/b", Access: "secret"}, {Path: "/c d"}},
		Identities: []probe.Identity{{Username: "alice"}, {Username: "a:b", Password: "x"}, {Username: "bob", Password: "x"}, {Username: "bob", Password: "x"}},
		Throwaway:  "bob", Only: []string{"nothing"}, Correlate: []string{"cookie"},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"the target holds credentials", `the path "orders" must begin with /`, `"GET /" is not an HTTP method`, `"secret" is not an access`, `"/c d"`,
		`identity "alice" has no user name or no password`, `"a:b" contains a colon`, `two identities have the name "bob"`, "is the throwaway account",
		`"nothing" is neither a probe`, `cannot correlate by "cookie"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Error("the error shows a password")
	}
}

// TestThrottling: a target that throttles is waited for, and no guess is lost. Afterwards the run
// stays below the limit that it has learned.
func TestThrottling(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var until time.Time
	guesses, refused := 0, 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, sent := r.BasicAuth()
		switch {
		case valid(user, password):
			fmt.Fprint(w, "content for those who may see it, and for no others")
			return
		case sent && now.Before(until), sent && guesses >= 7:
			if !now.Before(until) {
				until, guesses = now.Add(time.Minute), 0
			}
			refused++
			w.Header().Set("Retry-After", "60")
			http.Error(w, "too many attempts", http.StatusTooManyRequests)
			return
		case sent:
			guesses++
		}
		w.Header().Set("WWW-Authenticate", "Basic")
		http.Error(w, "denied", http.StatusUnauthorized)
	})
	c := seededConfig()
	c.Handler, c.Workers = handler, 1
	c.Endpoints = []probe.Endpoint{{Path: "/a"}, {Path: "/b"}, {Path: "/c"}, {Path: "/d"}}
	c.Only = []string{"credentials"}
	c.Now = func() time.Time { return now }
	c.Sleep = func(_ context.Context, d time.Duration) error { now = now.Add(d); guesses = 0; return nil }
	report, err := probe.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if report.Throttles == "" || report.Verdicts[probe.Throttled] > 0 || len(report.Findings) > 0 {
		t.Errorf("throttles %q, verdicts %v, %d findings", report.Throttles, report.Verdicts, len(report.Findings))
	}
	if refused > 2 {
		t.Errorf("the target had to throttle %d times", refused)
	}
}

// TestGuessLimit: a target that locks out after five wrong passwords within a minute never has to,
// because the run was given its limit. Each probe is made. Nor has it to if the run is interrupted
// and continued at once.
func TestGuessLimit(t *testing.T) {
	t.Parallel()
	const limit, period = 5, time.Minute
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var guesses []time.Time
	most := 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		fields := r.Header.Values("Authorization")
		if len(fields) == 1 && valid(user, password) {
			fmt.Fprint(w, "content for those who may see it, and for no others")
			return
		}
		now = now.Add(300 * time.Millisecond) // the time of a hash, after which the target counts
		if len(fields) > 0 {
			guesses = slices.DeleteFunc(append(guesses, now), func(at time.Time) bool { return at.Before(now.Add(-period)) })
			most = max(most, len(guesses))
		}
		w.Header().Set("WWW-Authenticate", "Basic")
		http.Error(w, "denied", http.StatusUnauthorized)
	})
	c := seededConfig()
	c.Handler, c.GuessLimit, c.GuessPeriod, c.Samples = handler, limit, period, 100
	c.Endpoints = []probe.Endpoint{{Path: "/a"}, {Path: "/b"}}
	c.Now = func() time.Time { return now }
	isShown := false // that the run waits
	c.Progress = func(at probe.Progress) { isShown = at.Waiting.Sub(now) > time.Second }
	c.Sleep = func(_ context.Context, d time.Duration) error {
		if !isShown && d > time.Second {
			t.Errorf("a wait of %s is not shown", d)
		}
		now = now.Add(d)
		return nil
	}
	report, err := probe.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if most != limit-1 {
		t.Errorf("%d wrong passwords within %s, want %d", most, period, limit-1)
	}
	if report.Verdicts[probe.Throttled]+report.Verdicts[probe.NotSent] > 0 || len(report.Findings) > 0 || !report.Complete {
		t.Errorf("verdicts %v, %d findings, complete: %t", report.Verdicts, len(report.Findings), report.Complete)
	}
	if !gapHas(report, "admits less than 50 guesses") {
		t.Errorf("nothing says that times were not compared: %+v", report.NotTested)
	}
	now = now.Add(period)
	c.MaxRequests, c.Samples = report.Requests*3/4, -1
	var rows []probe.Row
	for range 2 {
		if report, err = probe.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		rows = slices.DeleteFunc(report.Rows, func(row probe.Row) bool { return row.Cut })
		c.Done = func(e probe.Endpoint) (probe.Row, bool) {
			if i := slices.IndexFunc(rows, func(row probe.Row) bool { return row.Endpoint.Path == e.Path }); i >= 0 {
				return rows[i], true
			}
			return probe.Row{}, false
		}
	}
	if most != limit-1 || !report.Complete {
		t.Errorf("continued: %d wrong passwords within %s, want %d; complete: %t", most, period, limit-1, report.Complete)
	}
	c.GuessLimit = 1
	if _, err := probe.New(c); err == nil || !strings.Contains(err.Error(), "2 wrong credentials or more") {
		t.Errorf("a limit of 1: %v", err)
	}
}

// TestLongAnswers: of an answer that is longer than the bound, the start is compared. Nothing is
// found by what could not be read, and the report says so.
func TestLongAnswers(t *testing.T) {
	t.Parallel()
	frame := strings.Repeat("a frame that each page has, that of an error too; ", 1000)
	secret := "the orders of the customer: tea, coffee, sugar, milk"
	for name, c := range map[string]struct {
		page string // what everybody gets
		want probe.Verdict
	}{
		"the content is beyond the bound": {frame + secret, probe.Unknown},
		"the content is within the bound": {secret + frame, probe.Opened},
	} {
		config := seededConfig()
		config.Endpoints, config.Only, config.MaxBodyBytes = []probe.Endpoint{{Path: "/a"}}, aFew, 16<<10
		config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/a" {
				fmt.Fprint(w, c.page)
				return
			}
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, frame)
		})
		report, err := probe.Run(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range report.Rows[0].Attempts {
			if a.Probe == "none" && a.Verdict != c.want {
				t.Errorf("%s: %s, want %s", name, a.Verdict, c.want)
			}
		}
		if (len(report.Findings) > 0) != (c.want == probe.Opened) || !gapHas(report, "beyond the first 16384 bytes") {
			t.Errorf("%s: %d findings, not tested: %+v", name, len(report.Findings), report.NotTested)
		}
	}
}

// TestThrottlingForLong: a wait beyond the bound is not made. Probes without guesses still are.
func TestThrottlingForLong(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, sent := r.BasicAuth(); sent {
			w.Header().Set("Retry-After", "86400")
			http.Error(w, "locked", http.StatusTooManyRequests)
			return
		}
		fmt.Fprint(w, "content that anyone gets")
	})
	c := seededConfig()
	c.Identities, c.Handler, c.Endpoints = nil, handler, []probe.Endpoint{{Path: "/a"}}
	report, err := probe.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if !gapHas(report, "asks to wait") {
		t.Errorf("the gap is not reported: %+v", report.NotTested)
	}
}

// TestInterrupted: a run that is canceled gives a valid report that says so.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := seededConfig()
	var sent atomic.Int64
	c.Handler = site{flawed}
	c.Sending = func(probe.Attempt) { sent.Add(1) }
	c.Progress = func(p probe.Progress) {
		if p.EndpointsDone == 5 {
			cancel()
		}
	}
	report, err := probe.Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if n := int(sent.Load()); report.Requests != n {
		t.Errorf("%d requests are reported, %d were sent", report.Requests, n)
	}
	if report.Complete || report.Stopped == "" || len(report.Findings) == 0 || !gapHas(report, "the run ended before") {
		t.Errorf("complete: %t, stopped: %q, findings: %d, gaps: %+v", report.Complete, report.Stopped, len(report.Findings), report.NotTested)
	}
}

// TestShares: of the content of 20 words that only the control has, an answer with 16 or more has
// the content. One with less than 7 is another page, and between them there is no verdict.
func TestShares(t *testing.T) {
	t.Parallel()
	all := strings.Fields("tea coffee sugar milk bread butter honey apples pears plums onions garlic leeks beans peas rice flour salt pepper oil")
	for n, want := range map[int]probe.Verdict{
		20: probe.Opened, 16: probe.Opened, 15: probe.Unknown, 7: probe.Unknown, 6: probe.SoftDenied, 0: probe.SoftDenied,
	} {
		c := seededConfig()
		c.Endpoints, c.Only = []probe.Endpoint{{Path: "/a"}}, []string{"unknown-user"}
		c.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, password, sent := r.BasicAuth()
			switch {
			case r.URL.Path != "/a":
				http.NotFound(w, r)
			case valid(user, password):
				fmt.Fprint(w, strings.Join(all, " "))
			case sent:
				fmt.Fprint(w, "greeting "+strings.Join(all[:n], " "))
			default:
				w.Header().Set("WWW-Authenticate", "Basic")
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		report, err := probe.Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range report.Rows[0].Attempts {
			if a.Probe == "unknown-user" && a.Verdict != want {
				t.Errorf("%d of 20 words: %s with a similarity of %.2f, want %s", n, a.Verdict, a.Similarity, want)
			}
		}
	}
}
