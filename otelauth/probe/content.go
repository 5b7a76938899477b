// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
)

// words is the content of a page: the hashes of its words, sorted, without repetitions. Words that
// change from one answer to the next are left out: long numbers, hexadecimal identifiers and the
// tokens of the run.
type words []uint64

// wordSeed makes the hashes of a process comparable.
var wordSeed = maphash.MakeSeed()

// maxWord is the length of the longest word that is compared.
const maxWord = 64

// wordsOf returns the content of a text.
func wordsOf(text []byte) words {
	w := make(words, 0, min(len(text)/5+1, 4096))
	lower := make([]byte, 0, maxWord)
	digits, letters := 0, 0
	flush := func() {
		if n := len(lower); n > 0 && n <= maxWord && digits < 5 && (n < 8 || digits == 0 || letters > 0 && digits < 3) {
			w = append(w, maphash.Bytes(wordSeed, lower))
		}
		lower, digits, letters = lower[:0], 0, 0
	}
	for _, b := range text {
		switch {
		case b >= '0' && b <= '9':
			digits++
		case b >= 'A' && b <= 'Z':
			b += 'a' - 'A'
			letters++
		case b >= 'a' && b <= 'z', b >= 0x80:
			letters++
		default:
			flush()
			continue
		}
		if len(lower) <= maxWord {
			lower = append(lower, b)
		}
	}
	flush()
	slices.Sort(w)
	return slices.Compact(w)
}

func (w words) has(h uint64) bool {
	_, found := slices.BinarySearch(w, h)
	return found
}

// without returns the words of w that no other content has.
func (w words) without(others ...words) words {
	var own words
next:
	for _, h := range w {
		for _, o := range others {
			if o.has(h) {
				continue next
			}
		}
		own = append(own, h)
	}
	return own
}

// share returns the share of own that w has, from 0 to 1.
func (w words) share(own words) float64 {
	if len(own) == 0 {
		return 0
	}
	n := 0
	for _, h := range own {
		if w.has(h) {
			n++
		}
	}
	return float64(n) / float64(len(own))
}

// loginWords are those by which a page that denies access is known, in lower case.
var loginWords = []string{
	"unauthorized", "unauthorised", "unauthenticated", "forbidden", "access denied", "permission denied", "not allowed",
	"authentication", "authenticate", "log in", "login", "sign in", "signin", "log on", "logon", "invalid credentials",
	"credentials", "not authorized", "not authorised", "must be logged in", "password",
}

// looksLikeDenial reports whether a page has the words of a denial or of a login form that the
// control does not have.
func looksLikeDenial(body, control []byte) bool {
	lower, known := bytes.ToLower(body), bytes.ToLower(control)
	if field := []byte(`type="password"`); bytes.Contains(lower, field) && !bytes.Contains(known, field) {
		return true
	}
	for _, w := range loginWords {
		if bytes.Contains(lower, []byte(w)) && !bytes.Contains(known, []byte(w)) {
			return true
		}
	}
	return false
}

// sharedCache reports whether Cache-Control lets a shared cache store an answer to a request with
// Authorization (RFC 9111, section 3.5). must-revalidate alone is left out, because common
// services send it with max-age=0.
func sharedCache(cacheControl string) bool {
	shared := false
	for directive := range strings.SplitSeq(strings.ToLower(cacheControl), ",") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(directive), "="); name {
		case "no-store", "private":
			return false
		case "public":
			shared = true
		case "s-maxage":
			shared = shared || strings.Trim(value, `"`) != "0"
		}
	}
	return shared
}
