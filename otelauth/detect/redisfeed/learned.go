// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisfeed

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/redishealth"
	"github.com/otelauth/otelauth-go/otelauth/internal/snapshot"
)

// What was learned is one value: the snapshot, compressed, of a position in the stream, of the last
// number of each sender up to there, and of the state of the detector.
const (
	learnedKind snapshot.Kind = "redisfeed"
	// maxLearnedBytes bounds the value. Full tables of the default size take 6 MiB.
	maxLearnedBytes = 10 << 20
	// maxUnpackedBytes bounds what a value is decompressed to.
	maxUnpackedBytes = 64 << 20
	// learnedLife is how long Redis keeps it if no process replaces it. Detection remembers nothing
	// for longer.
	learnedLife = 32 * 24 * time.Hour
	// learnedWait is how long a command with so large a value may take.
	learnedWait = 5 * time.Second
)

// Keep returns a function that stores what was learned. Package detect calls it.
func (f *Feed) Keep(state []byte) (store func(context.Context) error) {
	b := make([]byte, 0, 24+len(f.peers.of)*(len(sender{})+8)+len(state))
	b = binary.BigEndian.AppendUint64(b, f.cursor.Major)
	b = binary.BigEndian.AppendUint64(b, f.cursor.Minor)
	b = binary.BigEndian.AppendUint64(b, uint64(len(f.peers.of)))
	for s, p := range f.peers.of {
		b = binary.BigEndian.AppendUint64(append(b, s[:]...), p.highest)
	}
	b = append(b, state...)
	return func(ctx context.Context) error {
		packed, err := pack(b)
		if err != nil {
			return err
		}
		value, err := snapshot.Seal(learnedKind, f.keys.learned, packed)
		switch {
		case err != nil:
			return fmt.Errorf("redisfeed: %w", err)
		case len(value) > maxLearnedBytes:
			return fmt.Errorf("redisfeed: what was learned has %d bytes, and Redis gets at most %d: set fewer detect.Config.Entries (--detect-entries)", len(value), maxLearnedBytes)
		}
		return f.set(ctx, f.learned, value)
	}
}

func pack(b []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	return packed.Bytes(), err
}

func unpack(packed []byte) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxUnpackedBytes+1))
	if err != nil || len(b) > maxUnpackedBytes {
		return nil, snapshot.ErrDamaged
	}
	return b, nil
}

func (f *Feed) set(ctx context.Context, key string, value []byte) error {
	_, err := f.within(ctx, learnedWait, redishealth.NewCommand("set", key, value, "px", learnedLife.Milliseconds()))
	return err
}

// Restore passes what was learned to restore. Package detect calls it.
func (f *Feed) Restore(ctx context.Context, restore func(state []byte) error) error {
	if f.isWaiting() {
		return errTimeout
	}
	value, err := f.load(ctx)
	switch {
	case redis.HasErrorPrefix(err, "WRONGTYPE"), redis.HasErrorPrefix(err, "NOPERM"), errors.Is(err, errTooLong):
	case err != nil:
		f.health.Failed(err, false)
		return err
	case len(value) > 0:
		err = f.resume(value, restore)
	}
	f.health.Recovered()
	if err != nil {
		f.setAside(ctx, value, err)
	}
	return nil
}

var errTooLong = fmt.Errorf("it is longer than %d bytes: delete it", maxLearnedBytes)

// load returns the value. It asks for the length first, so that a Redis that does not answer counts
// as down as soon as for an exchange.
func (f *Feed) load(ctx context.Context) ([]byte, error) {
	v, err := f.within(ctx, f.cfg.Timeout, redishealth.NewCommand("strlen", f.learned))
	n, ok := v.(int64)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, errReply
	case n == 0:
		return nil, nil
	case n > maxLearnedBytes:
		return nil, errTooLong
	}
	v, err = f.within(ctx, learnedWait, redishealth.NewCommand("getrange", f.learned, 0, n-1))
	value, ok := v.(string)
	if err == nil && !ok {
		err = errReply
	}
	return []byte(value), err
}

// resume restores the state and lets Exchange continue behind it.
func (f *Feed) resume(value []byte, restore func(state []byte) error) error {
	packed, err := snapshot.Open(learnedKind, f.keys.learned, value)
	if err != nil {
		return err
	}
	b, err := unpack(packed)
	if err != nil {
		return err
	}
	const each = len(sender{}) + 8
	if len(b) < 24 {
		return snapshot.ErrDamaged
	}
	at, n, b := feedPosition(b), binary.BigEndian.Uint64(b[16:]), b[24:]
	if n > maxPeers || len(b) < int(n)*each {
		return snapshot.ErrDamaged
	}
	of := map[sender]*peer{}
	for ; n > 0; n, b = n-1, b[each:] {
		s := sender(b)
		aead, err := f.keys.aead(s)
		if err != nil {
			return err
		}
		of[s] = &peer{aead: aead, highest: binary.BigEndian.Uint64(b[len(s):])}
	}
	if err := restore(b); err != nil {
		return err
	}
	f.cursor, f.isCurrent, f.peers.of = at, false, of
	return nil
}

// setAside copies a value that is unusable, for the operator: a process that reports replaces it.
func (f *Feed) setAside(ctx context.Context, value []byte, cause error) {
	text := fmt.Sprintf("what detection has learned, the value %s in Redis, is unusable", f.learned)
	if len(value) > 0 {
		if err := f.set(ctx, f.broken, value); err == nil {
			text += " and was copied to " + f.broken
		}
	}
	f.cfg.Notice(context.WithoutCancel(ctx), attempt.Notice{
		Kind: attempt.DetectionSnapshot, Time: f.cfg.Now(), Source: "redis",
		Message: text + ": " + cause.Error() + "; detection learns from the attempts that Redis has",
		Err:     fmt.Errorf("redisfeed: %w", cause),
	})
}
