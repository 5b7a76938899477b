// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip

import "strings"

// element is what one hop wrote: the node that it was called by, and the scheme; each "" when it did not say.
type element struct{ node, proto string }

// list goes through a list header backwards: from the last line to the first, in each from right to left. Lines of one
// field are one list in their order (RFC 9110, section 5.3).
//
// Backwards matters for Forwarded, too. A client that sends a quote without its partner would, read from the left, swallow
// what the proxy appends after it. What the proxy appended is well-formed, and its beginning can be found from the right.
type list struct {
	lines     []string // not begun
	line      string   // what is left of the one being read
	begun     bool
	forwarded bool
}

// The bounds of one entry; a longer one cannot be read. The longest address with zone and port is well under
// the first; a Forwarded element may hold the host that a client asked for.
const (
	maxEntryBytes   = 128
	maxElementBytes = 1 << 10
)

// previous returns the next element to the left. One that cannot be read is the zero element, after which previous
// must not be called again.
func (l *list) previous() (e element, more bool) {
	if !l.begun {
		if len(l.lines) == 0 {
			return element{}, false
		}
		l.line, l.lines = l.lines[len(l.lines)-1], l.lines[:len(l.lines)-1]
		l.begun = true
	}
	var comma int
	var ok bool
	if l.forwarded {
		comma, ok = lastUnquotedComma(l.line)
	} else {
		comma, ok = lastComma(l.line)
	}
	if !ok {
		return element{}, true
	}
	text := trimSpace(l.line[comma+1:])
	if comma < 0 {
		l.begun = false
	} else {
		l.line = l.line[:comma]
	}
	if !l.forwarded {
		return element{node: text}, true
	}
	e, ok = parseElement(text)
	if !ok {
		return element{}, true
	}
	return e, true
}

// lastComma returns the position of the last comma, -1 when there is none; not ok when what follows it is too long.
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

// lastValue is the last value of a list header, "" when there is none. One that is too long is cut at its begin.
func lastValue(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	last := lines[len(lines)-1]
	last = last[max(0, len(last)-maxEntryBytes):]
	return trimSpace(last[strings.LastIndexByte(last, ',')+1:])
}

// trimSpace trims OWS of RFC 9110, section 5.6.3.
func trimSpace(s string) string { return strings.Trim(s, " \t") }
