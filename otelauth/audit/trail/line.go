// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"golang.org/x/mod/sumdb/tlog"
)

// A line is seqPrefix, the number, and a body that begins with a comma and ends with a newline. The
// number is known last, when the line is written.
const (
	seqPrefix  = `{"seq":`
	timeFormat = "2006-01-02T15:04:05.000000000Z"
	// maxBodyBytes leaves room for the prefix and the number.
	maxBodyBytes = MaxLineBytes - 32
)

// appendBody appends the body of a line. An attribute that would make the line too long is left
// out; the bounds of the attributes allow none to be.
func appendBody(b []byte, at time.Time, event string, span trace.SpanContext, attrs []attribute.KeyValue) []byte {
	start := len(b)
	b = append(b, `,"time":"`...)
	b = appendTime(b, at)
	b = append(b, `","event":`...)
	b = appendString(b, event)
	if span.IsValid() {
		b = append(b, `,"trace_id":"`...)
		id := span.TraceID()
		b = appendHex(b, id[:])
		b = append(b, `","span_id":"`...)
		spanID := span.SpanID()
		b = appendHex(b, spanID[:])
		b = append(b, '"')
	}
	for _, kv := range attrs {
		before := len(b)
		b = append(b, `,"`...)
		b = append(b, kv.Key...) // keys are those of the registry, so there is nothing to escape
		b = append(b, `":`...)
		b = appendValue(b, kv.Value)
		if len(b)-start > maxBodyBytes {
			b = b[:before]
		}
	}
	return append(b, "}\n"...)
}

// appendTime appends at in timeFormat. Package time formats the layout of RFC 3339 several times
// faster than others, but without a fixed number of decimals.
func appendTime(b []byte, at time.Time) []byte {
	b = at.UTC().AppendFormat(b, time.RFC3339)
	b[len(b)-1] = '.'
	nanos := at.Nanosecond()
	for unit := 100_000_000; unit > 0; unit /= 10 {
		b = append(b, byte('0'+nanos/unit%10))
	}
	return append(b, 'Z')
}

func appendHex(b, id []byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range id {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}

func appendValue(b []byte, v attribute.Value) []byte {
	switch v.Type() {
	case attribute.STRING:
		return appendString(b, v.AsString())
	case attribute.INT64:
		return strconv.AppendInt(b, v.AsInt64(), 10)
	case attribute.BOOL:
		return strconv.AppendBool(b, v.AsBool())
	}
	data, err := json.Marshal(v.AsInterface())
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, data...)
}

// appendString appends s as a JSON string, with the escapes of encoding/json, except those for
// HTML.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := plainWords(s); i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 || r == '\u2028' || r == '\u2029' {
				b = append(b, s[start:i]...)
				if n == 1 {
					b = append(b, `\ufffd`...)
				} else {
					b = append(b, `\u202`...)
					b = append(b, digits[r&15])
				}
				start = i + n
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, `\u00`...)
			b = append(b, digits[c>>4], digits[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// plainWords returns how many bytes at the beginning of s need no escape, in words of eight.
func plainWords(s string) int {
	const ones, highest = 0x0101_0101_0101_0101, 0x8080_8080_8080_8080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		// A subtraction sets the highest bit of a byte that is too small. What it borrows from a
		// later byte makes that one suspect at most.
		isSpecial := w | (w - ' '*ones) | ((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones)
		if isSpecial&highest != 0 {
			break
		}
	}
	return i
}

// appendLine appends the line with the number seq and the given body. hash is that of its leaf.
func appendLine(b []byte, seq int64, body []byte) (line []byte, hash tlog.Hash) {
	start := len(b)
	b = append(b, seqPrefix...)
	b = strconv.AppendInt(b, seq, 10)
	b = append(b, body...)
	if start == 0 {
		return b, tlog.RecordHash(b[:len(b)-1])
	}
	return b, leafHash(b[start-1 : len(b)-1])
}

// errNotALine is the error of parseSeq.
var errNotALine = errors.New("not a line of a trail")

// parseSeq returns the number of a line, and the rest of the line behind it.
func parseSeq(line []byte) (seq int64, rest []byte, err error) {
	digits, ok := bytes.CutPrefix(line, []byte(seqPrefix))
	if !ok {
		return 0, nil, errNotALine
	}
	n := 0
	for n < len(digits) && n < 19 && digits[n] >= '0' && digits[n] <= '9' {
		seq = seq*10 + int64(digits[n]-'0')
		n++
	}
	if n == 0 || n > 1 && digits[0] == '0' || seq < 0 || n == len(digits) || digits[n] != ',' {
		return 0, nil, errNotALine
	}
	return seq, digits[n:], nil
}

// parseLine parses what all lines begin with: number, time and event.
func parseLine(line []byte) (Line, error) {
	seq, rest, err := parseSeq(line)
	if err != nil {
		return Line{}, err
	}
	l := Line{Seq: seq, JSON: line}
	const before, between = `,"time":"`, `","event":"`
	if rest, err = cutAll(rest, before); err != nil || len(rest) < len(timeFormat) {
		return Line{}, errNotALine
	}
	if l.Time, err = time.Parse(timeFormat, string(rest[:len(timeFormat)])); err != nil {
		return Line{}, errNotALine
	}
	if rest, err = cutAll(rest[len(timeFormat):], between); err != nil {
		return Line{}, err
	}
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return Line{}, errNotALine
	}
	l.Event = string(rest[:end])
	return l, nil
}

func cutAll(b []byte, prefix string) ([]byte, error) {
	rest, ok := bytes.CutPrefix(b, []byte(prefix))
	if !ok {
		return nil, errNotALine
	}
	return rest, nil
}

// isWhole reports whether line, without its newline, is one that a trail has written whole.
func isWhole(line []byte, seq int64) bool {
	l, err := parseLine(line)
	return err == nil && l.Seq == seq && len(line) <= MaxLineBytes && json.Valid(line)
}
