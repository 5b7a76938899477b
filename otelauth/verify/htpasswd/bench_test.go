// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const many = 100_000

func manyAccounts(b *testing.B) (path string) {
	b.Helper()
	var content strings.Builder
	for i := range many {
		fmt.Fprintf(&content, "user%06d:%s\n", i, hashNumber(i))
	}
	path = filepath.Join(b.TempDir(), "users")
	if err := os.WriteFile(path, []byte(content.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkOpen100000 loads 100,000 accounts. Nothing is hashed.
func BenchmarkOpen100000(b *testing.B) {
	path := manyAccounts(b)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var f *File
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if f, err = Open(Config{Path: path, Unwatched: true}); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(f.Len()), "heap-B/account")
	runtime.KeepAlive(f)
}

// BenchmarkReload100000 reloads 100,000 accounts of which one has changed.
func BenchmarkReload100000(b *testing.B) {
	path := manyAccounts(b)
	f, err := Open(Config{Path: path, Unwatched: true})
	if err != nil {
		b.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	versions := [2]string{string(content), strings.Replace(string(content), "user050000:"+hashNumber(50_000), "user050000:"+bcryptNew, 1)}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		n++
		if err := os.WriteFile(path, []byte(versions[n%2]), 0o600); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := f.Reload(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPoll100000 polls an unchanged file of 100,000 accounts.
func BenchmarkPoll100000(b *testing.B) {
	f, err := Open(Config{Path: manyAccounts(b), Unwatched: true})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = f.look()
	}
}

// BenchmarkPoll3 polls an unchanged file of the usual size.
func BenchmarkPoll3(b *testing.B) {
	path := filepath.Join(b.TempDir(), "users")
	if err := os.WriteFile(path, []byte(three), 0o600); err != nil {
		b.Fatal(err)
	}
	f, err := Open(Config{Path: path, Unwatched: true})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = f.look()
	}
}

func BenchmarkLookup100000(b *testing.B) {
	f, err := Open(Config{Path: manyAccounts(b), Unwatched: true})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if a, _ := f.Lookup(ctx, "user077777"); a == nil {
			b.Fatal("no account")
		}
	}
}
