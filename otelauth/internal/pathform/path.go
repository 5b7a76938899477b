// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package pathform

import (
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

	sent   string
	exact  bool // the spelling in which a pattern may open it
	loose  bool // a slash may be data, or an empty segment may be one
	script int  // index of the last segment as sent that is a program with a path of its own behind it; -1 is none

	decoded  []byte    // percent-decoded until nothing is left to decode
	skeleton []byte    // the texts of segments
	segments []segment // without empty ones
	// dropped are the segments in the reading of a server that leaves out what is not UTF-8. Empty without such bytes.
	dropped []segment
}

// segment is one segment of a skeleton.
type segment struct {
	text   []byte
	ends   bool // a server may take the path to end in it
	script bool // a program, to which a server may hand the rest of the path
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

// Sent returns the path of u as the client sent it, as far as net/url keeps it.
func Sent(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

// Read fills p with the path of u.
func (p *Path) Read(u *url.URL) {
	*p = Path{
		sent: Sent(u), exact: true, script: -1,
		decoded: p.decoded[:0], skeleton: p.skeleton[:0], segments: p.segments[:0], dropped: p.dropped[:0],
	}
	switch {
	case len(p.sent) > MaxBytes:
		p.refuse("The path is longer than 8192 bytes.")
		p.TooLong = true
		return
	case p.sent == "" || p.sent[0] != '/':
		p.refuse("The request names no path that begins with a slash.")
		return
	}
	// What net/url would write in another way is forwarded in another way.
	rewritten := u.RawPath != "" && u.EscapedPath() != u.RawPath
	if rewritten {
		p.exact = false
	}
	p.checkSent()
	encodedSlash := p.decode(u.Path)
	if encodedSlash && rewritten {
		p.refuse("The path holds an encoded slash beside characters that must be percent-encoded.")
	}
	if p.Refusal != "" {
		return
	}
	invalid := p.fold(false)
	p.segments = p.split(p.segments)
	if invalid && p.Refusal == "" {
		p.skeleton = nil // the segments keep theirs
		p.fold(true)
		p.dropped = p.split(p.dropped)
	}
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

// checkSent looks at the bytes as they were sent.
func (p *Path) checkSent() {
	for i := 1; i < len(p.sent); i++ {
		switch c := p.sent[i]; {
		case plain[c]:
		case c == '/':
			if p.sent[i-1] != '/' {
				continue
			}
			if i == 1 {
				p.refuse(refuseEmptyFirst)
				return
			}
			p.unusual("an empty segment")
			p.loose = true
		case c == '%':
			if i+2 < len(p.sent) && isUnreserved(unhex(p.sent[i+1])<<4|unhex(p.sent[i+2])) {
				p.exact = false
			}
		default:
			p.exact = false
		}
	}
}

// plain are the bytes that a pattern compares as themselves: the unreserved characters of RFC 3986 and some signs. A semicolon is
// not among them: servlet containers cut segments at it.
var plain = func() (table [256]bool) {
	for c := range table {
		table[c] = isUnreserved(byte(c)) || strings.IndexByte("!$&'()*+,=:@[]", byte(c)) >= 0
	}
	return table
}()

func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// decode fills p.decoded: percent-encoding is removed until none is left, in one pass over a stack. It reports whether
// there was an encoded slash or backslash. once is the path decoded one time.
func (p *Path) decode(once string) (encodedSlash bool) {
	if strings.IndexByte(p.sent, '%') < 0 {
		p.decoded = append(p.decoded, p.sent...)
		return false
	}
	out := p.decoded
	afterSemicolon := false
	for i := range len(p.sent) {
		c := p.sent[i]
		out = append(out, c)
		if c == '/' {
			afterSemicolon = false
			continue
		}
		if c == ';' {
			afterSemicolon = true
		}
		for isHex(c) { // it may complete an escape, and what it completes may complete another one
			n, b, width := escapeAtEnd(out)
			if n == 0 {
				break
			}
			out = append(out[:len(out)-n], b[:width]...)
			c = out[len(out)-1]
			switch c {
			case '/', '\\':
				encodedSlash = true
				if afterSemicolon {
					p.refuse("The path holds an encoded slash behind a semicolon.")
				}
			case ';':
				afterSemicolon = true
			}
		}
	}
	p.decoded = out
	if holdsEscape(once) {
		p.unusual("double percent-encoding")
	}
	if encodedSlash {
		p.unusual("an encoded slash or backslash")
		p.loose = true
	}
	return encodedSlash
}

// escapeAtEnd returns the length of the percent-encoding at the end of out and what it stands for; 0 when there is none.
func escapeAtEnd(out []byte) (n int, b [utf8.UTFMax]byte, width int) {
	if l := len(out); l >= 3 && out[l-3] == '%' && isHex(out[l-2]) {
		b[0] = unhex(out[l-2])<<4 | unhex(out[l-1])
		return 3, b, 1
	} else if l >= 6 && out[l-6] == '%' && out[l-5]|0x20 == 'u' && isHex(out[l-4]) && isHex(out[l-3]) && isHex(out[l-2]) {
		r := rune(unhex(out[l-4]))<<12 | rune(unhex(out[l-3]))<<8 | rune(unhex(out[l-2]))<<4 | rune(unhex(out[l-1]))
		return 6, b, utf8.EncodeRune(b[:], r)
	}
	return 0, b, 0
}

// holdsEscape reports whether something in s is percent-encoded.
func holdsEscape[S string | []byte](s S) bool {
	for i := range len(s) {
		if s[i] == '%' && isEscape(s[i:]) {
			return true
		}
	}
	return false
}

// isEscape reports whether s begins with a percent-encoding, that of IIS (%u0041) included.
func isEscape[S string | []byte](s S) bool {
	if len(s) >= 3 && isHex(s[1]) && isHex(s[2]) {
		return true
	}
	return len(s) >= 6 && s[1]|0x20 == 'u' && isHex(s[2]) && isHex(s[3]) && isHex(s[4]) && isHex(s[5])
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0xf + 9
}
