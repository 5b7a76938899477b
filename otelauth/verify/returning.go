// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/binary"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/pairs"
)

// returning remembers which credentials were right from which networks. They use the Gate's
// favoured lane after they have left the cache. The key is the credential and not the (account,
// network) pair: the time of an answer shows the place in the queue, which must show nothing
// without the right password.
//
// Only a right credential writes here, so a flood of wrong ones evicts nothing. The memory is
// bounded: 2^16 places of 8 bytes. A false match only gives a stranger a better place in a queue.
// The memory is lost when the process ends.
type returning struct{ *pairs.Set }

const (
	returningPlaces = 1 << 16
	// returningLife is how long a success is remembered.
	returningLife = 30 * 24 * time.Hour
)

func newReturning() returning {
	return returning{pairs.New(returningPlaces, uint32(returningLife/time.Minute))}
}

// contains reports whether the credential was right from its network within returningLife.
func (r returning) contains(own *mac, at time.Time) bool {
	return r.Contains(binary.LittleEndian.Uint64(own[:]), uint64(at.Unix()/60))
}

// learn stores a success of the credential from its network.
func (r returning) learn(own *mac, at time.Time) {
	r.Add(binary.LittleEndian.Uint64(own[:]), uint64(at.Unix()/60))
}
