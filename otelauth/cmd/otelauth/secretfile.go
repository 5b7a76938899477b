// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"
	"strings"
)

// maxSecretBytes is the size limit of a file with one secret.
const maxSecretBytes = 16 << 10

var (
	errNotRegular = errors.New("not a regular file")
	errNotOneLine = errors.New("not exactly one line")
)

// openRegular opens a regular file. It refuses pipes and devices, which could block or never end.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	return os.Open(path)
}

// readSecretLine returns the only line of a file, without spaces at its ends. It returns
// errNotOneLine if the file is empty, too long or has more lines.
func readSecretLine(path string) (string, error) {
	f, err := openRegular(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err != nil {
		return "", err
	}
	line := strings.TrimSpace(string(text))
	if line == "" || len(text) > maxSecretBytes || strings.ContainsAny(line, "\r\n") {
		return "", errNotOneLine
	}
	return line, nil
}
