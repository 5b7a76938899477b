// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package redisstore_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/crypto/bcrypt"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budgettest"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

const (
	// conservationEnv makes the test binary one gateway over the Redis that it names.
	conservationEnv = "REDISSTORE_CONSERVATION"
	// conservationTime is a duration for which TestConservation repeats its cases. "" means once.
	conservationTime = "CONSERVATION"

	// wrongBudget is the budget of wrong guesses of one network at one account. They do not come
	// back.
	wrongBudget = 10
	// A hash of quickCost takes some 15 ms of CPU, so that one round is short. A hash of realCost,
	// which real accounts have, takes some 60 ms.
	quickCost, realCost = 8, 10
)

// runGateway is one process of TestConservation: a gateway with the defaults of its command, on a
// CPU that hashes all the time.
func runGateway(addr string) error {
	cost := quickCost
	if os.Getenv(conservationTime) != "" {
		cost = realCost
	}
	hash, err := password.Params{Scheme: "bcrypt", BcryptCost: cost}.Hash([]byte("right"), nil)
	if err != nil {
		return err
	}
	c := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	defer func() { _ = c.Close() }()
	s, err := redisstore.New(redisstore.Config{
		Client: c, ProbeEvery: 50 * time.Millisecond,
		Notice: func(_ context.Context, n attempt.Notice) { fmt.Println("shared:", n.Err == nil) },
	})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	wide := throttle.Limit{Burst: budget.MaxBurst, Every: time.Second}
	th, err := throttle.New(throttle.Config{Store: s, Key: budgettest.StormKey(), Limits: throttle.Limits{
		NewPair: throttle.Limit{Burst: wrongBudget, Every: time.Hour}, Network: wide, Site: wide,
	}})
	if err != nil {
		return err
	}
	g, err := gateway.New(gateway.Config{
		Upstream: "http://127.0.0.1:1", // no wrong guess reaches it
		Auth:     otelauth.Config{Realm: "test", Throttle: th, Accounts: &verify.Static{Hashes: map[string]string{"alice": hash}}},
		// Three processes share two cores here.
		Uninstrumented: true,
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Warm()
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for {
				_, _ = bcrypt.GenerateFromPassword([]byte("burns CPU"), realCost)
			}
		}()
	}
	fmt.Println("listening:", l.Addr())
	return g.Serve(context.Background(), l)
}

// fleet is a group of gateways that share one Redis, and an attacker.
type fleet struct {
	redis    server
	gateways []*testkit.Process
	urls     []string
	http     *http.Client
	guesses  atomic.Int64 // makes each password different
	answers  sync.Map     // from status to *atomic.Int64
}

func startFleet(t *testing.T, gateways int) *fleet {
	t.Helper()
	f := &fleet{redis: startRedis(t), http: &http.Client{Timeout: testkit.Patience, Transport: &http.Transport{MaxIdleConnsPerHost: 200}}}
	t.Cleanup(f.http.CloseIdleConnections)
	for range gateways {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
		cmd.Env = append(os.Environ(), conservationEnv+"="+f.redis.Addr)
		f.gateways = append(f.gateways, testkit.Start(t, cmd))
	}
	for _, p := range f.gateways {
		_, address, _ := strings.Cut(p.WaitLine(t, "listening: "), ": ")
		f.urls = append(f.urls, "http://"+address+"/")
	}
	return f
}

// guess tries one wrong password and reports whether the gateway judged it.
func (f *fleet) guess(t *testing.T, gateway int, account string) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.urls[gateway], http.NoBody)
	if err != nil {
		t.Error(err)
		return false
	}
	r.SetBasicAuth(account, fmt.Sprint("wrong ", f.guesses.Add(1)))
	resp, err := f.http.Do(r)
	if err != nil {
		t.Error(err)
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	n, _ := f.answers.LoadOrStore(resp.StatusCode, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return true
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return false
	}
	t.Errorf("a guess was answered %d", resp.StatusCode)
	return false
}

// storm is 200 guesses at once, spread over the gateways.
type storm struct {
	wg     sync.WaitGroup
	judged atomic.Int64
	began  chan struct{} // closed at the first answer
}

func (f *fleet) storm(t *testing.T, account string) *storm {
	t.Helper()
	s := &storm{began: make(chan struct{})}
	first := sync.OnceFunc(func() { close(s.began) })
	for i := range 200 {
		s.wg.Go(func() {
			if f.guess(t, i%len(f.urls), account) {
				s.judged.Add(1)
			}
			first()
		})
	}
	return s
}

// end waits for every answer and returns the number of judged guesses.
func (s *storm) end() int {
	s.wg.Wait()
	return int(s.judged.Load())
}

// untilShared sends single guesses until each gateway has reported n times that Redis is lost, or
// found again. It returns the number of judged guesses.
func (f *fleet) untilShared(t *testing.T, shared bool, n int, account string) (judged int) {
	t.Helper()
	for i, p := range f.gateways {
		p.Await(t, fmt.Sprintf("%d × shared: %v", n, shared), func() bool {
			if len(p.Lines("shared:", fmt.Sprint(shared))) >= n {
				return true
			}
			if f.guess(t, i, account) {
				judged++
			}
			return false
		})
	}
	return judged
}

// conservationCases are the events during a storm. outage returns the number of guesses judged
// after it; most is the documented bound for that many gateways.
var conservationCases = []struct {
	name   string
	outage func(t *testing.T, f *fleet, round int, account string) (judged int)
	most   func(gateways int) int
}{
	{
		"saturated CPU",
		func(*testing.T, *fleet, int, string) int { return 0 },
		func(int) int { return wrongBudget },
	},
	{
		"gateway stopped",
		func(t *testing.T, f *fleet, _ int, _ string) int {
			t.Helper()
			f.gateways[0].Freeze(t)
			<-time.After(2 * redisstore.DefaultTimeout) // in the time of the operating system
			f.gateways[0].Thaw(t)
			return 0
		},
		func(int) int { return wrongBudget },
	},
	{
		"Redis frozen for a moment",
		func(t *testing.T, f *fleet, _ int, _ string) int {
			t.Helper()
			f.redis.Freeze(t)
			<-time.After(redisstore.DefaultTimeout / 5) // in the time of the operating system
			f.redis.Thaw(t)
			return 0
		},
		func(int) int { return wrongBudget },
	},
	{
		"Redis frozen",
		func(t *testing.T, f *fleet, round int, account string) int {
			t.Helper()
			f.redis.Freeze(t)
			judged := f.untilShared(t, false, 2*round+1, account)
			judged += f.storm(t, account).end()
			f.redis.Thaw(t)
			return judged + f.untilShared(t, true, 2*round+1, account)
		},
		func(gateways int) int { return gateways * wrongBudget },
	},
	{
		"Redis killed and restarted",
		func(t *testing.T, f *fleet, round int, account string) int {
			t.Helper()
			f.redis.Kill()
			judged := f.untilShared(t, false, 2*round+2, account)
			judged += f.storm(t, account).end()
			f.redis.Restart(t)
			return judged + f.untilShared(t, true, 2*round+2, account)
		},
		func(gateways int) int { return gateways*wrongBudget + wrongBudget },
	},
}

// TestConservation checks that gateways which share a Redis never judge more wrong guesses than
// the package documents. The CPU hashes all the time, and Redis is frozen, killed and restarted.
// The gateways, Redis and the hashes are real. The test is not parallel, so that no other test of
// this package runs beside it. CONSERVATION=20m repeats the cases for so long, with three
// gateways.
func TestConservation(t *testing.T) { //nolint:paralleltest // see above
	gateways, until := 2, time.Now()
	if long := os.Getenv(conservationTime); long != "" {
		d, err := time.ParseDuration(long)
		if err != nil {
			t.Fatal(err)
		}
		gateways, until = 3, until.Add(d)
	}
	f := startFleet(t, gateways)
	rounds, most := 0, make([]int, len(conservationCases))
	for ; rounds == 0 || time.Now().Before(until); rounds++ {
		for i, c := range conservationCases {
			account := fmt.Sprintf("victim %d of %d", i, rounds)
			during := f.storm(t, account)
			testkit.Receive(t, "an answer", during.began)
			judged := c.outage(t, f, rounds, account)
			judged += during.end() + f.storm(t, account).end()
			if judged > c.most(gateways) || judged == 0 {
				t.Errorf("%s: %d guesses judged; want 1 to %d", c.name, judged, c.most(gateways))
			}
			most[i] = max(most[i], judged)
		}
	}
	for i, c := range conservationCases {
		t.Logf("%s: at most %d of %d guesses judged in %d rounds", c.name, most[i], c.most(gateways), rounds)
	}
	f.answers.Range(func(status, n any) bool {
		t.Logf("%d guesses answered %d", n.(*atomic.Int64).Load(), status)
		return true
	})
}

func init() { //nolint:gochecknoinits // only this build has the child
	children[conservationEnv] = runGateway
}
