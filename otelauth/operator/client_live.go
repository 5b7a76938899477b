// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Event is one event of the live view.
type Event struct {
	// Name is one of the constants whose names begin with Event.
	Name string
	// Data is the JSON of the type that the constant documents.
	Data json.RawMessage

	id string
}

// Decode returns the data of an event as its type.
func (e *Event) Decode(into any) error {
	if err := json.Unmarshal(e.Data, into); err != nil {
		return fmt.Errorf("operator: the event %s is not valid: %w", e.Name, err)
	}
	return nil
}

// Live calls GET v1/live and passes each event to use until ctx ends or use returns an error. When
// the connection ends it connects again and continues; an event hello that is not Resumed says that
// events are missing. Live returns the error of use, nil if ctx has ended, or why the first
// connection failed.
func (c *Client) Live(ctx context.Context, use func(Event) error) error {
	last := ""
	for first := true; ; first = false {
		err := c.live(ctx, &last, use)
		var stop stopped
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the caller has ended it
		case errors.As(err, &stop):
			return stop.error
		case err != nil && first:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(liveRetry):
		}
	}
}

// stopped is an error of the caller of Live.
type stopped struct{ error }

func (c *Client) live(ctx context.Context, last *string, use func(Event) error) error {
	r, err := c.request(ctx, http.MethodGet, "live", nil, nil)
	if err != nil {
		return err
	}
	if *last != "" {
		r.Header.Set("Last-Event-ID", *last)
	}
	resp, err := c.send(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	events := newEventReader(resp.Body)
	for {
		e, err := events.next()
		if err != nil {
			return nil // the connection has ended, and Live opens it again
		}
		if e.id != "" {
			*last = e.id
		}
		if err := use(e); err != nil {
			return stopped{err}
		}
	}
}

// maxEventBytes bounds one event.
const maxEventBytes = 4 << 20

// eventReader reads server-sent events (HTML Living Standard, section 9.2.6).
type eventReader struct{ lines *bufio.Scanner }

func newEventReader(r io.Reader) *eventReader {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxEventBytes)
	s.Split(splitLines)
	return &eventReader{s}
}

// splitLines splits at LF, CR and CRLF.
func splitLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case i < 0:
		return 0, nil, nil // the standard discards an unfinished line
	case data[i] == '\n':
		return i + 1, data[:i], nil
	case i+1 < len(data) && data[i+1] == '\n':
		return i + 2, data[:i], nil
	case i+1 < len(data) || atEOF:
		return i + 1, data[:i], nil
	}
	return 0, nil, nil // a CR whose LF may follow
}

// next returns the next event with data.
func (r *eventReader) next() (e Event, err error) {
	var data []byte
	hasData := false
	for r.lines.Scan() {
		line := r.lines.Bytes()
		if len(line) == 0 {
			if hasData {
				if e.Name == "" {
					e.Name = "message"
				}
				e.Data = data
				return e, nil
			}
			e = Event{}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			e.Name = string(value)
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				e.id = string(value)
			}
		case "data":
			if hasData {
				data = append(data, '\n')
			}
			hasData = true
			if len(data)+len(value) > maxEventBytes {
				return Event{}, bufio.ErrTooLong
			}
			data = append(data, value...)
		}
	}
	if err := r.lines.Err(); err != nil {
		return Event{}, err
	}
	return Event{}, io.EOF
}
