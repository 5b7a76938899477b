// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// trailProve proves.
type trailProve struct {
	trailFolder
	publicKeys
	Line       int64  `default:"-1" placeholder:"LINE" help:"Prove that the line of this number is in the trail."`
	Older      string `placeholder:"FILE" help:"Prove that the trail continues this signed checkpoint."`
	Checkpoint string `placeholder:"FILE" help:"The signed checkpoint for which the proof is. Default: the newest one of the folder."`
	Format     string `enum:"c2sp,json" default:"c2sp" placeholder:"c2sp|json" help:"c2sp: the proof of a line as c2sp.org/tlog-proof, or the request of c2sp.org/tlog-witness for two checkpoints. json: all parts, the line included. Default: c2sp."`
}

// Run prints the proof. It verifies it before, so what is printed holds.
func (c *trailProve) Run(t *terminal) error {
	if (c.Line >= 0) == (c.Older != "") {
		return usageError{errors.New("what is to be proved? use either --line or --older")}
	}
	keys, err := c.publicKeys.read()
	if err != nil {
		return err
	}
	if err := checkFolder(c.Dir); err != nil {
		return err
	}
	newer, err := readCheckpoint(c.Checkpoint)
	if err != nil {
		return err
	}
	if c.Line >= 0 {
		return c.inclusion(t, newer, keys)
	}
	return c.consistency(t, newer, keys)
}

// readCheckpoint returns the content of a file; nil without a file.
func readCheckpoint(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	f, err := openRegular(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return os.ReadFile(file)
}

func (c *trailProve) inclusion(t *terminal, checkpoint []byte, keys []string) error {
	ctx, stop := interruptible()
	defer stop()
	proof, err := trail.ProveInclusion(ctx, c.Dir, c.Line, checkpoint, keys...)
	if err != nil {
		return interrupted(ctx, err)
	}
	if c.Format == "c2sp" {
		text, err := proof.MarshalText()
		if err == nil {
			_, err = t.out.Write(text)
		}
		return err
	}
	return printJSON(t, map[string]any{
		"seq": proof.Seq, "line": string(proof.Line), "checkpoint": string(proof.Checkpoint.Note), "proof": hashes(proof.Proof),
	})
}

func (c *trailProve) consistency(t *terminal, newer []byte, keys []string) error {
	older, err := readCheckpoint(c.Older)
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	proof, err := trail.ProveConsistency(ctx, c.Dir, older, newer, keys...)
	if err != nil {
		return interrupted(ctx, err)
	}
	if c.Format == "c2sp" {
		t.print("old %d\n%s\n%s", proof.Older.Size, strings.Join(append(hashes(proof.Proof), ""), "\n"), strings.TrimSuffix(string(proof.Newer.Note), "\n"))
		return nil
	}
	return printJSON(t, map[string]any{
		"older": string(proof.Older.Note), "newer": string(proof.Newer.Note), "proof": hashes(proof.Proof),
	})
}

// hashes returns the hashes of a proof in Base64.
func hashes[P ~[]H, H ~[32]byte](proof P) []string {
	texts := make([]string, 0, len(proof))
	for _, hash := range proof {
		raw := [32]byte(hash)
		texts = append(texts, base64.StdEncoding.EncodeToString(raw[:]))
	}
	return texts
}

func printJSON(t *terminal, document any) error {
	encoder := json.NewEncoder(t.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}
