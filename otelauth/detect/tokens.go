// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

// tokens replaces fingerprints of wrong passwords outside of the process. A token is random. It
// shows only that this process has seen one of the last four wrong passwords of an account again.
type tokens struct {
	key   sip
	of    *table[lately]
	count uint64
}

// lately holds the last four wrong passwords of an account. 88 bytes with its place.
type lately struct {
	seen [4]struct{ fingerprint, token uint64 }
	next uint8
}

func (t *tokens) token(account string, fingerprint uint64, now uint32) uint64 {
	p := t.of.touch(t.key.text(account)|1, now, 1)
	l := &p.value
	for i := range l.seen {
		if l.seen[i].fingerprint == fingerprint {
			return l.seen[i].token
		}
	}
	t.count++
	token := t.key.pair(t.count, 2) | 1
	l.seen[l.next%4].fingerprint, l.seen[l.next%4].token = fingerprint, token
	l.next++
	return token
}
