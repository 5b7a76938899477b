// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/otelauth/otelauth-go/collector-config/e2e/service"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
)

// secretTour sends requests with a secret in every place where a client can put one. It returns
// the answers.
func secretTour(t *testing.T, s *service.Service) []service.Answer {
	t.Helper()
	const from = "192.0.2.44"
	answers := []service.Answer{
		s.MustGet(t, "/orders", "alice", rightPassword, from),
		s.MustGet(t, "/orders", "alice", wrongPassword, from),
		// the password in the field for the name
		s.MustGet(t, "/orders", namePassword, wrongPassword, from),
		s.MustGet(t, "/orders?key="+querySecret, "alice", wrongPassword, from),
	}
	for _, authorization := range []string{
		"Bearer " + bearerSecret,
		"Basic " + bearerSecret, // malformed
		"Basic " + base64.StdEncoding.EncodeToString([]byte(bearerSecret)), // no colon
		bearerSecret,
	} {
		answer, err := s.Send("/orders", from, header("Authorization", authorization))
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer)
	}
	return answers
}

// secrets are those that [secretTour] has sent, and the tokens of the collector.
func secrets(collectorToken string) []string {
	return []string{rightPassword, wrongPassword, namePassword, bearerSecret, querySecret, siemToken, collectorToken}
}

// noSecrets fails the test if data holds a secret in one of the forms of otelauthtest.Leaks. It
// also fails if data does not hold the control, because then the search would prove nothing.
func noSecrets(t *testing.T, what string, data []byte, control []byte, secrets ...string) {
	t.Helper()
	otelauthtest.NoSecretsIn(t, what, data, secrets...)
	if control != nil && !bytes.Contains(data, control) {
		t.Errorf("%s (%d bytes): the control is missing, so the search for secrets proves nothing", what, len(data))
	}
}

// bytesBelow returns the bytes of all files below dir, followed by their decompressed content: it
// tries zstd frames and snappy blocks at each possible beginning. It also reads the configuration
// files at the top, which hold no secret.
func bytesBelow(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		all = append(append(all, b...), 0)
		all = append(all, decompressed(b)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var zstdMagic, _ = hex.DecodeString("28b52ffd")

func decompressed(b []byte) []byte {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.IgnoreChecksum(true))
	if err != nil {
		return nil
	}
	defer decoder.Close()
	var all []byte
	for rest := b; ; {
		at := bytes.Index(rest, zstdMagic)
		if at < 0 {
			break
		}
		rest = rest[at:]
		// Keep what was decoded before the error at the end of the frame.
		plain, _ := decoder.DecodeAll(rest, nil)
		all = append(append(all, plain...), 0)
		rest = rest[len(zstdMagic):]
	}
	return append(all, walRecords(b)...)
}

// walRecords decodes b as a segment of Prometheus' write-ahead log. A segment has pages of 32 KiB,
// and fragments with a header of type and flags, length and checksum. A flag marks snappy. It
// returns nothing if b is not a segment.
func walRecords(b []byte) []byte {
	const page, headerBytes, snappyFlag, typeMask = 32 << 10, 7, 1 << 3, 0x7
	var all, record []byte
	for start := 0; start < len(b); start += page {
		for rest := b[start:min(start+page, len(b))]; len(rest) >= headerBytes && rest[0] != 0; {
			n := int(rest[1])<<8 | int(rest[2])
			if n > len(rest)-headerBytes || rest[0]&typeMask > 4 {
				return all
			}
			// a whole record, or its first fragment
			if kind := rest[0] & typeMask; kind == 1 || kind == 2 {
				record = nil
			}
			record = append(record, rest[headerBytes:headerBytes+n]...)
			if kind := rest[0] & typeMask; kind == 1 || kind == 4 {
				if rest[0]&snappyFlag != 0 {
					plain, err := snappy.Decode(nil, record)
					if err != nil {
						return all
					}
					record = plain
				}
				all = append(append(all, record...), 0)
			}
			rest = rest[headerBytes+n:]
		}
	}
	return all
}
