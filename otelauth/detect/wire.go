// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect/internal/feed"
)

// A batch is a version, a kind and entries. It has no field for what must not leave a process:
// names, addresses finer than a network, passwords, and values computed from passwords.
// testdata/wire.golden holds the format.
const wireVersion = 1

type wireKind byte

const (
	wireSamples  wireKind = 1
	wireEpisodes wireKind = 2 // reported by the sender while the feed was down
)

const (
	wireSucceeded = 1 << 0
	wireSensitive = 1 << 1
	wireUnknown   = 1 << 2
	wireUnusable  = 1 << 3
	wireProven    = 1 << 4
	wireTrace     = 1 << 5
	wirePlaced    = 1 << 6
	wireIPv6      = 1 << 7
	wireAddr      = 1 << 8
	wireRefused   = 1 << 9
	wireFlags     = 1<<10 - 1 // all of them
)

const (
	maxWireText   = 255 // bytes of a user.hash or a route; one byte holds the length
	wireSampleMax = 2 + 8 + 6 + 2*(1+maxWireText) + 8 + 4 + 16
	wireEpisode   = 1 + 8 + 8 + 5*8
	// degree is the number of steps of a degree: about 11 km, for distances of 500 km.
	degree = 10
)

var errWire = errors.New("detect: a batch of the feed has another version or is damaged; update all processes")

// relayed is a sample that passes through a feed. Its name is empty, its client is the first
// address of a network, and its fingerprint is a random token for one wrong password of one
// account at one process.
type relayed struct {
	sample
	lat, lon float64
	placed   bool
}

func appendSample(b []byte, s *relayed) []byte {
	network := site(s.client)
	flags := uint16(0)
	for _, f := range [...]struct {
		bit   uint16
		isSet bool
	}{
		{wireSucceeded, s.kind == succeeded},
		{wireSensitive, s.sensitive},
		{wireUnknown, s.unknown},
		{wireUnusable, s.unusable},
		{wireProven, s.proven},
		{wireRefused, s.refused},
		{wireTrace, s.trace.IsValid()},
		{wirePlaced, s.placed},
		{wireIPv6, network.IsValid() && !network.Addr().Is4()},
		{wireAddr, network.IsValid()},
	} {
		if f.isSet {
			flags |= f.bit
		}
	}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(s.at.UnixMilli()))
	if network.IsValid() {
		if a := network.Addr(); a.Is4() {
			v4 := a.As4()
			b = append(b, v4[:3]...)
		} else {
			v6 := a.As16()
			b = append(b, v6[:6]...)
		}
	}
	for _, text := range [...]string{s.hash, s.route} {
		text = attempt.Text(text, maxWireText)
		b = append(append(b, byte(len(text))), text...)
	}
	if s.kind == guessed {
		b = binary.BigEndian.AppendUint64(b, s.fingerprint)
	}
	if s.placed {
		b = binary.BigEndian.AppendUint16(b, uint16(int16(math.Round(s.lat*degree))))
		b = binary.BigEndian.AppendUint16(b, uint16(int16(math.Round(s.lon*degree))))
	}
	if s.trace.IsValid() {
		b = append(b, s.trace[:]...)
	}
	return b
}

func appendEpisode(b []byte, rule ruleID, key uint64, ep *episode, wall func(uint32) time.Time) []byte {
	b = append(b, byte(rule))
	for _, v := range [...]uint64{
		key, ep.id, uint64(wall(ep.first).Unix()), uint64(wall(ep.last).Unix()), ep.attempts, ep.next,
		uint64(uint32(ep.accountCount))<<32 | uint64(uint32(ep.networkCount)),
	} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// reader reads a batch. Once it is truncated, everything that follows reads as zero.
type reader struct {
	b         []byte
	truncated bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.truncated, r.b = true, nil
		n = 0
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) uint(size int) (v uint64) {
	for _, b := range r.take(size) {
		v = v<<8 | uint64(b)
	}
	return v
}

// text returns a copy, because a list must not keep a whole batch alive.
func (r *reader) text() string { return string(r.take(int(r.uint(1)))) }

// readHeader reads the version and the kind of a batch.
func readHeader(b []byte) (r reader, kind wireKind, err error) {
	r.b = b
	version := r.uint(1)
	kind = wireKind(r.uint(1))
	if r.truncated || len(b) > feed.MaxBatchBytes || version != wireVersion || kind != wireSamples && kind != wireEpisodes {
		return r, 0, errWire
	}
	return r, kind, nil
}

// samples reads all samples of a batch, or none.
func (r *reader) samples() (all []relayed, err error) {
	for len(r.b) > 0 {
		flags := r.uint(2)
		has := func(f uint64) bool { return flags&f != 0 }
		var s relayed
		s.at = time.UnixMilli(int64(r.uint(8)))
		switch {
		case !has(wireAddr):
		case has(wireIPv6):
			var a [16]byte
			copy(a[:], r.take(6))
			s.client = netip.AddrFrom16(a)
		default:
			var a [4]byte
			copy(a[:], r.take(3))
			s.client = netip.AddrFrom4(a)
		}
		s.hash, s.route = r.text(), r.text()
		if s.kind = succeeded; !has(wireSucceeded) {
			s.kind = guessed
			s.fingerprint = r.uint(8)
		}
		if s.placed = has(wirePlaced); s.placed {
			s.lat = float64(int16(r.uint(2))) / degree
			s.lon = float64(int16(r.uint(2))) / degree
		}
		if has(wireTrace) {
			copy(s.trace[:], r.take(len(s.trace)))
		}
		s.sensitive, s.unknown, s.unusable, s.proven = has(wireSensitive), has(wireUnknown), has(wireUnusable), has(wireProven)
		s.refused = has(wireRefused)
		if r.truncated || flags > wireFlags || math.Abs(s.lat) > 90 || math.Abs(s.lon) > 180 {
			return nil, errWire
		}
		all = append(all, s)
	}
	return all, nil
}

// adoptable is an episode that another process has reported.
type adoptable struct {
	rule                               ruleID
	key, id, first, last               uint64
	attempts, next, accounts, networks uint64
}

func (r *reader) episodes() (all []adoptable, err error) {
	for len(r.b) > 0 {
		a := adoptable{rule: ruleID(r.uint(1))}
		for _, v := range [...]*uint64{&a.key, &a.id, &a.first, &a.last, &a.attempts, &a.next, &a.networks} {
			*v = r.uint(8)
		}
		a.accounts, a.networks = a.networks>>32, a.networks&math.MaxUint32
		if r.truncated || a.rule >= ruleCount || rules[a.rule].local || a.key == 0 {
			return nil, errWire
		}
		all = append(all, a)
	}
	return all, nil
}
