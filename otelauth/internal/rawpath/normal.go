// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package rawpath tells paths that everybody reads in the same way from those that have made a proxy and the service
// behind it disagree. It refuses to clean a path: what is odd is for the caller to refuse.
//
//	if !rawpath.Normal(r.URL) { … }
package rawpath

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// Normal reports whether a path means the same to everybody who may look at it: to the mux, to the handler, and
// to a proxy or framework behind. An encoded slash, backslash, dot or percent sign, a dot segment, an empty segment, a
// parameter, a control character or octets that are not UTF-8 each have made two of them disagree.
func Normal(u *url.URL) bool {
	if u.Path == "" || u.Path[0] != '/' || !utf8.ValidString(u.Path) {
		return false
	}
	start := 1
	for i := 1; i <= len(u.Path); i++ {
		if i < len(u.Path) {
			switch c := u.Path[i]; {
			case c == '\\', c == '%', c == ';', c < 0x20, c == 0x7f:
				return false
			case c != '/':
				continue
			}
		}
		segment := u.Path[start:i]
		if segment == "." || segment == ".." || segment == "" && i < len(u.Path) {
			return false
		}
		start = i + 1
	}
	// url.URL keeps RawPath where the path was encoded in another way than its own.
	for i := 0; i+2 < len(u.RawPath); i++ {
		if u.RawPath[i] == '%' {
			switch strings.ToLower(u.RawPath[i+1 : i+3]) {
			case "2f", "5c", "2e", "25":
				return false
			}
		}
	}
	return true
}
