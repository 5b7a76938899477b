// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// foldText returns what an upstream may compare that knows neither letter case nor the ways to write one letter in Unicode: file
// systems, databases and routers are among them. Plain lower-case text is returned as it is.
func foldText(s string) string {
	upper := false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			return foldUnicode(s)
		case c >= 'A' && c <= 'Z':
			upper = true
		}
	}
	if upper {
		return strings.ToLower(s)
	}
	return s
}

func foldUnicode(s string) string {
	return norm.NFKC.String(strings.Map(func(r rune) rune {
		least := unicode.ToLower(unicode.ToUpper(r)) // a dotless i is an I to whoever compares in upper case
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, unicode.ToLower(f))
		}
		return least
	}, compatible(s)))
}

// compatible writes letters and signs in the one way that Unicode has for all that mean the same: a full-width solidus is "/",
// a two-dot leader "..". Zero-width and other invisible characters go.
func compatible(s string) string {
	return norm.NFKC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, norm.NFKC.String(s)))
}

// disguised reports whether a path in normal form may turn into another path, and not only into another spelling, for who trims names or
// reads signs as [compatible] does: "/a/.. /b", "/a/‥/b".
func disguised(path string) bool {
	for i := range len(path) {
		if path[i] < utf8.RuneSelf {
			continue
		}
		plain := compatible(path)
		for _, sign := range [...]string{"/", `\`, "%", ";", "?", "#"} {
			if strings.Count(plain, sign) != strings.Count(path, sign) {
				return true
			}
		}
		path = plain
		break
	}
	for {
		i := strings.IndexByte(path[1:], '/') + 1
		if i == 0 {
			return dots(path[1:])
		}
		if dots(path[1:i]) {
			return true
		}
		path = path[i:]
	}
}

// dots reports whether nothing but dots and blanks is in a segment.
func dots(segment string) bool {
	return segment != "" && strings.TrimLeftFunc(segment, func(r rune) bool { return r == '.' || unicode.IsSpace(r) }) == ""
}

// blanksTrimmed takes blanks off both ends of every segment.
func blanksTrimmed(path string) string {
	if strings.IndexFunc(path, unicode.IsSpace) < 0 {
		return path
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = strings.TrimSpace(s)
	}
	return strings.Join(segments, "/")
}

// trimSegment takes off what Windows, and whoever trims names, does not see.
func trimSegment(s string) string {
	return strings.TrimRight(strings.TrimSpace(s), ". ")
}

// foldSegments returns nil when nothing changes.
func foldSegments(path []string) []string { return mapSegments(path, foldText) }

// trimSegments returns nil when nothing changes. A segment of which nothing is left goes.
func trimSegments(path []string) []string {
	trimmed := mapSegments(path, trimSegment)
	if trimmed == nil {
		return nil
	}
	slash := path[len(path)-1] == ""
	trimmed = slices.DeleteFunc(trimmed, func(s string) bool { return s == "" })
	if slash || len(trimmed) == 0 {
		trimmed = append(trimmed, "")
	}
	return trimmed
}

func mapSegments(path []string, f func(string) string) []string {
	for i, s := range path {
		if t := f(s); t != s {
			mapped := slices.Clone(path)
			for ; i < len(mapped); i++ {
				mapped[i] = f(mapped[i])
			}
			return mapped
		}
	}
	return nil
}
