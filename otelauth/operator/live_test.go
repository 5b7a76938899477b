// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
)

// TestLive follows attempts, an episode, an act and the pulse.
func TestLive(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{Acts: true}, nil)
	c := s.client(operator.ClientConfig{})
	events := make(chan operator.Event, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.Live(ctx, func(e operator.Event) error { events <- e; return nil }) }()
	next := func(name string, into any) {
		t.Helper()
		for {
			e := testkit.Receive(t, name, events)
			if e.Name != name {
				continue
			}
			if err := e.Decode(into); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	var hello operator.Hello
	next(operator.EventHello, &hello)
	if hello.Resumed || hello.Instance == "" {
		t.Errorf("hello is %+v", hello)
	}
	start := time.Now()
	s.login(laptop, "alice", alicePassword)
	var live operator.LiveAttempts
	next(operator.EventAttempts, &live)
	t.Logf("the attempt was visible after %v", time.Since(start))
	if len(live.Attempts) != 1 || live.Attempts[0].Account != "alice" {
		t.Errorf("the attempts are %+v", live)
	}
	s.op.Detection(detect.Detection{Rule: detect.Rules()[0], Episode: 9, Time: s.clock.Now()})
	var episode operator.Episode
	if next(operator.EventEpisode, &episode); episode.ID != "0000000000000009" {
		t.Errorf("the episode is %+v", episode)
	}
	if _, err := c.Act(t.Context(), operator.ActRequest{Verb: operator.VerbClear, Account: "alice", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	var act operator.Act
	if next(operator.EventAct, &act); act.Actor != "carol" || act.Undoable {
		t.Errorf("the act, which had nothing to clear, is %+v", act)
	}
	if _, err := c.Act(t.Context(), operator.ActRequest{Verb: operator.VerbDeny, Account: "alice", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	if next(operator.EventAct, &act); act.Verb != operator.VerbDeny || !act.Undoable {
		t.Errorf("the act is %+v", act)
	}
	var pulse operator.Pulse
	if next(operator.EventPulse, &pulse); pulse.Watchers != 1 || len(pulse.Outcomes) != 6 {
		t.Errorf("the pulse is %+v", pulse)
	}
	_ = s.op.Close()
	var dropped operator.Dropped
	if next(operator.EventDropped, &dropped); dropped.Reason != "shutdown" {
		t.Errorf("the last event is %+v", dropped)
	}
	cancel()
	if err := testkit.Receive(t, "the end", ended); err != nil {
		t.Error(err)
	}
}

// TestLiveFlood counts the attempts that a frame leaves out.
func TestLiveFlood(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{}, nil)
	c := s.client(operator.ClientConfig{})
	const guesses = 5000
	var seen, skipped uint64
	stop := errors.New("stop")
	err := c.Live(t.Context(), func(e operator.Event) error {
		switch e.Name {
		case operator.EventHello:
			ctx, req, res := guess("mallory")
			for range guesses {
				s.op.End(ctx, req, res, &attempt.Response{Status: 401})
			}
		case operator.EventAttempts:
			var live operator.LiveAttempts
			if err := e.Decode(&live); err != nil {
				return err
			}
			seen += uint64(len(live.Attempts))
			skipped += live.Skipped["failure"]
		}
		if seen+skipped >= guesses {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || seen+skipped != guesses || seen == 0 || seen > 100 {
		t.Errorf("%v: %d seen and %d skipped of %d", err, seen, skipped, guesses)
	}
}

// watch opens a live view and returns its events as they arrive.
func watch(t testing.TB, url, lastID string) (*bufio.Reader, *http.Response) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return bufio.NewReader(resp.Body), resp
}

// until reads lines up to one with the prefix, and returns it without.
func until(t testing.TB, r *bufio.Reader, prefix string) string {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("no line %q: %v", prefix, err)
		}
		if text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), prefix); ok {
			return text
		}
	}
}

func serve(t testing.TB, o *operator.Operator) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.ServeHTTP(w, r.WithContext(operator.WithActor(r.Context(), "carol")))
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { _ = o.Close() })
	return srv.URL
}

// TestLiveResumes continues after the last event, and says so when it cannot.
func TestLiveResumes(t *testing.T) {
	t.Parallel()
	o := newOperator(t, operator.Config{})
	url := serve(t, o)
	first, resp := watch(t, url, "")
	o.Detection(detect.Detection{Rule: detect.Rules()[0], Episode: 1})
	id := until(t, first, "id: ")
	_ = resp.Body.Close()
	o.Detection(detect.Detection{Rule: detect.Rules()[0], Episode: 2})
	again, _ := watch(t, url, id)
	if hello := until(t, again, "data: "); !strings.Contains(hello, `"resumed":true`) {
		t.Errorf("hello is %s", hello)
	}
	for {
		until(t, again, "event: episode")
		if strings.Contains(until(t, again, "data: "), `"0000000000000002"`) {
			break
		}
	}
	for _, stale := range []string{"0123456789abcdef-1", "nonsense", id + "9999", "-"} {
		other, _ := watch(t, url, stale)
		if hello := until(t, other, "data: "); !strings.Contains(hello, `"resumed":false`) {
			t.Errorf("after %q, hello is %s", stale, hello)
		}
	}
}

// TestLiveDropsSlowWatchers fills the log while a watcher does not read.
func TestLiveDropsSlowWatchers(t *testing.T) {
	t.Parallel()
	o := newOperator(t, operator.Config{})
	w := &gated{header: http.Header{}, open: make(chan struct{}), begun: make(chan struct{})}
	r := httptest.NewRequestWithContext(operator.WithActor(t.Context(), "carol"), http.MethodGet, "/v1/live", nil)
	ended := make(chan struct{})
	go func() { defer close(ended); o.ServeHTTP(w, r) }()
	testkit.Receive(t, "the first write", w.begun)
	for i := range uint64(2000) {
		o.Detection(detect.Detection{Rule: detect.Rules()[0], Episode: i})
	}
	close(w.open)
	testkit.Receive(t, "the end of the slow watcher", ended)
	if text := w.text(); !strings.HasSuffix(text, "\n\n") || !strings.Contains(text, `event: dropped`+"\n"+`data: {"reason":"slow"`) {
		t.Errorf("the slow watcher got %d bytes that end with %q", len(text), text[max(len(text)-200, 0):])
	}
}

// gated is a writer whose writes wait until it is open.
type gated struct {
	header http.Header
	open   chan struct{}
	begun  chan struct{}
	once   sync.Once
	mu     sync.Mutex
	all    strings.Builder
}

func (g *gated) Header() http.Header { return g.header }
func (g *gated) WriteHeader(int)     {}
func (g *gated) Flush()              {}

func (g *gated) Write(b []byte) (int, error) {
	g.once.Do(func() { close(g.begun) })
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.all.Write(b)
}

func (g *gated) text() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.all.String()
}

// TestLiveIsBounded refuses more watchers than configured.
func TestLiveIsBounded(t *testing.T) {
	t.Parallel()
	o := newOperator(t, operator.Config{Watchers: 1})
	url := serve(t, o)
	first, _ := watch(t, url, "")
	until(t, first, "event: hello")
	_, resp := watch(t, url, "")
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), operator.CodeTooManyWatchers) {
		t.Errorf("the second watcher got %v %d %s", err, resp.StatusCode, body)
	}
}

// BenchmarkLive measures one event for 1,000 watchers: encoded once, and written to each.
func BenchmarkLive(b *testing.B) {
	for _, watchers := range []int{1, 1000} {
		b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) {
			o := newOperator(b, operator.Config{})
			var received atomic.Int64
			ctx, cancel := context.WithCancel(operator.WithActor(b.Context(), "carol"))
			var all sync.WaitGroup
			for range watchers {
				r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/live", nil)
				all.Go(func() { o.ServeHTTP(&counting{header: http.Header{}, episodes: &received}, r) })
			}
			d := detect.Detection{Rule: detect.Rules()[0], Accounts: []string{"alice"}}
			testkit.Eventually(b, "all watchers", func() bool {
				before := received.Load()
				o.Detection(d)
				testkit.Eventually(b, "an event", func() bool { return received.Load() > before })
				time.Sleep(20 * time.Millisecond) // lets the others receive it
				return received.Load()-before >= int64(watchers)
			})
			received.Store(0)
			sent := int64(0)
			b.ResetTimer()
			for b.Loop() {
				o.Detection(d)
				sent++
				for received.Load() < sent*int64(watchers) {
					time.Sleep(50 * time.Microsecond) // waits without load
				}
			}
			b.StopTimer()
			cancel()
			all.Wait()
		})
	}
}

// counting counts the episodes that are written.
type counting struct {
	header   http.Header
	episodes *atomic.Int64
}

func (c *counting) Header() http.Header { return c.header }
func (c *counting) WriteHeader(int)     {}
func (c *counting) Flush()              {}

func (c *counting) Write(b []byte) (int, error) {
	c.episodes.Add(int64(strings.Count(string(b), "event: episode")))
	return len(b), nil
}

// TestSocket serves on a unix socket that only this user can open, and knows who calls.
func TestSocket(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{Acts: true}, nil)
	path := t.TempDir() + "/operator.sock"
	l, err := operator.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- operator.Serve(ctx, l, s.op) }()
	if mode := modeOf(t, path); mode != 0o600 {
		t.Errorf("the socket has the mode %o", mode)
	}
	if _, err := operator.Listen(path); err == nil || !strings.Contains(err.Error(), "another process listens there") {
		t.Errorf("a second listener: %v", err)
	}
	c, err := operator.NewClient(operator.ClientConfig{Address: "unix:" + path})
	if err != nil {
		t.Fatal(err)
	}
	st, err := c.Status(t.Context())
	if err != nil || !strings.HasPrefix(st.Actor, "local:") || st.Actor == "local:unknown" {
		t.Errorf("the actor is %v %q", err, st.Actor)
	}
	cancel()
	if err := testkit.Receive(t, "the end", ended); err != nil {
		t.Error(err)
	}
	if _, err := c.Status(t.Context()); !errors.Is(err, operator.ErrUnreachable) || !strings.Contains(err.Error(), "no gateway listens there") {
		t.Errorf("after the end: %v", err)
	}
	left, err := net.Listen("unix", path) // what a process leaves behind that was killed
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = left.Close()
	again, err := operator.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}
