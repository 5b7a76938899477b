// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package servers_test

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/witness"
)

// witnessed is a trail and the witness that cosigns it, if there is one.
type witnessed struct {
	dir    string
	key    *trail.Key
	server *servers.WitnessServer
}

func newWitnessed(t *testing.T, origin string) *witnessed {
	t.Helper()
	key, err := trail.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	return &witnessed{dir: filepath.Join(t.TempDir(), "trail"), key: key}
}

func (w *witnessed) client(t *testing.T, server *servers.WitnessServer) *witness.Client {
	t.Helper()
	c, err := witness.New(witness.Config{URL: server.URL, Key: server.Key})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// record opens the trail and adds lines. With a witness it waits until the checkpoint that covers
// them is cosigned.
func (w *witnessed) record(t *testing.T, lines int) {
	t.Helper()
	cfg := trail.Config{Dir: w.dir, Key: w.key, Durability: trail.Ordered, CheckpointInterval: 100 * time.Millisecond}
	if w.server != nil {
		cfg.Witness = w.client(t, w.server)
	}
	tr, err := trail.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Close(context.WithoutCancel(t.Context())) })
	for range lines {
		req, res := attempt.Request{Context: t.Context(), Time: time.Now()}, attempt.Result{Outcome: attempt.Success, UserName: "alice"}
		if err := tr.Decide(t.Context(), &req, &res); err != nil {
			t.Fatal(err)
		}
	}
	if w.server != nil {
		testkit.Eventually(t, "a cosigned checkpoint of all lines", func() bool {
			c, err := w.newest()
			_, errWitness := witness.CosignedAt(c.Note, w.server.Key)
			return err == nil && errWitness == nil && tr.Status().Queued == 0 && c.Size == tr.Status().Size
		})
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// newest returns the checkpoint of the folder.
func (w *witnessed) newest() (trail.Checkpoint, error) {
	signed, err := os.ReadFile(filepath.Join(w.dir, "checkpoint"))
	if err != nil {
		return trail.Checkpoint{}, err
	}
	return trail.ParseCheckpoint(signed, w.key.Public())
}

// A real witness cosigns what a trail has, also after a restart of both. It refuses an old copy,
// another trail with the same key, and a trail that it does not know.
func TestOmniwitness(t *testing.T) {
	t.Parallel()
	w := newWitnessed(t, "orders.example/trail")
	server := servers.StartOmniwitness(t, w.key.Origin(), w.key.Public())
	w.server = server
	w.record(t, 300)
	old := &witnessed{dir: filepath.Join(t.TempDir(), "old"), key: w.key}
	if err := os.CopyFS(old.dir, os.DirFS(w.dir)); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	server.Restart(t)
	w.record(t, 700)

	forked, unknown := &witnessed{dir: filepath.Join(t.TempDir(), "forked"), key: w.key}, newWitnessed(t, "unknown.example/trail")
	forked.record(t, 2000)
	unknown.record(t, 1)
	for name, tc := range map[string]struct {
		*witnessed
		want string
	}{
		"the trail": {w, ""}, "an old copy": {old, witness.ErrBehind.Error()}, "another trail": {forked, witness.ErrFork.Error()},
		"an unknown trail": {unknown, "the public key of the trail"}, // 404, or 500 with a database
	} {
		c, err := tc.newest()
		if err != nil {
			t.Fatal(err)
		}
		lines, err := tc.client(t, server).Cosign(t.Context(), c, func(size int64) (tlog.TreeProof, error) {
			return trail.ProveGrowth(t.Context(), tc.dir, size, c)
		})
		if (err == nil) != (tc.want == "") || (err == nil) != (lines != nil) || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: the answer is %q, %v; want %q", name, lines, err, tc.want)
		}
	}
}
