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

// The bounds of a path. What is beyond them cannot be compared in the time that a request without credentials may cost.
const (
	MaxBytes    = 8 << 10 // of the path as it was sent
	maxSegments = 256     // empty ones included
	maxRepeated = 256     // characters that are percent-encoded more than once
	maxScripts  = 3       // segments such as "index.php"; patterns begin anew behind each of them
)

// Path is the path of one request, in the forms in which patterns are compared with it. The zero Path is empty;
// [Path.Read] fills it. It may be read again, which reuses its memory (64 KiB at most). It is not safe for concurrent use.
type Path struct {
	// Refusal says why the path cannot be compared, as a sentence for the caller. "" is a path that can be.
	Refusal string
	// TooLong reports that Refusal is about the length of the path.
	TooLong bool
	// Unusual names what servers are known to disagree about, such as "an encoded slash". Such a path opens nothing. ""
	// is a path that every server splits into the same segments.
	Unusual string

	sent      []byte // as the client sent it, as far as net/url keeps that
	exact     bool   // the spelling in which a pattern may open it
	loose     bool   // a slash may be data, or an empty segment may be one
	signSlash bool   // a character beyond ASCII stands for a slash
	script    int    // index of the last segment as sent that is a program with a path of its own behind it; -1 is none

	decoded  []byte    // percent-decoded until nothing is left to decode
	skeleton []byte    // the texts of segments
	segments []segment // without empty ones
	// dropped are the segments in the reading of a server that leaves out what is not UTF-8, and spare are their texts. Empty
	// without such bytes.
	dropped []segment
	spare   []byte
}

// segment is one segment of a skeleton.
type segment struct {
	text   []byte
	length int  // of the segment in the skeleton; text is without the spaces at its begin
	ends   bool // a server may take the path to end in it
	script bool // a program, to which a server may hand the rest of the path; then it ends as well
}

// paths are reused, so that a request costs no allocation.
var paths = sync.Pool{New: func() any { return new(Path) }}

// Get returns the path of u. [Path.Free] gives its memory back.
func Get(u *url.URL) *Path {
	p := paths.Get().(*Path)
	p.Read(u)
	return p
}

// SentBytes returns the length of the path as it was sent.
func (p *Path) SentBytes() int { return len(p.sent) }

// Free ends the use of p.
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
		p.refuse("The request names no path that begins with a slash.")
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

// appendEscaped appends what net/url writes for a path of which it keeps no other encoding.
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

// table returns the unreserved characters and signs.
func table(signs string) (t [256]bool) {
	for c := range t {
		t[c] = isUnreserved(byte(c)) || strings.IndexByte(signs, byte(c)) >= 0
	}
	return t
}

const upperHex = "0123456789ABCDEF"

// plain are the bytes that a pattern compares as themselves: the unreserved characters of RFC 3986 and some signs. A semicolon is
// not among them: servlet containers cut segments at it.
var plain = table("!$&'()*+,=:@[]")

func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// What a byte of a path means while it is decoded.
const (
	isOdd       = 1 << iota // a path that holds it opens nothing
	isRewritten             // net/url writes it in another way, which is the way in which it is forwarded
	isSlash                 // encoded slash or backslash
	isRepeated              // was encoded more than once
	isEmpty                 // ends an empty segment
	isMark                  // needs a closer look
)

// sentKinds are the meanings of bytes as they were sent, encodedKinds those of percent-encoded ones.
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

// decode looks at the bytes as they were sent and fills p.decoded, in one pass over a stack: percent-encoding is removed until
// none is left.
func (p *Path) decode() {
	sent, seen := p.sent, byte(0)
	out := slices.Grow(p.decoded, len(sent))[:len(sent)]
	n, slashes, repeated := 0, 0, 0
	hasSemicolon := false // in this segment
	percent := -1         // where the last percent sign is that was not decoded and may begin an escape
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
			p.refuse("The path holds an encoded slash behind a semicolon.")
			return
		}
	}
	p.decoded = out[:n]
	p.note(seen)
}

// note draws the conclusions from all that a path holds.
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
			p.refuse("The path holds an encoded slash beside characters that must be percent-encoded.")
		}
	}
}

// collapse removes the percent-encoding that the last byte of out completes, and the one that what it stands for completes.
// percent is where the last percent sign before that byte is. It returns the length of out, the last percent sign that may still begin a
// percent-encoding (-1: none) and how many it has removed.
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

// escapeAtEnd returns the length of the percent-encoding at the end of out and what it stands for; 0 when there is none.
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

// isEscape reports whether s begins with a percent-encoding, that of IIS (%u0041) included.
func isEscape(s []byte) bool {
	if len(s) >= 3 && nibbles[s[1]] < 16 && nibbles[s[2]] < 16 {
		return true
	}
	return len(s) >= 6 && s[1]|0x20 == 'u' && nibbles[s[2]] < 16 && nibbles[s[3]] < 16 && nibbles[s[4]] < 16 && nibbles[s[5]] < 16
}

// nibbles are the values of the hexadecimal digits; what is none has 255.
var nibbles = func() (table [256]byte) {
	for i := range table {
		table[i] = 255
	}
	for v, c := range []byte(upperHex) {
		table[c], table[c|0x20] = byte(v), byte(v)
	}
	return table
}()
