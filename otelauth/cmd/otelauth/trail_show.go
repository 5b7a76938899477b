// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/otelauth/semconv/mappings"
)

// trailShow prints lines.
type trailShow struct {
	trailFolder
	Format  string   `enum:"text,json,ocsf,ecs" default:"text" placeholder:"text|json|ocsf|ecs" help:"How lines are printed: text; json, as they are in the trail; ocsf, Authentication (3002) of the Open Cybersecurity Schema Framework; ecs, the Elastic Common Schema. Default: text."`
	Follow  bool     `short:"f" help:"Continue with new lines as they are written, until an interrupt."`
	From    int64    `placeholder:"LINE" help:"The number of the first line. Default: the first line that is kept."`
	Outcome []string `placeholder:"OUTCOME,…" help:"Only attempts with these outcomes: success, missing, malformed, failure, throttled, error."`
	User    []string `sep:"none" placeholder:"NAME" help:"Only attempts of this account, by its name or user.hash. May be repeated."`
	Client  []string `sep:"none" placeholder:"NETWORK" help:"Only attempts from this address or network, such as 192.0.2.0/24. May be repeated."`
	Event   []string `sep:"none" placeholder:"NAME" help:"Only events of this name, such as auth.attempt. May be repeated."`
	Since   past     `placeholder:"WHEN" help:"Only lines from this time on: a time (2026-12-31T12:00:00Z), a day in UTC (2026-12-31), or how long ago (2h, 7d)."`
	Until   past     `placeholder:"WHEN" help:"Only lines before this time, in the same forms."`
	Service string   `placeholder:"NAME" help:"The name of the service in OCSF and ECS. Default: otelauth."`
}

// followInterval is how often show --follow looks for new lines.
const followInterval = 250 * time.Millisecond

// Run prints the lines.
func (c *trailShow) Run(t *terminal) error {
	selected, err := c.filter(t.now())
	if err != nil {
		return err
	}
	if err := checkFolder(c.Dir); err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	out := bufio.NewWriterSize(t.out, 64<<10)
	lines := trail.Lines(ctx, c.Dir, c.From)
	if c.Follow {
		lines = trail.Follow(ctx, c.Dir, c.From, followInterval, func() { _ = out.Flush() })
	}
	for line, err := range lines {
		if err != nil {
			return errors.Join(out.Flush(), followed(ctx, c.Follow, err))
		}
		if err := c.line(out, line, selected); err != nil {
			return errors.Join(out.Flush(), err)
		}
	}
	return out.Flush()
}

// followed returns nil if an interrupt ended --follow, which is how it ends.
func followed(ctx context.Context, follow bool, err error) error {
	select {
	case <-ctx.Done():
		if follow {
			return nil
		}
	default:
	}
	return interrupted(ctx, err)
}

// line prints a line if it is selected.
func (c *trailShow) line(out *bufio.Writer, line trail.Line, selected *lineFilter) error {
	if !selected.time(line.Time) {
		return nil
	}
	if c.Format == "json" && selected.all() {
		return writeLine(out, line.Seq, line.JSON)
	}
	event, err := eventOf(line, c.Service)
	if err != nil {
		return err
	}
	if !selected.event(event) {
		return nil
	}
	text := line.JSON
	switch c.Format {
	case "json":
	case "ocsf":
		text, err = json.Marshal(mappings.OCSF(event))
	case "ecs":
		text, err = json.Marshal(mappings.ECS(event))
	default:
		_, err = out.WriteString(textOf(event) + "\n")
		return err
	}
	if err != nil {
		return err
	}
	return writeLine(out, line.Seq, text)
}

// writeLine writes a line of JSON that a terminal can show: an intruder who changed the segment may
// have written control characters.
func writeLine(out *bufio.Writer, seq int64, line []byte) error {
	if text := string(line); attempt.Text(text, len(text)) != text {
		return fmt.Errorf("line %d has characters that no trail writes; run otelauth trail verify", seq)
	}
	_, _ = out.Write(line) // Flush returns the error
	return out.WriteByte('\n')
}

// eventOf returns the event of a line.
func eventOf(line trail.Line, service string) (mappings.Event, error) {
	decoder := json.NewDecoder(bytes.NewReader(line.JSON))
	decoder.UseNumber()
	var members map[string]any
	if err := decoder.Decode(&members); err != nil {
		return mappings.Event{}, fmt.Errorf("line %d is not valid JSON; run otelauth trail verify", line.Seq)
	}
	e := mappings.Event{Name: line.Event, Time: line.Time, Sequence: line.Seq, Service: service, Attributes: members}
	e.TraceID, _ = members["trace_id"].(string)
	e.SpanID, _ = members["span_id"].(string)
	for _, key := range []string{"seq", "time", "event", "trace_id", "span_id"} {
		delete(members, key)
	}
	return e, nil
}

// columns are the attributes that the text has, in this order. Others follow with their names.
var columns = []string{
	semconv.KeyOutcome, semconv.KeyErrorType, semconv.KeyReason, semconv.KeyUserName, semconv.KeyClientAddress, semconv.KeyEventsSuppressedNetwork,
	semconv.KeyHTTPRequestMethod, semconv.KeyHTTPRoute, semconv.KeyURLPath, semconv.KeyEventsSuppressedCount,
}

// textOf returns an event as one line of text that is safe for a terminal.
func textOf(e mappings.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%8d  %s  %-22s", e.Sequence, e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), shown(e.Name))
	if e.Name == semconv.EventAttempt || e.Name == semconv.EventEventsSuppressed {
		for _, key := range columns {
			if value, ok := e.Attributes[key]; ok {
				b.WriteString("  " + shown(fmt.Sprint(value)))
			}
		}
	} else {
		var keys []string
		for key := range e.Attributes {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			b.WriteString("  " + shown(key) + "=" + quoted(shown(fmt.Sprint(e.Attributes[key]))))
		}
	}
	if e.TraceID != "" {
		b.WriteString("  trace=" + shown(e.TraceID))
	}
	return b.String()
}

// lineFilter selects lines. An empty list selects everything.
type lineFilter struct {
	outcomes, users, events []string
	clients                 []netip.Prefix
	since, until            time.Time
}

// filter returns the filter of the flags.
func (c *trailShow) filter(now time.Time) (*lineFilter, error) {
	f := &lineFilter{outcomes: c.Outcome, users: c.User, events: c.Event, since: c.Since.at(now), until: c.Until.at(now)}
	for _, name := range c.Outcome {
		if !slices.Contains([]string{"success", "missing", "malformed", "failure", "throttled", "error"}, name) {
			return nil, usageError{fmt.Errorf("--outcome: %s is not an outcome: use success, missing, malformed, failure, throttled or error", quoted(shown(name)))}
		}
	}
	var err error
	if f.clients, err = networks(c.Client); err != nil {
		return nil, usageError{fmt.Errorf("--client: %w", err)}
	}
	return f, nil
}

// all reports whether the filter selects every line of its time.
func (f *lineFilter) all() bool {
	return len(f.outcomes) == 0 && len(f.users) == 0 && len(f.events) == 0 && len(f.clients) == 0
}

// time reports whether the filter selects lines of this time.
func (f *lineFilter) time(at time.Time) bool {
	return (f.since.IsZero() || !at.Before(f.since)) && (f.until.IsZero() || at.Before(f.until))
}

// event reports whether the filter selects an event.
func (f *lineFilter) event(e mappings.Event) bool {
	has := func(list []string, keys ...string) bool {
		return len(list) == 0 || slices.ContainsFunc(keys, func(key string) bool {
			value, ok := e.Attributes[key].(string)
			return ok && slices.Contains(list, value)
		})
	}
	return (len(f.events) == 0 || slices.Contains(f.events, e.Name)) &&
		has(f.outcomes, semconv.KeyOutcome) && has(f.users, semconv.KeyUserName, semconv.KeyUserHash) && f.client(e)
}

// client reports whether the filter selects the client of an event, or the network of a folded
// one.
func (f *lineFilter) client(e mappings.Event) bool {
	if len(f.clients) == 0 {
		return true
	}
	for _, key := range []string{semconv.KeyClientAddress, semconv.KeyEventsSuppressedNetwork} {
		text, ok := e.Attributes[key].(string)
		if !ok {
			continue
		}
		from, err := networks([]string{text})
		if err == nil && slices.ContainsFunc(f.clients, from[0].Overlaps) {
			return true
		}
	}
	return false
}

// past is a time that has passed, or how long ago it was.
type past struct {
	time time.Time
	ago  span
}

// UnmarshalText reads "2026-12-31T12:00:00Z", "2026-12-31" or "2h".
func (p *past) UnmarshalText(text []byte) error {
	*p = past{}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, string(text)); err == nil {
			p.time = t
			return nil
		}
	}
	if err := p.ago.UnmarshalText(text); err != nil {
		return errors.New("not a valid time: write a time such as 2026-12-31T12:00:00Z, a day such as 2026-12-31, or how long ago, such as 2h or 7d")
	}
	return nil
}

// at returns the time; zero if it is not set.
func (p *past) at(now time.Time) time.Time {
	if p.ago > 0 {
		return now.Add(-time.Duration(p.ago))
	}
	return p.time
}
