// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import "time"

// clock reads as few system clocks as possible: time.Now reads two, time.Since one. Telemetry
// needs the wall clock. Without an observer only expiry needs the time, and the monotonic clock is
// enough.
type clock struct {
	injected func() time.Time // Config.Now; nil: the system clock
	base     time.Time        // set without an observer
}

func (c *clock) now() time.Time {
	switch {
	case c.injected != nil:
		return c.injected()
	case !c.base.IsZero():
		return c.base.Add(time.Since(c.base))
	}
	return time.Now()
}

func (c *clock) since(t time.Time) time.Duration {
	if c.injected != nil {
		return c.injected().Sub(t)
	}
	return time.Since(t)
}
