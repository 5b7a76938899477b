// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/witness"
)

// trailVerify verifies a trail.
type trailVerify struct {
	Path string `arg:"" help:"The folder of the trail, or a file that otelauth trail export wrote."`
	publicKeys
	Checkpoints    []string `sep:"none" placeholder:"FILE" help:"Checkpoints that were kept outside of the host; - is standard input. A file holds signed checkpoints, or JSON with the events auth.trail.checkpoint: OTLP, the gateway's log lines, or the answer of Loki or VictoriaLogs. The trail must contain each of them. May be repeated."`
	Unsealed       span     `placeholder:"1m" help:"Accept lines that no checkpoint covers yet, if they are younger than this. Use it for a trail that is being written. Default: every line must be covered."`
	Witness        string   `placeholder:"URL" help:"Ask this witness (c2sp.org/tlog-witness) whether it has seen a longer or another trail. Requires --witness-key."`
	WitnessKey     string   `placeholder:"FILE" help:"File with the public key of the witness. The newest checkpoint must have its cosignature, unless --witness asks for a new one."`
	WitnessTimeout span     `default:"10s" placeholder:"DURATION" help:"How long the witness may take. Default: 10s."`
	JSON           bool     `name:"json" help:"Print the report as JSON."`
}

// errNotVerified means that a trail was read and does not verify: exit code 3.
var errNotVerified = errors.New("the trail does not verify: keep the folder as it is, as evidence")

// Run verifies the trail and prints a report.
func (c *trailVerify) Run(t *terminal) error {
	keys, err := c.publicKeys.read()
	if err != nil {
		return err
	}
	if c.Witness != "" && c.WitnessKey == "" {
		return usageError{errors.New("--witness needs --witness-key: name a file with the public key of the witness")}
	}
	checkpoints, err := c.checkpoints(t, keys)
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	if info, err := os.Stat(c.Path); err != nil {
		return err
	} else if info.Mode().IsRegular() {
		return interrupted(ctx, c.bundle(ctx, t, keys, checkpoints))
	}
	if err := checkFolder(c.Path); err != nil {
		return err
	}
	return interrupted(ctx, c.folder(ctx, t, keys, checkpoints))
}

// folder verifies a folder.
func (c *trailVerify) folder(ctx context.Context, t *terminal, keys []string, checkpoints [][]byte) error {
	bar := &verifyProgress{progress: newProgress(t.err)}
	report, err := trail.Verify(ctx, c.Path, trail.VerifyOptions{
		Keys: keys, Checkpoints: checkpoints, Unsealed: time.Duration(c.Unsealed), Progress: bar.show, Now: t.now,
	})
	bar.end()
	var failed *trail.VerificationError
	if err != nil && !errors.As(err, &failed) {
		return err
	}
	problems := report.Problems
	cosigned := ""
	if len(problems) == 0 && c.WitnessKey != "" {
		if cosigned, err = c.askWitness(ctx, keys); err != nil {
			problem := &trail.Problem{Kind: witnessProblem(err), Line: -1, Detail: err.Error()}
			if problem.Kind == "" {
				return err
			}
			problems = append(problems, problem)
		}
	}
	r := verifyReport{
		Origin: report.Origin, First: report.First, Size: report.Size, Root: report.Root.String(), Sealed: report.Sealed, Segments: report.Segments,
		Lines: report.Lines, Bytes: report.Bytes, Seconds: report.Elapsed.Seconds(), Checkpoints: len(checkpoints), Witness: cosigned,
	}
	for _, p := range report.Pruned {
		r.Pruned = append(r.Pruned, fmt.Sprintf("lines %d to %d by %s at %s: %s", p.From, p.To-1, shown(p.Actor), stamp(p.Time), shown(p.Reason)))
	}
	return r.print(t, problems, c.JSON)
}

// bundle verifies a file that export wrote.
func (c *trailVerify) bundle(ctx context.Context, t *terminal, keys []string, checkpoints [][]byte) error {
	if c.Witness != "" {
		return usageError{errors.New("--witness works with a folder only: an export has not the whole tree; remove --witness")}
	}
	report, err := trail.VerifyExport(ctx, c.Path, keys...)
	var problem *trail.Problem
	if err != nil && !errors.As(err, &problem) {
		return err
	}
	var problems []*trail.Problem
	if problem != nil {
		problems = append(problems, problem)
	}
	r := verifyReport{
		Origin: report.Checkpoint.Origin, First: report.From, Size: report.Checkpoint.Size, Root: report.Checkpoint.Root.String(), Sealed: report.Checkpoint.Size,
		Lines: report.To - report.From, Bytes: report.Bytes, Seconds: report.Elapsed.Seconds(), Checkpoints: len(checkpoints),
	}
	if c.WitnessKey != "" && problem == nil {
		if r.Witness, err = cosignature(report.Checkpoint.Note, c.WitnessKey); err != nil {
			problems = append(problems, &trail.Problem{Kind: problemWitness, Line: -1, Detail: err.Error()})
		}
	}
	problems = append(problems, sameCheckpoints(report.Checkpoint, checkpoints, keys)...)
	return r.print(t, problems, c.JSON)
}

// sameCheckpoints compares the checkpoint of an export with those from outside that have its size.
func sameCheckpoints(of trail.Checkpoint, checkpoints [][]byte, keys []string) (problems []*trail.Problem) {
	for _, signed := range checkpoints {
		other, err := trail.ParseCheckpoint(signed, keys...)
		switch {
		case err != nil:
			problems = append(problems, &trail.Problem{Kind: trail.CheckpointInvalid, Line: -1, Detail: err.Error()})
		case other.Size == of.Size && other.Root != of.Root:
			problems = append(problems, &trail.Problem{Kind: trail.Fork, Line: -1, Detail: fmt.Sprintf("a checkpoint of %d lines has another root", other.Size)})
		}
	}
	return problems
}

// The kinds of problems that a witness finds, beside those of package trail.
const (
	problemWitness = trail.ProblemKind("not_cosigned")
)

// witnessProblem returns the kind of an error of the witness; "" if it is not about the trail.
func witnessProblem(err error) trail.ProblemKind {
	switch {
	case errors.Is(err, witness.ErrBehind):
		return trail.TooShort
	case errors.Is(err, witness.ErrFork):
		return trail.Fork
	case errors.Is(err, errNotCosigned):
		return problemWitness
	}
	return ""
}

var errNotCosigned = errors.New("the newest checkpoint has no valid cosignature of the witness; ask the witness with --witness")

// askWitness returns what the witness states about the newest checkpoint of the folder.
func (c *trailVerify) askWitness(ctx context.Context, keys []string) (string, error) {
	signed, err := os.ReadFile(filepath.Join(c.Path, "checkpoint"))
	if err != nil {
		return "", err
	}
	if c.Witness == "" {
		text, err := cosignature(signed, c.WitnessKey)
		if err != nil {
			return "", fmt.Errorf("%w (%w)", errNotCosigned, err)
		}
		return text, nil
	}
	vkeys, err := readPublicKeys(c.WitnessKey)
	if err != nil {
		return "", usageError{err}
	}
	client, err := witness.New(witness.Config{URL: c.Witness, Key: vkeys[0], Timeout: time.Duration(c.WitnessTimeout)})
	if err != nil {
		return "", usageError{err}
	}
	checkpoint, err := trail.ParseCheckpoint(signed, keys...)
	if err != nil {
		return "", err
	}
	_, err = client.Cosign(ctx, checkpoint, func(size int64) (tlog.TreeProof, error) {
		return trail.ProveGrowth(ctx, c.Path, size, checkpoint)
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s has seen the trail up to line %d and nothing else", client.Name(), checkpoint.Size-1), nil
}

// cosignature returns when the witness has cosigned a checkpoint.
func cosignature(signed []byte, file string) (string, error) {
	vkeys, err := readPublicKeys(file)
	if err != nil {
		return "", usageError{err}
	}
	at, err := witness.CosignedAt(signed, vkeys[0])
	if err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(vkeys[0], "+")
	return fmt.Sprintf("%s cosigned the newest checkpoint at %s", shown(name), stamp(at)), nil
}

// verifyReport is what verify prints.
type verifyReport struct {
	Verified    bool            `json:"verified"`
	Origin      string          `json:"origin"`
	First       int64           `json:"first"`
	Size        int64           `json:"size"`
	Root        string          `json:"root"`
	Sealed      int64           `json:"sealed"`
	Segments    int             `json:"segments,omitempty"`
	Lines       int64           `json:"lines"`
	Bytes       int64           `json:"bytes"`
	Seconds     float64         `json:"seconds"`
	Checkpoints int             `json:"checkpoints"`
	Witness     string          `json:"witness,omitempty"`
	Pruned      []string        `json:"pruned,omitempty"`
	Problems    []verifyProblem `json:"problems,omitempty"`
}

// verifyProblem is a problem of the report.
type verifyProblem struct {
	Kind    trail.ProblemKind `json:"kind"`
	Segment string            `json:"segment,omitempty"`
	Line    *int64            `json:"line,omitempty"`
	Detail  string            `json:"detail"`
}

// print prints the report. It returns an error if there are problems.
func (r verifyReport) print(t *terminal, problems []*trail.Problem, asJSON bool) error {
	r.Verified = len(problems) == 0
	for _, p := range problems {
		v := verifyProblem{Kind: p.Kind, Segment: p.Segment, Detail: shown(p.Detail)}
		if p.Line >= 0 {
			v.Line = &p.Line
		}
		r.Problems = append(r.Problems, v)
	}
	if asJSON {
		encoder := json.NewEncoder(t.out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			return err
		}
	} else {
		r.text(t)
	}
	if !r.Verified {
		return errNotVerified
	}
	return nil
}

// text prints the report as text.
func (r *verifyReport) text(t *terminal) {
	t.print("%s: %d lines from line %d, %s, in %s (%s)", shown(r.Origin), r.Lines, r.First, megabytes(r.Bytes), seconds(r.Seconds), rate(r.Bytes, r.Seconds))
	t.print("size %d, root %s", r.Size, r.Root)
	for _, text := range r.Pruned {
		t.print("pruned: %s", text)
	}
	if r.Witness != "" {
		t.print("witness: %s", r.Witness)
	}
	for _, p := range r.Problems {
		place := ""
		if p.Segment != "" {
			place = " in segments/" + shown(p.Segment)
		}
		if p.Line != nil {
			place += fmt.Sprintf(" at line %d", *p.Line)
		}
		t.print("BAD %s%s: %s", p.Kind, place, p.Detail)
	}
	if !r.Verified {
		return
	}
	t.print("verified: the checkpoint covers %d of %d lines", r.Sealed, r.Size)
	if r.Checkpoints > 0 {
		t.print("verified: %s from outside agree", count(r.Checkpoints, "checkpoint"))
	} else if r.Witness == "" && r.Segments > 0 {
		t.print("note: no checkpoint from outside was compared, so a copy that was cut or made anew with the key is not detected; use --checkpoints or --witness")
	}
}

// verifyProgress shows how far a verification is on one line of a terminal.
type verifyProgress struct{ *progress }

func (p *verifyProgress) show(at trail.Progress) {
	if !p.live || at.TotalBytes == 0 {
		return
	}
	const width = 30
	done := int(min(width, width*at.Bytes/at.TotalBytes))
	fmt.Fprintf(p.w, "\r\x1b[K[%s%s] %3d %%  %d lines  %s", strings.Repeat("#", done), strings.Repeat(".", width-done),
		100*at.Bytes/at.TotalBytes, at.Lines, rate(at.Bytes, at.Elapsed.Seconds()))
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func seconds(s float64) string { return fmt.Sprintf("%.2f s", s) }

func rate(n int64, s float64) string {
	if s <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f MB/s", float64(n)/1e6/s)
}
