// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	lognoop "go.opentelemetry.io/otel/log/noop"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// trailFiles is a trail with its keys in files.
type trailFiles struct {
	dir, key, public string
}

// newEvidence makes the key of a trail.
func newEvidence(t *testing.T) *trailFiles {
	t.Helper()
	base := t.TempDir()
	e := &trailFiles{dir: filepath.Join(base, "trail"), key: filepath.Join(base, "key"), public: filepath.Join(base, "key.pub")}
	if out, errs, err := command(t, "", "trail", "keygen", e.key, "--origin", "host.example/orders"); err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	return e
}

// recordedAt is the time of the first attempt.
var recordedAt = time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)

// record writes attempts: of each three, alice fails, mallory is unknown, alice succeeds. It
// closes the trail, and each call begins a segment.
func (e *trailFiles) record(t *testing.T, attempts int) {
	t.Helper()
	text, err := os.ReadFile(e.key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := trail.ParseKey(string(text))
	if err != nil {
		t.Fatal(err)
	}
	w, err := trail.Open(trail.Config{
		Dir: e.dir, Key: key, Durability: trail.Ordered, MeterProvider: metricnoop.NewMeterProvider(), LoggerProvider: lognoop.NewLoggerProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range attempts {
		req := &attempt.Request{
			Context: t.Context(), Time: recordedAt.Add(time.Duration(i) * time.Minute), Scheme: attempt.SchemeBasic, Method: "GET", Route: "/orders/{id}",
			Path: "/orders/" + strconv.Itoa(i), Client: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), UserAgent: "curl\x1b[2J",
		}
		res := &attempt.Result{Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Reason: "wrong_password", UserName: "alice", UserHash: "k1:a"}
		switch i % 3 {
		case 1:
			res.Reason, res.UserName, res.UserHash = "unknown_user", "", "k1:m"
		case 2:
			res = &attempt.Result{Outcome: attempt.Success, UserName: "alice", UserHash: "k1:a"}
		}
		if err := w.Decide(w.Begin(t.Context(), req), req, res); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// command runs the command with a standard input.
func command(t *testing.T, input string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	in := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(in, []byte(input), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out, errs bytes.Buffer
	term := &terminal{in: f, out: &out, err: &errs, now: time.Now, args: args}
	err = term.run(args)
	return out.String(), errs.String(), err
}

// copyOf returns a copy of a trail.
func (e *trailFiles) copyOf(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(dir, os.DirFS(e.dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// segments returns the paths of the segments of a trail, in order.
func segments(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "segments", "*.jsonl"))
	if err != nil || len(all) == 0 {
		t.Fatalf("%d segments: %v", len(all), err)
	}
	return all
}

// editLines replaces the lines of a segment.
func editLines(t *testing.T, path string, edit func([]string) []string) {
	t.Helper()
	lines := strings.SplitAfter(read(t, path), "\n")
	overwrite(t, path, strings.Join(edit(lines[:len(lines)-1]), ""))
}

// Each tampering is found, and the report names its kind and its place. The checkpoint from
// outside is the last one.
func TestTrailVerify(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	e.record(t, 6)
	old := e.copyOf(t)
	e.record(t, 6)
	e.record(t, 6)
	newest := filepath.Join(t.TempDir(), "newest")
	overwrite(t, newest, read(t, filepath.Join(e.dir, "checkpoint")))
	forked := &trailFiles{dir: filepath.Join(t.TempDir(), "forked"), key: e.key, public: e.public}
	forked.record(t, 40)

	for name, tc := range map[string]struct {
		tamper func(dir string) (other string)
		want   string // "" verifies
	}{
		"nothing": {func(string) string { return "" }, ""},
		"a byte": {func(dir string) string {
			editLines(t, segments(t, dir)[0], func(l []string) []string { l[2] = strings.Replace(l[2], "192.0.2.1", "192.0.2.9", 1); return l })
			return ""
		}, "BAD line_changed in segments/00000000000000000000.jsonl at line 2: "},
		"a line removed": {func(dir string) string {
			editLines(t, segments(t, dir)[0], func(l []string) []string { return slices.Delete(l, 3, 4) })
			return ""
		}, "at line 3: "},
		"lines swapped": {func(dir string) string {
			editLines(t, segments(t, dir)[1], func(l []string) []string { l[1], l[2] = l[2], l[1]; return l })
			return ""
		}, "BAD line_reordered in segments/00000000000000000007.jsonl at line "},
		"a segment removed": {func(dir string) string { _ = os.Remove(segments(t, dir)[1]); return "" }, " at line 7: the lines up to 13 are missing: "},
		"the end cut off": {func(dir string) string {
			editLines(t, segments(t, dir)[2], func(l []string) []string { return l[:3] })
			return ""
		}, "BAD "},
		"an old copy":             {func(string) string { return old }, "BAD too_short"},
		"another trail":           {func(string) string { return forked.dir }, "BAD fork"},
		"the checkpoint removed":  {func(dir string) string { _ = os.Remove(filepath.Join(dir, "checkpoint")); return "" }, "BAD checkpoint_missing"},
		"the checkpoint replaced": {func(dir string) string { overwrite(t, filepath.Join(dir, "checkpoint"), "x"); return "" }, "BAD checkpoint_invalid"},
		"a foreign file":          {func(dir string) string { overwrite(t, filepath.Join(dir, "segments", "x.gz"), "x"); return "" }, "BAD foreign_file"},
	} {
		dir := e.copyOf(t)
		if other := tc.tamper(dir); other != "" {
			dir = other
		}
		out, _, err := command(t, "", "trail", "verify", "--public-key", e.public, "--checkpoints", newest, dir)
		if tc.want == "" {
			if err != nil || !strings.Contains(out, "\nverified: 1 checkpoint from outside agree\n") {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
			continue
		}
		if !errors.Is(err, errNotVerified) || !strings.Contains(out, tc.want) || strings.Contains(out, "\nverified: ") {
			t.Errorf("%s: error %v, want %q in:\n%s", name, err, tc.want, out)
		}
	}
}

func TestTrailVerifyJSON(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	e.record(t, 3)
	editLines(t, segments(t, e.dir)[0], func(l []string) []string { l[1] = strings.Replace(l[1], "GET", "PUT", 1); return l })
	out, _, err := command(t, "", "trail", "verify", "--json", "--public-key", e.public, e.dir)
	var report verifyReport
	if jsonErr := json.Unmarshal([]byte(out), &report); jsonErr != nil {
		t.Fatal(jsonErr)
	}
	if !errors.Is(err, errNotVerified) || report.Verified || report.Size != 4 || len(report.Problems) == 0 || *report.Problems[0].Line != 1 {
		t.Errorf("error %v\n%s", err, out)
	}
}

// Standard input is a place for checkpoints too; a key of another trail and a missing folder are
// clear errors.
func TestTrailVerifyInputs(t *testing.T) {
	t.Parallel()
	e, other := newEvidence(t), newEvidence(t)
	e.record(t, 3)
	checkpoint := read(t, filepath.Join(e.dir, "checkpoint"))
	if out, _, err := command(t, checkpoint, "trail", "verify", "--public-key", e.public, "--public-key", e.public, "--checkpoints", "-", e.dir); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for name, tc := range map[string]struct {
		args  []string
		want  string
		usage bool
	}{
		"another key":        {[]string{"--public-key", other.public, e.dir}, "does not verify", false},
		"a private key":      {[]string{"--public-key", e.key, e.dir}, "key:1: this is the private key", true},
		"no folder":          {[]string{"--public-key", e.public, e.dir + "x"}, "no such file", false},
		"no trail":           {[]string{"--public-key", e.public, filepath.Dir(e.dir)}, "no trail is in this folder", false},
		"no checkpoint":      {[]string{"--public-key", e.public, "--checkpoints", e.public, e.dir}, "no checkpoint of this trail is in", false},
		"a witness, no key":  {[]string{"--public-key", e.public, "--witness", "http://127.0.0.1:1", e.dir}, "--witness needs --witness-key", true},
		"a key that is none": {[]string{"--public-key", filepath.Join(e.dir, "checkpoint"), e.dir}, "checkpoint:1: not a public key", true},
		"no key":             {[]string{e.dir}, "--public-key", true},
	} {
		out, _, err := command(t, "", append([]string{"trail", "verify"}, tc.args...)...)
		var usage usageError
		if err == nil || !strings.Contains(err.Error(), tc.want) || errors.As(err, &usage) != tc.usage {
			t.Errorf("%s: error %v, want %q\n%s", name, err, tc.want, out)
		}
	}
}

// A proof is verified with package tlog alone.
func TestTrailProve(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	e.record(t, 300)
	older := filepath.Join(t.TempDir(), "older")
	overwrite(t, older, read(t, filepath.Join(e.dir, "checkpoint")))
	e.record(t, 400)
	verifier, err := note.NewVerifier(strings.TrimSpace(read(t, e.public)))
	if err != nil {
		t.Fatal(err)
	}
	// tree returns the tree of a signed checkpoint.
	tree := func(signed string) tlog.Tree {
		n, err := note.Open([]byte(signed), note.VerifierList(verifier))
		if err != nil {
			t.Fatalf("%v\n%s", err, signed)
		}
		lines := strings.Split(n.Text, "\n")
		size, errSize := strconv.ParseInt(lines[1], 10, 64)
		root, errRoot := tlog.ParseHash(lines[2])
		if err := errors.Join(errSize, errRoot); err != nil || lines[0] != "host.example/orders" {
			t.Fatalf("%v\n%s", err, signed)
		}
		return tlog.Tree{N: size, Hash: root}
	}
	proofOf := func(lines []string) (proof []tlog.Hash) {
		for _, line := range lines {
			h, err := tlog.ParseHash(line)
			if err != nil {
				t.Fatal(err)
			}
			proof = append(proof, h)
		}
		return proof
	}
	lines := strings.Split(strings.TrimSuffix(read(t, segments(t, e.dir)[0])+read(t, segments(t, e.dir)[1]), "\n"), "\n")
	for _, seq := range []int64{0, 255, 256, 300, 301, int64(len(lines)) - 1} {
		out, _, err := command(t, "", "trail", "prove", "--public-key", e.public, "--line", fmt.Sprint(seq), e.dir)
		if err != nil {
			t.Fatal(err)
		}
		head, signed, _ := strings.Cut(out, "\n\n")
		parts := strings.Split(head, "\n")
		if parts[0] != "c2sp.org/tlog-proof@v1" || parts[1] != fmt.Sprintf("index %d", seq) {
			t.Errorf("head %q", parts[:2])
		}
		root := tree(signed)
		if err := tlog.CheckRecord(proofOf(parts[2:]), root.N, root.Hash, seq, tlog.RecordHash([]byte(lines[seq]))); err != nil {
			t.Errorf("line %d: %v", seq, err)
		}
	}
	out, _, err := command(t, "", "trail", "prove", "--public-key", e.public, "--older", older, e.dir)
	if err != nil {
		t.Fatal(err)
	}
	head, signed, _ := strings.Cut(out, "\n\n")
	parts := strings.Split(head, "\n")
	small, large := tree(read(t, older)), tree(signed)
	if parts[0] != fmt.Sprintf("old %d", small.N) {
		t.Errorf("first line %q", parts[0])
	}
	if err := tlog.CheckTree(proofOf(parts[1:]), large.N, large.Hash, small.N, small.Hash); err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{{"--line", "99999"}, {"--line", "1", "--older", older}, {}, {"--older", e.public}} {
		if _, _, err := command(t, "", append([]string{"trail", "prove", "--public-key", e.public, e.dir}, args...)...); err == nil {
			t.Errorf("%q succeeded", args)
		}
	}
}

func TestTrailProveJSON(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	e.record(t, 3)
	out, _, err := command(t, "", "trail", "prove", "--format", "json", "--public-key", e.public, "--line", "2", e.dir)
	var proof struct {
		Seq        int64
		Line       string
		Checkpoint string
		Proof      []string
	}
	if jsonErr := json.Unmarshal([]byte(out), &proof); jsonErr != nil || err != nil {
		t.Fatal(jsonErr, err)
	}
	if proof.Seq != 2 || !strings.HasPrefix(proof.Line, `{"seq":2,`) || proof.Checkpoint != read(t, filepath.Join(e.dir, "checkpoint")) || len(proof.Proof) != 2 {
		t.Errorf("%+v", proof)
	}
}

// An export verifies alone; a changed byte in it does not, wherever it is.
func TestTrailExport(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	e.record(t, 300)
	file := filepath.Join(t.TempDir(), "lines.tar")
	out, _, err := command(t, "", "trail", "export", "--public-key", e.public, e.dir, file)
	if err != nil || !strings.Contains(out, "lines 0 to 300 are in") {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, _, err := command(t, "", "trail", "verify", "--public-key", e.public, "--checkpoints", filepath.Join(e.dir, "checkpoint"), file); err != nil || !strings.Contains(out, ": 301 lines from line 0") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, _, err := command(t, "", "trail", "export", "--public-key", e.public, e.dir, file); err == nil {
		t.Error("an export replaced a file")
	}
	archive := read(t, file)
	for _, at := range []int{
		strings.Index(archive, "192.0.2.17"), strings.LastIndex(archive, `"seq":300`), strings.Index(archive, "host.example/orders\n301\n") + 21,
	} {
		changed := []byte(archive)
		changed[at] ^= 1
		bad := filepath.Join(t.TempDir(), "bad.tar")
		overwrite(t, bad, string(changed))
		out, _, err := command(t, "", "trail", "verify", "--public-key", e.public, bad)
		if !errors.Is(err, errNotVerified) || !strings.Contains(out, "BAD ") {
			t.Errorf("byte %d: %v\n%s", at, err, out)
		}
	}
	overwrite(t, file, archive[:len(archive)/2])
	if _, _, err := command(t, "", "trail", "verify", "--public-key", e.public, file); err == nil {
		t.Error("half a file verifies")
	}
}

// Pruning keeps the rest verifiable; a segment that is missing without a record is a problem.
func TestTrailPrune(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	for range 3 {
		e.record(t, 400)
	}
	prune := func(args ...string) (string, error) {
		out, _, err := command(t, "", append([]string{"trail", "prune", "--key-file", e.key, e.dir, "--actor", "carol", "--reason", "retention of 90 days"}, args...)...)
		return out, err
	}
	if out, err := prune("--before", "2020-01-01"); err != nil || !strings.Contains(out, "nothing was removed") {
		t.Errorf("%v\n%s", err, out)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	overwrite(t, outside, read(t, filepath.Join(e.dir, "checkpoint")))
	out, err := prune("--before", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	if err != nil || !strings.HasPrefix(out, "removed lines 0 to ") {
		t.Fatalf("%v\n%s", err, out)
	}
	out, _, err = command(t, "", "trail", "verify", "--public-key", e.public, "--checkpoints", outside, e.dir)
	if err != nil || !strings.Contains(out, "pruned: lines 0 to ") || !strings.Contains(out, "by carol at ") || !strings.Contains(out, "retention of 90 days") {
		t.Errorf("%v\n%s", err, out)
	}
	e.record(t, 300)
	file := filepath.Join(t.TempDir(), "lines.tar")
	if out, _, err := command(t, "", "trail", "export", "--public-key", e.public, e.dir, file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if err := os.Remove(segments(t, e.dir)[0]); err != nil {
		t.Fatal(err)
	}
	if out, _, err := command(t, "", "trail", "verify", "--public-key", e.public, e.dir); !errors.Is(err, errNotVerified) || !strings.Contains(out, "segment_missing") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := prune("--before", "2026-01-01", "--reason", ""); err == nil {
		t.Error("no reason was accepted")
	}
}

func TestTrailShow(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	e.record(t, 30) // and one line that begins the segment
	for _, tc := range []struct {
		args  []string
		lines int
		want  string
	}{
		{nil, 31, "failure  invalid_credentials  wrong_password  alice  192.0.2.0  GET  /orders/{id}  /orders/0"},
		{[]string{"--format", "json"}, 31, `{"seq":1,"time":"2026-11-29T09:00:00.000000000Z"`},
		{[]string{"--outcome", "success"}, 10, "success  alice"},
		{[]string{"--outcome", "success,failure", "--format", "ecs"}, 30, `"source":{"ip":"192.0.2.29"}`},
		{[]string{"--user", "alice", "--format", "ocsf"}, 20, `"class_uid":3002`},
		{[]string{"--user", "k1:m"}, 10, "unknown_user"},
		{[]string{"--client", "192.0.2.0/29"}, 8, "192.0.2.7"},
		{[]string{"--client", "192.0.2.5", "--client", "192.0.2.6"}, 2, "192.0.2.6"},
		{[]string{"--event", "auth.trail.segment"}, 1, "auth.trail.note="},
		{[]string{"--since", "2026-11-29T09:10:00Z", "--until", "2026-11-29T09:12:00Z"}, 2, "192.0.2.10"},
		{[]string{"--from", "30"}, 1, "192.0.2.29"},
		{[]string{"--client", "198.51.100.1"}, 0, ""},
	} {
		out, _, err := command(t, "", append([]string{"trail", "show", e.dir}, tc.args...)...)
		if n := strings.Count(out, "\n"); err != nil || n != tc.lines || !strings.Contains(out, tc.want) {
			t.Errorf("%q: %v, %d lines, want %d with %q:\n%s", tc.args, err, n, tc.lines, tc.want, out)
		}
		if strings.Contains(out, "\x1b") {
			t.Errorf("%q: an escape sequence of a client is printed", tc.args)
		}
	}
	for _, args := range [][]string{{"--outcome", "succes"}, {"--client", "x"}, {"--since", "yesterday"}, {"--format", "xml"}} {
		_, _, err := command(t, "", append([]string{"trail", "show", e.dir}, args...)...)
		var usage usageError
		if !errors.As(err, &usage) {
			t.Errorf("%q: error %v", args, err)
		}
	}
}

// TestTrailShowChanged: an intruder who can write to the folder cannot write to the terminal of
// the auditor.
func TestTrailShowChanged(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	e.record(t, 3)
	segments, err := filepath.Glob(filepath.Join(e.dir, "segments", "*"))
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	original, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"escape": "\x1b[2J", "C1": "\u009b2J", "bidirectional": "\u202e", "escaped": `\u009b2J`, "not UTF-8": "\xff"} {
		if err := os.WriteFile(segments[0], bytes.ReplaceAll(original, []byte("/orders/1\""), []byte(path+"\"")), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{"text", "json", "ocsf", "ecs"} {
			out, _, err := command(t, "", "trail", "show", e.dir, "--format", format)
			if strings.ContainsAny(out, "\x1b\u009b\u202e") || !utf8.ValidString(out) || format == "json" && name != "escaped" && (err == nil || !strings.Contains(err.Error(), "line 2")) {
				t.Errorf("%s, %s: %v\n%q", name, format, err, out)
			}
		}
	}
}

// --follow continues with lines that are written later, also in the next segment, and ends well
// when it is interrupted.
func TestTrailFollow(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	e.record(t, 3)
	p := start(t, nil, "trail", "show", "--follow", "--outcome", "success", e.dir)
	p.WaitLine(t, "/orders/2")
	e.record(t, 6)
	p.WaitLine(t, "/orders/5")
	p.signal(syscall.SIGINT)
	if code := p.ended(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if n := len(p.Lines("success")); n != 3 {
		t.Errorf("%d lines:\n%s", n, p.output())
	}
}

// verify asks the witness, which knows whether the folder is shorter or another one.
func TestTrailWitness(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	e.record(t, 6)
	old := e.copyOf(t)
	e.record(t, 6)
	w := testkit.NewWitness(t, strings.TrimSpace(read(t, e.public)))
	key := filepath.Join(t.TempDir(), "witness.pub")
	overwrite(t, key, w.Key()+"\n")
	verify := func(dir string, args ...string) (string, error) {
		out, _, err := command(t, "", append([]string{"trail", "verify", "--public-key", e.public, "--witness-key", key, dir}, args...)...)
		return out, err
	}
	if out, err := verify(e.dir); !errors.Is(err, errNotVerified) || !strings.Contains(out, "BAD not_cosigned") {
		t.Errorf("a checkpoint without a cosignature: %v\n%s", err, out)
	}
	for range 2 {
		if out, err := verify(e.dir, "--witness", w.URL); err != nil || !strings.Contains(out, "witness: witness.example/w has seen the trail up to line 13") {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if out, err := verify(old, "--witness", w.URL); !errors.Is(err, errNotVerified) || !strings.Contains(out, "BAD too_short") {
		t.Errorf("an old copy: %v\n%s", err, out)
	}
	forked := &trailFiles{dir: filepath.Join(t.TempDir(), "forked"), key: e.key, public: e.public}
	forked.record(t, 13)
	if out, err := verify(forked.dir, "--witness", w.URL); !errors.Is(err, errNotVerified) || !strings.Contains(out, "BAD fork") {
		t.Errorf("another trail: %v\n%s", err, out)
	}
	if _, err := verify(e.dir, "--witness", "http://127.0.0.1:1/"); err == nil || errors.Is(err, errNotVerified) {
		t.Errorf("a witness that is down: %v", err)
	}
}

// The files of keygen are what the other commands need, and no file is replaced.
func TestTrailKeygen(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	for file, mode := range map[string]os.FileMode{e.key: 0o600, e.public: 0o644} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", file, info.Mode(), err)
		}
	}
	key, err := readTrailKey(e.key)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := readPublicKeys(e.public)
	if err != nil || len(keys) != 1 || keys[0] != key.Public() || key.Origin() != "host.example/orders" {
		t.Errorf("%q, %v", keys, err)
	}
	before := read(t, e.key)
	for _, args := range [][]string{{e.key, "--origin", "x"}, {e.key + "2", "--origin", "a b"}, {e.key + "2", "--origin", "a+b"}, {e.key + "2", "--origin", ""}, {e.key + "2"}} {
		out, errs, err := command(t, "", append([]string{"trail", "keygen"}, args...)...)
		if err == nil {
			t.Errorf("%q succeeded", args)
		}
		if strings.Contains(out+errs+fmt.Sprint(err), "PRIVATE") {
			t.Errorf("%q shows the key", args)
		}
	}
	if read(t, e.key) != before {
		t.Error("the key was replaced")
	}
}

// A terminal gets a progress bar, and a file does not.
func TestVerifyProgress(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	bar := &verifyProgress{&progress{w: &out, live: true}}
	bar.show(trail.Progress{Lines: 10, Bytes: 50, TotalBytes: 200, Elapsed: time.Second})
	if got := out.String(); !strings.Contains(got, "[#######.......................]  25 %  10 lines") {
		t.Errorf("%q", got)
	}
	out.Reset()
	bar = &verifyProgress{newProgress(&out)}
	bar.show(trail.Progress{Bytes: 1, TotalBytes: 2})
	bar.end()
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
}
