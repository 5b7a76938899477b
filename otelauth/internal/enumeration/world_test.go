// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package enumeration

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// answer is what one request shows: the answer, and the work that determines its time and the
// load of the server.
type answer struct {
	Status         int
	Header, Body   string
	Hashed         string        // the scheme of the hash, "" for none
	Waited         time.Duration // for queries, on the clock of the bubble
	Queries        int64         // in the request and beside it
	CachedByServer attempt.CacheResult
}

// last is an observer that keeps the result of the last attempt.
type last struct{ res attempt.Result }

func (*last) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

func (l *last) Decide(_ context.Context, _ *attempt.Request, res *attempt.Result) error {
	l.res = *res
	return nil
}

func (*last) End(context.Context, *attempt.Request, *attempt.Result, *attempt.Response) {}

// world is a protected service over one store, with all its defaults.
type world struct {
	t       *testing.T
	handler http.Handler
	last    last
	queries atomic.Int64
	bubble  bool
}

var identityKey = otelauth.IdentityKey{ID: "k1", Secret: []byte(strings.Repeat("K", 32))}

// newWorld returns the world of a synctest bubble.
func newWorld(t *testing.T, open opener) *world {
	t.Helper()
	w := &world{t: t, bubble: true}
	w.serve(open(t, time.Now, queryTime, &w.queries), time.Now)
	return w
}

func (w *world) serve(accounts verify.Accounts, now func() time.Time) {
	w.t.Helper()
	mw, err := otelauth.New(otelauth.Config{
		Accounts: accounts, Now: now, IdentityKey: identityKey, Observers: []attempt.Observer{&w.last},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = mw.Close() })
	w.handler = mw.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

func request(name, pass, from string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://orders.example/", http.NoBody)
	r.RemoteAddr, r.TLS = from+":40000", &tls.ConnectionState{}
	r.SetBasicAuth(name, pass)
	return r
}

// send sends a request and waits until all work is done, except for queries that take longer.
func (w *world) send(name, pass, from string) answer {
	w.last.res = attempt.Result{}
	before, start, rec := w.queries.Load(), time.Now(), httptest.NewRecorder()
	w.handler.ServeHTTP(rec, request(name, pass, from))
	a := answer{Status: rec.Code, Body: rec.Body.String(), Hashed: w.last.res.Hash.Scheme, CachedByServer: w.last.res.Cache}
	if w.bubble {
		a.Waited = time.Since(start)
		synctest.Wait()
	}
	a.Queries = w.queries.Load() - before
	var lines []string
	for name, values := range rec.Header() {
		lines = append(lines, fmt.Sprint(name, values))
	}
	slices.Sort(lines)
	a.Header = strings.Join(lines, "\n")
	return a
}
