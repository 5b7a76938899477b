// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package pathform

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// The limits of a path. Longer paths cannot be compared in the time that a request without
// credentials may cost.
const (
	MaxBytes    = 8 << 10 // length of the path as it was sent
	maxSegments = 256     // empty ones included
	maxRepeated = 256     // characters that are percent-encoded more than once
	// segments such as "index.php"; patterns may begin again after each of them
	maxScripts = 3
)

// Path is the path of one request in the forms that patterns are compared with. The zero Path is
// empty; [Path.Read] fills it and may be called again, which reuses its memory (64 KiB at most).
// It is not safe for concurrent use.
type Path struct {
	// Refusal is why the path cannot be compared, as a sentence for the caller, or "" if it can
	// be.
	Refusal string
	// TooLong reports whether the path was refused because of its length.
	TooLong bool
	// Unusual names a part of the path about which servers disagree, such as "an encoded slash";
	// such a path opens nothing. "" is a path that every server splits into the same segments.
	Unusual string

	sent      []byte // as the client sent it, as far as net/url preserves it
	exact     bool   // the path has the spelling in which a pattern may open it
	loose     bool   // a slash may be data, or an empty segment may count as one
	signSlash bool   // a character beyond ASCII stands for a slash
	script    int    // index of the last script segment with a path after it, or -1

	decoded  []byte    // percent-decoded repeatedly until no encoding is left
	skeleton []byte    // holds the texts of segments
	segments []segment // without empty ones
	// dropped are the segments for a server that drops bytes that are not UTF-8, or segments of
	// plus signs. spare holds their texts. Both are empty if nothing is dropped.
	dropped []segment
	spare   []byte
}

// segment is one segment of a skeleton.
type segment struct {
	text   []byte
	length int  // of the segment in the skeleton; text has no leading spaces
	ends   bool // a server may end the path within it
	script bool // a script to which a server may pass the rest of the path; implies ends
	plus   bool // only plus signs, dots and spaces
}

// paths holds unused Paths, so that a request needs no allocation.
var paths = sync.Pool{New: func() any { return new(Path) }}

// Get returns the path of u. Call [Path.Free] after use.
func Get(u *url.URL) *Path {
	p := paths.Get().(*Path)
	p.Read(u)
	return p
}

// SentBytes returns the length of the path as it was sent.
func (p *Path) SentBytes() int { return len(p.sent) }

// Free returns p for reuse. Do not use p afterwards.
func (p *Path) Free() { paths.Put(p) }

// Read fills p with the path of u.
func (p *Path) Read(u *url.URL) {
	*p = Path{
		exact: true, script: -1, sent: p.sent[:0], decoded: p.decoded[:0],
		skeleton: p.skeleton[:0], segments: p.segments[:0], dropped: p.dropped[:0], spare: p.spare[:0],
	}
	if len(u.RawPath) > MaxBytes || len(u.Path) > MaxBytes {
		p.tooLong()
		return
	}
	if u.RawPath != "" {
		p.sent = append(p.sent, u.RawPath...)
	} else {
		p.sent = appendEscaped(p.sent, u.Path)
	}
	switch {
	case len(p.sent) > MaxBytes:
		p.tooLong()
		return
	case len(p.sent) == 0 || p.sent[0] != '/':
		p.refuse("The path of the request does not begin with a slash.")
		return
	}
	p.decode()
	if p.Refusal != "" {
		return
	}
	invalid := p.fold(false)
	p.segments = p.split(p.segments)
	if invalid && p.Refusal == "" {
		p.skeleton, p.spare = p.spare, p.skeleton
		p.fold(true)
		p.dropped = p.split(p.dropped)
	}
	p.dropPlus()
}

// dropPlus adds the reading of a server that takes "+" for a space, trims names and merges slashes.
func (p *Path) dropPlus() {
	isPlus := func(s segment) bool { return s.plus }
	if !slices.ContainsFunc(p.segments, isPlus) {
		return
	}
	if len(p.dropped) == 0 {
		p.dropped = append(p.dropped, p.segments...)
	}
	p.dropped = slices.DeleteFunc(p.dropped, isPlus)
}

func (p *Path) tooLong() {
	p.refuse("The path is longer than 8192 bytes.")
	p.TooLong = true
}

func (p *Path) refuse(sentence string) {
	p.exact = false
	if p.Refusal == "" {
		p.Refusal = sentence
	}
}

func (p *Path) unusual(what string) {
	p.exact = false
	if p.Unusual == "" {
		p.Unusual = what
	}
}

// appendEscaped appends the encoding that net/url writes for a path without a RawPath.
func appendEscaped(sent []byte, path string) []byte {
	done := 0
	for i := range len(path) {
		if c := path[i]; !unescaped[c] {
			sent = append(sent, path[done:i]...)
			sent = append(sent, '%', upperHex[c>>4], upperHex[c&0xf])
			done = i + 1
		}
	}
	return append(sent, path[done:]...)
}

// unescaped are the bytes of a path that net/url does not escape.
var unescaped = table("$&+,/:;=@")

// table returns the set of the unreserved characters and extra.
func table(extra string) (t [256]bool) {
	for c := range t {
		t[c] = isUnreserved(byte(c)) || strings.IndexByte(extra, byte(c)) >= 0
	}
	return t
}

const upperHex = "0123456789ABCDEF"

// plain are the bytes that the canonical spelling does not encode: the unreserved characters of
// RFC 3986 and some others. The semicolon is not among them, because servlet containers cut
// segments at it.
var plain = table("!$&'()*+,=:@[]")

func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// The meanings of a byte of a path during decoding.
const (
	isOdd       = 1 << iota // a path with it opens nothing
	isRewritten             // net/url forwards it in another encoding
	isSlash                 // encoded slash or backslash
	isRepeated              // was encoded more than once
	isEmpty                 // ends an empty segment
	isMark                  // needs further checks
)

// sentKinds are the meanings of bytes as sent, encodedKinds those of percent-encoded bytes.
var sentKinds, encodedKinds = func() (sent, encoded [256]byte) {
	for i := range sent {
		switch c := byte(i); {
		case c == '/', c == '%':
			sent[i] = isMark
		case c == ';':
			sent[i] = isMark | isOdd
		case !plain[c]:
			sent[i] = isOdd | isRewritten
		}
		switch c := byte(i); {
		case c == '/', c == '\\':
			encoded[i] = isMark | isSlash
		case c == '%', c == ';':
			encoded[i] = isMark
		case isUnreserved(c):
			encoded[i] = isOdd
		}
	}
	return sent, encoded
}()

// decode checks the bytes as sent and fills p.decoded. One pass with a stack removes
// percent-encoding until none is left.
func (p *Path) decode() {
	sent, seen := p.sent, byte(0)
	out := slices.Grow(p.decoded, len(sent))[:len(sent)]
	n, slashes, repeated := 0, 0, 0
	hasSemicolon := false // in this segment
	percent := -1         // index of the last percent sign that may begin an encoding
	for i := 0; i < len(sent); i++ {
		c := sent[i]
		kind := sentKinds[c]
		switch {
		case kind&isMark == 0:
		case c == '/':
			hasSemicolon = false
			if slashes++; slashes > maxSegments+1 {
				p.refuse(refuseSegments)
				return
			}
			if i > 0 && sent[i-1] == '/' {
				kind |= isEmpty
			}
			if i == 1 {
				p.refuse(refuseEmptyFirst)
				return
			}
		case c == '%' && i+2 < len(sent) && nibbles[sent[i+1]]|nibbles[sent[i+2]] < 16:
			c = nibbles[sent[i+1]]<<4 | nibbles[sent[i+2]]
			kind = encodedKinds[c]
			i += 2
		}
		out[n] = c
		n++
		seen |= kind
		if percent >= 0 {
			var done int
			if n, percent, done = collapse(out[:n], percent); done > 0 {
				c = out[n-1]
				kind = encodedKinds[c] | isRepeated
				if repeated += done; repeated > maxRepeated {
					p.refuse("The path holds more than 256 characters that are percent-encoded more than once.")
					return
				}
				seen |= kind
			}
		}
		if kind&isMark == 0 {
			continue
		}
		switch {
		case c == '%':
			percent = n - 1
		case c == ';':
			hasSemicolon = true
		case kind&isSlash != 0 && hasSemicolon:
			p.refuse("The path holds an encoded slash after a semicolon.")
			return
		}
	}
	p.decoded = out[:n]
	p.note(seen)
}

// note records the consequences of the meanings of all bytes.
func (p *Path) note(seen byte) {
	if seen&isOdd != 0 {
		p.exact = false
	}
	if seen&isEmpty != 0 {
		p.unusual("an empty segment")
		p.loose = true
	}
	if seen&isRepeated != 0 {
		p.unusual("double percent-encoding")
	}
	if seen&isSlash != 0 {
		p.unusual("an encoded slash or backslash")
		p.loose = true
		if seen&isRewritten != 0 {
			p.refuse("The path holds an encoded slash and characters that must be percent-encoded.")
		}
	}
}

// collapse decodes the percent-encoding that the last byte of out completes, and repeats that
// for the decoded byte. percent is the index of the last percent sign before that byte. It
// returns the length of out, the index of the last percent sign that may still begin an encoding
// (or -1), and the number of encodings that it decoded.
func collapse(out []byte, percent int) (n, _, done int) {
	n = len(out)
	for percent >= 0 && nibbles[out[n-1]] < 16 {
		size, b, width := escapeAtEnd(out[:n])
		if size == 0 {
			break
		}
		n += copy(out[n-size:], b[:width]) - size
		done++
		for percent = n - 2; percent >= 0 && out[percent] != '%'; percent-- {
			if percent <= n-longestEscape {
				return n, -1, done
			}
		}
	}
	if n-percent >= longestEscape {
		percent = -1
	}
	return n, percent, done
}

const longestEscape = len("%u0041")

// escapeAtEnd returns the length of the percent-encoding at the end of out, or 0, and the
// decoded bytes.
func escapeAtEnd(out []byte) (n int, b [utf8.UTFMax]byte, width int) {
	if l := len(out); l >= 3 && out[l-3] == '%' && nibbles[out[l-2]] < 16 {
		b[0] = nibbles[out[l-2]]<<4 | nibbles[out[l-1]]
		return 3, b, 1
	} else if l >= 6 && out[l-6] == '%' && out[l-5]|0x20 == 'u' && nibbles[out[l-4]] < 16 && nibbles[out[l-3]] < 16 && nibbles[out[l-2]] < 16 {
		r := rune(nibbles[out[l-4]])<<12 | rune(nibbles[out[l-3]])<<8 | rune(nibbles[out[l-2]])<<4 | rune(nibbles[out[l-1]])
		return 6, b, utf8.EncodeRune(b[:], r)
	}
	return 0, b, 0
}

// isEscape reports whether s begins with a percent-encoding, including that of IIS (%u0041).
func isEscape(s []byte) bool {
	if len(s) >= 3 && nibbles[s[1]] < 16 && nibbles[s[2]] < 16 {
		return true
	}
	return len(s) >= 6 && s[1]|0x20 == 'u' && nibbles[s[2]] < 16 && nibbles[s[3]] < 16 && nibbles[s[4]] < 16 && nibbles[s[5]] < 16
}

// nibbles are the values of hexadecimal digits; other bytes have 255.
var nibbles = func() (table [256]byte) {
	for i := range table {
		table[i] = 255
	}
	for v, c := range []byte(upperHex) {
		table[c], table[c|0x20] = byte(v), byte(v)
	}
	return table
}()
