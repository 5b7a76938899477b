// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package authlog

import (
	"strconv"
	"strings"
	"time"
)

// clock reads the times of a file.
type clock struct {
	zone    *time.Location
	written time.Time
	year    int // of the newest time without a year; 0 before the first
	month   time.Month
}

// The length of the times of syslog, "Nov  9 19:23:20".
const bsdLen = len("Jan _2 15:04:05")

// bsd reads a time of RFC 3164, which has no year. The first one of a file is at most a year older
// than the file. After December comes January of the next year.
func (c *clock) bsd(text string) (time.Time, bool) {
	year := c.year
	if year == 0 {
		year = c.written.In(c.zone).Year()
	}
	t, ok := c.inYear(text, year)
	if !ok {
		return t, false
	}
	switch {
	case c.year == 0:
		if t.After(c.written.Add(24 * time.Hour)) {
			t, ok = c.inYear(text, year-1)
		}
	case c.month-t.Month() > 6:
		t, ok = c.inYear(text, year+1)
	case t.Month()-c.month > 6: // a line of December after one of January
		return c.inYear(text, year-1)
	}
	if ok {
		c.year, c.month = t.Year(), t.Month()
	}
	return t, ok
}

// inYear reads a time in a year, or in the leap year before it for the 29th of February.
func (c *clock) inYear(text string, year int) (time.Time, bool) {
	for back := range 8 {
		t, err := time.ParseInLocation("2006 Jan _2 15:04:05", strconv.Itoa(year-back)+" "+text, c.zone)
		if err == nil {
			return t, true
		}
		if !strings.HasPrefix(text, "Feb 29 ") {
			break
		}
	}
	return time.Time{}, false
}

// iso reads a time of RFC 3339, of rsyslog and of journalctl -o short-iso.
func (c *clock) iso(text string) (time.Time, bool) {
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999"} {
		if t, err := time.ParseInLocation(layout, text, c.zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
