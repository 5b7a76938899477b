// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// folder is a trail on the real disk.
type folder struct {
	*trail.Trail
	dir string
	key *trail.Key
}

func newFolder(t testing.TB, cfg trail.Config) *folder {
	t.Helper()
	f := &folder{dir: filepath.Join(t.TempDir(), "trail"), key: cfg.Key}
	if f.key == nil {
		f.key = newKey(t)
	}
	f.open(t, cfg)
	return f
}

func (f *folder) open(t testing.TB, cfg trail.Config) {
	t.Helper()
	cfg.Dir = f.dir
	if cfg.Key == nil {
		cfg.Key = f.key
	}
	if cfg.Durability == trail.Required {
		cfg.Durability = trail.Ordered // the folder of the tests may be on tmpfs
	}
	var err error
	if f.Trail, err = trail.Open(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close(context.Background()) })
}

func (f *folder) record(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		if err := decide(f.Trail, fmt.Sprint("/orders/", i), attempt.Success); err != nil {
			t.Fatal(err)
		}
	}
}

func (f *folder) close(t testing.TB) {
	t.Helper()
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (f *folder) verify(t testing.TB, keys ...string) trail.Report {
	t.Helper()
	if keys == nil {
		keys = []string{f.key.Public()}
	}
	report, err := trail.Verify(t.Context(), f.dir, trail.VerifyOptions{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestLines(t *testing.T) {
	t.Parallel()
	f := newFolder(t, trail.Config{Responses: true})
	f.record(t, 2)
	f.close(t)
	var got []string
	for l, err := range trail.Lines(t.Context(), f.dir, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(l.JSON) || l.Seq != int64(len(got)) || l.Time.IsZero() {
			t.Errorf("the line %d is %s", l.Seq, l.JSON)
		}
		got = append(got, l.Event)
	}
	want := []string{semconv.EventTrailSegment, semconv.EventAttempt, semconv.EventTrailResponse, semconv.EventAttempt, semconv.EventTrailResponse}
	if !slices.Equal(got, want) {
		t.Errorf("the lines are %v, want %v", got, want)
	}
	for l, err := range trail.Lines(t.Context(), f.dir, 3) {
		if err != nil || l.Seq != 3 || !strings.Contains(string(l.JSON), `"url.path":"/orders/1"`) || !strings.Contains(string(l.JSON), `"auth.trail.attempt":2`) {
			t.Errorf("line 3 is %s, %v", l.JSON, err)
		}
		break
	}
	for _, name := range []string{"lock", "checkpoint", "segments/00000000000000000000.jsonl"} {
		if info, err := os.Stat(filepath.Join(f.dir, name)); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if info, err := os.Stat(f.dir); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
}

func TestOneWriter(t *testing.T) {
	t.Parallel()
	f := newFolder(t, trail.Config{})
	cfg := trail.Config{Dir: f.dir, Key: f.key, Durability: trail.Ordered}
	if _, err := trail.Open(cfg); !errors.Is(err, trail.ErrLocked) {
		t.Errorf("the second Open returns %v", err)
	}
	f.close(t)
	f.open(t, trail.Config{})
}

// A folder on tmpfs is refused by its real type.
func TestTmpFS(t *testing.T) {
	t.Parallel()
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err != nil || !info.IsDir() {
		t.Skip("there is no " + shm)
	}
	dir := filepath.Join(shm, fmt.Sprintf("otelauth-%d", os.Getpid()))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if _, err := trail.Open(trail.Config{Dir: filepath.Join(dir, "trail"), Key: newKey(t)}); !errors.Is(err, trail.ErrFileSystem) {
		t.Errorf("Open returns %v", err)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	f := newFolder(t, trail.Config{})
	f.record(t, 600)
	f.close(t)
	f.open(t, trail.Config{})
	f.record(t, 10)
	last, err := f.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	report, err := trail.Verify(t.Context(), f.dir, trail.VerifyOptions{
		Keys: []string{f.key.Public()}, Checkpoints: [][]byte{last.Note}, Progress: func(trail.Progress) { shown++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	if report.Size != 612 || report.Sealed != 612 || report.Root != last.Root || report.Segments != 2 || report.Lines != 612 || shown == 0 {
		t.Errorf("the report is %+v", report)
	}
	// The line after the checkpoint may be younger than its interval.
	f.record(t, 1)
	testkit.Eventually(t, "the line is on disk", func() bool { return f.Status().Size == 613 })
	for unsealed, want := range map[time.Duration]bool{0: false, time.Hour: true} {
		_, err := trail.Verify(t.Context(), f.dir, trail.VerifyOptions{Keys: []string{f.key.Public()}, Unsealed: unsealed})
		if (err == nil) != want {
			t.Errorf("Unsealed %v: %v", unsealed, err)
		}
		var found *trail.VerificationError
		if err != nil && (!errors.As(err, &found) || found.Problems[0].Kind != trail.NotSealed || found.Problems[0].Line != 612) {
			t.Errorf("Unsealed %v: %v", unsealed, err)
		}
	}
}

// The kinds of problems, and the line that is named.
func TestProblems(t *testing.T) {
	t.Parallel()
	e := collect(t, 3) // the segments begin with the lines 0, 41 and 232
	seg := func(n int) string { return fmt.Sprintf("/trail/segments/%020d.jsonl", n) }
	future, foreign := e.checkpoints[2], collect(t, 1).checkpoints[0]
	for _, tc := range []struct {
		name        string
		change      func(files map[string][]byte)
		checkpoints [][]byte
		kind        trail.ProblemKind
		line        int64
	}{
		{"changed", func(f map[string][]byte) {
			f[seg(41)] = bytes.Replace(f[seg(41)], []byte("alice"), []byte("malce"), 1)
		}, nil, trail.LineChanged, 42},
		{"segment removed", func(f map[string][]byte) { delete(f, seg(41)) }, nil, trail.LineMissing, 41},
		{"first segment removed", func(f map[string][]byte) { delete(f, seg(0)) }, nil, trail.SegmentMissing, 0},
		{"last line removed", func(f map[string][]byte) {
			f[seg(41)] = f[seg(41)][:bytes.LastIndexByte(f[seg(41)][:len(f[seg(41)])-1], '\n')+1]
		}, nil, trail.LineMissing, 231},
		{"end of the trail removed", func(f map[string][]byte) { delete(f, seg(232)) }, nil, trail.TooShort, 232},
		{"too long", func(f map[string][]byte) {
			f[seg(232)] = append(f[seg(232)], bytes.Repeat([]byte("x"), 70000)...)
		}, nil, trail.LineInvalid, 573},
		{"surplus", func(f map[string][]byte) { f[seg(0)] = append(bytes.Clone(f[seg(0)]), '\n') }, nil, trail.Surplus, -1},
		{"foreign file", func(f map[string][]byte) { f["/trail/segments/a.txt"] = nil }, nil, trail.ForeignFile, -1},
		{"no checkpoint", func(f map[string][]byte) { delete(f, "/trail/checkpoint") }, nil, trail.CheckpointMissing, -1},
		{"tile", func(f map[string][]byte) {
			f["/trail/tile/0/000"] = append([]byte{1}, f["/trail/tile/0/000"][1:]...)
		}, nil, trail.TileChanged, 0},
		{"from the future", func(f map[string][]byte) {
			clear(f)
			for name, data := range e.older[0] {
				f[name] = data
			}
		}, [][]byte{future}, trail.TooShort, 41},
		{"of another trail", func(map[string][]byte) {}, [][]byte{foreign}, trail.CheckpointInvalid, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			files := make(map[string][]byte)
			for name, data := range e.files {
				files[name] = data
			}
			tc.change(files)
			var found *trail.VerificationError
			if err := e.verify(t, files, tc.checkpoints...); !errors.As(err, &found) {
				t.Fatalf("Verify returns %v", err)
			}
			if p := found.Problems[0]; p.Kind != tc.kind || p.Line != tc.line {
				t.Errorf("the first problem is %v; want %s at %d\n%v", p, tc.kind, tc.line, errors.Join(found.Unwrap()...))
			}
		})
	}
}

func TestProofs(t *testing.T) {
	t.Parallel()
	f := newFolder(t, trail.Config{})
	f.record(t, 300)
	older, err := f.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.record(t, 500)
	f.close(t)
	public := f.key.Public()
	for _, seq := range []int64{0, 7, 255, 256, 800} {
		p, err := trail.ProveInclusion(t.Context(), f.dir, seq, nil, public)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(p.Proof, p.Checkpoint.Size, p.Checkpoint.Root, seq, tlog.RecordHash(p.Line)); err != nil {
			t.Error(err)
		}
		text, err := p.MarshalText()
		if err != nil || !strings.HasPrefix(string(text), fmt.Sprintf("c2sp.org/tlog-proof@v1\nindex %d\n", seq)) ||
			!bytes.HasSuffix(text, p.Checkpoint.Note) {
			t.Errorf("the proof is\n%s%v", text, err)
		}
	}
	c, err := trail.ProveConsistency(t.Context(), f.dir, older.Note, nil, public)
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.CheckTree(c.Proof, c.Newer.Size, c.Newer.Root, older.Size, older.Root); err != nil {
		t.Error(err)
	}
	if _, err := trail.ProveInclusion(t.Context(), f.dir, 801, nil, public); !errors.Is(err, trail.ErrNotFound) {
		t.Errorf("a line that does not exist: %v", err)
	}
	if _, err := trail.ProveInclusion(t.Context(), f.dir, 7, nil, newKey(t).Public()); !errors.Is(err, trail.ErrKey) {
		t.Errorf("another key: %v", err)
	}
	if _, err := trail.ProveInclusion(t.Context(), t.TempDir(), 7, nil, public); !errors.Is(err, trail.ErrNotFound) {
		t.Errorf("no trail: %v", err)
	}
	name := filepath.Join(f.dir, "segments", "00000000000000000000.jsonl")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.Replace(data, []byte("/orders/6"), []byte("/orders/5"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := trail.ProveInclusion(t.Context(), f.dir, 7, nil, public); !errors.Is(err, trail.ErrTampered) {
		t.Errorf("a changed line: %v", err)
	}
}

// A new key is announced, and who trusts the previous one trusts the new one.
func TestNewKey(t *testing.T) {
	t.Parallel()
	f := newFolder(t, trail.Config{})
	f.record(t, 3)
	f.close(t)
	previous, next := f.key, newKey(t)
	if _, err := trail.Open(trail.Config{Dir: f.dir, Key: next, Durability: trail.Ordered}); !errors.Is(err, trail.ErrKey) {
		t.Errorf("Open with a new key and no previous one returns %v", err)
	}
	for range 2 { // the second time the new key is known
		f.open(t, trail.Config{Key: next, PreviousKey: previous})
		f.record(t, 3)
		f.close(t)
	}
	f.open(t, trail.Config{Key: next})
	f.record(t, 3)
	f.close(t)
	f.verify(t, previous.Public())
	if _, err := trail.Verify(t.Context(), f.dir, trail.VerifyOptions{Keys: []string{newKey(t).Public()}}); err == nil {
		t.Error("it verifies with a key that it never had")
	}
	announced := 0
	for l, err := range trail.Lines(t.Context(), f.dir, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if l.Event == semconv.EventTrailKey {
			announced++
		}
	}
	if announced != 2 {
		t.Errorf("%d lines are about the key", announced)
	}
	other, err := trail.GenerateKey(strings.NewReader(strings.Repeat("k", 64)), "another.example/shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trail.Open(trail.Config{Dir: f.dir, Key: next, PreviousKey: other}); err == nil {
		t.Error("a key of another origin was accepted")
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	f := newFolder(t, trail.Config{})
	for range 3 {
		f.record(t, 300)
		f.close(t)
		f.open(t, trail.Config{})
	}
	if _, err := f.Prune(t.Context(), trail.PruneOptions{Before: time.Now()}); err == nil {
		t.Error("Prune without an actor")
	}
	if r, err := f.Prune(t.Context(), trail.PruneOptions{Before: time.Now().Add(-time.Hour), Actor: "carol", Reason: "retention"}); err != nil || r.To != 0 {
		t.Errorf("Prune removed %+v, %v", r, err)
	}
	pruned, err := f.Prune(t.Context(), trail.PruneOptions{Before: time.Now().Add(time.Hour), Actor: "carol", Reason: "retention"})
	if err != nil || pruned.From != 0 || pruned.To != 903 {
		t.Fatalf("Prune removed %+v, %v", pruned, err)
	}
	f.record(t, 10)
	f.close(t)
	report := f.verify(t)
	if report.First != 903 || report.Size != 915 || len(report.Pruned) != 1 || report.Pruned[0].Actor != "carol" || report.Pruned[0].Reason != "retention" {
		t.Errorf("the report is %+v", report)
	}
	f.open(t, trail.Config{}) // the tree continues
	f.close(t)
	f.verify(t)
}

// The hash tiles of pruned lines stay, so that older checkpoints from outside can be compared. The
// rest verifies without the tiles that c2sp.org/tlog-tiles allows to remove.
func TestPrunedTiles(t *testing.T) {
	t.Parallel()
	f := newFolder(t, trail.Config{})
	f.record(t, 700)
	older, err := f.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.record(t, 900)
	f.close(t)
	f.open(t, trail.Config{})
	pruned, err := f.Prune(t.Context(), trail.PruneOptions{Before: time.Now().Add(time.Hour), Actor: "carol", Reason: "retention"})
	if err != nil || pruned.To != 1601 {
		t.Fatalf("Prune removed %+v, %v", pruned, err)
	}
	f.close(t)
	verify := func(checkpoints ...[]byte) error {
		_, err := trail.Verify(t.Context(), f.dir, trail.VerifyOptions{Keys: []string{f.key.Public()}, Checkpoints: checkpoints})
		return err
	}
	if err := verify(older.Note); err != nil {
		t.Errorf("with the tiles and an older checkpoint: %v", err)
	}
	for n := int64(0); (n+1)*256 <= pruned.To; n++ {
		if err := os.Remove(filepath.Join(f.dir, fmt.Sprintf("tile/0/%03d", n))); err != nil {
			t.Fatal(err)
		}
	}
	if err := verify(); err != nil {
		t.Errorf("without the tiles: %v", err)
	}
	if got := kinds(verify(older.Note)); !slices.Equal(got, []trail.ProblemKind{trail.TileChanged}) {
		t.Errorf("without the tiles, an older checkpoint has the problems %v", got)
	}
	f.open(t, trail.Config{}) // the tree continues
	f.record(t, 300)
	f.close(t)
	if err := verify(); err != nil {
		t.Errorf("after more lines: %v", err)
	}
}

// Retention prunes by itself.
func TestRetention(t *testing.T) {
	t.Parallel()
	r := newRig(t, trail.Config{Retention: time.Hour})
	for _, ahead := range []time.Duration{2 * time.Hour, 4 * time.Hour} {
		r.close(t)
		var err error
		r.Trail, err = trail.OpenOn(trail.Config{
			Dir: "/trail", Key: r.key, Retention: time.Hour, Now: func() time.Time { return time.Now().Add(ahead) },
		}, r.disk)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "old segments are removed", func() bool { return len(segments(r.disk)) == 2 })
	r.close(t)
	if err := r.verify(t); err != nil {
		t.Error(err)
	}
}

// A bundle holds what a client of tlog-tiles needs to verify its entries.
func TestExport(t *testing.T) {
	t.Parallel()
	f := newFolder(t, trail.Config{})
	f.record(t, 1000)
	f.close(t)
	var out bytes.Buffer
	if err := trail.Export(t.Context(), f.dir, &out, trail.ExportOptions{From: 300, To: 600, Keys: []string{f.key.Public()}}); err != nil {
		t.Fatal(err)
	}
	files := bundle{}
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	c, err := trail.ParseCheckpoint(files["checkpoint"], f.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	reader := tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, files)
	checked := int64(0)
	for _, number := range []int64{1, 2} {
		for n, data := number*256, files[fmt.Sprintf("tile/entries/%03d", number)]; len(data) > 0; n++ {
			size := binary.BigEndian.Uint16(data)
			entry := data[2 : 2+size]
			data = data[2+size:]
			proof, err := tlog.ProveRecord(c.Size, n, reader)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(proof, c.Size, c.Root, n, tlog.RecordHash(entry)); err != nil {
				t.Fatal(err)
			}
			checked++
		}
	}
	if checked != 512 {
		t.Errorf("%d entries", checked)
	}
}

// bundle reads tiles as a client would.
type bundle map[string][]byte

func (bundle) Height() int                     { return 8 }
func (bundle) SaveTiles([]tlog.Tile, [][]byte) {}

func (b bundle) ReadTiles(tiles []tlog.Tile) (all [][]byte, err error) {
	for _, t := range tiles {
		name := "tile/" + strings.TrimPrefix(t.Path(), "tile/8/")
		if b[name] == nil {
			return nil, fmt.Errorf("%s is missing", name)
		}
		all = append(all, b[name])
	}
	return all, nil
}

// cosigner is a witness.
type cosigner struct {
	key  *trail.Key
	seen chan trail.Checkpoint
	size int64
}

func (c *cosigner) Cosign(_ context.Context, next trail.Checkpoint, prove func(int64) (tlog.TreeProof, error)) ([]byte, error) {
	if c.size > 0 {
		if _, err := prove(c.size); err != nil {
			return nil, err
		}
	}
	c.size = next.Size
	signer, err := note.NewSigner(c.key.Private())
	if err != nil {
		return nil, err
	}
	text, _, _ := strings.Cut(string(next.Note), "\n\n")
	both, err := note.Sign(&note.Note{Text: text + "\n"}, signer)
	if err != nil {
		return nil, err
	}
	c.seen <- next
	_, signature, _ := strings.Cut(string(both), "\n\n")
	return []byte(signature), nil
}

func TestWitness(t *testing.T) {
	t.Parallel()
	key, err := trail.GenerateKey(strings.NewReader(strings.Repeat("w", 64)), "witness.example")
	if err != nil {
		t.Fatal(err)
	}
	w := &cosigner{key: key, seen: make(chan trail.Checkpoint, 16)}
	f := newFolder(t, trail.Config{Witness: w})
	testkit.Receive(t, "the first checkpoint", w.seen)
	f.record(t, 300)
	if _, err := f.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := testkit.Receive(t, "a checkpoint", w.seen); c.Size != 301 {
		t.Errorf("the witness was asked about %d lines", c.Size)
	}
	testkit.Eventually(t, "the checkpoint is cosigned", func() bool {
		text, err := os.ReadFile(filepath.Join(f.dir, "checkpoint"))
		return err == nil && strings.Contains(string(text), "\n— witness.example ")
	})
	f.close(t)
	f.verify(t)
}

func TestKey(t *testing.T) {
	t.Parallel()
	for range 50 { // the Base64 of some keys has a plus sign
		key, err := trail.GenerateKey(strings.NewReader(strings.Repeat(string(rune(33+time.Now().Nanosecond()%90)), 64)), "h")
		if err != nil {
			t.Fatal(err)
		}
		again, err := trail.ParseKey(" " + key.Private() + "\n")
		if err != nil || again.Public() != key.Public() || again.String() != key.Public() {
			t.Errorf("the key comes back as %v, %v", again, err)
		}
	}
	for _, bad := range []string{"", "PRIVATE+KEY+h", newKey(t).Public(), newKey(t).Private() + "x"} {
		if _, err := trail.ParseKey(bad); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("ParseKey(%q) returns %v", bad, err)
		}
	}
	if _, err := trail.GenerateKey(strings.NewReader(""), "a b"); err == nil {
		t.Error("an origin with a space was accepted")
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []trail.Config{
		{}, {Dir: "d"}, {Key: newKey(t)}, {Dir: "d", Key: newKey(t), Durability: 9}, {Dir: "d", Key: newKey(t), Timeout: time.Hour},
		{Dir: "d", Key: newKey(t), QueueEntries: -1}, {Dir: "d", Key: newKey(t), SegmentBytes: 1}, {Dir: "d", Key: newKey(t), Retention: time.Second},
	} {
		if _, err := trail.Open(cfg); err == nil || !strings.HasPrefix(err.Error(), "trail: Config.") {
			t.Errorf("Open(%+v) returns %v", cfg, err)
		}
	}
	for _, d := range []trail.Durability{trail.Required, trail.Ordered, trail.Off} {
		var back trail.Durability
		text, err := d.MarshalText()
		if err == nil {
			err = back.UnmarshalText(text)
		}
		if err != nil || back != d {
			t.Errorf("%v comes back as %v, %v", d, back, err)
		}
	}
	if new(trail.Durability).UnmarshalText([]byte("always")) == nil {
		t.Error("an unknown durability was accepted")
	}
	off, err := trail.Open(trail.Config{Durability: trail.Off})
	if err != nil {
		t.Fatal(err)
	}
	if err := decide(off, "/", attempt.Success); err != nil {
		t.Error(err)
	}
	off.Notice(t.Context(), attempt.Notice{})
	off.Flush()
	if err := errors.Join(off.Ready(), off.Close(t.Context())); err != nil || off.Status().Size != 0 {
		t.Error(err)
	}
}
