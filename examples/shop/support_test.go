// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/examples/shop/customers"
	"github.com/otelauth/otelauth-go/examples/shop/otlpview"
	"github.com/otelauth/otelauth-go/examples/shop/pki"
	"github.com/otelauth/otelauth-go/examples/traffic/load"
	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

func TestMain(m *testing.M) {
	testkit.Unset("OTEL_", "SHOP_")
	os.Exit(m.Run())
}

// cheap are demands with the lowest hash cost, for tests only.
var cheap = sync.OnceValue(func() demands {
	var accounts bytes.Buffer
	for _, c := range customers.All {
		hash, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte(c.Password), rand.Reader)
		if err != nil {
			panic(err)
		}
		accounts.WriteString(c.Name + ":" + hash + "\n")
	}
	return demands{customers: accounts.Bytes(), cost: 4}
})

// exported is everything that was sent over OTLP, uncompressed.
type exported struct {
	mu     sync.Mutex
	bodies map[string][]byte
}

func (e *exported) keep(path string, body []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.bodies == nil {
		e.bodies = make(map[string][]byte)
	}
	e.bodies[path] = append(e.bodies[path], body...)
}

func (e *exported) each(f func(path string, bytes []byte)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for path, body := range e.bodies {
		f(path, body)
	}
}

// secretsOf returns every secret in dir that must not be exported: passwords of services, keys,
// tokens.
func secretsOf(t *testing.T, dir string) (secrets []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch filepath.Base(path) {
		case ordersFile, stockFile, returnsFile:
			_, secret, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
			secrets = append(secrets, secret)
		case identityFile, otlpTokenFile, redisSecretFile:
			secrets = append(secrets, strings.TrimSpace(string(text)))
		case keyFile:
			secrets = append(secrets, strings.Split(string(text), "\n")[1])
		case accountsFile:
			for line := range strings.Lines(string(text)) {
				if _, hash, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && !strings.HasPrefix(line, "#") {
					secrets = append(secrets, strings.TrimSuffix(hash, ":disabled"))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return secrets
}

// running returns a shop on free ports that ends with the test.
type running struct {
	*shop
	dir      string
	exported *exported
}

func start(t *testing.T) running {
	t.Helper()
	r := running{dir: t.TempDir(), exported: new(exported)}
	var err error
	if r.shop, err = startShop(t.Context(), r.dir, 0, cheap(), false); err != nil {
		t.Fatal(err)
	}
	r.view.OnRequest(r.exported.keep)
	t.Cleanup(func() {
		if err := r.stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return r
}

// from returns a client that calls from that loopback address.
func (r running) from(t *testing.T, addr string) *http.Client {
	t.Helper()
	certificates, err := os.ReadFile(filepath.Join(r.dir, "traffic", caFile))
	if err != nil {
		t.Fatal(err)
	}
	roots, err := pki.ParsePool(certificates)
	if err != nil {
		t.Fatal(err)
	}
	client := load.NewClient(load.ClientConfig{Roots: roots, From: netip.MustParseAddr(addr)})
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// event waits for an event that matches.
func (r running) event(t *testing.T, fits func(otlpview.Event) bool) otlpview.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var found otlpview.Event
	if err := r.view.Wait(ctx, func() bool {
		for _, e := range r.view.Events("auth.attempt") {
			if fits(e) {
				found = e
				return true
			}
		}
		return false
	}); err != nil {
		t.Fatal("no such event arrived")
	}
	return found
}
