// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/mod/sumdb/tlog"
)

// Every line is valid JSON with the values that were given, and comes back from the parser.
func FuzzLine(f *testing.F) {
	f.Add("auth.attempt", "alice", int64(7))
	f.Add("a\"b\\c", "\x00\u2028\xff\U0001F600<>&", int64(0))
	f.Fuzz(func(t *testing.T, event, value string, seq int64) {
		seq &= 1<<62 - 1
		at := time.Unix(seq%(1<<33), 6).UTC()
		body := appendBody(nil, at, event, trace.SpanContext{}, []attribute.KeyValue{
			attribute.String("user.name", value), attribute.Int64("n", seq), attribute.StringSlice("list", []string{value}),
		})
		line, hash := appendLine(nil, seq, body)
		if two, again := appendLine(bytes.Clone(line), seq, body); again != hash || !bytes.Equal(two, append(bytes.Clone(line), line...)) {
			t.Fatalf("the line behind another is %q", two)
		}
		line = line[:len(line)-1]
		if hash != tlog.RecordHash(line) {
			t.Fatalf("%q has another hash", line)
		}
		if bytes.ContainsRune(line, '\n') || !json.Valid(line) {
			t.Fatalf("the line is %q", line)
		}
		if len(line) > MaxLineBytes && len(event) < 1000 {
			t.Fatalf("the line has %d bytes", len(line))
		}
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatal(err)
		}
		if s := got["user.name"]; utf8.ValidString(value) && s != value {
			t.Fatalf("%q became %q", value, s)
		}
		l, err := parseLine(line)
		if err != nil || l.Seq != seq || !l.Time.Equal(at) {
			t.Fatalf("the line comes back as %+v, %v", l, err)
		}
	})
}

// The parsers of lines and headers accept nothing that is not one, and never fail otherwise.
func FuzzParsers(f *testing.F) {
	f.Add([]byte(`{"seq":7,"time":"2026-01-02T03:04:05.000000006Z","event":"auth.attempt"}`))
	f.Add([]byte(`{"seq":0,"time":"2026-01-02T03:04:05.000000006Z","event":"auth.trail.segment","auth.trail.note":"h\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— h udRS\n"}`))
	f.Add([]byte("host.example/shop\n2084\nBo7+oAKDY0u7WysXwvMMZcpyuOU6ivwrtiY9mYO/jy0=\n\n— host.example/shop udRSIq9L\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if l, err := parseLine(data); err == nil {
			if seq, _, err := parseSeq(data); err != nil || seq != l.Seq || seq < 0 {
				t.Fatalf("%q has the number %d or %d", data, l.Seq, seq)
			}
		}
		_, c, err := parseHeader(data)
		if err == nil && c.Size < 0 {
			t.Fatalf("the size is %d", c.Size)
		}
		if c, err := parseNote(data); err == nil && (c.Size < 0 || c.Origin == "") {
			t.Fatalf("the checkpoint is %+v", c)
		}
		_, _ = ParseCheckpoint(data)
		_, _ = ParseKey(string(data))
		if first, ok := parseSegmentName(string(data)); ok && segmentName(first) != string(data) {
			t.Fatalf("%q is the name of segment %d", data, first)
		}
	})
}

// The reader of segments returns exactly the lines, whatever the file.
func FuzzLineReader(f *testing.F) {
	f.Add([]byte("a\nb\n"), 1)
	f.Add(bytes.Repeat([]byte("x"), MaxLineBytes+2), 7)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		r := newLineReader(bytes.NewReader(data), 1+size&0xfff)
		var got []byte
		for {
			line, err := r.next()
			if err == nil {
				if r.leaf() != tlog.RecordHash(line) {
					t.Fatalf("%q has another hash", line)
				}
				got = append(append(got, line...), '\n')
				if int64(len(got)) != r.position() {
					t.Fatalf("the position is %d after %d bytes", r.position(), len(got))
				}
				continue
			}
			rest := data[len(got):]
			switch {
			case !bytes.HasPrefix(data, got):
				t.Fatalf("the lines are %q", got)
			case errors.Is(err, io.EOF) && len(rest) > 0, errors.Is(err, errTorn) && (len(rest) == 0 || bytes.ContainsRune(rest, '\n')):
				t.Fatalf("%v before %q", err, rest)
			case errors.Is(err, errTooLong) && len(rest) <= MaxLineBytes:
				t.Fatalf("%v before %d bytes", err, len(rest))
			}
			return
		}
	})
}

// A line that would be too long loses attributes, not its form.
func TestLongLine(t *testing.T) {
	t.Parallel()
	long := attribute.String("long", string(bytes.Repeat([]byte(`"`), MaxLineBytes)))
	body := appendBody(nil, time.Unix(0, 0), "auth.attempt", trace.SpanContext{}, []attribute.KeyValue{long, attribute.Int("n", 7)})
	line, _ := appendLine(nil, 1<<62, body)
	if len(line) > MaxLineBytes || !json.Valid(line) || !bytes.Contains(line, []byte(`"n":7`)) || bytes.Contains(line, []byte("long")) {
		t.Errorf("the line is %s", line)
	}
}

// A string of any byte at any place has the escapes of encoding/json.
func TestEscapes(t *testing.T) {
	t.Parallel()
	for at := range 20 {
		for c := range 256 {
			s := []byte("abcdefghijklmnopqrst")
			s[at] = byte(c)
			want := new(bytes.Buffer)
			encoder := json.NewEncoder(want)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(string(s)); err != nil {
				t.Fatal(err)
			}
			if got := appendString(nil, string(s)); string(got) != strings.TrimSuffix(want.String(), "\n") {
				t.Errorf("%q became %s", s, got)
			}
		}
	}
}
