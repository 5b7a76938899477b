// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package leak finds secrets in bytes, in the encodings in which programs write them by mistake.
package leak

import (
	"bytes"
	"fmt"
	"strings"
)

// Found is one place where a secret was found. It does not hold the secret.
type Found struct {
	// Secret is the index of the secret among those searched for.
	Secret int
	// Form is the encoding: "plain", "base64", "SHA-256 as hexadecimal", ….
	Form string
	// Offset is the position in the data, in bytes.
	Offset int
}

// MinBytes is the length of the shortest secret: the forms of a shorter one occur by chance.
const MinBytes = 4

// Scanner searches for the forms of secrets: plain, reversed, hexadecimal, base32,
// percent-encoded, a JSON or Go string literal, UTF-16, Latin-1, a list of byte values, base64 and
// base64url, also inside of a longer encoded text, and the MD5, SHA-1, SHA-256 and SHA-512 digests
// as bytes, hexadecimal and base64. It reads data once, however many secrets there are. It is safe
// for concurrent use.
type Scanner struct {
	needles []secretNeedle
	short   []int            // indexes of needles shorter than a prefix
	filter  [1 << 10]uint64  // one bit for each hash of a prefix, in lower case
	prefix  map[uint32][]int // indexes of needles by their prefix, in lower case
}

type secretNeedle struct {
	needle
	secret  int
	ignored bool
}

// prefixBytes is how many bytes of a needle the filter knows.
const prefixBytes = 3

// NewScanner returns a Scanner for secrets. A secret shorter than [MinBytes] is an error that
// names its index.
func NewScanner(secrets ...string) (*Scanner, error) {
	s := &Scanner{prefix: map[uint32][]int{}}
	for i, secret := range secrets {
		if len(secret) < MinBytes {
			return nil, fmt.Errorf("secret %d is shorter than %d bytes; use a longer one", i, MinBytes)
		}
		for _, n := range needles(secret) {
			at := len(s.needles)
			s.needles = append(s.needles, secretNeedle{needle: n, secret: i})
			if len(n.bytes) < prefixBytes {
				s.short = append(s.short, at)
				continue
			}
			var key uint32
			for _, c := range n.bytes[:prefixBytes] {
				key = key<<8 | uint32(lower(c))
			}
			s.prefix[key] = append(s.prefix[key], at)
			s.filter[slot(key)>>6] |= 1 << (slot(key) & 63)
		}
	}
	return s, nil
}

// Except removes the forms that one of texts holds in itself, because data may hold the text: the
// password "toor" reversed is the user name "root". Call it before Scan.
func (s *Scanner) Except(texts ...string) {
	for i := range s.needles {
		for _, text := range texts {
			if s.needles[i].isIn(text) {
				s.needles[i].ignored = true
			}
		}
	}
}

// slot returns the bit of a prefix in the filter.
func slot(key uint32) uint32 { return key * 0x9E3779B1 >> 16 }

// Scan returns at most one Found for each secret and form, the first in data.
func (s *Scanner) Scan(data []byte) []Found {
	if len(s.needles) == 0 {
		return nil
	}
	first := make(map[int]int)
	for _, n := range s.short {
		if at := bytes.Index(data, s.needles[n].bytes); at >= 0 {
			first[n] = at
		}
	}
	var key uint32
	for i, c := range data {
		key = key<<8&0xffffff | uint32(lower(c))
		if b := slot(key); s.filter[b>>6]&(1<<(b&63)) == 0 || i < prefixBytes-1 {
			continue
		}
		at := i - (prefixBytes - 1)
		for _, n := range s.prefix[key] {
			if _, known := first[n]; !known && s.needles[n].begins(data[at:]) {
				first[n] = at
			}
		}
	}
	var all []Found
	for n := range s.needles {
		if at, ok := first[n]; ok && !s.needles[n].ignored {
			all = append(all, Found{Secret: s.needles[n].secret, Form: s.needles[n].form, Offset: at})
		}
	}
	return all
}

// isIn reports whether text holds the needle.
func (n *needle) isIn(text string) bool {
	if n.anyCase {
		text = strings.ToLower(text)
	}
	return strings.Contains(text, string(n.bytes))
}

// begins reports whether data begins with the needle.
func (n *needle) begins(data []byte) bool {
	if len(data) < len(n.bytes) {
		return false
	}
	if !n.anyCase {
		return bytes.Equal(data[:len(n.bytes)], n.bytes)
	}
	for i, c := range n.bytes {
		if lower(data[i]) != c {
			return false
		}
	}
	return true
}

// lower returns an ASCII letter in lower case, and any other byte as it is.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
