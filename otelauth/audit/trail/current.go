// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"os"
	"path/filepath"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// currentName is the link to the newest segment, for tail -F and fail2ban.
const currentName = "current.jsonl"

// pointCurrent replaces the link to the newest segment. It is a convenience that nothing here
// reads, so errors are ignored: some systems have no links.
func pointCurrent(d disk.FS, dir string, first int64) {
	if _, isReal := d.(disk.OS); !isReal {
		return
	}
	link, next := filepath.Join(dir, currentName), filepath.Join(dir, currentName+".next")
	_ = os.Remove(next) // left by a crash
	if os.Symlink(filepath.Join(segmentsName, segmentName(first)), next) == nil {
		_ = os.Rename(next, link)
	}
}
