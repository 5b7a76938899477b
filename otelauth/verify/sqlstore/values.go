// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"strings"
	"time"
)

// parseText reads the types that drivers return for text.
func parseText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	}
	return "", false
}

// parseBool reads the types that drivers return for a boolean: SQLite and MySQL return numbers,
// some drivers text.
func parseBool(v any) (is, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case int64:
		return v != 0, v == 0 || v == 1
	}
	t, _ := parseText(v)
	switch strings.ToLower(t) {
	case "1", "t", "true", "y", "yes":
		return true, true
	case "0", "f", "false", "n", "no":
		return false, true
	}
	return false, false
}

// parseTime reads the types that drivers return for a time. Text without a zone is UTC.
func parseTime(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		return v, !v.IsZero()
	case int64:
		return time.Unix(v, 0), v > 0
	}
	s, _ := parseText(v)
	for _, form := range [...]string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07", "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, !t.IsZero()
		}
	}
	return time.Time{}, false
}
