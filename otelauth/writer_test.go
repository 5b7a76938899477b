// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// The abilities of a writer, for combination.
type (
	flushes   struct{}
	hijacks   struct{}
	reads     struct{}
	pushes    struct{}
	unwrapped struct{ http.ResponseWriter }
)

func (flushes) Flush()                                       {}
func (hijacks) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrNotSupported }
func (reads) ReadFrom(r io.Reader) (int64, error)            { return io.Copy(io.Discard, r) }
func (pushes) Push(string, *http.PushOptions) error          { return nil }
func (u unwrapped) Unwrap() http.ResponseWriter              { return u.ResponseWriter }

func abilities(w http.ResponseWriter) string {
	_, f := w.(http.Flusher)
	_, h := w.(http.Hijacker)
	_, r := w.(io.ReaderFrom)
	_, p := w.(http.Pusher)
	return fmt.Sprintf("flush %v, hijack %v, read %v, push %v", f, h, r, p)
}

// A handler finds exactly the abilities of the server's writer.
func TestWriterKeepsAbilities(t *testing.T) {
	t.Parallel()
	base := struct{ http.ResponseWriter }{&discard{header: http.Header{}}}
	for _, under := range []http.ResponseWriter{
		base,
		struct {
			http.ResponseWriter
			flushes
		}{base, flushes{}},
		struct {
			http.ResponseWriter
			hijacks
		}{base, hijacks{}},
		struct {
			http.ResponseWriter
			reads
		}{base, reads{}},
		struct {
			http.ResponseWriter
			flushes
			hijacks
		}{base, flushes{}, hijacks{}},
		struct {
			http.ResponseWriter
			flushes
			reads
		}{base, flushes{}, reads{}},
		struct {
			http.ResponseWriter
			hijacks
			reads
		}{base, hijacks{}, reads{}},
		struct {
			http.ResponseWriter
			flushes
			hijacks
			reads
		}{base, flushes{}, hijacks{}, reads{}},
		struct {
			http.ResponseWriter
			flushes
			pushes
		}{base, flushes{}, pushes{}},
	} {
		got := ""
		newService(t, otelauth.Config{}, nil).mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { got = abilities(w) })).
			ServeHTTP(under, request(t, "GET", "/", "alice", "wonderland"))
		if want := abilities(under); got != want {
			t.Errorf("%s became %s", want, got)
		}
	}
}

// The first write of the response records the attempt, once, with its status.
func TestWriterRecords(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		handler func(http.ResponseWriter)
		status  int
	}{
		"header":               {func(w http.ResponseWriter) { w.WriteHeader(201) }, 201},
		"header twice":         {func(w http.ResponseWriter) { w.WriteHeader(202); w.WriteHeader(500) }, 202},
		"body":                 {func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) }, 200},
		"string":               {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "x") }, 200},
		"copy":                 {func(w http.ResponseWriter) { _, _ = io.Copy(w, strings.NewReader("x")) }, 200},
		"flush":                {func(w http.ResponseWriter) { w.(http.Flusher).Flush() }, 200},
		"a controller's flush": {func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }, 200},
		"hints":                {func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(404) }, 404},
		"header, then body":    {func(w http.ResponseWriter) { w.WriteHeader(500); _, _ = w.Write([]byte("x")) }, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorded := make(chan int, 1) // the client gets a 103 before the handler ends
			var s *service
			mux := http.NewServeMux()
			mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
				tc.handler(w)
				recorded <- s.recorded()
			})
			s = newService(t, otelauth.Config{}, mux)
			resp, _ := exchangeRaw(t, "tcp", serverOf(t, s, false).Listener.Addr().String(),
				"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: "+token("alice:wonderland")+"\r\n\r\n")
			if name != "hints" && resp.StatusCode != tc.status {
				t.Errorf("status %d", resp.StatusCode)
			}
			inside := <-recorded
			if got := s.last(t); got.Status != tc.status || inside != 1 || s.recorded() != 1 {
				t.Errorf("recorded %d times, %d before the handler ended, status %d", s.recorded(), inside, got.Status)
			}
		})
	}
}

// serverOf returns a real server that does not log panics.
func serverOf(t *testing.T, s *service, http2 bool) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(s.handler)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	if http2 {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv
}

func get(t *testing.T, srv *httptest.Server, target string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("alice", "wonderland")
	return r
}

// Each chunk is sent when it is flushed, and the handler has the abilities of HTTP/1 and HTTP/2.
func TestStreaming(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		next := make(chan struct{})
		able := ""
		mux := http.NewServeMux()
		mux.HandleFunc("/stream", func(w http.ResponseWriter, _ *http.Request) {
			able = abilities(w)
			for i := range 3 {
				_, _ = fmt.Fprintf(w, "chunk %d\n", i)
				w.(http.Flusher).Flush()
				<-next
			}
		})
		s := newService(t, otelauth.Config{}, mux)
		srv := serverOf(t, s, http2)
		resp, err := srv.Client().Do(get(t, srv, "/stream"))
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
		lines := bufio.NewReader(resp.Body)
		for i := range 3 {
			line, err := lines.ReadString('\n')
			if err != nil || line != fmt.Sprintf("chunk %d\n", i) {
				t.Errorf("%q, %v", line, err)
			}
			next <- struct{}{}
		}
		_ = resp.Body.Close()
		srv.Close()
		want := "flush true, hijack true, read true, push false"
		if http2 {
			want = "flush true, hijack false, read false, push true"
		}
		if able != want || resp.ProtoMajor != map[bool]int{false: 1, true: 2}[http2] {
			t.Errorf("%s: the writer can %s, want %s", resp.Proto, able, want)
		}
		if got := s.last(t); got.Status != 200 || s.recorded() != 1 {
			t.Errorf("recorded %+v", got)
		}
	}
}

func TestWebSocketUpgrade(t *testing.T) {
	t.Parallel()
	for _, controller := range []bool{false, true} {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) {
			var conn net.Conn
			var rw *bufio.ReadWriter
			var err error
			if controller {
				conn, rw, err = http.NewResponseController(w).Hijack()
			} else {
				conn, rw, err = w.(http.Hijacker).Hijack()
			}
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			user, _ := otelauth.UserFromContext(r.Context())
			_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
			_, _ = rw.WriteString("hello " + user.Name + "\n")
			_ = rw.Flush()
			line, _ := rw.ReadString('\n')
			_, _ = rw.WriteString(line)
			_ = rw.Flush()
		})
		s := newService(t, otelauth.Config{}, mux)
		conn, err := net.Dial("tcp", serverOf(t, s, false).Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: "+
			token("alice:wonderland")+"\r\n\r\n")
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != 101 {
			t.Fatalf("%v, %v", resp, err)
		}
		hello, _ := in.ReadString('\n')
		_, _ = io.WriteString(conn, "echo\n")
		echo, _ := in.ReadString('\n')
		_, end := in.ReadByte()
		_ = conn.Close()
		if hello != "hello alice\n" || echo != "echo\n" || end == nil {
			t.Errorf("%q %q %v", hello, echo, end)
		}
		got := s.last(t)
		if got.Status != 0 || got.Outcome != attempt.Success || s.recorded() != 1 {
			t.Errorf("recorded %+v", got)
		}
	}
}

func TestResponseController(t *testing.T) {
	t.Parallel()
	said := make(chan error, 4) // the flush sends the response before the handler ends
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		later := time.Now().Add(time.Hour)
		for _, err := range []error{c.SetReadDeadline(later), c.SetWriteDeadline(later), c.EnableFullDuplex(), c.Flush()} {
			said <- err
		}
	})
	s := newService(t, otelauth.Config{}, mux)
	srv := serverOf(t, s, false)
	resp, err := srv.Client().Do(get(t, srv, "/"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	for range cap(said) {
		if err := <-said; err != nil {
			t.Error(err)
		}
	}
}

// A ResponseController finds no ability that bypasses the writer.
func TestResponseControllerBypassesNothing(t *testing.T) {
	t.Parallel()
	var flushed, hijacked error
	mw := newService(t, otelauth.Config{}, nil).mw
	h := mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		flushed = http.NewResponseController(w).Flush()
		_, _, hijacked = http.NewResponseController(w).Hijack()
	}))
	h.ServeHTTP(unwrapped{httptest.NewRecorder()}, request(t, "GET", "/", "alice", "wonderland"))
	if flushed != nil || !errors.Is(hijacked, http.ErrNotSupported) {
		t.Errorf("flush %v, hijack %v", flushed, hijacked)
	}
}

func TestEarlyHints(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusAccepted)
	})
	s := newService(t, otelauth.Config{}, mux)
	srv := serverOf(t, s, false)
	var hints []int
	r := get(t, srv, "/")
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { hints = append(hints, code); return nil },
	}))
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 202 || len(hints) != 1 || s.last(t).Status != 202 || s.recorded() != 1 {
		t.Errorf("%d after %v, recorded %+v", resp.StatusCode, hints, s.last(t))
	}
}

// A file is sent with sendfile, which needs the ReadFrom of net/http.
func TestReadFrom(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	content := strings.Repeat("0123456789", 100_000)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	s := newService(t, otelauth.Config{}, mux)
	srv := serverOf(t, s, false)
	resp, err := srv.Client().Do(get(t, srv, "/"))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(got) != content || s.last(t).Status != 200 {
		t.Errorf("%d of %d bytes, recorded %+v", len(got), len(content), s.last(t))
	}

	asked := &readsFrom{ResponseWriter: httptest.NewRecorder()}
	s.mw.Wrap(mux).ServeHTTP(asked, request(t, "GET", "/", "alice", "wonderland"))
	if asked.raw != int64(len(content)) {
		t.Errorf("ReadFrom was given %d bytes", asked.raw)
	}
}

type readsFrom struct {
	http.ResponseWriter

	raw int64
}

func (r *readsFrom) ReadFrom(src io.Reader) (n int64, err error) {
	n, err = io.Copy(io.Discard, src)
	r.raw += n
	return n, err
}

// The attempt of a panicking handler is recorded, not as 200, and its spans end. net/http gets the
// panic unchanged.
func TestPanics(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		handler func(http.ResponseWriter)
		status  int
	}{
		"at once":              {func(http.ResponseWriter) { panic("boom") }, 500},
		"abort":                {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, 500},
		"after the header":     {func(w http.ResponseWriter) { w.WriteHeader(202); panic("boom") }, 202},
		"abort after the body": {func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")); panic(http.ErrAbortHandler) }, 200},
		"an invalid status":    {func(w http.ResponseWriter) { w.WriteHeader(0) }, 500},
	} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " http2=", http2), func(t *testing.T) {
				t.Parallel()
				mux := http.NewServeMux()
				mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { tc.handler(w) })
				mux.HandleFunc("/public", func(w http.ResponseWriter, _ *http.Request) { tc.handler(w) })
				s := newService(t, otelauth.Config{Public: []string{"/public"}}, mux)
				srv := serverOf(t, s, http2)
				for _, target := range []string{"/", "/public"} {
					r := get(t, srv, target)
					if target == "/public" {
						r.Header.Del("Authorization")
					}
					resp, err := srv.Client().Do(r)
					if err == nil {
						_, err = io.ReadAll(resp.Body)
						_ = resp.Body.Close()
					}
					if err == nil {
						t.Errorf("%s: the client got a complete answer: %s", target, resp.Status)
					}
				}
				srv.Close()
				got := s.last(t)
				if got.Status != tc.status || got.Outcome != attempt.Success || s.recorded() != 1 {
					t.Errorf("recorded %+v", got)
				}
				if n := len(s.ByTrace(got.TraceID).Spans); n != 3 {
					t.Errorf("%d spans have ended", n)
				}
				for _, p := range s.Metrics() {
					if p.Name == "auth.public.responses" && p.Attributes.Text("http.response.status_code") != fmt.Sprint(tc.status) {
						t.Errorf("the public endpoint is counted as %v", p.Attributes)
					}
				}
				if n := s.Sum("auth.public.responses"); n != 1 {
					t.Errorf("auth.public.responses = %v", n)
				}
			})
		}
	}
}

// The panic keeps its value and its stack.
func TestPanicKeepsItsValue(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer func() {
		if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // the value itself
			t.Errorf("recovered %v", p)
		}
		for _, span := range s.Spans() {
			if span.SpanKind == trace.SpanKindServer {
				return
			}
		}
		t.Error("the server span has not ended")
	}()
	s.do(request(t, "GET", "/", "alice", "wonderland"))
}

// An attempt on a stream without a header and without an end is recorded after five seconds.
func TestEndlessRequestIsRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newService(t, otelauth.Config{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			<-release
			w.WriteHeader(http.StatusForbidden)
		}))
		done := make(chan struct{})
		go func() {
			s.do(request(t, "GET", "/", "alice", "wonderland"))
			close(done)
		}()
		time.Sleep(5*time.Second - time.Millisecond)
		synctest.Wait()
		if n := s.recorded(); n != 0 {
			t.Errorf("%d attempts were recorded too early", n)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got := s.last(t); got.Outcome != attempt.Success || got.UserName != "alice" || got.Status != 0 || s.recorded() != 1 {
			t.Errorf("recorded %d times, %+v", s.recorded(), got)
		}
		close(release)
		<-done
		if n := s.recorded(); n != 1 {
			t.Errorf("recorded %d times", n)
		}
	})
}

// The header and the five seconds may come at the same time, in two goroutines: one of them
// records.
func TestRecordedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const requests = 200
		s := newService(t, otelauth.Config{}, nil)
		// one attempt, and one hash
		s.mw.Authenticate(request(t, "GET", "/", "alice", "wonderland"))
		// the second time with reused timers
		for range 2 {
			var senders sync.WaitGroup
			for range requests {
				senders.Go(func() {
					s.mw.Wrap(slow).ServeHTTP(&discard{header: http.Header{}}, request(t, "GET", "/", "alice", "wonderland"))
				})
			}
			senders.Wait()
			synctest.Wait()
		}
		if n := s.recorded(); n != 2*requests+1 {
			t.Errorf("%d attempts were recorded, want %d", n, 2*requests+1)
		}
	})
}

var slow = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	time.Sleep(5 * time.Second)
	_, _ = w.Write([]byte("x"))
})

// A reused timer records the request that set it, not the previous one.
func TestTimersAreReused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, otelauth.Config{}, nil)
		quick := s.mw.Wrap(http.HandlerFunc(ok))
		for range 3 {
			quick.ServeHTTP(&discard{header: http.Header{}}, request(t, "GET", "/", "alice", "wonderland"))
			time.Sleep(3 * time.Second)
		}
		before := s.recorded()
		start := time.Now()
		go s.mw.Wrap(slow).ServeHTTP(&discard{header: http.Header{}}, request(t, "GET", "/slow", "alice", "wonderland"))
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if n := s.recorded(); n != before {
			t.Errorf("recorded after %v", time.Since(start))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.last(t); got.Path != "/slow" || s.recorded() != before+1 {
			t.Errorf("recorded %+v", got)
		}
	})
}

// CloseNotify is deprecated and still called.
func TestCloseNotify(t *testing.T) {
	t.Parallel()
	gone := make(chan bool, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		gone <- <-w.(http.CloseNotifier).CloseNotify() //nolint:staticcheck // SA1019: what is tested
	})
	s := newService(t, otelauth.Config{}, mux)
	srv := serverOf(t, s, false)
	resp, err := srv.Client().Do(get(t, srv, "/"))
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	_ = resp.Body.Close()
	srv.CloseClientConnections()
	if !<-gone {
		t.Error("not notified")
	}
}
