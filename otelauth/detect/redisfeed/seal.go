// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisfeed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect/internal/feed"
)

// An entry is a version, a sender, a number, and the batch under AES-256-GCM with everything
// before it as additional data. Each sender has a random id, from which its key is derived, and
// its numbers are the nonces (NIST SP 800-38D, section 8.2.1), so no nonce is used for two
// contents. testdata/entry.golden holds the format.
const (
	entryVersion  = 1
	headerBytes   = 1 + len(sender{}) + 8
	tagBytes      = 16
	maxEntryBytes = headerBytes + feed.MaxBatchBytes + tagBytes
	positionBytes = 16 + 16
	// maxPeers is the number of processes whose last number is kept.
	maxPeers = 1024
)

// sender is the random id of a process.
type sender [16]byte

func (s sender) text() string { return hex.EncodeToString(s[:]) }

// keys are the keys that are derived from Config.Key.
type keys struct {
	secret   []byte // from which the keys of senders are derived
	learned  []byte // encrypts what was learned
	reported []byte // authenticates the reported position
	tables   [16]byte
	prefix   string
	self     sender
	own      cipher.AEAD
}

func (k *keys) derive(secret []byte, prefix string, random io.Reader) error {
	if _, err := io.ReadFull(random, k.self[:]); err != nil {
		return err
	}
	k.prefix = prefix
	derive := func(use string, n int) ([]byte, error) {
		return hkdf.Key(sha256.New, secret, nil, "otelauth redisfeed 1 "+use+" "+prefix, n)
	}
	tables, err := derive("tables", len(k.tables))
	if err != nil {
		return err
	}
	copy(k.tables[:], tables)
	if k.reported, err = derive("reported", 32); err != nil {
		return err
	}
	if k.learned, err = derive("learned", 32); err != nil {
		return err
	}
	if k.secret, err = derive("batches", 32); err != nil {
		return err
	}
	k.own, err = k.aead(k.self)
	return err
}

func (k *keys) aead(s sender) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, k.secret, s[:], "otelauth redisfeed 1 sender", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func nonce(number uint64) []byte {
	var n [12]byte
	binary.BigEndian.PutUint64(n[4:], number)
	return n[:]
}

type sealed struct {
	number uint64
	entry  []byte
}

// seal encrypts the new batches of out. A batch that is passed again is sent as it was sealed
// before, so that no nonce is used twice.
func (f *Feed) seal(out []feed.Outgoing) error {
	previous := f.sealed
	f.sealed = make([]sealed, 0, len(out))
	for _, o := range out {
		if o.Number <= f.highest {
			for len(previous) > 0 && previous[0].number < o.Number {
				previous = previous[1:]
			}
			if len(previous) == 0 || previous[0].number != o.Number {
				return fmt.Errorf("redisfeed: batch number %d was used before; give each batch a higher number", o.Number)
			}
			f.sealed = append(f.sealed, previous[0])
			continue
		}
		if len(o.Data) > feed.MaxBatchBytes {
			return fmt.Errorf("redisfeed: batch %d has %d bytes; send at most %d", o.Number, len(o.Data), feed.MaxBatchBytes)
		}
		f.highest = o.Number
		e := make([]byte, 0, headerBytes+len(o.Data)+tagBytes)
		e = append(append(e, entryVersion), f.keys.self[:]...)
		e = binary.BigEndian.AppendUint64(e, o.Number)
		f.sealed = append(f.sealed, sealed{o.Number, f.keys.own.Seal(e, nonce(o.Number), o.Data, e)})
	}
	return nil
}

// peers are the processes that have sent batches.
type peers struct {
	of   map[sender]*peer
	tick uint64
}

type peer struct {
	aead     cipher.AEAD
	highest  uint64 // number received
	received uint64 // tick of the last batch
}

// receive decrypts an entry, or counts it as rejected.
func (f *Feed) receive(e entry) (feed.Batch, bool) {
	b, isRepeated, ok := f.open(e)
	f.mean += (float64(max(len(e.value), 64)) - f.mean) / 256
	switch {
	case isRepeated: // normal after a lost reply
		f.rejected.Add(1)
	case !ok:
		f.reject("the stream of attempts has entries that no process with this key has written")
	}
	return b, ok
}

func (f *Feed) open(e entry) (b feed.Batch, isRepeated, ok bool) {
	if len(e.value) < headerBytes+tagBytes || len(e.value) > maxEntryBytes || e.value[0] != entryVersion {
		return b, false, false
	}
	head, body := []byte(e.value[:headerBytes]), []byte(e.value[headerBytes:])
	s := sender(head[1:])
	number := binary.BigEndian.Uint64(head[1+len(s):])
	p := f.peers.of[s]
	if p == nil {
		aead, err := f.keys.aead(s)
		if err != nil {
			return b, false, false
		}
		p = &peer{aead: aead}
	}
	if number <= p.highest {
		return b, true, false
	}
	data, err := p.aead.Open(body[:0], nonce(number), body, head)
	if err != nil {
		return b, false, false
	}
	p.highest = number
	f.peers.received(s, p)
	return feed.Batch{
		Position: e.at, Time: time.UnixMilli(int64(e.at.Major & (1<<62 - 1))), Sender: binary.BigEndian.Uint64(s[:]),
		Own: s == f.keys.self, Number: number, Data: data,
	}, false, true
}

// received stores a peer that has the key. If there are too many, it replaces the one with the
// oldest batch.
func (ps *peers) received(s sender, p *peer) {
	ps.tick++
	p.received = ps.tick
	if _, ok := ps.of[s]; !ok && len(ps.of) >= maxPeers {
		var silent sender
		least := ps.tick
		for id, q := range ps.of {
			if q.received < least {
				silent, least = id, q.received
			}
		}
		delete(ps.of, silent)
	}
	ps.of[s] = p
}

// sealPosition returns an authenticated position. A forged one would suppress detections.
func (f *Feed) sealPosition(p feed.Position) string {
	b := make([]byte, 0, positionBytes)
	b = binary.BigEndian.AppendUint64(b, p.Major)
	b = binary.BigEndian.AppendUint64(b, p.Minor)
	return string(append(b, f.mac(b)...))
}

func (f *Feed) mac(b []byte) []byte {
	h := hmac.New(sha256.New, f.keys.reported)
	h.Write(b)
	return h.Sum(nil)[:positionBytes-16]
}

func (f *Feed) openPosition(s string) (p feed.Position) {
	if s == "" {
		return p
	}
	b := []byte(s)
	if len(b) != positionBytes || !hmac.Equal(b[16:], f.mac(b[:16])) {
		f.reject("the position of reported detections is not from a process with this key")
		return p
	}
	return feedPosition(b)
}

// feedPosition reads the position at the start of b.
func feedPosition(b []byte) feed.Position {
	return feed.Position{Major: binary.BigEndian.Uint64(b), Minor: binary.BigEndian.Uint64(b[8:])}
}

var errForeign = errors.New("redisfeed: Redis has values of another writer; use the prefix for one key only")

// reject counts a foreign value and sends a notice at most once an hour.
func (f *Feed) reject(message string) {
	f.rejected.Add(1)
	f.health.Foreign(message+"; it is ignored: use the same key in all processes, and this prefix for them only", errForeign)
}
