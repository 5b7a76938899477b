// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package budgettest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// RunBoard tests the documents of a [budget.Board]. open returns the board of one more process.
func RunBoard(t *testing.T, open func(t *testing.T) budget.Board) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, func(*testing.T) budget.Board){
		"update and read":     testUpdate,
		"updates at once":     testUpdatesAtOnce,
		"watch":               testWatch,
		"an edit that fails":  testFailingEdit,
		"documents expire":    testExpiry,
		"clear here":          testClearHere,
		"names are separate":  testNames,
		"binary and 1 MB big": testContent,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

func set(t *testing.T, b budget.Board, name, content string) {
	t.Helper()
	err := b.Update(t.Context(), name, time.Hour, func([]byte) ([]byte, error) { return []byte(content), nil })
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, b budget.Board, name string) string {
	t.Helper()
	content, err := b.Read(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func testUpdate(t *testing.T, open func(*testing.T) budget.Board) {
	t.Helper()
	a, b := open(t), open(t)
	if content, err := a.Read(t.Context(), "update"); content != nil || err != nil {
		t.Fatalf("a document that does not exist: %q, %v", content, err)
	}
	set(t, a, "update", "one")
	var seen string
	err := b.Update(t.Context(), "update", time.Hour, func(current []byte) ([]byte, error) {
		seen = string(current)
		return append(current, " two"...), nil
	})
	if err != nil || seen != "one" || read(t, a, "update") != "one two" {
		t.Errorf("%v: the other process saw %q, and made %q", err, seen, read(t, a, "update"))
	}
	if err := a.Update(t.Context(), "update", time.Hour, func([]byte) ([]byte, error) { return nil, nil }); err != nil || read(t, b, "update") != "one two" {
		t.Errorf("an update to nil: %v %q", err, read(t, b, "update"))
	}
	if !a.Shared() {
		t.Error("the board is not shared")
	}
	if ahead := a.Ahead(); ahead.Abs() > time.Minute {
		t.Errorf("the clock of the board is %v ahead", ahead)
	}
}

func testUpdatesAtOnce(t *testing.T, open func(*testing.T) budget.Board) {
	t.Helper()
	const processes, updates = 4, 8
	var all sync.WaitGroup
	for p := range processes {
		b := open(t)
		all.Go(func() {
			for i := range updates {
				err := b.Update(context.Background(), "at once", time.Hour, func(current []byte) ([]byte, error) {
					return fmt.Appendf(current, "%d.%d ", p, i), nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := strings.Fields(read(t, open(t), "at once")); len(got) != processes*updates {
		t.Errorf("%d of %d updates are in the document: %q", len(got), processes*updates, got)
	}
}

func testWatch(t *testing.T, open func(*testing.T) budget.Board) {
	t.Helper()
	a, b := open(t), open(t)
	var mu sync.Mutex
	var seen []string
	stop := b.Watch("watch", func(content []byte) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprintf("%q", content))
	})
	has := func(want ...string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Equal(seen, want)
		}
	}
	testkit.Eventually(t, "the first call without a document", has(`""`))
	set(t, a, "watch", "one")
	testkit.Eventually(t, "the change of the other process", has(`""`, `"one"`))
	set(t, b, "watch", "two")
	testkit.Eventually(t, "the own change", has(`""`, `"one"`, `"two"`))
	stop()
	stop()
	set(t, a, "watch", "three")
	late := b.Watch("watch", func([]byte) {})
	defer late()
	if !has(`""`, `"one"`, `"two"`)() {
		t.Error("changed was called after stop")
	}
}

func testFailingEdit(t *testing.T, open func(*testing.T) budget.Board) {
	t.Helper()
	b := open(t)
	set(t, b, "failing", "kept")
	broken := errors.New("broken")
	if err := b.Update(t.Context(), "failing", time.Hour, func([]byte) ([]byte, error) { return []byte("x"), broken }); !errors.Is(err, broken) {
		t.Errorf("the error of edit: %v", err)
	}
	if got := read(t, b, "failing"); got != "kept" {
		t.Errorf("the document is %q", got)
	}
}

func testExpiry(t *testing.T, open func(*testing.T) budget.Board) {
	t.Helper()
	b := open(t)
	err := b.Update(t.Context(), "expiry", 50*time.Millisecond, func([]byte) ([]byte, error) { return []byte("short"), nil })
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the end of a document", func() bool { return read(t, b, "expiry") == "" })
}

func testClearHere(t *testing.T, open func(*testing.T) budget.Board) {
	t.Helper()
	if err := open(t).ClearHere(t.Context(), budget.Key{1}, budget.Account); err != nil {
		t.Error(err)
	}
}

func testNames(t *testing.T, open func(*testing.T) budget.Board) {
	t.Helper()
	b := open(t)
	set(t, b, "name", "one")
	set(t, b, "name:two", "two")
	if read(t, b, "name") != "one" || read(t, b, "name:two") != "two" {
		t.Error("two documents are one")
	}
}

func testContent(t *testing.T, open func(*testing.T) budget.Board) {
	t.Helper()
	b := open(t)
	content := strings.Repeat("\x00\xff\r\n", 1<<18)
	set(t, b, "content", content)
	if read(t, b, "content") != content {
		t.Error("the content has changed")
	}
}
