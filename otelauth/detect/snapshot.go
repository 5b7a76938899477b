// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect/internal/feed"
	"github.com/otelauth/otelauth-go/otelauth/internal/pairs"
	"github.com/otelauth/otelauth-go/otelauth/internal/snapshot"
)

// Snapshot keeps what a [Detector] has learned and its evidence over a restart. The zero Snapshot
// keeps nothing.
type Snapshot struct {
	// File is written with mode 0600, in one rename, and is encrypted: it has the names and
	// networks of open episodes. A file of another key, of another format, from the future or
	// damaged is renamed to File + ".broken", and a notice says why. Default: no file.
	File string
	// Key encrypts the file and selects places in tables. It is a secret of at least 32 random
	// bytes, the same after a restart, and required with File.
	Key []byte
	// Every is the time between two snapshots, also of those in a Config.Feed. Default: 5 min.
	Every time.Duration
}

const (
	snapshotKind         snapshot.Kind = "detect"
	defaultSnapshotEvery               = 5 * time.Minute
	// maxAhead is how far the clock may have gone back since the snapshot.
	maxAhead = hour
)

func (s *Snapshot) complete() (problems []error) {
	if s.File != "" && len(s.Key) < snapshot.MinKeyBytes {
		problems = append(problems, fmt.Errorf("detect: Config.Snapshot.Key has %d bytes; a snapshot needs a secret of at least %d random bytes",
			len(s.Key), snapshot.MinKeyBytes))
	}
	if s.Every < 0 {
		problems = append(problems, errors.New("detect: Config.Snapshot.Every is negative; leave it 0 for the default"))
	}
	if s.Every == 0 {
		s.Every = defaultSnapshotEvery
	}
	return problems
}

func (s *Snapshot) file() snapshot.File {
	return snapshot.File{Name: s.File, Kind: snapshotKind, Secret: s.Key}
}

// tablesKey returns the key of the tables, which must be the same after a restart.
func (s *Snapshot) tablesKey() (key [16]byte, err error) {
	b, err := hkdf.Key(sha256.New, s.Key, nil, "otelauth detect tables", len(key))
	copy(key[:], b)
	return key, err
}

// Save writes Config.Snapshot.File, or stores what was learned in Config.Feed if this process is
// the one that reports. It does nothing without both, or if nothing has changed since the last
// time. [Detector.Run] calls it now and then and at its end; callers of [Detector.Drain] call it
// themselves. An error leaves the previous snapshot in place.
func (d *Detector) Save() error {
	d.saving.Lock()
	defer d.saving.Unlock()
	switch {
	case d.shared != nil:
		return d.keep()
	case d.snapshot.File != "":
		return d.write()
	}
	return nil
}

// keep stores what was learned in the feed.
func (d *Detector) keep() error {
	d.mu.Lock()
	store := d.shared.keep()
	d.mu.Unlock()
	if store == nil {
		return nil
	}
	err := store(context.Background())
	if err != nil {
		d.mu.Lock()
		d.shared.kept = feed.Position{}
		d.mu.Unlock()
		err = fmt.Errorf("detect: what detection has learned cannot be stored in the feed; a restart of all processes would lose it: %w", err)
		d.noticeSnapshot(err.Error(), "redis", err)
	}
	return err
}

// write writes the file.
func (d *Detector) write() error {
	d.mu.Lock()
	changed := d.changed
	d.changed = false
	var state []byte
	if changed {
		state = d.engine.state()
	}
	d.mu.Unlock()
	if !changed {
		return nil
	}
	err := d.snapshot.file().Write(state)
	if err != nil {
		d.mu.Lock()
		d.changed = true
		d.mu.Unlock()
		err = fmt.Errorf("detect: what detection has learned cannot be written to %s; a restart would lose it: make the directory writable: %w", d.snapshot.File, err)
		d.noticeSnapshot(err.Error(), d.snapshot.File, err)
	}
	return err
}

// saveNowAndThen calls Save until ctx ends, and then closes the channel that it returns. A slow
// disk does not delay detections.
func (d *Detector) saveNowAndThen(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	if d.snapshot.File == "" && d.shared == nil {
		close(ended)
		return ended
	}
	go func() {
		defer close(ended)
		t := time.NewTicker(d.snapshot.Every)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				_ = d.Save() // a notice reports an error
			}
		}
	}()
	return ended
}

func (d *Detector) noticeSnapshot(message, source string, err error) {
	d.notice(context.Background(), attempt.Notice{
		Kind: attempt.DetectionSnapshot, Time: d.now(), Message: message, Err: err, Source: source,
	})
}

// restore reads the file before the first attempt is evaluated.
func (d *Detector) restore() {
	if d.restored || d.snapshot.File == "" {
		return
	}
	d.restored = true
	err := d.snapshot.file().Read("what detection has learned", func(state []byte) error {
		e := d.build()
		if err := e.restore(state, d.now()); err != nil {
			return err
		}
		e.resumePasswords()
		d.engine = e
		return nil
	})
	if err != nil {
		d.noticeSnapshot(err.Error()+"; detection learns anew", d.snapshot.File, fmt.Errorf("detect: %w", err))
	}
	if d.engine != nil {
		d.engine.announce(d.onEpisode)
	}
}

// part is a part of the state of an engine.
type part struct {
	field string
	value any // a pointer, or a keeper
}

// keeper is a part that writes itself.
type keeper interface {
	save(e *encoder, name string)
	load(d *decoder)
}

// parts are what a snapshot holds. The evidence about passwords is left out: their fingerprints
// change with each start.
func (e *engine) parts() []part {
	return []part{
		{"base", &e.base},
		{"now", &e.now},
		{"begun", &e.begun},
		{"pairs", keptPairs{e.pairs}},
		{"seen", keptPairs{e.seen}},
		{"lostCrowds", &e.lostCrowds},
		{"habits", e.habits},
		{"habitsLost", &e.habitsLost},
		{"crowds", e.crowds},
		{"tries", e.tries},
		{"targets", e.targets},
		{"sources", e.sources},
		{"endpoints", &e.endpoints},
		{"strangers", &e.strangers},
		{"arrivals", &e.arrivals},
		{"episodes", &e.episodes},
		{"folded", e.folded},
		{"custom", keptCustom{e}},
	}
}

// state returns the state of the engine.
func (e *engine) state() []byte { return e.encode().bytes() }

func (e *engine) encode() *encoder {
	enc := newEncoder(&e.blocks)
	for _, p := range e.parts() {
		if k, ok := p.value.(keeper); ok {
			k.save(enc, p.field)
			continue
		}
		enc.section(p.field, p.value)
	}
	return enc
}

// restore sets the state of a new engine. After an error the engine must not be used.
func (e *engine) restore(state []byte, wall time.Time) error {
	dec := newDecoder(&e.blocks, state)
	parts := e.parts()
	for len(dec.b) > 0 {
		at, f := dec.tag()
		if dec.bad {
			break
		}
		name, known := dec.list[at], false
		for _, p := range parts {
			k, isKeeper := p.value.(keeper)
			switch {
			case isKeeper && p.field == name:
				k.load(dec)
			case !isKeeper && p.field+":"+shape(reflect.TypeOf(p.value).Elem()) == name:
				dec.value(reflect.ValueOf(p.value).Elem())
			default:
				continue
			}
			known = true
		}
		if !known {
			dec.skip(f)
		}
	}
	if dec.bad || e.now < epoch {
		return snapshot.ErrDamaged
	}
	if e.wall(e.now).Sub(wall) > maxAhead*time.Second {
		return snapshot.ErrFuture
	}
	e.swept = e.now
	e.resizeLostCrowds()
	if a := &e.arrivals; len(a.ring) != maxArrivals || a.next < 0 || a.next >= maxArrivals || a.waiting < 0 || a.waiting > maxArrivals {
		*a = arrivals{} // of a version with another number of them
	}
	for id, all := range e.episodes {
		if all == nil {
			e.episodes[id] = map[uint64]*episode{}
		}
		for _, ep := range all {
			e.addresses += len(ep.addresses.list)
		}
	}
	for _, ep := range e.custom.all {
		e.addresses += len(ep.addresses.list)
	}
	return nil
}

// resumePasswords notes that the fingerprints of passwords are others than before the restart.
func (e *engine) resumePasswords() {
	for i := range e.tries.buckets {
		for j := range e.tries.buckets[i] {
			p := &e.tries.buckets[i][j]
			p.value.isResumed = p.value.passwords.n > 0
		}
	}
}

// announce passes the open episodes to on, for example the operator's API, which starts without
// them. They are not reported as events again.
func (e *engine) announce(on func(Detection)) {
	if on == nil {
		return
	}
	report := e.onReport
	e.onReport = func(d *Detection) { on(*d) }
	defer func() { e.onReport = report }()
	for id, all := range e.episodes {
		for _, ep := range all {
			e.report(ruleID(id), ep, Update, nil)
		}
	}
	for r, ep := range e.custom.all {
		e.emit(&r.rule, r.advise(ep), ep, Update, nil)
	}
}

// keptPairs writes pairs.
type keptPairs struct{ *pairs.Set }

func (k keptPairs) save(e *encoder, name string) {
	e.tag(name, sized)
	e.within(func() { e.b = k.AppendStored(e.b) })
}

func (k keptPairs) load(d *decoder) {
	if !k.Restore(d.take(d.uvarint())) {
		d.fail()
	}
}
