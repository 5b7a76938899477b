// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip

import "strings"

// element is the entry of one hop: its client and the scheme, each "" when missing.
type element struct{ node, proto string }

// list iterates over a list header backwards: from the last line to the first, each from right to
// left. The lines of one field are one list in their order (RFC 9110, section 5.3).
//
// Forwarded needs this direction too. Read from the left, an unbalanced quote of the client would
// hide what the proxy appended. The proxy's part is well-formed, so its beginning is found from
// the right.
type list struct {
	lines       []string // not begun
	line        string   // the rest of the line that is being read
	hasLine     bool
	isForwarded bool
}

// The bounds of one entry; a longer one is unreadable. An address with zone and port is shorter
// than the first; a Forwarded element may hold the host that the client requested.
const (
	maxEntryBytes   = 128
	maxElementBytes = 1 << 10
)

// previous returns the next element to the left. An unreadable one is the zero element; previous
// must not be called again after it.
func (l *list) previous() (e element, more bool) {
	if !l.hasLine {
		if len(l.lines) == 0 {
			return element{}, false
		}
		l.line, l.lines = l.lines[len(l.lines)-1], l.lines[:len(l.lines)-1]
		l.hasLine = true
	}
	var comma int
	var ok bool
	if l.isForwarded {
		comma, ok = lastUnquotedComma(l.line)
	} else {
		comma, ok = lastComma(l.line)
	}
	if !ok {
		return element{}, true
	}
	text := trimSpace(l.line[comma+1:])
	if comma < 0 {
		l.hasLine = false
	} else {
		l.line = l.line[:comma]
	}
	if !l.isForwarded {
		return element{node: text}, true
	}
	e, ok = parseElement(text)
	if !ok {
		return element{}, true
	}
	return e, true
}

// lastComma returns the position of the last comma, or -1. It is not ok when the text after the
// comma is too long.
func lastComma(s string) (int, bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == ',' {
			return i, true
		}
		if len(s)-i > maxEntryBytes {
			return 0, false
		}
	}
	return -1, true
}

// lastValue returns the last value of a list header, or "". It cuts the beginning of a long value.
func lastValue(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	last := lines[len(lines)-1]
	last = last[max(0, len(last)-maxEntryBytes):]
	return trimSpace(last[strings.LastIndexByte(last, ',')+1:])
}

// trimSpace removes OWS of RFC 9110, section 5.6.3.
func trimSpace(s string) string { return strings.Trim(s, " \t") }
