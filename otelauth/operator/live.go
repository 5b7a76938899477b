// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The live view. One goroutine reads the new attempts ten times a second and encodes them once. The
// frames go into a bounded log that all watchers read at their own pace, so the work for each
// further watcher is one write for each frame, and nothing of it is on the path of a request.
const (
	livePace = 100 * time.Millisecond
	// livePerOutcome bounds the attempts of one outcome in one frame. Further ones are counted.
	livePerOutcome = 20
	// maxFrames and maxFrameBytes bound the log. A watcher that is further behind is dropped.
	maxFrames     = 1024
	maxFrameBytes = 8 << 20
	// liveWrite is how long one write to a watcher may take.
	liveWrite = 10 * time.Second
	// liveRenew is when a view ends, so that the client sends its credentials again.
	liveRenew = 5 * time.Minute
	// liveLinger is how long the log is filled after the last watcher, for its return.
	liveLinger = 15 * time.Second
)

// hub is the log of frames and the watchers that read it.
type hub struct {
	mu       sync.Mutex
	frames   [][]byte
	bytes    int
	first    uint64        // the number of frames[0], from 1
	changed  chan struct{} // closed with each frame
	watchers int
	running  bool // the goroutine that publishes
}

// publish appends a frame. It does nothing while no client watches.
func (o *Operator) publish(event string, data any) {
	o.hub.mu.Lock()
	defer o.hub.mu.Unlock()
	if o.hub.running {
		o.hub.append(o.instance, event, data)
	}
}

// append appends a frame under the lock, and removes the oldest ones beyond the bounds.
func (h *hub) append(instance, event string, data any) {
	number := h.first + uint64(len(h.frames))
	f := frame(instance+"-"+strconv.FormatUint(number, 10), event, data)
	h.frames = append(h.frames, f)
	h.bytes += len(f)
	drop := 0
	for ; len(h.frames)-drop > maxFrames || h.bytes > maxFrameBytes; drop++ {
		h.bytes -= len(h.frames[drop])
		h.frames[drop] = nil
	}
	h.frames, h.first = h.frames[drop:], h.first+uint64(drop)
	close(h.changed)
	h.changed = make(chan struct{})
}

// frame returns a server-sent event.
func frame(id, event string, data any) []byte {
	text, err := json.Marshal(data)
	if err != nil {
		return nil // the types of the model always marshal
	}
	b := make([]byte, 0, len(text)+len(id)+len(event)+32)
	if id != "" {
		b = append(append(append(b, "id: "...), id...), '\n')
	}
	b = append(append(append(b, "event: "...), event...), "\ndata: "...)
	return append(append(b, text...), "\n\n"...)
}

// watch adds a watcher that continues after the event with the given id. It returns its position,
// and whether no frame is missing; ok is false if there are too many watchers.
func (o *Operator) watch(lastID string) (position uint64, resumed, ok bool) {
	h := &o.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers >= o.cfg.Watchers {
		return 0, false, false
	}
	h.watchers++
	if !h.running {
		h.running = true
		h.frames, h.bytes = nil, 0
		h.first = max(h.first, 1)
		h.changed = make(chan struct{})
		go o.pump()
	}
	position = h.first + uint64(len(h.frames))
	instance, number, _ := strings.Cut(lastID, "-")
	if n, err := strconv.ParseUint(number, 10, 64); err == nil && instance == o.instance && n+1 >= h.first && n < position {
		return n + 1, true, true
	}
	return position, false, true
}

func (o *Operator) unwatch() {
	o.hub.mu.Lock()
	defer o.hub.mu.Unlock()
	o.hub.watchers--
}

// next returns the frames from a position on, or a channel that is closed when there are some. ok
// is false if the log no longer holds the position.
func (h *hub) next(position uint64) (frames [][]byte, changed <-chan struct{}, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if position < h.first {
		return nil, nil, false
	}
	frames = append(frames, h.frames[position-h.first:]...)
	return frames, h.changed, true
}

// pump publishes until no client has watched for liveLinger.
func (o *Operator) pump() {
	tick := time.NewTicker(livePace)
	defer tick.Stop()
	at := o.rings.end()
	idle, sincePulse := time.Duration(0), time.Duration(0)
	for {
		select {
		case <-o.quit:
			return
		case <-tick.C:
		}
		if o.hub.stopIfIdle(&idle) {
			return
		}
		recent, skipped := o.rings.read(&at, livePerOutcome)
		if missed := byName(skipped); len(recent) > 0 || len(missed) > 0 {
			live := LiveAttempts{Attempts: make([]Attempt, len(recent)), Skipped: missed}
			for i := range recent {
				live.Attempts[i] = recent[i].attempt()
			}
			o.publish(EventAttempts, live)
		}
		if sincePulse += livePace; sincePulse >= time.Second {
			sincePulse = 0
			o.publish(EventPulse, o.pulse())
		}
	}
}

// stopIfIdle reports whether no client has watched for liveLinger, and then ends the log.
func (h *hub) stopIfIdle(idle *time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers > 0 {
		*idle = 0
		return false
	}
	if *idle += livePace; *idle < liveLinger {
		return false
	}
	h.running = false
	h.first += uint64(len(h.frames)) // ids are never used twice
	h.frames = nil
	return true
}

// pulse returns the state of the process.
func (o *Operator) pulse() Pulse {
	now := o.cfg.Now()
	running, _ := o.episodes.size()
	var s Status
	s.Now = now.UTC()
	o.judge(&s)
	o.hub.mu.Lock()
	watchers := o.hub.watchers
	o.hub.mu.Unlock()
	return Pulse{
		Instance: o.instance, Now: s.Now, Healthy: s.Healthy, Outcomes: o.traffic.rates(now),
		Hashing: hashingOf(o.state()), Running: running, Blocked: len(o.blockedHere()), Watchers: watchers,
	}
}

// serveLive answers GET v1/live.
func (o *Operator) serveLive(w http.ResponseWriter, r *http.Request) error {
	if q := queryOf(r); q.err != nil {
		return q.err
	}
	position, resumed, ok := o.watch(r.Header.Get("Last-Event-ID"))
	if !ok {
		return refuse(http.StatusServiceUnavailable, CodeTooManyWatchers, "%d live views are open. Close some of them.", o.cfg.Watchers)
	}
	defer o.unwatch()
	v := view{w: w, c: http.NewResponseController(w)}
	_ = v.c.SetReadDeadline(time.Time{}) // the server's is for the request
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	m, _ := o.shared(r.Context(), append([]string{partStatus, partAttempts}, o.localEpisodes()...), []string{partActs})
	v.send([]byte("retry: 1000\n"), frame("", EventHello, Hello{Meta: m, Resumed: resumed}))
	o.follow(r, &v, position)
	return nil
}

// follow sends frames until the client has gone, reads too slowly, or must authenticate again.
func (o *Operator) follow(r *http.Request, v *view, position uint64) {
	renew := time.NewTimer(liveRenew)
	defer renew.Stop()
	for v.err == nil {
		frames, changed, ok := o.hub.next(position)
		if !ok {
			v.send(frame("", EventDropped, Dropped{
				Reason: "slow", Message: "This client reads too slowly and has missed events. Read the lists again; the live view continues.",
			}))
			return
		}
		if len(frames) > 0 {
			v.send(frames...)
			position += uint64(len(frames))
			continue
		}
		select {
		case <-changed:
		case <-renew.C:
			return // EventSource reconnects with Last-Event-ID and misses nothing
		case <-r.Context().Done():
			return
		case <-o.quit:
			v.send(frame("", EventDropped, Dropped{Reason: "shutdown", Message: "The process ends. Reconnect when it runs again."}))
			return
		}
	}
}

// view writes to one watcher. After an error it writes nothing.
type view struct {
	w   http.ResponseWriter
	c   *http.ResponseController
	err error
}

func (v *view) send(frames ...[]byte) {
	_ = v.c.SetWriteDeadline(time.Now().Add(liveWrite))
	for _, f := range frames {
		if v.err == nil {
			_, v.err = v.w.Write(f)
		}
	}
	if v.err == nil {
		v.err = v.c.Flush()
	}
}
