// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// Attacks by someone who can write to the folder and has no key.

// kinds returns the kinds of the problems in the error of Verify.
func kinds(err error) (all []trail.ProblemKind) {
	var found *trail.VerificationError
	if errors.As(err, &found) {
		for _, p := range found.Problems {
			all = append(all, p.Kind)
		}
	}
	return all
}

// appendLine appends a line to the newest segment, which has the number after the last one.
func (f *folder) appendLine(t *testing.T, body string) {
	t.Helper()
	report := f.verify(t)
	all, err := filepath.Glob(filepath.Join(f.dir, "segments", "*"))
	if err != nil || len(all) == 0 {
		t.Fatal(err)
	}
	newest := all[len(all)-1]
	data, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	data = fmt.Appendf(data, `{"seq":%d,%s}`+"\n", report.Size, body)
	if err := os.WriteFile(newest, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func at(offset time.Duration) string {
	return `"time":"` + time.Now().Add(offset).UTC().Format("2006-01-02T15:04:05.000000000Z") + `"`
}

// A line about a removal explains missing segments only if a checkpoint covers it, also while lines
// without a checkpoint are accepted because the trail is being written.
func TestForgedPrune(t *testing.T) {
	t.Parallel()
	f := newFolder(t, trail.Config{})
	f.record(t, 300)
	f.close(t)
	f.open(t, trail.Config{})
	f.close(t)
	names := f.segments(t)
	second := f.checkpointOf(t, names[1])
	f.appendLine(t, at(0)+`,"event":"auth.trail.prune","auth.trail.prune.from":0,"auth.trail.prune.to":`+fmt.Sprint(second.Size)+
		`,"auth.trail.root":"`+second.Root.String()+`","auth.trail.prune.actor":"mallory","auth.trail.prune.reason":"retention"`)
	opts := trail.VerifyOptions{Keys: []string{f.key.Public()}, Unsealed: time.Minute}
	if report, err := trail.Verify(t.Context(), f.dir, opts); err != nil || len(report.Pruned) != 0 {
		t.Fatalf("with all segments: %v; removals %v", err, report.Pruned)
	}
	if err := os.Remove(filepath.Join(f.dir, "segments", names[0])); err != nil {
		t.Fatal(err)
	}
	report, err := trail.Verify(t.Context(), f.dir, opts)
	if got := kinds(err); !slices.Equal(got, []trail.ProblemKind{trail.SegmentMissing}) || len(report.Pruned) != 0 {
		t.Errorf("a forged removal: %v; removals %v", err, report.Pruned)
	}
}

// segments returns the names of the segments.
func (f *folder) segments(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(f.dir, "segments"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// checkpointOf returns the checkpoint in the header of a segment.
func (f *folder) checkpointOf(t *testing.T, name string) trail.Checkpoint {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.dir, "segments", name))
	if err != nil {
		t.Fatal(err)
	}
	_, signed, _ := strings.Cut(string(data), `"auth.trail.note":"`)
	signed, _, _ = strings.Cut(signed, `"`)
	c, err := trail.ParseCheckpoint([]byte(strings.ReplaceAll(signed, `\n`, "\n")), f.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Lines without a checkpoint are accepted for a while only, and a time in the future does not
// extend that.
func TestUnsealedFuture(t *testing.T) {
	t.Parallel()
	for offset, isAccepted := range map[time.Duration]bool{0: true, -time.Hour: false, time.Hour: false, 100 * 365 * 24 * time.Hour: false} {
		f := newFolder(t, trail.Config{})
		f.record(t, 10)
		f.close(t)
		f.appendLine(t, at(offset)+`,"event":"auth.attempt","auth.outcome":"success","user.name":"mallory"`)
		_, err := trail.Verify(t.Context(), f.dir, trail.VerifyOptions{Keys: []string{f.key.Public()}, Unsealed: time.Minute})
		if got := kinds(err); (len(got) == 0) != isAccepted || !isAccepted && got[0] != trail.NotSealed {
			t.Errorf("%v: %v", offset, err)
		}
	}
}

// The key of another trail, which the verifier trusts too, cannot sign for this one.
func TestOriginOfSignature(t *testing.T) {
	t.Parallel()
	ours := newKey(t)
	theirs, err := trail.GenerateKey(rand.Reader, "other.example/stock")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(theirs.Private())
	if err != nil {
		t.Fatal(err)
	}
	text := ours.Origin() + "\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range [][]string{{ours.Public()}, {theirs.Public()}, {ours.Public(), theirs.Public()}} {
		if c, err := trail.ParseCheckpoint(signed, keys...); !errors.Is(err, trail.ErrKey) {
			t.Errorf("a checkpoint of %s signed by %s is %+v, %v", ours.Origin(), theirs.Origin(), c, err)
		}
	}
	// The name of our key with the bytes of theirs is not a trusted key.
	renamed := bytes.Replace(signed, []byte("— "+theirs.Origin()), []byte("— "+ours.Origin()), 1)
	if _, err := trail.ParseCheckpoint(renamed, ours.Public(), theirs.Public()); err == nil {
		t.Error("a signature under another name is accepted")
	}
}

// Someone removes the lock, and a second process writes. The first one notices and writes nothing
// more, so nothing is acknowledged that the second one does not know.
func TestLockRemoved(t *testing.T) {
	t.Parallel()
	f := newFolder(t, trail.Config{})
	f.record(t, 10)
	if _, err := f.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(f.dir, "lock")); err != nil {
		t.Fatal(err)
	}
	second := &folder{dir: f.dir, key: f.key}
	second.open(t, trail.Config{})
	second.record(t, 5)
	f.record(t, 7)
	if _, err := f.Checkpoint(t.Context()); !errors.Is(err, trail.ErrUnavailable) || !strings.Contains(err.Error(), "lock") {
		t.Errorf("the first process: %v", err)
	}
	if err := f.Tick(t.Context()); err != nil {
		t.Error(err)
	}
	if s := f.Status(); !errors.Is(s.Err, trail.ErrUnavailable) || s.Size != 11 {
		t.Errorf("the first process: %+v", s)
	}
	if err := f.Close(t.Context()); err == nil {
		t.Error("Close hides that lines are missing")
	}
	second.record(t, 5)
	second.close(t)
	if report := second.verify(t); report.Size != 11+1+10 {
		t.Errorf("%+v", report)
	}
}
