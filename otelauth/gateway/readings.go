// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"strings"
	"unicode/utf8"
)

// The bounds of what [readings] looks at. A path beyond them is refused.
const (
	maxRawPathBytes = 4 << 10
	maxReadings     = 512
	maxReadingBytes = 256 << 10 // of all together
)

// decodings are what servers, frameworks and file systems were seen to do to a path, each of them alone.
var decodings = [...]func(string) string{
	percentDecoded,
	overlongDecoded,
	func(s string) string { return strings.ReplaceAll(s, `\`, "/") },
	withoutParameters,
	withoutDotSegments,
	slashesMerged,
	withoutControls,
	func(s string) string { return strings.ToValidUTF8(s, "") },
	func(s string) string { return before(s, "\x00") },
	func(s string) string { return before(s, "\r\n") },
	func(s string) string { return before(s, "?") },
	func(s string) string { return before(s, "#") },
	compatible,
	blanksTrimmed,
}

// readings returns every path that some order of decodings makes of raw, raw included, and false when there are too many
// to be sure of.
func readings(raw string) ([]string, bool) {
	if len(raw) > maxRawPathBytes {
		return nil, false
	}
	found, total := []string{raw}, len(raw)
	seen := map[string]struct{}{raw: {}}
	for i := 0; i < len(found); i++ {
		for _, decode := range decodings {
			s := decode(found[i])
			if !strings.HasPrefix(s, "/") {
				s = "/" + s
			}
			if _, known := seen[s]; known {
				continue
			}
			total += len(s)
			if len(found) == maxReadings || total > maxReadingBytes {
				return nil, false
			}
			seen[s] = struct{}{}
			found = append(found, s)
		}
	}
	return found, true
}

// percentDecoded decodes once what can be decoded, and %uXXXX, which IIS knows.
func percentDecoded(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if r, ok := hexDigits(s, i+1, 2); ok {
			out = append(out, byte(r))
			i += 2
		} else if r, ok := hexDigits(s, i+2, 4); ok && (s[i+1] == 'u' || s[i+1] == 'U') {
			out = utf8.AppendRune(out, r)
			i += 5
		} else {
			out = append(out, '%')
		}
	}
	return string(out)
}

// hexDigits reads n digits at i.
func hexDigits(s string, i, n int) (r rune, ok bool) {
	if i+n > len(s) {
		return 0, false
	}
	for _, c := range []byte(s[i : i+n]) {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// overlongDecoded reads ASCII written in two or three octets, as lax UTF-8 decoders do.
func overlongDecoded(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case i+1 < len(s) && s[i]&0xfe == 0xc0 && s[i+1]&0xc0 == 0x80:
			out = append(out, s[i]&1<<6|s[i+1]&0x3f)
			i++
		case i+2 < len(s) && s[i] == 0xe0 && s[i+1]&0xfe == 0x80 && s[i+2]&0xc0 == 0x80:
			out = append(out, s[i+1]&1<<6|s[i+2]&0x3f)
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return string(out)
}

// withoutParameters cuts each segment at its first ";", as servlet containers do.
func withoutParameters(s string) string {
	for {
		i := strings.IndexByte(s, ';')
		if i < 0 {
			return s
		}
		end := strings.IndexByte(s[i:], '/')
		if end < 0 {
			return s[:i]
		}
		s = s[:i] + s[i+end:]
	}
}

// withoutDotSegments is RFC 3986 section 5.2.4, which keeps empty segments.
func withoutDotSegments(s string) string {
	if !strings.Contains(s, "/.") {
		return s
	}
	var kept []string
	segments := strings.Split(s[1:], "/")
	for i, segment := range segments {
		switch segment {
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		case ".":
		default:
			kept = append(kept, segment)
			continue
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

// slashesMerged is what nginx does, and path.Clean with the slash at the end kept.
func slashesMerged(s string) string {
	for strings.Contains(s, "//") {
		s = strings.ReplaceAll(s, "//", "/")
	}
	return s
}

// withoutControls drops what URL parsers of browsers, and of those who imitate them, drop.
func withoutControls(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

func before(s, anyOf string) string {
	if i := strings.IndexAny(s, anyOf); i >= 0 {
		return s[:i]
	}
	return s
}
