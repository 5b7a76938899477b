// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package disk

import "os"

// syncFile flushes the file. On macOS os.File.Sync uses F_FULLFSYNC.
func syncFile(f *os.File) error { return f.Sync() }
