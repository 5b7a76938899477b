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
	"fmt"
	"io"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// An entry is: version, sender, number, and the batch under AES-256-GCM with all before it as additional data. Each
// sender has a random id and by it a key of its own, under which its numbers are nonces (NIST SP 800-38D, section
// 8.2.1): none comes twice with other content.
const (
	entryVersion  = 1
	headerBytes   = 1 + len(sender{}) + 8
	tagBytes      = 16
	maxEntryBytes = headerBytes + detect.MaxBatchBytes + tagBytes
	toldBytes     = 16 + 16
	// maxPeers bounds the processes whose numbers are remembered.
	maxPeers = 1024
)

// sender is the random id of a process.
type sender [16]byte

func (s sender) text() string { return hex.EncodeToString(s[:]) }

// keys are what Config.Key is for.
type keys struct {
	secret []byte // of the keys of senders
	told   []byte
	tables [16]byte
	prefix string
	self   sender
	own    cipher.AEAD
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
	if k.told, err = derive("told", 32); err != nil {
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

// seal encrypts what is not yet encrypted of out. What is handed over again goes out as it was, so that no nonce is
// ever used twice.
func (f *Feed) seal(out []detect.Outgoing) error {
	former := f.sealed
	f.sealed = make([]sealed, 0, len(out))
	for _, o := range out {
		if o.Number <= f.highest {
			for len(former) > 0 && former[0].number < o.Number {
				former = former[1:]
			}
			if len(former) == 0 || former[0].number != o.Number {
				return fmt.Errorf("redisfeed: batch %d was handed over before; number batches anew", o.Number)
			}
			f.sealed = append(f.sealed, former[0])
			continue
		}
		if len(o.Data) > detect.MaxBatchBytes {
			return fmt.Errorf("redisfeed: batch %d has %d bytes; make batches of at most %d", o.Number, len(o.Data), detect.MaxBatchBytes)
		}
		f.highest = o.Number
		e := make([]byte, 0, headerBytes+len(o.Data)+tagBytes)
		e = append(append(e, entryVersion), f.keys.self[:]...)
		e = binary.BigEndian.AppendUint64(e, o.Number)
		f.sealed = append(f.sealed, sealed{o.Number, f.keys.own.Seal(e, nonce(o.Number), o.Data, e)})
	}
	return nil
}

// peers are the processes that have been heard of.
type peers struct {
	of   map[sender]*peer
	tick uint64
}

type peer struct {
	aead    cipher.AEAD
	highest uint64 // number received
	heard   uint64
}

// receive opens an entry, or counts it as rejected.
func (f *Feed) receive(e entry) (detect.Batch, bool) {
	b, twice, ok := f.open(e)
	f.mean += (float64(max(len(e.value), 64)) - f.mean) / 256
	switch {
	case twice: // as happens when an answer was lost on its way
		f.rejected.Add(1)
	case !ok:
		f.reject("the stream of attempts holds entries that no process with this key has written")
	}
	return b, ok
}

func (f *Feed) open(e entry) (b detect.Batch, twice, ok bool) {
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
	f.peers.heard(s, p)
	return detect.Batch{
		Position: e.at, Time: time.UnixMilli(int64(e.at.Major & (1<<62 - 1))), Sender: binary.BigEndian.Uint64(s[:]),
		Own: s == f.keys.self, Number: number, Data: data,
	}, false, true
}

// heard keeps a peer that has proved to be one, in place of the one that has been silent for longest if need be.
func (ps *peers) heard(s sender, p *peer) {
	ps.tick++
	p.heard = ps.tick
	if _, ok := ps.of[s]; !ok && len(ps.of) >= maxPeers {
		var silent sender
		least := ps.tick
		for id, q := range ps.of {
			if q.heard < least {
				silent, least = id, q.heard
			}
		}
		delete(ps.of, silent)
	}
	ps.of[s] = p
}

// writeTold is a position that nobody without the key can put forward: by it findings are suppressed.
func (f *Feed) writeTold(p detect.Position) string {
	b := make([]byte, 0, toldBytes)
	b = binary.BigEndian.AppendUint64(b, p.Major)
	b = binary.BigEndian.AppendUint64(b, p.Minor)
	return string(append(b, f.mac(b)...))
}

func (f *Feed) mac(b []byte) []byte {
	h := hmac.New(sha256.New, f.keys.told)
	h.Write(b)
	return h.Sum(nil)[:toldBytes-16]
}

func (f *Feed) readTold(s string) (p detect.Position) {
	if s == "" {
		return p
	}
	b := []byte(s)
	if len(b) != toldBytes || !hmac.Equal(b[16:], f.mac(b[:16])) {
		f.reject("the position up to which findings are told is not what a process with this key has written")
		return p
	}
	p.Major, p.Minor = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	return p
}
