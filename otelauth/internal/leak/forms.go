// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package leak

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

type needle struct {
	form    string
	bytes   []byte
	anyCase bool // bytes is in lower case, and so is the searched data
}

// needles returns the forms of s, each distinct one once.
func needles(s string) []needle {
	raw := []byte(s)
	all := []needle{{form: "plain", bytes: raw}}
	all = append(all, needle{form: "reversed", bytes: []byte(reversed(s))})
	all = append(all, needle{form: "hexadecimal", bytes: []byte(hex.EncodeToString(raw)), anyCase: true})
	for shift := range 3 {
		all = append(all,
			needle{form: "base64", bytes: inside64(base64.RawStdEncoding, raw, shift)},
			needle{form: "base64url", bytes: inside64(base64.RawURLEncoding, raw, shift)})
	}
	// As with base64, without a last character that has bits of the following data.
	b32 := strings.ToLower(base32.StdEncoding.EncodeToString(raw))[:len(s)*8/5]
	all = append(all, needle{form: "base32", bytes: []byte(b32), anyCase: true})
	all = append(all,
		needle{form: "percent-encoding", bytes: []byte(strings.ToLower(url.QueryEscape(s))), anyCase: true},
		needle{form: "percent-encoding", bytes: []byte(strings.ToLower(url.PathEscape(s))), anyCase: true},
		needle{form: "percent-encoding of every byte", bytes: everyByte("%%%02x", raw), anyCase: true},
		needle{form: "a Go string literal", bytes: trimQuotes(strconv.Quote(s))},
		needle{form: "a Go string literal", bytes: trimQuotes(strconv.QuoteToASCII(s))},
		needle{form: "UTF-16", bytes: utf16le(s)},
		needle{form: "a list of decimal bytes", bytes: decimals(raw, " ")},
		needle{form: "a list of decimal bytes", bytes: decimals(raw, ",")},
	)
	if j, err := json.Marshal(s); err == nil {
		all = append(all, needle{form: "a JSON string", bytes: trimQuotes(string(j))})
	}
	if l := latin1(s); l != nil {
		all = append(all, needle{form: "Latin-1", bytes: l})
	}
	all = append(all, digests(raw)...)

	// Most forms of most secrets are the same text; the first form is kept.
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(n needle) bool {
		key := string(n.bytes)
		if n.anyCase {
			key = "i" + key
		} else {
			key = "c" + key
		}
		// Percent-encoding that does not change the secret adds nothing to plain, and in lower
		// case it would match other text.
		idle := n.form == "percent-encoding" && string(n.bytes) == strings.ToLower(s)
		duplicate := seen[key] || len(n.bytes) == 0 || idle
		seen[key] = true
		return duplicate
	})
}

// digests returns the forms of the unkeyed hashes of a secret.
func digests(raw []byte) []needle {
	var all []needle
	md, s1, s2, s5 := md5.Sum(raw), sha1.Sum(raw), sha256.Sum256(raw), sha512.Sum512(raw)
	for _, d := range []struct {
		name string
		sum  []byte
	}{{"MD5", md[:]}, {"SHA-1", s1[:]}, {"SHA-256", s2[:]}, {"SHA-512", s5[:]}} {
		all = append(all,
			needle{form: d.name + " as bytes", bytes: d.sum},
			needle{form: d.name + " as hexadecimal", bytes: []byte(hex.EncodeToString(d.sum)), anyCase: true})
		for shift := range 3 {
			all = append(all,
				needle{form: d.name + " as base64", bytes: inside64(base64.RawStdEncoding, d.sum, shift)},
				needle{form: d.name + " as base64url", bytes: inside64(base64.RawURLEncoding, d.sum, shift)})
		}
	}
	return all
}

// inside64 returns the characters that depend on raw alone in a base64 text in which raw begins
// shift bytes (modulo 3) after the beginning.
func inside64(enc *base64.Encoding, raw []byte, shift int) []byte {
	text := enc.EncodeToString(append(make([]byte, shift), raw...))
	first := (shift*8 + 5) / 6         // the first character without bits of the preceding data
	last := (shift + len(raw)) * 8 / 6 // the end of those without bits of the following data
	return []byte(text[first:last])
}

func reversed(s string) string {
	r := []rune(s)
	slices.Reverse(r)
	return string(r)
}

func everyByte(format string, raw []byte) []byte {
	var b []byte
	for _, c := range raw {
		b = fmt.Appendf(b, format, c)
	}
	return b
}

func decimals(raw []byte, separator string) []byte {
	parts := make([]string, len(raw))
	for i, c := range raw {
		parts[i] = strconv.Itoa(int(c))
	}
	return []byte(strings.Join(parts, separator))
}

func trimQuotes(s string) []byte { return []byte(s[1 : len(s)-1]) }

func utf16le(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

// latin1 returns s in ISO-8859-1; nil when that is impossible or equal to s.
func latin1(s string) []byte {
	if !utf8.ValidString(s) {
		return nil
	}
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return nil
		}
		b = append(b, byte(r))
	}
	if len(b) == len(s) {
		return nil
	}
	return b
}
