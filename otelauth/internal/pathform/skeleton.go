// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package pathform

import (
	"bytes"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/unicode/rangetable"
)

// control represents every control character in a skeleton. Some servers drop such characters,
// some end the path there.
const control = '\x01'

// maxGrowth limits the growth of a text by compatibility decomposition. One character can become
// 18 letters.
const maxGrowth = 3

// maxForeign limits the number of characters beyond ASCII, which cost the most.
const maxForeign = 512

// maxInvalid limits the number of bytes that are not UTF-8, which are read in two ways.
const maxInvalid = 128

// ignorable are the characters that comparisons leave out: marks, which hold the accents after
// decomposition, and invisible characters.
var ignorable = rangetable.Merge(unicode.Mn, unicode.Me, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point)

// plainLetters maps Latin letters without a decomposition to the letters that accent-insensitive
// comparisons equate.
var plainLetters = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'đ': "d", 'ð': "d", 'ħ': "h", 'ı': "i", 'ȷ': "j", 'ĸ': "k", 'ł': "l", 'ŋ': "n",
	'þ': "th", 'ŧ': "t", 'ƀ': "b", 'ƈ': "c", 'ȼ': "c", 'ɇ': "e", 'ǥ': "g", 'ɨ': "i", 'ɉ': "j", 'ƚ': "l", 'ɫ': "l", 'ɵ': "o",
	'ᵽ': "p", 'ɍ': "r", 'ȿ': "s", 'ⱦ': "t", 'ʉ': "u", 'ʋ': "v", 'ɏ': "y", 'ƶ': "z", 'ɀ': "z", 'ⱥ': "a", 'ƒ': "f", 'ɓ': "b", 'ɗ': "d",
}

// slashSigns are the characters that code pages of Windows convert to a slash or a backslash.
const slashSigns = "⁄∕∖⧵⧸¥₩￥￦"

// isScriptSuffix reports whether segments with this ending may be scripts to which a server
// passes the rest of the path.
func isScriptSuffix(s []byte) bool {
	switch string(s) {
	case "php", "phtml", "phar", "cgi", "fcgi", "wsgi", "psgi", "pl", "py", "rb", "lua", "sh", "bat", "cmd", "exe", "dll",
		"asp", "aspx", "ashx", "asmx", "axd", "svc", "jsp", "jspx", "do", "action", "cfm", "cfc", "nsf":
		return true
	}
	// php5, php81
	return bytes.HasPrefix(s, php) && len(bytes.TrimRight(s[len(php):], "0123456789")) == 0
}

var php = []byte("php")

const maxSuffixBytes = 6

const (
	refuseNameless   = "A segment of the path consists of dots, spaces or invisible characters."
	refuseEmptyFirst = "The first segment of the path is empty."
	refuseSegments   = "The path has too many segments."
)

// The meanings of a byte of a decoded path, in the bits above the byte that represents it in the
// skeleton.
const (
	isBackslash = 0x100 << iota
	isSemicolon
	isNUL
	isControl
	isForeign // not ASCII
)

// asciiFolds are the bytes that represent ASCII in a skeleton, with their meanings.
var asciiFolds = func() (table [256]uint16) {
	for i := range table {
		switch c := byte(i); {
		case c >= utf8.RuneSelf:
			table[i] = isForeign
		case c >= 'A' && c <= 'Z':
			table[i] = uint16(c | 0x20)
		case c == '\\':
			table[i] = '/' | isBackslash
		case c == ';':
			table[i] = ';' | isSemicolon
		case c == 0:
			table[i] = isNUL
		case c < ' ' || c == 0x7f:
			table[i] = control | isControl
		default:
			table[i] = uint16(c)
		}
	}
	return table
}()

// fold fills p.skeleton from p.decoded and reports whether some bytes are not UTF-8. It reads
// such bytes as Latin-1, or leaves them out.
func (p *Path) fold(leaveOut bool) bool {
	text, seen := p.decoded, uint16(0)
	longest := min(maxGrowth*len(text), MaxBytes)
	out := slices.Grow(p.skeleton, longest+len(text))
	foreign, invalid := 0, 0
	for i := 0; i < len(text); {
		c := text[i]
		if f := asciiFolds[c]; f < isForeign {
			out = append(out, byte(f))
			seen |= f
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			if isOverlong(text[i:]) {
				p.refuse("The path holds an overlong UTF-8 encoding.")
				return false
			}
			if invalid++; invalid > maxInvalid {
				p.refuse("The path holds more than 128 bytes that are not UTF-8.")
				return false
			}
			if r = rune(c); leaveOut { // else as Latin-1
				r = -1
			}
		}
		if foreign++; foreign > maxForeign {
			p.refuse("The path holds more than 512 characters beyond ASCII.")
			return false
		}
		before := len(out)
		if out = p.appendFolded(out, r); len(out) > longest && r >= 0 {
			p.refuse("The path holds characters that decompose into long texts.")
			return false
		}
		i += size
		if out[len(out)-1] == '/' && len(out) == before && (i == len(text) || text[i] == '/' || text[i] == '\\') {
			p.refuse(refuseNameless)
			return false
		}
	}
	p.skeleton = out
	if invalid > 0 {
		p.unusual("bytes that are not UTF-8")
	}
	p.noteASCII(seen)
	return invalid > 0
}

// noteASCII records the consequences of the ASCII characters of a path.
func (p *Path) noteASCII(seen uint16) {
	if seen&isNUL != 0 {
		p.refuse("The path holds a NUL.")
	}
	if seen&isBackslash != 0 {
		p.unusual("a backslash")
		p.loose = true
	}
	if seen&isSemicolon != 0 {
		p.unusual("a semicolon")
		if p.signSlash || seen&isBackslash != 0 {
			p.refuse("The path holds a semicolon and a sign that stands for a slash.")
		}
	}
	if seen&isControl != 0 {
		p.unusual("a control character")
	}
}

// appendFolded appends the fold of r, or nothing for a negative r, and records what is unusual
// about it.
func (p *Path) appendFolded(out []byte, r rune) []byte {
	switch {
	case r < 0:
		return out
	case r >= lettersEnd: // no case, no decomposition
		if unicode.Is(ignorable, r) {
			return out
		}
		return utf8.AppendRune(out, r)
	}
	f := folded(r)
	if f.slash {
		p.exact, p.loose, p.signSlash = false, true, true // it may be data
	}
	if f.control {
		p.unusual("a control character")
	}
	return append(out, f.text...)
}

// isOverlong reports whether b begins with a UTF-8 encoding that is longer than its character
// needs.
func isOverlong(b []byte) bool {
	switch {
	case b[0] == 0xc0 || b[0] == 0xc1:
		return true
	case len(b) < 2:
		return false
	}
	return b[0] == 0xe0 && b[1] >= 0x80 && b[1] < 0xa0 || b[0] == 0xf0 && b[1] >= 0x80 && b[1] < 0x90 || b[0] >= 0xf8 && b[1]&0xc0 == 0x80
}

// fold represents one character in a skeleton, without accents, case and compatibility forms. It
// has 18 characters at most.
type fold struct {
	text           string
	slash, control bool // whether text holds one
}

func newFold(r rune) fold {
	text := string(appendDecomposed(nil, r))
	if strings.ContainsRune(slashSigns, r) {
		text = "/"
	}
	return fold{text: text, slash: strings.IndexByte(text, '/') >= 0, control: strings.IndexByte(text, control) >= 0}
}

// pages are the folds of the planes with letters, 256 a page. A page is computed at its first
// use, because decomposition is expensive. All pages together have 5 MiB.
var pages [lettersEnd >> 8]atomic.Pointer[[256]fold]

const lettersEnd = 0x30000

// folded returns the fold of r, which is below lettersEnd.
func folded(r rune) *fold {
	page := pages[r>>8].Load()
	if page == nil {
		page = new([256]fold)
		for i := range page {
			page[i] = newFold(r&^0xff | rune(i))
		}
		pages[r>>8].Store(page) // another goroutine would store the same
	}
	return &page[r&0xff]
}

func appendDecomposed(out []byte, r rune) []byte {
	if r >= hangulBase && r < hangulEnd {
		return appendHangul(out, r)
	}
	var buffer [utf8.UTFMax]byte
	parts := norm.NFKD.Properties(buffer[:utf8.EncodeRune(buffer[:], r)]).Decomposition()
	if parts == nil {
		return appendPlain(out, r)
	}
	for len(parts) > 0 {
		part, size := utf8.DecodeRune(parts)
		out = appendPlain(out, part)
		parts = parts[size:]
	}
	return out
}

// appendPlain appends a character that has no decomposition.
func appendPlain(out []byte, r rune) []byte {
	switch {
	case r == '\\':
		return append(out, '/')
	case r < ' ' || r >= 0x7f && r < 0xa0:
		return append(out, control)
	case r >= 'A' && r <= 'Z':
		return append(out, byte(r)|0x20)
	case r < utf8.RuneSelf:
		return append(out, byte(r))
	case r == '\u0345': // the only mark that case folding turns into a letter
		return utf8.AppendRune(out, 'ι')
	case unicode.Is(ignorable, r):
		return out
	case unicode.IsSpace(r):
		return append(out, ' ')
	}
	r = unicode.ToLower(unicode.ToUpper(r))
	if r < utf8.RuneSelf {
		return append(out, byte(r))
	}
	if plain, found := plainLetters[r]; found {
		return append(out, plain...)
	}
	return utf8.AppendRune(out, r)
}

// Hangul syllables are decomposed by arithmetic (Unicode, section 3.12).
const (
	hangulBase, hangulEnd        = 0xac00, 0xd7a4
	leadBase, vowelBase, endBase = 0x1100, 0x1161, 0x11a7
	vowels, ends                 = 21, 28
)

func appendHangul(out []byte, r rune) []byte {
	r -= hangulBase
	out = utf8.AppendRune(out, leadBase+r/(vowels*ends))
	out = utf8.AppendRune(out, vowelBase+r/ends%vowels)
	if end := r % ends; end > 0 {
		out = utf8.AppendRune(out, endBase+end)
	}
	return out
}

// split appends the segments of p.skeleton to all.
func (p *Path) split(all []segment) []segment {
	if p.Refusal != "" {
		return all
	}
	rest := p.skeleton[1:]
	if len(rest) > 0 && rest[0] == '/' {
		p.refuse(refuseEmptyFirst)
		return all
	}
	scripts := 0
	for count := 0; len(rest) > 0; count++ {
		if count == maxSegments {
			p.refuse(refuseSegments)
			return all
		}
		if rest[0] == '/' {
			p.unusual("an empty segment")
			rest = rest[1:]
			continue
		}
		s, refusal := newSegment(rest)
		if refusal == "" && s.script && scripts == maxScripts {
			refusal = refuseSegments
		}
		if refusal != "" {
			p.refuse(refusal)
			return all
		}
		rest = rest[s.length:]
		more := len(rest) > 0
		if more {
			rest = rest[1:]
		}
		// "#room:example.org" of Matrix; others take the path to end before it
		if s.text[0] == '#' {
			if len(all) == 0 {
				p.refuse(refuseNameless)
				return all
			}
			p.exact, all[len(all)-1].ends = false, true
		}
		if isSession(s.text) {
			p.unusual("a session in parentheses")
			continue
		}
		if s.plus {
			p.unusual("a segment of plus signs")
		}
		if s.script {
			scripts++
			if more {
				p.script = len(all)
			}
		}
		all = append(all, s)
	}
	return all
}

// The meanings of a byte of a skeleton within its segment.
const (
	mayEnd    = 1 << iota // a server may end the path here
	mayCut                // the rest may not belong to the name
	noName                // is not a name by itself
	isPercent             // a percent sign
	isBegin               // may begin a script suffix
	isDot                 // may precede a script suffix; must be the bit after isBegin
)

var skeletonKinds = func() [256]byte {
	kinds := [256]byte{
		'?': mayEnd | mayCut, '#': mayEnd | mayCut, ';': mayEnd | mayCut, control: mayEnd | mayCut, ':': mayCut,
		' ': noName, '.': noName | isDot, '/': mayCut, '%': isPercent,
	}
	for c := 'a'; c <= 'z'; c++ {
		kinds[c] |= isBegin
	}
	return kinds
}()

// newSegment returns the first segment of a skeleton. It refuses a segment of which only dots,
// spaces and controls remain when a server cuts off parameters, a query, a fragment or a stream.
func newSegment(skeleton []byte) (s segment, refusal string) {
	name, plus := 0, 0 // a server may take "+" for a space
	for name < len(skeleton) && (skeletonKinds[skeleton[name]]&noName != 0 || skeleton[name] == '+') {
		if skeleton[name] == '+' {
			plus++
		}
		name++
	}
	isCut := name == len(skeleton) || skeletonKinds[skeleton[name]]&mayCut != 0
	isData := name == 0 && skeleton[0] == '#' // split sees to it
	if isCut && !isData && (name == 0 || name > plus) || name > 0 && !isCut && isSuffix(skeleton[name]) {
		return s, refuseNameless
	}
	s.plus = isCut && plus > 0
	seen, before, at := byte(0), byte(0), 0
	for ; at < len(skeleton) && skeleton[at] != '/'; at++ {
		kind := skeletonKinds[skeleton[at]]
		suffix := before >> 1 & kind & isBegin // after a dot
		before = kind
		seen |= kind
		switch {
		case kind&isPercent|suffix == 0:
		case suffix != 0:
			s.script = s.script || isScript(skeleton[at:])
		case isEscape(skeleton[at:]):
			return s, "The path holds a character that stands for a percent sign, before two hexadecimal digits."
		}
	}
	s.length, s.ends = at, s.script || seen&mayEnd != 0
	s.text = bytes.TrimLeft(skeleton[:at], " ")
	return s, ""
}

// isSuffix reports whether a server may drop the sign at the end of a name, such as that of a
// backup or a variant. At the start of a segment it is a name: "/~alice/".
func isSuffix(c byte) bool { return c == '~' || c == '*' || c == ',' }

// isScript reports whether text begins with a script suffix that no letter or digit follows.
func isScript(text []byte) bool {
	n := 0
	for n < len(text) && n <= maxSuffixBytes && (text[n] >= 'a' && text[n] <= 'z' || text[n] >= '0' && text[n] <= '9') {
		n++
	}
	return n > 1 && n <= maxSuffixBytes && isScriptSuffix(text[:n])
}

// isSession reports whether ASP.NET takes a segment out of the path, as a session without a
// cookie: "(S(…))", "(A(…)F(…))".
func isSession(text []byte) bool {
	return len(text) > 4 && text[0] == '(' && (text[1] == 's' || text[1] == 'a' || text[1] == 'f') && text[2] == '(' && bytes.HasSuffix(text, []byte("))"))
}
