// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/examples/shop/pki"
	"github.com/otelauth/otelauth-go/examples/traffic/load"
)

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// tree returns the files of dir. It fails if a file has wider permissions than it should.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if strings.HasSuffix(path, ".pem") {
			want = 0o644
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
		rel, err := filepath.Rel(dir, path)
		files[rel] = string(mustRead(t, path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestSetup(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	makes := func(at time.Time, want bool) map[string]string {
		t.Helper()
		made, err := setup(dir, at, cheap())
		if err != nil || made != want {
			t.Fatalf("made %v, %v; want %v", made, err, want)
		}
		return tree(t, dir)
	}
	first := makes(now, true)
	if diff := cmp.Diff(len(expected()), len(first)); diff != "" {
		t.Errorf("files (-expected +written): %s", diff)
	}
	if diff := cmp.Diff(first, makes(now.Add(pki.Lifetime/2), false)); diff != "" {
		t.Error("the second run changed something")
	}
	// Each secret is in one party's directory, except for shared ones.
	for _, file := range []string{"storefront/tls.key", "orders/tls.key", "orders/returns.credentials"} {
		for other, text := range first {
			if other != file && strings.Contains(text, strings.TrimSpace(first[file])) {
				t.Errorf("%s is in %s too", file, other)
			}
		}
	}
	for path, text := range first {
		if strings.Contains(text, "PRIVATE KEY") && filepath.Base(path) != keyFile {
			t.Errorf("a key is in %s", path)
		}
	}

	// If a file is missing, truncated or old, setup writes all of them again.
	for what, harm := range map[string]func() error{
		"a lost file":   func() error { return os.Remove(filepath.Join(dir, "inventory", groupsFile)) },
		"an empty file": func() error { return os.WriteFile(filepath.Join(dir, "orders", identityFile), nil, 0o600) },
		"another's key": func() error {
			return os.WriteFile(filepath.Join(dir, "orders", keyFile), []byte(first["storefront/tls.key"]), 0o600)
		},
		"another's authority": func() error { return os.WriteFile(filepath.Join(dir, "traffic", caFile), []byte("another"), 0o600) },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		before := mustRead(t, filepath.Join(dir, "storefront", certFile))
		if after := makes(now, true); string(before) == after["storefront/tls.pem"] {
			t.Errorf("%s: the certificates are the previous ones", what)
		}
	}
	makes(now.Add(pki.Lifetime*9/10), true)
}

// TestTLSIsVerified checks that a service sends no password to a server whose certificate another
// authority signed.
func TestTLSIsVerified(t *testing.T) {
	t.Parallel()
	ours, other := start(t), start(t)
	if _, _, err := load.Do(t.Context(), other.from(t, "127.0.0.5"), ours.services[0].URL(), load.Visit{Method: "GET", Path: "/"}); err == nil ||
		!strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a client with another authority got an answer: %v", err)
	}
	if err := health(t.Context(), ours.services[0].URL()+healthPath, filepath.Join(other.dir, "traffic", caFile)); err == nil {
		t.Error("the health check accepts any certificate")
	}

	// The storefront of one shop calls the orders service of another shop.
	signals, err := newTelemetry(t.Context(), storefrontName, false)
	if err != nil {
		t.Fatal(err)
	}
	front, err := startService(t.Context(), config{
		name: storefrontName, listen: "127.0.0.1:0", secrets: filepath.Join(other.dir, storefrontName), next: ours.services[1].URL(), from: storefrontAddr,
	}, signals)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := front.stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	status, answer, err := load.Do(t.Context(), other.from(t, "127.0.0.1"), front.URL(), load.Visit{Method: "GET", Path: "/orders", Name: "alice", Password: "wonderland"})
	if err != nil || status != http.StatusBadGateway {
		t.Errorf("status %d, %v", status, err)
	}
	if bytes.Contains(answer, []byte("authority")) {
		t.Errorf("the customer reads %q", answer)
	}
	if err := ours.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if events := ours.view.Events("auth.attempt"); len(events) > 0 {
		t.Errorf("orders received credentials: %v", events)
	}
}
