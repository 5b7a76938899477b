// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/internal/postgrestest"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// ttl is Config.TTL in these tests. It bounds Config.Timeout, which is generous because the
// machine may be busy.
const ttl = time.Minute

// site is a PostgreSQL database with alice and bob, a store over it and an Engine.
type site struct {
	server     *postgrestest.Server
	schemaName string
	clock      *ticker
	store      *Store
	engine     *verify.Engine
	reports    <-chan verify.Reload
}

func newSite(t testing.TB, server *postgrestest.Server, change func(*Config)) *site {
	t.Helper()
	schemaName, db := server.Schema(t)
	b := backend{placeholder: "$1"}
	exec(t, db, schema)
	b.insert(t, db, "alice", bcryptHash)
	b.insert(t, db, "bob", bcryptHash)
	x := &site{server: server, schemaName: schemaName, clock: new(ticker)}
	cfg := b.config(db)
	cfg.Now = x.clock.Now
	if change != nil {
		change(&cfg)
	}
	x.store = open(t, cfg)
	x.reports = reports(t, x.store)
	var err error
	if x.engine, err = verify.New(verify.Config{Accounts: x.store, Now: x.clock.Now, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *site) try(t *testing.T, name, pass string) (attempt.Outcome, attempt.ErrorType) {
	t.Helper()
	res := x.verify(t, name, pass)
	return res.Outcome, res.ErrorType
}

func (x *site) verify(t testing.TB, name, pass string) attempt.Result {
	t.Helper()
	field, defect := credential.Split(http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+pass))}}, 0)
	if defect != credential.NoDefect {
		t.Fatal(defect)
	}
	var res attempt.Result
	a := x.engine.Verify(t.Context(), x.clock.Now(), field, netip.MustParsePrefix("192.0.2.1/32"), &res)
	if (a != nil) != (res.Outcome == attempt.Success) {
		t.Errorf("%s: account %v with outcome %v", name, a, res.Outcome)
	}
	if res.Err != nil && (strings.Contains(res.Err.Error(), name) || strings.Contains(res.Err.Error(), pass)) {
		t.Errorf("the error holds the name or the password: %v", res.Err)
	}
	return res
}

func (x *site) want(t *testing.T, when, name, pass string, outcome attempt.Outcome, errorType attempt.ErrorType) {
	t.Helper()
	if o, e := x.try(t, name, pass); o != outcome || e != errorType {
		t.Errorf("%s, %s with %q: %v %v, want %v %v", when, name, pass, o, e, outcome, errorType)
	}
}

func (x *site) unavailable(t *testing.T, when, name, pass string) {
	t.Helper()
	x.want(t, when, name, pass, attempt.Error, attempt.AccountsUnavailable)
}

// outage is a way to lose the database.
type outage struct {
	name        string
	begin, mend func(testing.TB, *site)
	staleFor    time.Duration // Config.StaleIfDown
	servedFor   time.Duration // the time for which a verified account is served
	timeout     time.Duration // Config.Timeout; 0: the default of these tests
}

// TestOutage is a whole outage. Verified credentials are accepted for StaleIfDown and nothing
// else is. Its start and end are reported once.
func TestOutage(t *testing.T) {
	t.Parallel()
	kill := func(_ testing.TB, x *site) { x.server.Kill() }
	restart := func(t testing.TB, x *site) {
		t.Helper()
		x.server.Restart(t)
	}
	for _, c := range []outage{
		{"killed", kill, restart, 0, defaultStaleIfDown, 0},
		{"killed, failing closed", kill, restart, FailClosed, ttl, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t)
		})
	}
}

func (c outage) test(t *testing.T) {
	t.Helper()
	x := newSite(t, postgrestest.Start(t), func(cfg *Config) {
		cfg.StaleIfDown = c.staleFor
		if c.timeout != 0 {
			cfg.Timeout = c.timeout
		}
	})
	x.want(t, "before", "alice", "wonderland", attempt.Success, attempt.NoError)
	x.want(t, "before", "alice", "wrong-one", attempt.Failure, attempt.InvalidCredentials)
	x.want(t, "before", "nobody", "wonderland", attempt.Failure, attempt.InvalidCredentials)
	c.begin(t, x)

	x.clock.Advance(ttl - 1)
	x.want(t, "within TTL", "alice", "wonderland", attempt.Success, attempt.NoError)
	x.clock.Advance(1)
	if c.staleFor == FailClosed {
		x.unavailable(t, "after TTL", "alice", "wonderland")
	} else {
		x.want(t, "after TTL", "alice", "wonderland", attempt.Success, attempt.NoError)
	}
	x.unavailable(t, "after TTL", "bob", "wonderland") // right, but not verified before
	if r := next(t, x.reports); r.Err == nil || !errors.Is(r.Err, ErrDown) || r.Accounts != 2 {
		t.Errorf("report: %+v", r)
	}
	// Now accounts and unknown names get the same answer.
	x.unavailable(t, "down", "alice", "wrong-one")
	x.unavailable(t, "down", "alice", "another")
	x.unavailable(t, "down", "nobody", "wonderland")
	x.unavailable(t, "down", "mallory", "wonderland")
	if c.staleFor != FailClosed {
		x.clock.Advance(c.servedFor - ttl - 1)
		x.want(t, "just before StaleIfDown", "alice", "wonderland", attempt.Success, attempt.NoError)
		x.clock.Advance(1)
	}
	x.unavailable(t, "after StaleIfDown", "alice", "wonderland")

	c.mend(t, x)
	if r := next(t, x.reports); r.Err != nil {
		t.Errorf("report: %v, want the end of the outage", r.Err)
	}
	x.want(t, "repaired", "alice", "wonderland", attempt.Success, attempt.NoError)
	x.want(t, "repaired", "bob", "wonderland", attempt.Success, attempt.NoError)
	x.want(t, "repaired", "alice", "wrong-one", attempt.Failure, attempt.InvalidCredentials)
	select {
	case r := <-x.reports:
		t.Errorf("another report: %+v", r)
	default:
	}
}

// TestRevokedDuringAnOutage: a verified credential that is revoked during the outage is refused
// after it.
func TestRevokedDuringAnOutage(t *testing.T) {
	t.Parallel()
	x := newSite(t, postgrestest.Start(t), nil)
	x.want(t, "before", "alice", "wonderland", attempt.Success, attempt.NoError)
	exec(t, x.store.cfg.DB, "UPDATE users SET locked = TRUE WHERE login = 'alice'")
	x.server.Kill()
	x.clock.Advance(ttl)
	x.want(t, "down", "alice", "wonderland", attempt.Success, attempt.NoError)
	next(t, x.reports)
	x.server.Restart(t)
	next(t, x.reports)
	x.want(t, "up again", "alice", "wonderland", attempt.Failure, attempt.InvalidCredentials)
}

// TestDroppedConnections: a connection that the server terminates, as an administrator or a
// failover does, is replaced without a report.
func TestDroppedConnections(t *testing.T) {
	t.Parallel()
	x := newSite(t, postgrestest.Shared(t), nil)
	// Not the store's own pool, or this connection would be terminated too.
	_, admin := x.server.Schema(t)
	for i := range 5 {
		x.want(t, "between", "alice", "wonderland", attempt.Success, attempt.NoError)
		x.clock.Advance(ttl)
		var dropped int
		if err := admin.QueryRowContext(t.Context(), "SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity WHERE application_name = $1", x.schemaName).Scan(&dropped); err != nil {
			t.Fatal(err)
		}
		if i == 0 && dropped == 0 {
			t.Fatal("no connection was dropped")
		}
	}
	x.want(t, "in the end", "alice", "wonderland", attempt.Success, attempt.NoError)
	select {
	case r := <-x.reports:
		t.Errorf("report: %+v", r)
	default:
	}
}

// TestOutageOverHTTP checks the HTTP answers of an outage, its event and its metric.
func TestOutageOverHTTP(t *testing.T) {
	t.Parallel()
	x := newSite(t, postgrestest.Start(t), nil)
	rec := otelauthtest.NewRecorder(t)
	mw, err := otelauth.New(otelauth.Config{
		Accounts: x.store, Now: x.clock.Now,
		TracerProvider: rec.TracerProvider(), MeterProvider: rec.MeterProvider(), LoggerProvider: rec.LoggerProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := mw.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	status := func(name, pass string) int {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = "127.0.0.1:4711"
		r.SetBasicAuth(name, pass)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if got := status("alice", "wonderland"); got != http.StatusOK {
		t.Fatalf("before: %d", got)
	}
	x.server.Kill()
	x.clock.Advance(ttl)
	for range 3 {
		if got := status("alice", "wonderland"); got != http.StatusOK {
			t.Errorf("down, verified before: %d", got)
		}
		if got := status("bob", "wonderland"); got != http.StatusServiceUnavailable {
			t.Errorf("down, not verified before: %d", got)
		}
	}
	next(t, x.reports)
	x.server.Restart(t)
	next(t, x.reports)
	if got := status("bob", "wonderland"); got != http.StatusOK {
		t.Errorf("up again: %d", got)
	}
	if err := mw.Close(); err != nil {
		t.Fatal(err)
	}
	down, up := 0, 0
	for _, e := range rec.Events() {
		if e.Name() != string(attempt.AccountReload) {
			continue
		}
		if e.Record.Severity() == log.SeverityError {
			down++
		} else {
			up++
		}
	}
	if down != 1 || up != 1 {
		t.Errorf("%d events of the outage and %d of its end, want one each", down, up)
	}
	if all, failed := rec.Sum("auth.account.reloads"), rec.Sum("auth.account.reloads", attribute.String("error.type", attempt.AccountsUnavailable.String())); all != 2 || failed != 1 {
		t.Errorf("auth.account.reloads = %v, with error.type %v; want 2 and 1", all, failed)
	}
	unavailable := 0
	for _, a := range rec.Attempts() {
		if a.ErrorType == attempt.AccountsUnavailable && a.Status == http.StatusServiceUnavailable {
			unavailable++
		}
	}
	if unavailable != 3 {
		t.Errorf("%d attempts are recorded as accounts_unavailable with 503, want 3", unavailable)
	}
}

// slow makes names that begin with "slow" wait in the database until the test releases them: they
// read a table that the test has locked.
const slow = `CREATE TABLE gate (open integer); INSERT INTO gate VALUES (1);
CREATE FUNCTION passes(name text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN IF name LIKE ''slow%'' THEN PERFORM open FROM gate@ END IF@ RETURN true@ END'`

func slowStore(t *testing.T) (s *Store, waiting func() int, letGo func()) {
	t.Helper()
	server := postgrestest.Shared(t)
	b := backend{placeholder: "$1"}
	name, db := server.Schema(t)
	exec(t, db, schema)
	for statement := range strings.SplitSeq(slow, ";") {
		if _, err := db.ExecContext(t.Context(), strings.ReplaceAll(statement, "@", ";")); err != nil {
			t.Fatal(err)
		}
	}
	b.insert(t, db, "alice", bcryptHash)
	b.insert(t, db, "slow alice", bcryptHash)
	cfg := b.config(db)
	// Evaluated for every row.
	cfg.Query = strings.Replace(cfg.Query, "= $1", "= CASE WHEN passes($1) THEN $1 END", 1)
	s = open(t, cfg)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE gate IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	_, watcher := server.Schema(t)
	waiting = func() (n int) {
		err := watcher.QueryRowContext(t.Context(),
			"SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'", name).Scan(&n)
		if err != nil {
			t.Error(err)
		}
		return n
	}
	return s, waiting, func() { _ = tx.Rollback() }
}

// TestOneQueryForOneName asks the database how many queries wait in it.
func TestOneQueryForOneName(t *testing.T) {
	t.Parallel()
	s, waiting, letGo := slowStore(t)
	const callers = 50
	var all sync.WaitGroup
	arrived := make(chan struct{}, callers)
	found := make(chan *verify.Account, callers)
	for range callers {
		all.Go(func() {
			arrived <- struct{}{}
			a, err := s.Lookup(t.Context(), "slow alice")
			if err != nil {
				t.Error(err)
			}
			found <- a
		})
	}
	for range callers {
		<-arrived
	}
	eventually(t, "a query waits", func() bool { return waiting() > 0 })
	if n := waiting(); n != 1 {
		t.Errorf("%d queries wait for one name", n)
	}
	// A caller that leaves does not end the query of the others.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a, err := s.Lookup(ctx, "slow alice"); a != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that left got %v, %v", a, err)
	}
	letGo()
	all.Wait()
	close(found)
	first := <-found
	for a := range found {
		if a == nil || a != first {
			t.Fatalf("two callers got %p and %p", first, a)
		}
	}
}

// TestStrangersDoNotDelayVerifiedCredentials: names of strangers fill the strangers' lane only.
func TestStrangersDoNotDelayVerifiedCredentials(t *testing.T) {
	t.Parallel()
	s, waiting, letGo := slowStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			if a, _ := s.Lookup(ctx, fmt.Sprint("slow nobody ", i)); a != nil {
				t.Error("an unknown name is an account")
			}
		})
	}
	eventually(t, "the strangers' lane is full", func() bool { return waiting() == DefaultMaxQueries })
	if a, err := s.Recall(t.Context(), "alice"); a == nil || err != nil {
		t.Errorf("Recall = %v, %v", a, err)
	}
	if n := waiting(); n != DefaultMaxQueries {
		t.Errorf("%d queries of strangers run, want %d", n, DefaultMaxQueries)
	}
	letGo()
	cancel()
	all.Wait()
}

// TestTooManyNames: names beyond the limit are refused at once, and the waiting ones are bounded.
func TestTooManyNames(t *testing.T) {
	t.Parallel()
	s, waiting, letGo := slowStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	for i := range maxFlights {
		all.Go(func() { _, _ = s.Lookup(ctx, fmt.Sprint("slow nobody ", i)) })
	}
	eventually(t, "all places are taken", func() bool {
		s.flightsMu.Lock()
		defer s.flightsMu.Unlock()
		return len(s.flights[strangers]) == maxFlights
	})
	gone, leave := context.WithCancel(t.Context())
	leave() // a caller that would wait leaves at once
	if _, err := s.Lookup(gone, "one more"); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v, want ErrBusy", err)
	}
	if n := waiting(); n > DefaultMaxQueries {
		t.Errorf("%d queries run, want at most %d", n, DefaultMaxQueries)
	}
	cancel()
	letGo()
	all.Wait()
}

// TestAnErrorOfOneName: a name that the database refuses is not an outage for other names. It is
// not in the error, because people type passwords into the name field and databases quote them.
func TestAnErrorOfOneName(t *testing.T) {
	t.Parallel()
	x := newSite(t, postgrestest.Shared(t), func(cfg *Config) {
		cfg.Query = strings.Replace(cfg.Query, "= $1", "= CASE WHEN $1 LIKE 'canary%' THEN CAST(CAST($1 AS integer) AS text) ELSE $1 END", 1)
	})
	_, err := x.store.Lookup(t.Context(), "canary-of-a-name")
	if !errors.Is(err, ErrDown) || !strings.Contains(err.Error(), "integer") || !strings.Contains(err.Error(), credential.Redacted) {
		t.Errorf("Lookup = %v; want an error of the database with the name redacted", err)
	}
	x.unavailable(t, "a name that the database refuses", "canary-of-a-name", "canary-of-a-password")
	x.want(t, "another", "alice", "wonderland", attempt.Success, attempt.NoError)
	eventually(t, "the suspicion is cleared", func() bool { return len(x.store.suspicions) == 0 })
	if err := x.store.probe(time.Minute); err != nil {
		t.Error(err)
	}
	select {
	case r := <-x.reports:
		t.Errorf("report: %v", r.Err)
	default:
	}
}

// TestNoPasswordCostsTheSame: a guess at an account without a password costs the same as at any
// other name, and is refused alike.
func TestNoPasswordCostsTheSame(t *testing.T) {
	t.Parallel()
	x := newSite(t, postgrestest.Shared(t), nil)
	exec(t, x.store.cfg.DB, "UPDATE users SET hash = NULL WHERE login = 'bob'")
	want := attempt.HashRun{Scheme: "bcrypt", Outcome: attempt.Failure}
	for _, name := range []string{"alice", "bob", "nobody"} {
		res := x.verify(t, name, "wrong-one")
		if res.Outcome != attempt.Failure || res.Hash.Scheme != want.Scheme || res.Hash.Outcome != want.Outcome {
			t.Errorf("%s: %v after %+v, want a failure after a bcrypt", name, res.Outcome, res.Hash)
		}
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	b := sqlite(t)
	db := b.tables(t)
	b.insert(t, db, "alice", bcryptHash)
	s := open(t, b.config(db))
	alice := lookup(t, s, "alice")
	if alice == nil {
		t.Fatal("alice is not an account")
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for name, s := range map[string]*Store{"closed": s, "zero": {}} {
		if a, err := s.Lookup(t.Context(), "alice"); a != nil || !errors.Is(err, ErrClosed) {
			t.Errorf("%s: Lookup = %v, %v", name, a, err)
		}
		if a, err := s.Recall(t.Context(), "alice"); a != nil || !errors.Is(err, ErrClosed) {
			t.Errorf("%s: Recall = %v, %v", name, a, err)
		}
		if err := s.Reload(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: Reload = %v", name, err)
		}
		s.OnReload(func(verify.Reload) {})()
		if s.Decoy(1).Verify([]byte("x")).Match || s.Len() < 0 || s.Canonical("x") != "x" {
			t.Errorf("%s: Decoy, Len or Canonical", name)
		}
		if _, err := otelauth.New(otelauth.Config{Accounts: s}); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: otelauth.New = %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, b.config(db)); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with a context that has ended: %v", err)
	}
}
