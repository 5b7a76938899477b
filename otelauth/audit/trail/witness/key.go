// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// algCosignature is the type of an Ed25519 cosignature in a key (c2sp.org/tlog-cosignature).
const algCosignature = 0x04

// ParseKey returns the verifier of a witness from its public key, "name+hash+key". The key is for
// cosignatures, or a plain Ed25519 key of package note, which signs without a time.
func ParseKey(vkey string) (note.Verifier, error) {
	vkey = strings.TrimSpace(vkey)
	invalid := func(why string) error {
		return fmt.Errorf("witness: the public key of the witness %s; ask its operator for the text name+hash+key", why)
	}
	name, rest, _ := strings.Cut(vkey, "+")
	hash, encoded, found := strings.Cut(rest, "+")
	if !found || name == "" {
		return nil, invalid("is not name+hash+key")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return nil, invalid("is not Base64")
	}
	if key[0] != algCosignature {
		v, err := note.NewVerifier(vkey)
		if err != nil {
			return nil, invalid("is of an unknown type")
		}
		return v, nil
	}
	if len(key) != 1+ed25519.PublicKeySize || strings.ContainsAny(name, " \n\t") {
		return nil, invalid("has the wrong length or an invalid name")
	}
	id, err := strconv.ParseUint(hash, 16, 32)
	v := &cosignatureVerifier{name: name, id: keyID(name, key), key: ed25519.PublicKey(key[1:])}
	if err != nil || uint32(id) != v.id {
		return nil, invalid("has a wrong checksum")
	}
	return v, nil
}

// keyID returns the key id of c2sp.org/signed-note.
func keyID(name string, key []byte) uint32 {
	h := sha256.New()
	h.Write([]byte(name))
	h.Write([]byte("\n"))
	h.Write(key)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// cosignatureVerifier verifies cosignature/v1.
type cosignatureVerifier struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func (v *cosignatureVerifier) Name() string    { return v.name }
func (v *cosignatureVerifier) KeyHash() uint32 { return v.id }

// Verify reports whether sig is a time of 8 bytes and a signature over the time and msg.
func (v *cosignatureVerifier) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(sig)
	if seconds > 1<<63-1 {
		return false
	}
	return ed25519.Verify(v.key, cosigned(seconds, msg), sig[8:])
}

// cosigned returns the message of a cosignature.
func cosigned(seconds uint64, msg []byte) []byte {
	return append([]byte("cosignature/v1\ntime "+strconv.FormatUint(seconds, 10)+"\n"), msg...)
}

// CosignedAt returns when the witness of vkey has cosigned a checkpoint. The error means that the
// checkpoint has no valid cosignature of it. The time is zero if the key signs without a time.
func CosignedAt(signed []byte, vkey string) (time.Time, error) {
	v, err := ParseKey(vkey)
	if err != nil {
		return time.Time{}, err
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil || len(n.Sigs) == 0 {
		return time.Time{}, fmt.Errorf("witness: the checkpoint has no valid cosignature of %s; fetch a newer one, or check the key", v.Name())
	}
	if _, hasTime := v.(*cosignatureVerifier); !hasTime {
		return time.Time{}, nil
	}
	raw, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil || len(raw) < 4+8 {
		return time.Time{}, errors.New("witness: the cosignature has no time; fetch the checkpoint again")
	}
	return time.Unix(int64(binary.BigEndian.Uint64(raw[4:])), 0).UTC(), nil
}
