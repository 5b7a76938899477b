// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
)

// dialLive opens a live view on a connection of its own, without chunks, and reads the first event.
func dialLive(t testing.TB, url, lastID string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "GET /v1/live HTTP/1.0\r\nHost: localhost\r\nLast-Event-ID: %s\r\n\r\n", lastID)
	r := bufio.NewReaderSize(conn, 4096)
	until(t, r, "event: hello")
	return conn, r
}

// count adds the episodes that arrive to received, until the connection ends.
func count(r *bufio.Reader, received *atomic.Int64) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if string(line) == "event: episode\n" {
			received.Add(1)
		}
	}
}

// TestThousandWatchers measures what one event costs 1,000 watchers with real connections. The
// time contains the readers, which are in the same process:
//
//	go test -tags long ./otelauth/operator -run TestThousandWatchers -v
func TestThousandWatchers(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	const watchers, events = 1000, 60
	o := newOperator(t, operator.Config{})
	url := serve(t, o)
	t.Cleanup(func() { _ = o.Close() }) // before the server waits for the live views
	var received atomic.Int64
	var all sync.WaitGroup
	for range watchers {
		_, r := dialLive(t, url, "")
		all.Go(func() { count(r, &received) })
	}
	d := detect.Detection{Rule: detect.Rules()[0], Accounts: []string{"alice"}}
	before := testkit.CPUTime(t)
	for i := range int64(events) {
		o.Detection(d)
		testkit.Eventually(t, "the event at every watcher", func() bool { return received.Load() >= (i+1)*watchers })
	}
	took := testkit.CPUTime(t) - before
	t.Logf("CPU time of one event for %d watchers, both ends: %v; %v for each", watchers, took/events, took/events/watchers)
	_ = o.Close()
	all.Wait()
}

// TestSlowSocket has a watcher that does not read while events arrive. It gets the reason, and
// reconnects; the other watcher misses nothing.
func TestSlowSocket(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	o := newOperator(t, operator.Config{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.ServeHTTP(w, r.WithContext(operator.WithActor(r.Context(), "carol")))
	}))
	var first sync.Once
	srv.Config.ConnState = func(c net.Conn, _ http.ConnState) {
		first.Do(func() { // so that little waits in the socket of the slow one
			_ = c.(*net.TCPConn).SetWriteBuffer(4096)
		})
	}
	srv.Start()
	t.Cleanup(srv.Close)
	t.Cleanup(func() { _ = o.Close() })
	conn, slow := dialLive(t, srv.URL, "")
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	_, fast := dialLive(t, srv.URL, "")
	var received atomic.Int64
	go count(fast, &received)
	for i := range int64(2000) {
		o.Detection(detect.Detection{Rule: detect.Rules()[0], Episode: uint64(i)})
		testkit.Eventually(t, "the events at the fast watcher", func() bool { return received.Load() > i-100 })
	}
	testkit.Eventually(t, "all events at the fast watcher", func() bool { return received.Load() == 2000 })
	text, err := io.ReadAll(slow)
	if err != nil {
		t.Fatal(err)
	}
	body := string(text)
	if !strings.Contains(body, "event: dropped\n") || !strings.Contains(body, "Read the lists again") {
		t.Errorf("the slow watcher got %d bytes that end with %q", len(body), body[max(len(body)-200, 0):])
	}
	id := body[strings.LastIndex(body, "\nid: ")+len("\nid: "):]
	id, _, _ = strings.Cut(id, "\n")
	_, again := dialLive(t, srv.URL, id)
	if hello := until(t, again, "data: "); !strings.Contains(hello, `"resumed":false`) {
		t.Errorf("after the reconnect: %s", hello)
	}
}
