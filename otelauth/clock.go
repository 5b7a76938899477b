// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import "time"

// clock reads no more than is needed: time.Now asks the system for two clocks, time.Since for one. With
// a signal to stamp there is no way round the first; where nobody is told, only expiry depends on the time, and
// that is monotonic.
type clock struct {
	injected func() time.Time // Config.Now; nil: the system's
	base     time.Time        // set when nobody is told
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
