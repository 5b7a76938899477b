// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// span is a duration that can also be written in days: "7d", "24h", "90m".
type span time.Duration

// maxSpan prevents the overflow of sums of times.
const maxSpan = 100 * 366 * 24 * time.Hour

// UnmarshalText reads a positive duration.
func (s *span) UnmarshalText(text []byte) error {
	var d time.Duration
	if days, found := strings.CutSuffix(string(text), "d"); found {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return errSpan
		}
		d = time.Duration(n) * 24 * time.Hour
	} else {
		var err error
		if d, err = time.ParseDuration(string(text)); err != nil {
			return errSpan
		}
	}
	if d <= 0 || d > maxSpan {
		return errSpan
	}
	*s = span(d)
	return nil
}

// String returns the shortest form that UnmarshalText reads, such as "7d", "90m" or "250ms".
func (s span) String() string {
	const day = 24 * time.Hour
	d := time.Duration(s)
	if d >= day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	text := d.String()
	if d%time.Minute == 0 && d >= time.Minute {
		text = strings.TrimSuffix(text, "0s")
	}
	if d%time.Hour == 0 && d >= time.Hour {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

var errSpan = errors.New("not a valid duration: write 90m, 24h or 7d, for example")

// when is a time that a user sets: a day, a time, a duration from now, or never.
type when struct {
	set  bool
	day  time.Time // the end of this day
	time time.Time
	from span
}

// UnmarshalText reads "2026-12-31", the last day in UTC, "2026-12-31T12:00:00Z", "90d" or "never".
func (w *when) UnmarshalText(text []byte) error {
	s := string(text)
	*w = when{set: true}
	if s == "never" {
		return nil
	}
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		w.day = day
		return nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		w.time = t
		return nil
	}
	if err := w.from.UnmarshalText(text); err != nil {
		return errors.New("not a valid time: write a last day such as 2026-12-31, a time such as 2026-12-31T12:00:00Z, a duration such as 90d, or never")
	}
	return nil
}

// at returns the time, or zero for never.
func (w *when) at(now time.Time) (time.Time, error) {
	t := w.time
	switch {
	case !w.day.IsZero():
		t = w.day.AddDate(0, 0, 1)
	case w.from > 0:
		t = now.Add(time.Duration(w.from))
	case t.IsZero():
		return t, nil
	}
	if !t.After(now) {
		return t, usageError{fmt.Errorf("%s is in the past: choose a later time, or disable the account", stamp(t))}
	}
	return t, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
