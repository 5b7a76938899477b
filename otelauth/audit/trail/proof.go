// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// Inclusion is the proof that a line is in the tree of a checkpoint. [tlog.CheckRecord] verifies
// it with [tlog.RecordHash] of Line.
type Inclusion struct {
	Seq        int64
	Line       []byte
	Checkpoint Checkpoint
	Proof      tlog.RecordProof
}

// MarshalText returns the proof in the format of c2sp.org/tlog-proof.
func (i Inclusion) MarshalText() ([]byte, error) {
	b := []byte("c2sp.org/tlog-proof@v1\nindex ")
	b = strconv.AppendInt(b, i.Seq, 10)
	b = append(b, '\n')
	for _, h := range i.Proof {
		b = append(b, h.String()...)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, i.Checkpoint.Note...), nil
}

// ProveInclusion returns the proof that line seq is in the tree of checkpoint, or of the newest
// checkpoint of the folder if checkpoint is nil. keys verify the checkpoint. The proof is checked
// before it is returned; the error is [ErrTampered] if the line is not the one that was written.
func ProveInclusion(ctx context.Context, dir string, seq int64, checkpoint []byte, keys ...string) (Inclusion, error) {
	p, err := newProver(dir, keys)
	if err != nil {
		return Inclusion{}, err
	}
	c, err := p.checkpoint(checkpoint)
	if err != nil {
		return Inclusion{}, err
	}
	if seq < 0 || seq >= c.Size {
		return Inclusion{}, fmt.Errorf("%w: the checkpoint covers the lines 0 to %d, not %d", ErrNotFound, c.Size-1, seq)
	}
	line, err := (&reader{disk: p.store.disk, dir: dir}).line(ctx, seq)
	if err != nil {
		return Inclusion{}, err
	}
	proof, err := tlog.ProveRecord(c.Size, seq, p.store.reader(c))
	if err != nil {
		return Inclusion{}, fmt.Errorf("trail: the hash tiles do not prove the line: %w; verify the trail", err)
	}
	if err := tlog.CheckRecord(proof, c.Size, c.Root, seq, tlog.RecordHash(line)); err != nil {
		return Inclusion{}, fmt.Errorf("%w (line %d: %w)", ErrTampered, seq, err)
	}
	return Inclusion{Seq: seq, Line: line, Checkpoint: c, Proof: proof}, nil
}

// Consistency is the proof that the tree of Newer continues the tree of Older. [tlog.CheckTree]
// verifies it.
type Consistency struct {
	Older, Newer Checkpoint
	Proof        tlog.TreeProof
}

// ProveConsistency returns the proof that the tree of newer continues that of older. newer is the
// newest checkpoint of the folder if it is nil. keys verify both. The proof is checked before it is
// returned; the error is [ErrTampered] if newer does not continue older.
func ProveConsistency(_ context.Context, dir string, older, newer []byte, keys ...string) (Consistency, error) {
	p, err := newProver(dir, keys)
	if err != nil {
		return Consistency{}, err
	}
	var c Consistency
	if c.Older, err = openCheckpoint(older, p.verifiers); err != nil {
		return Consistency{}, err
	}
	if c.Newer, err = p.checkpoint(newer); err != nil {
		return Consistency{}, err
	}
	if c.Older.Size > c.Newer.Size || c.Older.Size == 0 {
		return Consistency{}, fmt.Errorf("%w: no proof from %d to %d lines; give the smaller checkpoint first, of at least one line",
			ErrNotFound, c.Older.Size, c.Newer.Size)
	}
	if c.Proof, err = tlog.ProveTree(c.Newer.Size, c.Older.Size, p.store.reader(c.Newer)); err != nil {
		return Consistency{}, fmt.Errorf("trail: the hash tiles do not prove the checkpoint: %w; verify the trail", err)
	}
	if err := tlog.CheckTree(c.Proof, c.Newer.Size, c.Newer.Root, c.Older.Size, c.Older.Root); err != nil {
		return Consistency{}, fmt.Errorf("%w (the tree of %d lines does not continue that of %d: %w)",
			ErrTampered, c.Newer.Size, c.Older.Size, err)
	}
	return c, nil
}

// prover reads what proofs are made of.
type prover struct {
	store     tileStore
	verifiers []note.Verifier
}

func newProver(dir string, keys []string) (*prover, error) {
	verifiers, err := parseVerifiers(keys)
	if err != nil {
		return nil, err
	}
	return &prover{tileStore{disk: disk.OS{}, dir: dir}, verifiers}, nil
}

// checkpoint returns signed, or the newest checkpoint of the folder if it is nil.
func (p *prover) checkpoint(signed []byte) (Checkpoint, error) {
	if signed == nil {
		var err error
		signed, err = disk.ReadFile(p.store.disk, filepath.Join(p.store.dir, checkpointName), maxNoteBytes)
		if isNotExist(err) {
			return Checkpoint{}, fmt.Errorf("%w: %s has no checkpoint", ErrNotFound, p.store.dir)
		}
		if err != nil {
			return Checkpoint{}, fmt.Errorf("trail: %w; check the permissions of the folder", err)
		}
	}
	return openCheckpoint(bytes.Clone(signed), p.verifiers)
}
