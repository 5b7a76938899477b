// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/otelauth/otelauth-go/examples/compare/peers"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// requests measures HTTP requests with a cached credential, without a trail and with each
// durability, over loopback. Rounds alternate, and the samples of all rounds are one distribution.
// The unit of what the trail adds is a bare flush under the same load: rounds of their own flush
// a file while the requests of "no trail" run, and do not count for anything else.
func requests(work string, duration time.Duration, rounds int) error {
	fmt.Println("\n| cached request over HTTP | clients | requests/s | p50 | p99 |\n| --- | --- | --- | --- | --- |")
	variants := []string{"no trail", "ordered", "required"}
	for _, clients := range []int{1, 64} {
		all := make([][]time.Duration, len(variants))
		var flushes []time.Duration
		for round := range rounds {
			took, err := flushesBeside(filepath.Join(work, fmt.Sprint("flush", clients, round)), clients, duration)
			if err != nil {
				return err
			}
			flushes = append(flushes, took...)
			for i, variant := range variants {
				took, err := requestsOf(filepath.Join(work, fmt.Sprint("http", clients, round, i)), variant, clients, duration)
				if err != nil {
					return fmt.Errorf("%s: %w", variant, err)
				}
				all[i] = append(all[i], took...)
			}
		}
		for i, variant := range variants {
			slices.Sort(all[i])
			rate := float64(len(all[i])) / (duration * time.Duration(rounds)).Seconds()
			fmt.Printf("| %s | %d | %.0f | %v | %v |\n", variant, clients, rate, quantile(all[i], 50), quantile(all[i], 99))
		}
		slices.Sort(flushes)
		fmt.Printf("| bare flush beside them | %d | | %v | %v |\n", clients, quantile(flushes, 50), quantile(flushes, 99))
		added := quantile(all[2], 99) - quantile(all[0], 99)
		fmt.Printf("\nrequired adds %v to p99: %.1f bare flushes of p50, %.1f of p99\n\n", added,
			added.Seconds()/quantile(flushes, 50).Seconds(), added.Seconds()/quantile(flushes, 99).Seconds())
	}
	return nil
}

// flushPause is the pause between flushes, which are not to be what the requests wait for.
const flushPause = 5 * time.Millisecond

// flushesBeside returns the times of bare flushes beside requests without a trail.
func flushesBeside(name string, clients int, duration time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		defer cancel()
		_, err := requestsOf("", "no trail", clients, duration)
		failed <- err
	}()
	took, err := bareFlushes(ctx, name, flushPause)
	return took, errors.Join(err, <-failed)
}

func quantile(sorted []time.Duration, percent int) time.Duration {
	return sorted[len(sorted)*percent/100].Round(time.Microsecond)
}

// requestsOf serves one variant for some time and returns the times of its requests.
func requestsOf(dir, variant string, clients int, duration time.Duration) (took []time.Duration, err error) {
	users, err := peers.NewUsers(bcrypt.MinCost, "alice")
	if err != nil {
		return nil, err
	}
	cfg := peers.OtelauthConfig(users)
	if variant != "no trail" {
		record, err := openRecord(dir, variant)
		if err != nil {
			return nil, err
		}
		defer func() { _ = errors.Join(record.Close(context.Background()), os.RemoveAll(dir)) }()
		cfg.Trail = record
	}
	mw, err := otelauth.New(cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, mw.Close()) }()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))}
	go func() { _ = server.Serve(l) }() // until Close
	defer func() { _ = server.Close() }()
	return ask("http://"+l.Addr().String()+"/orders/7", users[0], clients, duration)
}

func openRecord(dir, durability string) (*trail.Trail, error) {
	key, err := trail.GenerateKey(rand.Reader, "bench.example/trail")
	if err != nil {
		return nil, err
	}
	cfg := trail.Config{Dir: dir, Key: key}
	if err := cfg.Durability.UnmarshalText([]byte(durability)); err != nil {
		return nil, err
	}
	return trail.Open(cfg)
}

// ask sends requests on as many connections as there are clients, one after the other on each.
func ask(url string, user peers.User, clients int, duration time.Duration) ([]time.Duration, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	if err := get(client, user, url); err != nil { // hashed; the others are cached
		return nil, err
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		all    []time.Duration
		failed error
	)
	start := time.Now()
	for range clients {
		wg.Go(func() {
			var own []time.Duration
			var err error
			for err == nil && time.Since(start) < duration {
				began := time.Now()
				err = get(client, user, url)
				own = append(own, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			all, failed = append(all, own...), errors.Join(failed, err)
		})
	}
	wg.Wait()
	return all, failed
}

func get(client *http.Client, user peers.User, url string) error {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	user.Authorize(r)
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err = errors.Join(err, res.Body.Close()); err == nil && res.StatusCode != http.StatusNoContent {
		err = fmt.Errorf("the status is %d", res.StatusCode)
	}
	return err
}
