// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"time"

	"golang.org/x/sys/unix"
)

// ProcessCPU returns the CPU time that this process has used, user and system together, including
// the garbage collector.
func ProcessCPU() time.Duration { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// ThreadCPU returns the CPU time that the calling thread has used. It is meaningful only between
// runtime.LockOSThread and UnlockOSThread.
func ThreadCPU() time.Duration { return clock(unix.CLOCK_THREAD_CPUTIME_ID) }

// clock reads one of the two clocks above. They exist on every Linux since 2.6.12. A failure,
// which a seccomp filter could cause, reads as 0 and shows as a column of zeros.
func clock(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
