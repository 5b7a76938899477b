// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// Documents are small values that the processes of a shared [Store] exchange, encrypted and
// authenticated with Config.Key. Package operator keeps acts and lists in them. It is safe for
// concurrent use.
type Documents struct {
	board  budget.Board
	seal   cipher.AEAD
	random io.Reader
}

// ErrForeignDocument means that a document was written by something else, or under another key.
// It is neither used nor replaced.
var ErrForeignDocument = errors.New("throttle: a shared document cannot be decrypted: all processes need the same identity key; " +
	"if another program wrote it, use another prefix")

// newDocuments returns the documents of a store; nil if it is not shared.
func newDocuments(store Store, key []byte, random io.Reader) (*Documents, error) {
	board, ok := store.(budget.Board)
	if !ok {
		return nil, nil
	}
	sum := sha256.Sum256(append([]byte("otelauth throttle documents\x00"), key...))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		return nil, err
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Documents{board: board, seal: seal, random: random}, nil
}

// Update replaces a document by what edit makes of it, in one atomic step: edit is called again if
// another process was faster. current is nil if there is no document. It expires after life.
// A result of nil leaves the document as it is, and so does an error, which Update returns.
func (d *Documents) Update(ctx context.Context, name string, life time.Duration, edit func(current []byte) ([]byte, error)) error {
	return d.board.Update(ctx, name, life, func(sealed []byte) ([]byte, error) {
		current, err := d.open(name, sealed)
		if err != nil {
			return nil, err
		}
		next, err := edit(current)
		if err != nil || next == nil {
			return nil, err
		}
		nonce := make([]byte, d.seal.NonceSize(), d.seal.NonceSize()+len(next)+d.seal.Overhead())
		if _, err := io.ReadFull(d.random, nonce); err != nil {
			return nil, fmt.Errorf("throttle: no randomness; check Config.Rand: %w", err)
		}
		return d.seal.Seal(nonce, nonce, next, []byte(name)), nil
	})
}

// Read returns a document, nil if there is none.
func (d *Documents) Read(ctx context.Context, name string) ([]byte, error) {
	sealed, err := d.board.Read(ctx, name)
	if err != nil {
		return nil, err
	}
	return d.open(name, sealed)
}

// Watch calls changed with the document now and within a second of each change, until stop is
// called. content is nil if there is none. A foreign document is not reported.
func (d *Documents) Watch(name string, changed func(content []byte)) (stop func()) {
	return d.board.Watch(name, func(sealed []byte) {
		if content, err := d.open(name, sealed); err == nil {
			changed(content)
		}
	})
}

// Ahead returns the clock of the store minus that of this process, 0 while it is unknown.
func (d *Documents) Ahead() time.Duration { return d.board.Ahead() }

// Shared reports whether the other processes can be reached.
func (d *Documents) Shared() bool { return d.board.Shared() }

// open decrypts a document.
func (d *Documents) open(name string, sealed []byte) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	n := d.seal.NonceSize()
	if len(sealed) < n {
		return nil, ErrForeignDocument
	}
	content, err := d.seal.Open(nil, sealed[:n], sealed[n:], []byte(name))
	if err != nil {
		return nil, ErrForeignDocument
	}
	if content == nil {
		content = []byte{}
	}
	return content, nil
}

// Documents returns the documents that the processes of a shared Store exchange; nil if the Store
// is that of one process.
func (t *Budgets) Documents() *Documents { return t.documents }
