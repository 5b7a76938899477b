// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// freshUser is a service that protects its mux with three lines.
const freshUser = `package main

import (
	"log"
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

func main() {
	mux := http.NewServeMux()
	users, err := htpasswd.Open(htpasswd.Config{Path: "users.htpasswd"})
	if err != nil {
		log.Fatal(err)
	}
	mw, err := otelauth.New(otelauth.Config{Realm: "orders", Accounts: users, Routes: mux})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", otelhttp.NewHandler(mw.Wrap(mux), "orders")))
}
`

// TestFreshUserInheritsFewModules runs "go mod tidy" in a new module that uses the library. Go
// prunes the module graph, so the dependencies of the command, the examples and the tests must not
// appear. A new entry in indirect needs a reason: every user of the library downloads it.
func TestFreshUserInheritsFewModules(t *testing.T) {
	t.Parallel()
	indirect := []string{
		"github.com/GehirnInc/crypt",
		"github.com/cespare/xxhash/v2",
		"github.com/dchest/siphash",
		"github.com/felixge/httpsnoop",
		"github.com/fsnotify/fsnotify",
		"github.com/go-crypt/x",
		"github.com/go-logr/logr",
		"github.com/go-logr/stdr",
		"go.opentelemetry.io/auto/sdk",
		"go.opentelemetry.io/otel",
		"go.opentelemetry.io/otel/log",
		"go.opentelemetry.io/otel/metric",
		"go.opentelemetry.io/otel/trace",
		"golang.org/x/crypto",
		"golang.org/x/sys",
		"golang.org/x/text",
	}
	// With golang.org/x/text, with which package pathform compares Unicode forms, and the go.mod
	// of golang.org/x/mod, which only users of the trail download.
	const goSumLines = 77

	library, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "main.go", freshUser)
	write(t, dir, "go.mod", fmt.Sprintf("module example.com/orders\n\ngo 1.26.0\n\nrequire (\n%s)\n\nreplace %s => %s\n",
		"\tgithub.com/otelauth/otelauth-go v0.0.0\n\t"+requirement(t, "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp")+"\n",
		"github.com/otelauth/otelauth-go", library))
	// tidy removes what it does not need and looks nothing up
	write(t, dir, "go.sum", fromRoot(t, "go.sum"))

	run := func(args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "PWD="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	run("mod", "tidy")

	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(run("mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range mod.Require {
		if r.Indirect {
			got = append(got, r.Path)
		}
	}
	if diff := cmp.Diff(indirect, got); diff != "" {
		t.Errorf("indirect requirements of a fresh user (-want +got):\n%s", diff)
	}
	sum, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(sum), "\n"); n > goSumLines {
		t.Errorf("go.sum of a fresh user has %d lines, want at most %d", n, goSumLines)
	}
}

// requirement returns "path version" of a requirement in the go.mod of this module.
func requirement(t *testing.T, path string) string {
	t.Helper()
	for line := range strings.Lines(fromRoot(t, "go.mod")) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == path {
			return fields[0] + " " + fields[1]
		}
	}
	t.Fatalf("go.mod does not require %s", path)
	return ""
}
