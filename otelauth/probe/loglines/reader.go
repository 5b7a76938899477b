// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package loglines

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// MaxLineBytes bounds a line. The rest of a longer one is not read as fields.
const MaxLineBytes = 1 << 20

// Reader reads lines. Create it with [NewReader]. It is not safe for concurrent use.
type Reader struct {
	in     *bufio.Reader
	fields *Fields
	now    func() time.Time
	line   int64
	long   int64
}

// NewReader returns a Reader of the lines of r. now returns the time of arrival; nil means
// time.Now.
func NewReader(r io.Reader, f *Fields, now func() time.Time) *Reader {
	if now == nil {
		now = time.Now
	}
	return &Reader{in: bufio.NewReaderSize(r, 64<<10), fields: f, now: now}
}

// Next returns the next line that is not empty. A line without fields is a Record too, because it
// may hold a secret. The error is io.EOF at the end.
func (r *Reader) Next() (evidence.Record, error) {
	for {
		raw, err := r.read()
		if err != nil {
			return evidence.Record{}, err
		}
		if len(bytes.TrimSpace(raw)) > 0 {
			rec := r.fields.Record(raw)
			rec.Line, rec.Arrived = r.line, r.now()
			return rec, nil
		}
	}
}

// Long returns how many lines exceeded [MaxLineBytes].
func (r *Reader) Long() int64 { return r.long }

// read returns the next line without its end, cut at the bound.
func (r *Reader) read() ([]byte, error) {
	var line []byte
	for {
		part, err := r.in.ReadSlice('\n')
		if room := MaxLineBytes - len(line); room > 0 {
			line = append(line, part[:min(room, len(part))]...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) == 0 && len(part) == 0:
			return nil, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		}
		r.line++
		if len(line) >= MaxLineBytes {
			r.long++
		}
		return bytes.TrimRight(line, "\r\n"), nil
	}
}

// Record returns the record of one line. Its Line and Arrived are zero.
func (f *Fields) Record(raw []byte) evidence.Record {
	rec := evidence.Record{Raw: raw}
	values := parse(raw)
	if values == nil {
		return rec
	}
	rec.Name = first(values, f.Name)
	rule := f.rule(values, rec.Name)
	if rule == nil {
		return rec
	}
	rec.IsAttempt = true
	rec.Time, rec.Resolution = parseTime(first(values, f.Time))
	rec.TraceID, rec.SpanID = first(values, f.TraceID), first(values, f.SpanID)
	rec.Sampled = isSampled(first(values, f.Sampled))
	rec.Attributes = map[string]string{}
	for key, sources := range f.Attributes {
		for _, s := range sources {
			text := textOf(lookup(values, s.Field))
			if replaced, ok := s.Values[text]; ok {
				text = replaced
			}
			if text != "" {
				rec.Attributes[key] = text
				break
			}
		}
	}
	if rule.Outcome != "" {
		rec.Attributes[semconv.KeyOutcome] = rule.Outcome
	}
	return rec
}

// rule returns the rule that a line matches, or nil.
func (f *Fields) rule(values map[string]any, name string) *Rule {
	for i := range f.Attempts {
		r := &f.Attempts[i]
		if r.Name != "" && r.Name != name {
			continue
		}
		matches := true
		for field, want := range r.Match {
			matches = matches && has(lookup(values, field), want)
		}
		if matches {
			return r
		}
	}
	return nil
}

func has(value any, want string) bool {
	if list, ok := value.([]any); ok {
		return slices.ContainsFunc(list, func(v any) bool { return textOf(v) == want })
	}
	return textOf(value) == want
}

func isSampled(text string) bool {
	if b, err := strconv.ParseBool(text); err == nil {
		return b
	}
	flags, err := strconv.ParseUint(text, 16, 8)
	return err == nil && flags&1 != 0
}

// parse returns the fields of a line: of the JSON object that it is or ends with, otherwise of its
// pairs key=value. It returns nil if it has none.
func parse(line []byte) map[string]any {
	line = bytes.TrimSpace(line)
	if at := bytes.IndexByte(line, '{'); at >= 0 && line[len(line)-1] == '}' {
		d := json.NewDecoder(bytes.NewReader(line[at:]))
		d.UseNumber()
		var values map[string]any
		if err := d.Decode(&values); err == nil && !d.More() {
			if at > 0 {
				for key, value := range logfmt(line[:at]) {
					if _, taken := values[key]; !taken {
						values[key] = value
					}
				}
			}
			return values
		}
	}
	return logfmt(line)
}

// logfmt returns the pairs key=value of a line. A value may be a string in quotes. Other words are
// left out.
func logfmt(line []byte) map[string]any {
	values := map[string]any{}
	rest := string(line)
	for rest != "" {
		rest = strings.TrimLeft(rest, " \t")
		end := strings.IndexAny(rest, "= \t")
		if end < 0 {
			break
		}
		key := rest[:end]
		if rest[end] != '=' {
			rest = rest[end:]
			continue
		}
		rest = rest[end+1:]
		var value string
		if quoted, err := strconv.QuotedPrefix(rest); err == nil && rest[0] == '"' {
			value, _ = strconv.Unquote(quoted)
			rest = rest[len(quoted):]
		} else {
			end := strings.IndexAny(rest, " \t")
			if end < 0 {
				end = len(rest)
			}
			value, rest = rest[:end], rest[end:]
		}
		if key != "" {
			values[key] = value
		}
	}
	if len(values) == 0 {
		return nil
	}
	return values
}

// first returns the first value that a line has as text.
func first(values map[string]any, fields []string) string {
	for _, f := range fields {
		if text := textOf(lookup(values, f)); text != "" {
			return text
		}
	}
	return ""
}

// lookup returns the value at a path. A name may have dots itself.
func lookup(values map[string]any, path string) any {
	if v, ok := values[path]; ok {
		return v
	}
	for i, c := range path {
		if c != '.' {
			continue
		}
		if inner, ok := values[path[:i]].(map[string]any); ok {
			if v := lookup(inner, path[i+1:]); v != nil {
				return v
			}
		}
	}
	return nil
}

// textOf returns a value as text. The elements of a list have commas between them.
func textOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = textOf(e)
		}
		return strings.Join(parts, ",")
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, key+"="+textOf(v[key]))
		}
		return strings.Join(parts, " ")
	}
	return ""
}

// layouts are those of RFC 3339, of Python's asctime and of web servers. A time without a zone is
// local.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999",
	"02/Jan/2006:15:04:05 -0700",
}

// parseTime returns a time and its resolution, or the zero Time.
func parseTime(text string) (t time.Time, resolution time.Duration) {
	text = strings.Replace(text, ",", ".", 1) // asctime
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return epoch(n, strings.Contains(text, "."))
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, resolutionOf(text)
		}
	}
	return time.Time{}, 0
}

// resolutionOf returns the unit of the last digit of a time.
func resolutionOf(text string) time.Duration {
	_, fraction, found := strings.Cut(text, ".")
	digits := 0
	for found && digits < len(fraction) && digits < 9 && '0' <= fraction[digits] && fraction[digits] <= '9' {
		digits++
	}
	return time.Duration(math.Pow10(9 - digits))
}

// epoch returns a time since 1970. The size of n decides whether it is in seconds, milliseconds,
// microseconds or nanoseconds.
func epoch(n float64, hasFraction bool) (time.Time, time.Duration) {
	unit := time.Second
	switch {
	case n <= 0 || math.IsNaN(n) || n > 9e18:
		return time.Time{}, 0
	case n > 1e17:
		unit = time.Nanosecond
	case n > 1e14:
		unit = time.Microsecond
	case n > 1e11:
		unit = time.Millisecond
	}
	whole, fraction := math.Modf(n)
	t := time.Unix(0, int64(whole)*int64(unit)).Add(time.Duration(fraction * float64(unit)))
	if unit == time.Second && hasFraction {
		return t, time.Millisecond
	}
	return t, unit
}
