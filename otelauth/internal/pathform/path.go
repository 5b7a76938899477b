// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package pathform

import (
	"bytes"
	"net/url"
	"strings"
	"sync"
	"unicode/utf8"
)

// The bounds of a path. What is beyond them cannot be compared in the time that a request without credentials may cost.
const (
	MaxBytes    = 8 << 10 // of the path as it was sent
	maxSegments = 256
	maxScripts  = 3 // segments such as "index.php"; patterns begin anew behind each of them
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

	sent   []byte // as the client sent it, as far as net/url keeps that
	exact  bool   // the spelling in which a pattern may open it
	loose  bool   // a slash may be data, or an empty segment may be one
	script int    // index of the last segment as sent that is a program with a path of its own behind it; -1 is none

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
	rewritten := p.checkSent()
	if p.decode() && rewritten {
		p.refuse("The path holds an encoded slash beside characters that must be percent-encoded.")
	}
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

// checkSent looks at the bytes as they were sent. It reports whether net/url would write them in another way, which is the way in
// which they are forwarded.
func (p *Path) checkSent() (rewritten bool) {
	for i := 1; i < len(p.sent); i++ {
		switch c := p.sent[i]; {
		case plain[c]:
		case c == '/':
			if p.sent[i-1] != '/' {
				continue
			}
			if i == 1 {
				p.refuse(refuseEmptyFirst)
				return false
			}
			p.unusual("an empty segment")
			p.loose = true
		case c == '%':
			if i+2 < len(p.sent) && isUnreserved(unhex(p.sent[i+1])<<4|unhex(p.sent[i+2])) {
				p.exact = false
			}
		default:
			p.exact = false
			rewritten = rewritten || c != ';'
		}
	}
	return rewritten
}

// appendEscaped appends what net/url writes for a path of which it keeps no other encoding.
func appendEscaped(sent []byte, path string) []byte {
	plain := 0
	for plain < len(path) && unescaped[path[plain]] {
		plain++
	}
	sent = append(sent, path[:plain]...)
	for _, c := range []byte(path[plain:]) {
		if unescaped[c] {
			sent = append(sent, c)
		} else {
			sent = append(sent, '%', upperHex[c>>4], upperHex[c&0xf])
		}
	}
	return sent
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

// decode fills p.decoded: percent-encoding is removed until none is left, in one pass over a stack. It reports whether
// there was an encoded slash or backslash.
func (p *Path) decode() (encodedSlash bool) {
	if bytes.IndexByte(p.sent, '%') < 0 {
		p.decoded = append(p.decoded, p.sent...)
		return false
	}
	out := p.decoded
	afterSemicolon, double := false, false
	percent := -1 // where the last percent sign is that was not decoded: it was encoded, or net/url would have refused the path
	for i := 0; i < len(p.sent); i++ {
		c, encoded := p.sent[i], false
		if c == '%' && i+2 < len(p.sent) && hex[p.sent[i+1]] && hex[p.sent[i+2]] {
			c, encoded = unhex(p.sent[i+1])<<4|unhex(p.sent[i+2]), true
			i += 2
		}
		out = append(out, c)
		// It may complete an escape, and what that stands for may complete another one.
		for percent >= 0 && len(out)-percent <= longestEscape && hex[c] {
			n, b, width := escapeAtEnd(out)
			if n == 0 {
				break
			}
			out = append(out[:len(out)-n], b[:width]...)
			c, encoded, double = out[len(out)-1], true, true
			before := max(0, len(out)-longestEscape) // no earlier one can be completed
			percent = before + bytes.LastIndexByte(out[before:len(out)-1], '%')
			if percent < before {
				percent = -1
			}
		}
		switch {
		case c == '%':
			percent = len(out) - 1
		case c == ';':
			afterSemicolon = true
		case encoded && (c == '/' || c == '\\'):
			encodedSlash = true
			if afterSemicolon {
				p.refuse("The path holds an encoded slash behind a semicolon.")
			}
		case c == '/':
			afterSemicolon = false
		}
	}
	p.decoded = out
	if double {
		p.unusual("double percent-encoding")
	}
	if encodedSlash {
		p.unusual("an encoded slash or backslash")
		p.loose = true
	}
	return encodedSlash
}

const longestEscape = len("%u0041")

// escapeAtEnd returns the length of the percent-encoding at the end of out and what it stands for; 0 when there is none.
func escapeAtEnd(out []byte) (n int, b [utf8.UTFMax]byte, width int) {
	if l := len(out); l >= 3 && out[l-3] == '%' && hex[out[l-2]] {
		b[0] = unhex(out[l-2])<<4 | unhex(out[l-1])
		return 3, b, 1
	} else if l >= 6 && out[l-6] == '%' && out[l-5]|0x20 == 'u' && hex[out[l-4]] && hex[out[l-3]] && hex[out[l-2]] {
		r := rune(unhex(out[l-4]))<<12 | rune(unhex(out[l-3]))<<8 | rune(unhex(out[l-2]))<<4 | rune(unhex(out[l-1]))
		return 6, b, utf8.EncodeRune(b[:], r)
	}
	return 0, b, 0
}

// holdsEscape reports whether something in s is percent-encoded.
func holdsEscape(s []byte) bool {
	for i, c := range s {
		if c == '%' && isEscape(s[i:]) {
			return true
		}
	}
	return false
}

// isEscape reports whether s begins with a percent-encoding, that of IIS (%u0041) included.
func isEscape(s []byte) bool {
	if len(s) >= 3 && hex[s[1]] && hex[s[2]] {
		return true
	}
	return len(s) >= 6 && s[1]|0x20 == 'u' && hex[s[2]] && hex[s[3]] && hex[s[4]] && hex[s[5]]
}

// hex are the hexadecimal digits.
var hex = func() (table [256]bool) {
	for _, c := range "0123456789abcdefABCDEF" {
		table[c] = true
	}
	return table
}()

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0xf + 9
}
