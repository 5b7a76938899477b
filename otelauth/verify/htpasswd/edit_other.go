// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package htpasswd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

func lock(context.Context, string) (unlock func(), err error) {
	return nil, fmt.Errorf("this system has no flock(2), so two edits could overwrite each other: edit the file on another system: %w", errors.ErrUnsupported)
}

func keepOwner(*os.File, fs.FileInfo) error { return nil }

func syncDirectory(string) error { return nil }
