// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package scrub removes secrets from errors of drivers, directories and servers, which quote what
// they received.
package scrub

import (
	"errors"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// Error returns err with [credential.Redacted] in place of every occurrence of secret in its text.
// errors.Is still matches err, but nothing can unwrap it. If its text does not contain secret, or
// secret is empty, it returns err itself.
func Error(err error, secret string) error {
	text := err.Error()
	if secret == "" || !strings.Contains(text, secret) {
		return err
	}
	return scrubbed{strings.ReplaceAll(text, secret, credential.Redacted), err}
}

// scrubbed has no Unwrap, because errors.As would return an error with the secret.
type scrubbed struct {
	text string
	err  error
}

func (s scrubbed) Error() string        { return s.text }
func (s scrubbed) Is(target error) bool { return errors.Is(s.err, target) }
