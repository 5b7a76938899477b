// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/internal/snapshot"
)

var secret = bytes.Repeat([]byte("k"), 32)

// states have lengths around those of chunks.
func states() (all [][]byte) {
	for _, n := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 3 * 64 << 10} {
		all = append(all, bytes.Repeat([]byte("alice "), n/6+1)[:n])
	}
	return all
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, state := range states() {
		data, err := snapshot.Seal("test", secret, state)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("alice")) {
			t.Errorf("%d bytes: the state is not encrypted", len(state))
		}
		again, err := snapshot.Seal("test", secret, state)
		if err != nil || bytes.Equal(data, again) {
			t.Errorf("%d bytes: two snapshots are equal: %v", len(state), err)
		}
		got, err := snapshot.Open("test", secret, data)
		if err != nil || !bytes.Equal(got, state) {
			t.Errorf("%d bytes: %d bytes, %v", len(state), len(got), err)
		}
	}
}

// TestUnusable: a snapshot is read as a whole or refused, with the cause.
func TestUnusable(t *testing.T) {
	t.Parallel()
	state := states()[5]
	data, err := snapshot.Seal("test", secret, state)
	if err != nil {
		t.Fatal(err)
	}
	const chunk, head = 64<<10 + 16, len("otelauth test snapshot 1\n") + 8 + 32
	flipped := bytes.Clone(data)
	flipped[len(flipped)/2] ^= 1
	swapped := bytes.Clone(data)
	copy(swapped[head:], data[head+chunk:head+2*chunk])
	copy(swapped[head+chunk:], data[head:head+chunk])
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"empty":           {nil, snapshot.ErrDamaged},
		"text":            {[]byte("hello, world\nthis is no snapshot of anything"), snapshot.ErrDamaged},
		"cut":             {data[:len(data)-1], snapshot.ErrDamaged},
		"without a chunk": {data[:head+chunk], snapshot.ErrDamaged},
		"only the head":   {data[:head], snapshot.ErrDamaged},
		"more":            {append(bytes.Clone(data), 0), snapshot.ErrDamaged},
		"one bit":         {flipped, snapshot.ErrDamaged},
		"swapped chunks":  {swapped, snapshot.ErrDamaged},
		"next version":    {bytes.Replace(data, []byte("snapshot 1\n"), []byte("snapshot 2\n"), 1), snapshot.ErrVersion},
	} {
		if got, err := snapshot.Open("test", secret, c.data); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %d bytes, %v; want %v", name, len(got), err, c.want)
		}
	}
	if _, err := snapshot.Open("test", bytes.Repeat([]byte("x"), 32), data); !errors.Is(err, snapshot.ErrKey) {
		t.Errorf("another key: %v", err)
	}
	if _, err := snapshot.Open("other", secret, data); !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("another kind: %v", err)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := snapshot.File{Name: filepath.Join(dir, "state"), Kind: "test", Secret: secret}
	var got string
	restore := func(state []byte) error { got = string(state); return nil }
	if err := f.Read("tests", restore); err != nil || got != "" {
		t.Fatalf("no file: %q, %v", got, err)
	}
	for _, state := range []string{"one", "two"} {
		if err := f.Write([]byte(state)); err != nil {
			t.Fatal(err)
		}
		if err := f.Read("tests", restore); err != nil || got != state {
			t.Fatalf("read %q, %v", got, err)
		}
	}
	if err := f.Read("tests", func([]byte) error { return snapshot.ErrFuture }); !errors.Is(err, snapshot.ErrFuture) ||
		!strings.Contains(err.Error(), f.Name+".broken") {
		t.Errorf("from the future: %v", err)
	}
	if data, err := os.ReadFile(f.Name + ".broken"); err != nil || len(data) == 0 {
		t.Errorf("the last good state is not kept: %v", err)
	}
	if all, _ := filepath.Glob(filepath.Join(dir, "*")); len(all) != 1 {
		t.Errorf("left behind: %v", all)
	}
	f.Name = filepath.Join(dir, "no", "such", "folder")
	if err := f.Write(nil); err == nil {
		t.Error("written to a folder that does not exist")
	}
}

// FuzzOpen: no data makes Open panic or return a state that was not sealed.
func FuzzOpen(f *testing.F) {
	data, err := snapshot.Seal("test", secret, []byte("state"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:30])
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := snapshot.Open("test", secret, b); err == nil && string(got) != "state" {
			t.Errorf("a forged snapshot: %q", got)
		}
	})
}
