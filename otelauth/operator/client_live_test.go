// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"strings"
	"testing"
)

func TestEventReader(t *testing.T) {
	t.Parallel()
	r := newEventReader(strings.NewReader("retry: 1000\nevent: hello\ndata: {\"a\":\ndata: 1}\n\n: comment\nid: 7\r\nevent:act\rdata\r\n\r\n" +
		"event: lost\n\ndata: x\n\nevent: unfinished\ndata: y\n"))
	var got []string
	for {
		e, err := r.next()
		if err != nil {
			break
		}
		got = append(got, e.Name+"|"+string(e.Data)+"|"+e.id)
	}
	want := "hello|{\"a\":\n1}| act||7 message|x|"
	if text := strings.Join(got, " "); text != want {
		t.Errorf("the events are %q, want %q", text, want)
	}
}

// FuzzEventReader checks that no stream makes the reader fail or return without end.
func FuzzEventReader(f *testing.F) {
	f.Add("event: a\ndata: b\n\n")
	f.Add("\r\r\n\ndata\r\n\r\nid: \x00\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		r := newEventReader(strings.NewReader(stream))
		for range len(stream) + 1 {
			e, err := r.next()
			if err != nil {
				return
			}
			if e.Name == "" || strings.ContainsAny(e.Name+e.id, "\r\n") {
				t.Errorf("%q: %+v", stream, e)
			}
		}
		t.Errorf("%q has more events than bytes", stream)
	})
}
