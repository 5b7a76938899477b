// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package flagfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// command has a flag of each kind.
type command struct {
	Text    string
	List    []string `sep:"none"`
	Grant   []string `sep:"none" mapping:""`
	Truth   bool
	Number  int
	Time    time.Duration
	OneOf   string `enum:"plain,hash" default:"plain"`
	Integer int64
}

func flagsOf(t testing.TB) []*kong.Flag {
	t.Helper()
	k, err := kong.New(&command{})
	if err != nil {
		t.Fatal(err)
	}
	return k.Model.Flags
}

// FuzzRead: whatever stands in a file, it is read or refused; what is read, kong takes; every
// error has its line.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"", "# nothing\n", "~\n", "\ufefftext: a\n", "---\ntext: a\n", "text: a\n---\ntext: b\n", "text: a\ntext: b\n", "txet: a\n", "text: 7\n",
		"text: [a]\n", "text: !!binary aGk=\n", "text: &a b\nlist: *a\n", "<<: *x\n", "? [a]\n: b\n", "- text: a\n", "text: a\n\tb: [\n", "text: \"a\\nb\"\n",
		"text: |\n  a\n  b\n", "list: [/a, '/b']\n", "list:\n  - /a\n  -\n", "list: a\n", "list: {a: b}\n", "grant: {/x/: [y, z]}\n", "grant: {/x/: 'y,z'}\n",
		"grant:\n  /x/: a\n  /x/: b\n", "grant: ['/x/=y']\n", "truth: yes\n", "truth: true\n", "number: 0x10\n", "number: 1_000\n", "number: 99999999999999999999\n",
		"time: 5m\n", "time: 5\n", "one-of: hash\n", "one-of: both\n", "integer: 5\n", "text: \x00\n", "text: \xff\n", strings.Repeat("[", 200),
	} {
		f.Add(seed)
	}
	flags := flagsOf(f)
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Read(strings.NewReader(text), "f", flags)
		if err != nil {
			var all interface{ Unwrap() []error }
			if !errors.As(err, &all) {
				if !strings.HasPrefix(err.Error(), "f:") || len(err.Error()) > 1000 {
					t.Fatalf("%q: the error %q", text, err)
				}
				return
			}
			for _, one := range all.Unwrap() {
				var line int
				if n, e := fmt.Sscanf(one.Error(), "f:%d: ", &line); n != 1 || e != nil || line < 1 || line > strings.Count(text, "\n")+strings.Count(text, "\r")+strings.Count(text, "\u0085")+strings.Count(text, "\u2028")+strings.Count(text, "\u2029")+1 {
					t.Fatalf("%q: the error %q has no line of the file", text, one)
				}
			}
			return
		}
		for _, flag := range flags {
			value, place := file.Find(flag.Name)
			if (value == nil) != (place == "") {
				t.Fatalf("%q: %s is %v at %q", text, flag.Name, value, place)
			}
			if value == nil {
				continue
			}
			if err := Check(flag, value); err != nil {
				t.Fatalf("%q: %s: %v is not what kong takes: %v", text, flag.Name, value, err)
			}
			items, isList := value.([]any)
			if isList != flag.IsSlice() {
				t.Fatalf("%q: %s is %T", text, flag.Name, value)
			}
			for _, item := range items {
				if _, isText := item.(string); !isText {
					t.Fatalf("%q: %s has an item %T", text, flag.Name, item)
				}
			}
		}
	})
}

// TestTooLarge: a file is bounded before it is looked at.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	text := "text: " + strings.Repeat("a", MaxBytes)
	if _, err := Read(strings.NewReader(text), "f", flagsOf(t)); err == nil || err.Error() != "f: larger than 1048576 bytes" {
		t.Errorf("got %v", err)
	}
	if file, err := Read(strings.NewReader(text[:MaxBytes]), "f", flagsOf(t)); err != nil {
		t.Error(err)
	} else if value, place := file.Find("text"); len(value.(string)) != MaxBytes-6 || place != "f:1: text" {
		t.Errorf("%d bytes at %q", len(value.(string)), place)
	}
}
