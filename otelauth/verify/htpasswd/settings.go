// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// The names of an account's settings.
const (
	wordDisabled        = "disabled"
	wordExpires         = "expires"
	wordPrevious        = "previous"
	wordPreviousExpires = "previous-expires"
)

var errUnknownSetting = errors.New("the text after the hash must be at most one each of disabled, expires=TIME, previous=HASH and previous-expires=TIME: " +
	"put comments on lines of their own that begin with #")

// parseSettings reads the text after the second colon. Empty text is an error, because it may be
// the rest of "disabled" in a half-written file.
func parseSettings(a *verify.Account, settings string, policy password.Policy) error {
	words := strings.Fields(settings)
	if len(words) == 0 {
		return errors.New("nothing after the second colon: remove it, or write disabled or expires=TIME")
	}
	var previous *password.Hash
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch {
		case word == wordDisabled && !a.Disabled:
			a.Disabled = true
		case key == wordExpires && a.Expires.IsZero():
			a.Expires, err = parseTime(key, value)
		case key == wordPrevious && previous == nil:
			if previous, err = policy.Parse(value); err != nil {
				err = fmt.Errorf("previous: %w", err)
			}
		case key == wordPreviousExpires && a.PreviousExpires.IsZero():
			a.PreviousExpires, err = parseTime(key, value)
		default:
			return errUnknownSetting
		}
		if err != nil {
			return err
		}
	}
	if (previous == nil) != a.PreviousExpires.IsZero() {
		return errors.New("previous=HASH and previous-expires=TIME belong together: add the missing one or remove the other")
	}
	a.Password = a.Password.WithPrevious(previous)
	return nil
}

// parseTime reads the time of a setting.
func parseTime(key, value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil || t.IsZero() {
		return time.Time{}, fmt.Errorf("%s is not an RFC 3339 time such as 2026-12-31T00:00:00Z", key)
	}
	return t, nil
}
