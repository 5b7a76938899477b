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
		if unicode.Is(unicode.Cf, r) {
			return -1 // zero-width and other invisible characters
		}
		least := unicode.ToLower(r)
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, unicode.ToLower(f))
		}
		return least
	}, norm.NFKC.String(s)))
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
