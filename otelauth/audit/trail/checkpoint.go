// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is the root of the tree at one size (c2sp.org/tlog-checkpoint).
type Checkpoint struct {
	// Origin is the name of the trail.
	Origin string
	// Size is the number of lines; the checkpoint covers the lines 0 to Size-1.
	Size int64
	// Root is the root of the tree of these lines.
	Root tlog.Hash
	// Note is the signed note, with all signatures. Copy it as it is.
	Note []byte
}

// Witness cosigns checkpoints, for example a client of c2sp.org/tlog-witness.
type Witness interface {
	// Cosign submits checkpoint and returns the signature lines of the witness, "— name …", which
	// the trail appends to the checkpoint. prove returns the proof that the tree of the checkpoint
	// continues the tree of the given size, which is the last one that the witness has cosigned.
	// An error becomes an anomaly; the next checkpoint is submitted again.
	Cosign(ctx context.Context, checkpoint Checkpoint, prove func(size int64) (tlog.TreeProof, error)) (signatures []byte, err error)
}

// maxNoteBytes bounds a signed checkpoint.
const maxNoteBytes = 16 << 10

// ParseCheckpoint returns the checkpoint of a signed note if one of keys ([Key.Public]) has
// signed it. Signatures of other keys are not checked. The error is [ErrKey] if none has.
func ParseCheckpoint(signed []byte, keys ...string) (Checkpoint, error) {
	verifiers, err := parseVerifiers(keys)
	if err != nil {
		return Checkpoint{}, err
	}
	return openCheckpoint(signed, verifiers)
}

func parseVerifiers(keys []string) ([]note.Verifier, error) {
	var all []note.Verifier
	for _, k := range keys {
		v, err := note.NewVerifier(strings.TrimSpace(k))
		if err != nil {
			return nil, fmt.Errorf("trail: public key %.200q: %w; use what Key.Public returns", k, err)
		}
		all = withVerifier(all, v)
	}
	return all, nil
}

// withVerifier returns list with v. A list with the same key twice would be ambiguous.
func withVerifier(list []note.Verifier, v note.Verifier) []note.Verifier {
	for _, known := range list {
		if known.Name() == v.Name() && known.KeyHash() == v.KeyHash() {
			return list
		}
	}
	return append(list, v)
}

func openCheckpoint(signed []byte, verifiers []note.Verifier) (Checkpoint, error) {
	if len(signed) > maxNoteBytes {
		return Checkpoint{}, fmt.Errorf("trail: the checkpoint has %d bytes, more than %d; fetch it again", len(signed), maxNoteBytes)
	}
	n, err := note.Open(signed, note.VerifierList(verifiers...))
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified):
		return Checkpoint{}, fmt.Errorf("%w (it is of %.100q)", ErrKey, firstLine(unverified.Note.Text))
	case err != nil:
		return Checkpoint{}, fmt.Errorf("trail: the checkpoint is not a valid signed note: %w; fetch it again", err)
	}
	c, err := parseCheckpointText(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	for _, s := range n.Sigs { // the key of another trail cannot sign for this one
		if s.Name == c.Origin {
			c.Note = signed
			return c, nil
		}
	}
	return Checkpoint{}, fmt.Errorf("%w (it is of %.100q)", ErrKey, c.Origin)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// parseCheckpointText parses the text of the note: origin, size, root, and lines that extensions
// may add.
func parseCheckpointText(text string) (Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 || lines[0] == "" {
		return Checkpoint{}, errors.New("trail: the checkpoint has no origin, size and root; fetch it again")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || size > math.MaxInt64>>1 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("trail: the checkpoint has the size %.30q; fetch it again", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, fmt.Errorf("trail: the checkpoint has the root %.60q; fetch it again", lines[2])
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: tlog.Hash(root)}, nil
}

// sign returns the checkpoint of a tree, signed by all keys. The first one names the trail.
func sign(size int64, root tlog.Hash, keys ...*Key) (Checkpoint, error) {
	c := Checkpoint{Origin: keys[0].Origin(), Size: size, Root: root}
	var signers []note.Signer
	for _, k := range keys {
		signers = append(signers, k.signer)
	}
	var err error
	c.Note, err = note.Sign(&note.Note{Text: c.Origin + "\n" + strconv.FormatInt(size, 10) + "\n" + root.String() + "\n"}, signers...)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("trail: signing a checkpoint: %w; check the key", err)
	}
	return c, nil
}
