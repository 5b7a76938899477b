// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package scrub_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/internal/scrub"
)

func TestError(t *testing.T) {
	t.Parallel()
	inner := &fs.PathError{Op: "open", Path: "/hunter2/hunter2", Err: fs.ErrNotExist}
	err := fmt.Errorf("driver: %w", inner)
	got := scrub.Error(err, "hunter2")
	if want := "driver: open /[redacted]/[redacted]: file does not exist"; got.Error() != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !errors.Is(got, fs.ErrNotExist) {
		t.Error("errors.Is does not match the original")
	}
	var path *fs.PathError
	if errors.As(got, &path) {
		t.Errorf("errors.As returns %q", path)
	}
	for _, secret := range []string{"", "other"} {
		if got := scrub.Error(err, secret); got != err { //nolint:errorlint // the same value
			t.Errorf("without %q the error is another one: %v", secret, got)
		}
	}
}
