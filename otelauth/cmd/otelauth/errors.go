// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

// usageError is an error of the command line, the environment or the configuration: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// placed is an error with the place of the setting that causes it: a flag, a variable, or a line
// of the file. kong adds the flag in front, which sanitize removes.
type placed struct {
	place string
	err   error
}

func (p placed) Error() string { return p.place + ": " + p.err.Error() }
func (p placed) Unwrap() error { return p.err }

// flatten returns the errors that were joined.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if usage, ok := err.(usageError); ok { //nolint:errorlint // only the outermost error groups others
		err = usage.error
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}
