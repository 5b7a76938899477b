// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package leak

import (
	"bytes"
	"strings"
	"testing"
)

// naive finds each needle by itself.
func naive(s *Scanner, data []byte) []Found {
	var all []Found
	low := bytes.Clone(data)
	for i, c := range low {
		low[i] = lower(c)
	}
	for _, n := range s.needles {
		hay := data
		if n.anyCase {
			hay = low
		}
		if at := bytes.Index(hay, n.bytes); at >= 0 {
			all = append(all, Found{Secret: n.secret, Form: n.form, Offset: at})
		}
	}
	return all
}

// FuzzScan compares the search in one pass with one search for each needle.
func FuzzScan(f *testing.F) {
	f.Add("wonderland", "correct horse", []byte("x d29uZGVybGFuZA== and 776F6E6465726C616E64"))
	f.Add("éé", "ÿÿÿÿ", []byte("\xe9\xe9 %C3%A9%C3%A9"))
	f.Add("abcd", "ABCD", []byte("abcabcabcd ABCD dcba"))
	f.Fuzz(func(t *testing.T, a, b string, data []byte) {
		s, err := NewScanner(a, b)
		if err != nil {
			return
		}
		got, want := s.Scan(data), naive(s, data)
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%v, want %v", got[i], want[i])
			}
		}
	})
}

func TestShortSecret(t *testing.T) {
	t.Parallel()
	if _, err := NewScanner("long enough", "abc"); err == nil || !strings.Contains(err.Error(), "secret 1 is shorter than 4 bytes") {
		t.Errorf("%v", err)
	}
	s, err := NewScanner()
	if err != nil || s.Scan([]byte("anything")) != nil {
		t.Errorf("%v", err)
	}
}

func BenchmarkScan(b *testing.B) {
	s, err := NewScanner("wonderland-4711", "looking-glass-7f3a", "jabberwocky-91bc")
	if err != nil {
		b.Fatal(err)
	}
	data := bytes.Repeat([]byte("http.request.method GET user.hash k1:9f8e7d6c5b4a client.address 192.0.2.7 "), 1<<14)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		s.Scan(data)
	}
}

// TestExcept: the name of an account may be a form of its password, which is found elsewhere.
func TestExcept(t *testing.T) {
	t.Parallel()
	s, err := NewScanner("toor", "root:toor")
	if err != nil {
		t.Fatal(err)
	}
	s.Except("root", "/admin/")
	if found := s.Scan([]byte("user.name=root")); len(found) != 0 {
		t.Errorf("the name is %+v", found)
	}
	for _, text := range []string{"password=toor", "root:toor", "cm9vdDp0b29y", "746f6f72"} {
		if len(s.Scan([]byte(text))) == 0 {
			t.Errorf("%s is not found", text)
		}
	}
}
