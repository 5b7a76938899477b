// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// Line is one account in a file that [Edit] changes. The zero Line is not an account.
type Line struct {
	// Name is the account's name.
	Name string
	// Hash is the encoded password hash, as [password.Params.Hash] makes it.
	Hash string
	// Disabled accounts are refused.
	Disabled bool
	// Expires is when the account expires, with seconds as its precision. The zero Time means
	// never.
	Expires time.Time
	// Previous is the encoded hash of the previous password, which is right until
	// PreviousExpires; "" for none.
	Previous        string
	PreviousExpires time.Time
}

// String returns the name without the hashes, so that a printed Line shows none.
func (l Line) String() string { return "Line(" + l.Name + ")" }

// GoString returns [Line.String].
func (l Line) GoString() string { return l.String() }

// encode returns the text of the line without its end.
func (l *Line) encode() (string, error) {
	if err := verify.ValidName(l.Name); err != nil {
		return "", err
	}
	if strings.HasPrefix(l.Name, "#") {
		return "", errors.New("the name begins with #, so its line would be a comment: choose another")
	}
	for _, hash := range []string{l.Hash, l.Previous} {
		if strings.ContainsAny(hash, ": \t\r\n") {
			return "", errors.New("a hash contains a colon, white space or a line end: use the output of password.Params.Hash")
		}
	}
	if l.Hash == "" {
		return "", errors.New("the hash is empty: use the output of password.Params.Hash")
	}
	if (l.Previous == "") != l.PreviousExpires.IsZero() {
		return "", errors.New("the previous hash and its expiry belong together: set both or neither")
	}
	var words []string
	if l.Disabled {
		words = append(words, wordDisabled)
	}
	if !l.Expires.IsZero() {
		words = append(words, wordExpires+"="+l.Expires.UTC().Format(time.RFC3339))
	}
	if l.Previous != "" {
		words = append(words, wordPrevious+"="+l.Previous, wordPreviousExpires+"="+l.PreviousExpires.UTC().Format(time.RFC3339))
	}
	text := l.Name + ":" + l.Hash
	if len(words) > 0 {
		text += ":" + strings.Join(words, " ")
	}
	if len(text) > maxLineBytes {
		return "", fmt.Errorf("the line is longer than %d bytes: choose a shorter name", maxLineBytes)
	}
	return text, nil
}

// nameOf returns the name of an account's line, or "" for another line.
func nameOf(line string) string {
	text := strings.TrimLeft(strings.TrimPrefix(line, "\xef\xbb\xbf"), " \t")
	if text == "" || text[0] == '#' {
		return ""
	}
	name, _, found := strings.Cut(text, ":")
	if !found {
		return ""
	}
	return name
}

// decodeLine parses a line without reading the hashes.
func decodeLine(text string) (l Line, err error) {
	text = strings.TrimRight(strings.TrimPrefix(text, "\xef\xbb\xbf"), " \t\r\n")
	var rest, settings string
	l.Name, rest, _ = strings.Cut(text, ":")
	l.Hash, settings, _ = strings.Cut(rest, ":")
	for word := range strings.FieldsSeq(settings) {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case word == wordDisabled:
			l.Disabled = true
		case key == wordExpires:
			l.Expires, err = parseTime(key, value)
		case key == wordPrevious:
			l.Previous = value
		case key == wordPreviousExpires:
			l.PreviousExpires, err = parseTime(key, value)
		default:
			err = errUnknownSetting
		}
		if err != nil {
			return Line{}, err
		}
	}
	return l, nil
}
