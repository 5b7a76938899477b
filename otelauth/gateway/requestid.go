// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
)

// maxRequestIDBytes is the longest X-Request-Id of a caller that is kept.
const maxRequestIDBytes = 128

// requestID returns the caller's X-Request-Id if it is one field of letters, digits and
// "-_.:/+=@", and otherwise a new one of 32 hexadecimal digits. It identifies only a request, so
// its randomness need not be secret.
func requestID(h http.Header) string {
	if ids := h["X-Request-Id"]; len(ids) == 1 && isRequestID(ids[0]) {
		return ids[0]
	}
	var id [16]byte
	binary.LittleEndian.PutUint64(id[:8], rand.Uint64()) //nolint:gosec // G404: see above
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64()) //nolint:gosec // G404: see above
	var digits [32]byte
	hex.Encode(digits[:], id[:])
	return string(digits[:])
}

func isRequestID(id string) bool {
	if id == "" || len(id) > maxRequestIDBytes {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=', c == '@':
		default:
			return false
		}
	}
	return true
}

// requestIDOf implements otelauth.Config.RequestID.
func requestIDOf(r *http.Request) string {
	if x := exchangeOf(r.Context()); x != nil {
		return x.id
	}
	return ""
}
