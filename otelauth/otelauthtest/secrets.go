// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauthtest

import (
	"bytes"
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
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// Leak is one place where a secret was found. It does not hold the secret.
type Leak struct {
	// Secret is the index of the secret among those searched for.
	Secret int
	// Form says how it was written: "plain", "base64", "SHA-256 as hex", ….
	Form string
	// Offset is where in the data.
	Offset int
}

// MinSecretBytes is the length of the shortest secret that can be searched for: the forms of a shorter one
// turn up by chance.
const MinSecretBytes = 4

// NoSecrets fails t for each secret that is found in what rec recorded, over the bytes that the OTLP exporters make of
// all spans, metrics and events; see [Leaks] for the forms that are recognised. Hand it each password that the
// test sent; the pair user-id:password and its base64 are covered by the password.
func NoSecrets(t testing.TB, rec *Recorder, secrets ...string) {
	t.Helper()
	data, err := rec.OTLP()
	if err != nil {
		t.Error(err)
		return
	}
	NoSecretsIn(t, "what was exported", data, secrets...)
}

// NoSecretsIn fails t for each secret that is found in data: standard output, a heap dump, a response. what
// names the data in the failure.
func NoSecretsIn(t testing.TB, what string, data []byte, secrets ...string) {
	t.Helper()
	leaks, err := Leaks(data, secrets...)
	if err != nil {
		t.Error(err)
		return
	}
	for _, l := range leaks {
		t.Errorf("otelauthtest: secret %d is in %s at byte %d, as %s; what surrounds it: %q",
			l.Secret, what, l.Offset, l.Form, before(data, l.Offset))
	}
}

// before returns what precedes a leak, to find the field that it is in without printing the secret.
func before(data []byte, offset int) []byte { return data[max(0, offset-48):offset] }

// Leaks searches data for each secret: plain, reversed, in any case of hexadecimal, as base64 and base64url
// wherever in a longer encoded text it begins, as base32, percent-encoded, as a JSON or Go string literal, as UTF-16, as
// Latin-1, as a list of byte values, and its unkeyed MD5, SHA-1, SHA-256 and SHA-512 digests as bytes, hexadecimal and
// base64. A digest under a secret key is not found, and need not be. There is one Leak at most for each
// secret and form. The error says that a secret is shorter than [MinSecretBytes].
func Leaks(data []byte, secrets ...string) ([]Leak, error) {
	lower := asciiLower(data)
	var all []Leak
	for i, s := range secrets {
		if len(s) < MinSecretBytes {
			return nil, fmt.Errorf("otelauthtest: secret %d is shorter than %d bytes; use a longer one in this test",
				i, MinSecretBytes)
		}
		for _, n := range needles(s) {
			hay := data
			if n.anyCase {
				hay = lower
			}
			if at := bytes.Index(hay, n.bytes); at >= 0 {
				all = append(all, Leak{Secret: i, Form: n.form, Offset: at})
			}
		}
	}
	return all, nil
}

// asciiLower leaves every other byte, and so every offset, as it is; bytes.ToLower does not where data is no UTF-8.
func asciiLower(data []byte) []byte {
	lower := bytes.Clone(data)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return lower
}

type needle struct {
	form    string
	bytes   []byte
	anyCase bool // bytes is in lower case, and so is what it is searched in
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
	// As with base64, without the last character where it has bits of what follows.
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

	// Most forms of most secrets are the same text; the first name is the plainest.
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(n needle) bool {
		key := string(n.bytes)
		if n.anyCase {
			key = "i" + key
		} else {
			key = "c" + key
		}
		// An encoding that leaves the secret as it is adds nothing to plain; in lower case it would find what
		// is not there.
		idle := n.form == "percent-encoding" && string(n.bytes) == strings.ToLower(s)
		duplicate := seen[key] || len(n.bytes) == 0 || idle
		seen[key] = true
		return duplicate
	})
}

// inside64 returns the characters that every base64 text holds in which raw stands shift bytes (modulo 3)
// after the beginning: those made of bits of raw alone.
func inside64(enc *base64.Encoding, raw []byte, shift int) []byte {
	text := enc.EncodeToString(append(make([]byte, shift), raw...))
	first := (shift*8 + 5) / 6         // the first character without a bit of what stands before
	last := (shift + len(raw)) * 8 / 6 // one behind the last without a bit of what stands after
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

// latin1 is nil when s has a character outside of ISO-8859-1, or none outside of ASCII.
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
