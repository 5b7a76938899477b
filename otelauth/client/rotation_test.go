// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otelauth/otelauth-go/otelauth/client"
	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// rotating is a server whose password changes, and a Source that returns the new one late.
type rotating struct {
	mu       sync.Mutex
	right    string
	known    []string // the results of the Source in order; the last one repeats
	asked    int
	failAt   int // the call that fails; 0 for none
	rejected string
}

func (r *rotating) source(context.Context) (string, credential.Secret, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.asked == r.failAt {
		return "", credential.Secret{}, errors.New("vault is sealed")
	}
	return name, credential.NewSecret(r.known[min(r.asked, len(r.known))-1]), nil
}

func (r *rotating) answer(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, p, _ := req.BasicAuth(); p != r.right {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, r.rejected)
	}
}

func TestRetryAfterRotation(t *testing.T) {
	t.Parallel()
	type body = func() io.Reader
	replayable := func() io.Reader { return strings.NewReader("order") }
	stream := func() io.Reader { return io.MultiReader(strings.NewReader("order")) }
	none := func() io.Reader { return nil }
	for what, tt := range map[string]struct {
		known    []string
		failAt   int
		rejected string
		body     body
		status   int
		tries    []string // user-pass and body of each
	}{
		"changed, no body":          {[]string{"old", "new"}, 0, "no", none, 200, []string{"alice:old|", "alice:new|"}},
		"changed, replayable":       {[]string{"old", "new"}, 0, "no", replayable, 200, []string{"alice:old|order", "alice:new|order"}},
		"changed, long answer":      {[]string{"old", "new"}, 0, strings.Repeat("no", 1<<16), replayable, 200, []string{"alice:old|order", "alice:new|order"}},
		"changed, a stream":         {[]string{"old", "new"}, 0, "no", stream, 401, []string{"alice:old|order"}},
		"unchanged":                 {[]string{"old"}, 0, "no", replayable, 401, []string{"alice:old|order"}},
		"changed and wrong again":   {[]string{"old", "older", "new"}, 0, "no", none, 401, []string{"alice:old|", "alice:older|"}},
		"source fails after a 401":  {[]string{"old", "new"}, 2, "no", none, 401, []string{"alice:old|"}},
		"unusable after a 401":      {[]string{"old", "new\n"}, 0, "no", none, 401, []string{"alice:old|"}},
		"right from the beginning":  {[]string{"new"}, 0, "no", replayable, 200, []string{"alice:new|order"}},
		"nothing to read in answer": {[]string{"old", "new"}, 0, "", none, 200, []string{"alice:old|", "alice:new|"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := &rotating{right: "new", known: tt.known, failAt: tt.failAt, rejected: tt.rejected}
			s := newServer(t, false, r.answer)
			rec := tracetest.NewSpanRecorder()
			tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec))
			tr := newTransport(t, client.Config{Origins: []string{s.URL}, Source: r.source, TracerProvider: tp})
			resp, err := (&http.Client{Transport: tr}).Do(request(t, http.MethodPost, s.URL, tt.body()))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || (tt.status == 401 && string(answer) != tt.rejected) {
				t.Errorf("the response body is incomplete: %q, %v", answer, err)
			}
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			var tries []string
			for _, q := range s.reqs {
				tries = append(tries, q.Auth+"|"+q.Body)
			}
			if diff := cmp.Diff(tt.tries, tries); diff != "" {
				t.Errorf("tries (-want +got):\n%s", diff)
			}
			want := map[string]string{}
			if len(tt.tries) == 2 {
				want["http.request.resend_count"] = "1"
			}
			if tt.status == 401 {
				want["auth.outcome"] = "failure"
			}
			got := attributes(rec.Ended()[0].Attributes(), "auth.outcome", "http.request.resend_count")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("span (-want +got):\n%s", diff)
			}
		})
	}
}

// replace writes a new file and renames it, as tools for secret rotation do.
func replace(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestFileIsReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders")
	replace(t, path, "alice:one\n")
	var reported []string
	s := newServer(t, false, nil)
	tr := newTransport(t, client.Config{Origins: []string{s.URL}, File: path, OnReload: func(err error) { reported = append(reported, fmt.Sprint(err)) }})

	get(t, tr, s.URL)
	replace(t, path, "alice:two:with colon\r\n")
	get(t, tr, s.URL)
	replace(t, path, "no colon "+password)
	get(t, tr, s.URL)
	get(t, tr, s.URL)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	get(t, tr, s.URL)
	get(t, tr, s.URL)
	replace(t, path, "alice:two:with colon")
	get(t, tr, s.URL)
	replace(t, path, "bob:three")
	get(t, tr, s.URL)

	two := "alice:two:with colon"
	if diff := cmp.Diff([]string{"alice:one", two, two, two, two, two, two, "bob:three"}, s.auths()); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	want := []string{
		"<nil>",
		"otelauth/client: " + path + `: no colon; write one line "name:password"`,
		"otelauth/client: open " + path + ": no such file or directory",
		"<nil>",
		"<nil>",
	}
	if diff := cmp.Diff(want, reported); diff != "" {
		t.Errorf("OnReload (-want +got):\n%s", diff)
	}
}

// A rewrite that changes neither size nor times is found after the 401.
func TestFileIsReadAgainAfter401(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders")
	if err := os.WriteFile(path, []byte("alice:old"), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &rotating{right: "new"}
	s := newServer(t, false, r.answer)
	tr := newTransport(t, client.Config{Origins: []string{s.URL}, File: path})
	if err := os.WriteFile(path, []byte("alice:new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if resp := get(t, tr, s.URL); resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
	if diff := cmp.Diff([]string{"alice:old", "alice:new"}, s.auths()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Each 401 forces a read; a lasting problem is reported once.
func TestBrokenFileIsReportedOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders")
	replace(t, path, "alice:old")
	s := newServer(t, false, (&rotating{right: "new"}).answer)
	var reported []error
	tr := newTransport(t, client.Config{Origins: []string{s.URL}, File: path, OnReload: func(err error) { reported = append(reported, err) }})
	replace(t, path, "alice")
	for range 3 {
		get(t, tr, s.URL)
	}
	if len(reported) != 1 || reported[0] == nil {
		t.Errorf("OnReload was called with %v, want one error", reported)
	}
}

// A refused response that is not closed keeps its connection forever.
func TestRefusedResponseIsClosed(t *testing.T) {
	t.Parallel()
	var bodies []*closeCounter
	r := &rotating{known: []string{"old", "new"}}
	tr := newTransport(t, client.Config{
		Origins: []string{"https://orders.example"}, Source: r.source,
		Base: roundTripper(func(*http.Request) (*http.Response, error) {
			bodies = append(bodies, &closeCounter{Reader: strings.NewReader("no")})
			return &http.Response{StatusCode: 401, Body: bodies[len(bodies)-1], ContentLength: 2}, nil
		}),
	})
	resp, err := tr.RoundTrip(request(t, http.MethodGet, "https://orders.example", nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 2 || bodies[0].closed.Load() != 1 || bodies[1].closed.Load() != 0 {
		t.Errorf("%d responses; the first must be closed, the second is the caller's", len(bodies))
	}
	_ = resp.Body.Close()
}

// kubernetes mounts a Secret as the kubelet does: the files are links into ..data, a link that
// changes to a new directory.
type kubernetes struct {
	dir string
	n   int
}

func (k *kubernetes) flip(t testing.TB, username, password string) {
	t.Helper()
	k.n++
	version := fmt.Sprintf("..%d", k.n)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(k.dir, version), 0o700))
	must(os.WriteFile(filepath.Join(k.dir, version, "username"), []byte(username), 0o600))
	must(os.WriteFile(filepath.Join(k.dir, version, "password"), []byte(password), 0o600))
	must(os.Symlink(version, filepath.Join(k.dir, "..tmp")))
	must(os.Rename(filepath.Join(k.dir, "..tmp"), filepath.Join(k.dir, "..data")))
	if k.n == 1 {
		must(os.Symlink("..data/username", filepath.Join(k.dir, "username")))
		must(os.Symlink("..data/password", filepath.Join(k.dir, "password")))
		return
	}
	must(os.RemoveAll(filepath.Join(k.dir, fmt.Sprintf("..%d", k.n-1))))
}

func TestDirectoryFlipsUnderLoad(t *testing.T) {
	t.Parallel()
	const flips = 100
	k := &kubernetes{dir: t.TempDir()}
	k.flip(t, "user-0", "pass-0")
	var mu sync.Mutex
	pairs := make(map[string]bool)
	tr := newTransport(t, client.Config{
		Origins: []string{"https://orders.example"}, Directory: k.dir, Uninstrumented: true,
		Base: roundTripper(func(r *http.Request) (*http.Response, error) {
			n, p, _ := r.BasicAuth()
			mu.Lock()
			defer mu.Unlock()
			pairs[n+" "+p] = true
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		}),
	})
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 2 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					get(t, tr, "https://orders.example")
				}
			}
		})
	}
	for i := 1; i <= flips; i++ {
		k.flip(t, fmt.Sprintf("user-%d", i), fmt.Sprintf("pass-%d", i))
	}
	close(stop)
	load.Wait()
	get(t, tr, "https://orders.example")
	for pair := range pairs {
		n, p, _ := strings.Cut(pair, " ")
		if strings.TrimPrefix(n, "user-") != strings.TrimPrefix(p, "pass-") {
			t.Errorf("the name of one rotation with the password of another: %s", pair)
		}
	}
	if last := fmt.Sprintf("user-%d pass-%d", flips, flips); !pairs[last] {
		t.Errorf("%s was never sent", last)
	}
}
