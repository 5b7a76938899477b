// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
	"golang.org/x/crypto/bcrypt"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// hash returns a bcrypt hash of "wonderland" with the lowest cost.
func hash(t *testing.T) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte("wonderland"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

// TestNoEndpointIsForgotten is the recipe for a Go service: the handler that main serves, without
// sockets.
func TestNoEndpointIsForgotten(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "tea, coffee, sugar, milk") })
	mux.HandleFunc("GET /invoices", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "paper, toner, ribbons, envelopes") })
	mw, err := otelauth.New(otelauth.Config{
		Accounts: &verify.Static{Hashes: map[string]string{"alice": hash(t)}}, Routes: mux, DisableFallback: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	report, err := probe.Run(t.Context(), probe.Config{
		Handler:    mw.Wrap(mux),
		Endpoints:  []probe.Endpoint{{Path: "/orders"}, {Path: "/invoices"}},
		Identities: []probe.Identity{{Username: "alice", Password: "wonderland"}},
		Rate:       -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		t.Errorf("%s: %s: %s", f.Severity, f.ID, f.Detail)
	}
}

// commandOf returns the words of the command line of otelauth probe in a pipeline.
func commandOf(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var pipeline any
	if err := yaml.Unmarshal(text, &pipeline); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var found []string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if strings.HasPrefix(v, "otelauth probe ") {
				found = strings.Fields(v)[1:]
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(pipeline)
	if found == nil {
		t.Fatalf("%s has no otelauth probe", file)
	}
	return found
}

// TestPipelines runs the probe of each pipeline against the quickstart.
func TestPipelines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, pkg := range []string{"otelauth/cmd/otelauth", "examples/quickstart"} {
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "github.com/otelauth/otelauth-go/"+pkg).CombinedOutput()
		if err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	for file, reports := range map[string][]string{"github-actions.yaml": {"probe.sarif", "probe.html"}, "gitlab-ci.yaml": {"probe.xml", "probe.html"}} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			address := testkit.FreeAddress(t)
			service := testkit.Start(t, exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(dir, "quickstart"), "--addr", address))
			service.WaitListening(t, "tcp", address)
			args := commandOf(t, file)
			i := slices.Index(args, "http://127.0.0.1:8080")
			if i < 0 {
				t.Fatalf("another target in %v", args)
			}
			args[i] = "http://" + address
			root, err := filepath.Abs("../..")
			if err != nil {
				t.Fatal(err)
			}
			for i, arg := range args {
				if strings.HasPrefix(arg, "examples/") {
					args[i] = filepath.Join(root, arg)
				}
			}
			cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "otelauth"), append(args, "--rate", "0")...)
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), "ALICE_PASSWORD=wonderland", "ROOT_PASSWORD=toor")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "no finding") {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, name := range reports {
				if info, err := os.Stat(filepath.Join(cmd.Dir, name)); err != nil || info.Size() == 0 {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}
