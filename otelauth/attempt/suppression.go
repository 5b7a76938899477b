// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt

// Suppression is the number of events that one folded event represents. Its zero value represents
// none.
type Suppression struct {
	// Event is the name of the folded events: "auth.attempt" or "auth.public.response".
	Event string
	// Outcome is the outcome of the attempts. It has no meaning for another Event.
	Outcome Outcome
	// Count is the number of events that were folded.
	Count int64
}

// Flusher is an [Observer] that holds records back for a while. Flush records them now; the
// Observer keeps working.
type Flusher interface {
	Flush()
}

// Flush flushes the observers that hold records back.
func (j joined) Flush() {
	for _, o := range j {
		if f, ok := o.(Flusher); ok {
			f.Flush()
		}
	}
}
