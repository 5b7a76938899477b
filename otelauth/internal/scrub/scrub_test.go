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

func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"cannot parse `postgres://u:canary@h/d`":          "cannot parse `postgres://u:[redacted]@h/d`",
		"postgres://u:can/a@ry@h/d?x=1 failed":            "postgres://u:[redacted]@h/d?x=1 failed",
		"host=h password=canary dbname=d":                 "host=h password=[redacted] dbname=d",
		"host=h PASSWORD = 'can ary' dbname=d":            "host=h PASSWORD = [redacted] dbname=d",
		"postgres://u@h/d, http://127.0.0.1:8000 and --x": "postgres://u@h/d, http://127.0.0.1:8000 and --x",
	} {
		if got := scrub.Text(in); got != want {
			t.Errorf("%q:\ngot  %q\nwant %q", in, got, want)
		}
	}
}
