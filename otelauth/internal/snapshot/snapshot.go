// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package snapshot keeps the state of a process over a restart: encrypted and authenticated, in a
// file that is written in one rename, or as bytes for a store that processes share.
package snapshot

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A snapshot is the magic line "otelauth KIND snapshot FORMAT", an id of the key, a salt and
// chunks. Each snapshot has a key of its own, derived from the secret and the salt. Its chunks are
// AES-256-GCM under that key; the nonce is the number of the chunk, with its highest bit set in the
// last chunk. So a chunk that is missing, moved or added does not authenticate (the construction
// STREAM of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).
const (
	format     = 1
	keyIDBytes = 8
	saltBytes  = 32
	chunkBytes = 64 << 10
	tagBytes   = 16

	// MinKeyBytes is the least length of a key.
	MinKeyBytes = 32
)

// Kind is what a snapshot holds. Snapshots of one kind cannot be read as another.
type Kind string

// The errors that [Open] returns; each says what to do.
var (
	ErrVersion = errors.New("it has the format of another version of this program: start that version, or delete it")
	ErrKey     = errors.New("it was written with another key: restore that key, or delete it")
	ErrDamaged = errors.New("it is cut off or damaged: restore it from a copy, or delete it")
	ErrFuture  = errors.New("it was written in the future: set the clock of this machine, or delete it")
)

func magic(kind Kind) string { return "otelauth " + string(kind) + " snapshot " }

func keyID(kind Kind, secret []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, magic(kind)+"id", keyIDBytes)
}

func aead(kind Kind, secret, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, salt, magic(kind)+"key", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func nonce(chunk uint64, isLast bool) []byte {
	var n [12]byte
	binary.BigEndian.PutUint64(n[4:], chunk)
	if isLast {
		n[0] = 1 << 7
	}
	return n[:]
}

// Seal returns the snapshot of a state.
func Seal(kind Kind, secret, state []byte) ([]byte, error) {
	id, err := keyID(kind, secret)
	if err != nil {
		return nil, err
	}
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(rand.Reader, salt); err != nil {
		return nil, err
	}
	gcm, err := aead(kind, secret, salt)
	if err != nil {
		return nil, err
	}
	head := magic(kind) + strconv.Itoa(format) + "\n"
	out := make([]byte, 0, len(head)+keyIDBytes+saltBytes+len(state)+tagBytes*(len(state)/chunkBytes+1))
	out = append(append(append(out, head...), id...), salt...)
	for i := uint64(0); ; i++ {
		chunk := state[:min(chunkBytes, len(state))]
		state = state[len(chunk):]
		out = gcm.Seal(out, nonce(i, len(state) == 0), chunk, nil)
		if len(state) == 0 {
			return out, nil
		}
	}
}

// Open returns the state of a snapshot: all of it or an error. The error is [ErrVersion], [ErrKey]
// or [ErrDamaged].
func Open(kind Kind, secret, data []byte) ([]byte, error) {
	line, rest, found := bytes.Cut(data, []byte("\n"))
	number, isKind := strings.CutPrefix(string(line), magic(kind))
	switch {
	case !found || !isKind:
		return nil, ErrDamaged
	case number != strconv.Itoa(format):
		return nil, ErrVersion
	case len(rest) < keyIDBytes+saltBytes+tagBytes:
		return nil, ErrDamaged
	}
	id, err := keyID(kind, secret)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(id, rest[:keyIDBytes]) == 0 {
		return nil, ErrKey
	}
	rest = rest[keyIDBytes:]
	gcm, err := aead(kind, secret, rest[:saltBytes])
	if err != nil {
		return nil, err
	}
	rest = rest[saltBytes:]
	state := make([]byte, 0, len(rest))
	for i := uint64(0); ; i++ {
		chunk := rest[:min(chunkBytes+tagBytes, len(rest))]
		rest = rest[len(chunk):]
		if state, err = gcm.Open(state, nonce(i, len(rest) == 0), chunk, nil); err != nil {
			return nil, ErrDamaged
		}
		if len(rest) == 0 {
			return state, nil
		}
	}
}

// File is a snapshot in a file.
type File struct {
	Name   string
	Kind   Kind
	Secret []byte
}

// Write replaces the file, with mode 0600, in one rename. After an error the previous file is in
// place and no other is left behind.
func (f File) Write(state []byte) error {
	data, err := Seal(f.Kind, f.Secret, state)
	if err != nil {
		return err
	}
	return write(f.Name, data)
}

func write(name string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // the first error is returned
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// Read passes the state to restore. It does nothing if there is no file. If the file is unusable or
// restore returns an error, it renames the file to Name + ".broken", which keeps the last good
// state for the operator. what names the state: "guess budgets". The error names the file, the
// cause and the way out.
func (f File) Read(what string, restore func(state []byte) error) error {
	data, err := os.ReadFile(f.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		var state []byte
		if state, err = Open(f.Kind, f.Secret, data); err == nil {
			err = restore(state)
		}
	}
	if err == nil {
		return nil
	}
	broken := f.Name + ".broken"
	if renamed := os.Rename(f.Name, broken); renamed != nil {
		return fmt.Errorf("the file of %s, %s, is unusable and could not be renamed to %s: %w", what, f.Name, broken, errors.Join(err, renamed))
	}
	return fmt.Errorf("the file of %s, %s, is unusable and was renamed to %s: %w", what, f.Name, broken, err)
}
