// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt

// The event that stands for events not told one by one, and its attributes.
const (
	EventSuppressed = Prefix + "events.suppressed"

	KeySuppressedEvent       = EventSuppressed + ".event"        // the name of what it stands for
	KeySuppressedCount       = EventSuppressed + ".count"        // exact
	KeySuppressedFirst       = EventSuppressed + ".first_time"   // RFC 3339
	KeySuppressedLast        = EventSuppressed + ".last_time"    // RFC 3339
	KeySuppressedNetwork     = EventSuppressed + ".network"      // a prefix, "unknown" or "other"
	KeySuppressedRoutes      = EventSuppressed + ".routes"       // a list, the most frequent not first
	KeySuppressedRouteCounts = EventSuppressed + ".route_counts" // a list, one for each of the routes; together the count
	KeySuppressedTraces      = EventSuppressed + ".trace_ids"    // a list of samples
)

// Suppression says how many events one event stands for. Its zero value stands for none.
type Suppression struct {
	// Event is the name of the events: [EventAttempt] or [EventPublicResponse].
	Event string
	// Outcome is that of the attempts; it means nothing for another Event.
	Outcome Outcome
	// Count is how many events were not told one by one.
	Count int64
}

// Flusher is an [Observer] that holds something back for a while. Flush tells it now; the Observer
// goes on as before.
type Flusher interface {
	Flush()
}

// Flush flushes those that hold something back.
func (j joined) Flush() {
	for _, o := range j {
		if f, ok := o.(Flusher); ok {
			f.Flush()
		}
	}
}
