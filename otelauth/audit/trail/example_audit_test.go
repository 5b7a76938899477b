// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// The operator keeps the key apart and looks at the state of the trail, before it ends and removes
// what is old.
func ExampleTrail_Status() {
	dir, err := os.MkdirTemp("", "trail")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	made, err := trail.GenerateKey(rand.Reader, "host.example/shop")
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := trail.ParseKey(made.Private()) // as it is in a file or a secret store
	if err != nil {
		fmt.Println(err)
		return
	}
	record, err := trail.Open(trail.Config{Dir: filepath.Join(dir, "trail"), Key: key, Durability: trail.Ordered})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer func() { _ = record.Close(ctx) }()
	signed, err := record.Checkpoint(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	state := record.Status()
	fmt.Println(key.Origin(), signed.Size, state.Err, state.Dropped)
	removed, err := record.Prune(ctx, trail.PruneOptions{
		Before: time.Now().AddDate(-1, 0, 0), Actor: "carol@ops", Reason: "kept for a year",
	})
	fmt.Println(removed.To-removed.From, "lines were older than a year", err)
	// Output:
	// host.example/shop 1 <nil> 0
	// 0 lines were older than a year <nil>
}

// An auditor verifies the folder against a checkpoint that was seen elsewhere, proves one line,
// and takes a copy to another machine.
func ExampleVerify() {
	dir, err := os.MkdirTemp("", "trail")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	key, err := trail.GenerateKey(rand.Reader, "host.example/shop")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := serve(filepath.Join(dir, "trail"), key); err != nil {
		fmt.Println(err)
		return
	}
	if err := audit(context.Background(), dir, key.Public()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 3 2 true
	// lines 0 to 2 <nil>
}

func audit(ctx context.Context, dir, public string) error {
	folder := filepath.Join(dir, "trail")
	seen, err := os.ReadFile(filepath.Join(folder, "checkpoint")) // in practice from a log store or a witness
	if err != nil {
		return err
	}
	checkpoint, err := trail.ParseCheckpoint(seen, public)
	if err != nil {
		return err
	}
	_, err = trail.Verify(ctx, folder, trail.VerifyOptions{
		Keys: []string{public}, Checkpoints: [][]byte{seen},
		Progress: func(p trail.Progress) { fmt.Fprintln(os.Stderr, p.Bytes, "of", p.TotalBytes) },
	})
	if failed, ok := errors.AsType[*trail.VerificationError](err); ok {
		slices.SortFunc(failed.Problems, func(a, b *trail.Problem) int { return cmp.Compare(a.Line, b.Line) })
		for _, p := range failed.Problems {
			fmt.Println(p.Segment, p.Line, p.Kind == trail.LineChanged, p.Detail)
		}
	}
	if err != nil {
		return err
	}
	line, err := trail.ProveInclusion(ctx, folder, 2, seen, public)
	if err != nil {
		return err
	}
	growth, err := trail.ProveConsistency(ctx, folder, seen, seen, public)
	if err != nil {
		return err
	}
	fmt.Println(checkpoint.Size, line.Seq, growth.Older.Size <= growth.Newer.Size)

	path := filepath.Join(dir, "copy.tar")
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	err = errors.Join(trail.Export(ctx, folder, file, trail.ExportOptions{Keys: []string{public}}), file.Close())
	if err != nil {
		return err
	}
	report, err := trail.VerifyExport(ctx, path, public)
	fmt.Println("lines", report.From, "to", report.To-1, err)
	return nil
}
