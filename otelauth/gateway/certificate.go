// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certificate is a pair of files that is read again when it changes. Handshakes look for a change at most once in
// certificateLook; there is nothing to start or to end.
type certificate struct {
	certFile, keyFile string
	signals           *signals

	current atomic.Pointer[tls.Certificate]
	looked  atomic.Int64 // monotonic, since base
	base    time.Time

	mu     sync.Mutex
	seen   digests // of the files that were read last, for better or worse
	broken bool
}

// certificateLook is how often the files are looked at.
const certificateLook = time.Second

// digests tell one version of the files from another. Size and time do not: two certificates have the same size, and one tick of a
// file system's clock is enough to write both.
type digests [2][sha256.Size]byte

// newCertificate returns nil when cfg names no files.
func newCertificate(cfg *Config, s *signals) (*certificate, error) {
	switch {
	case cfg.CertFile == "" && cfg.KeyFile == "":
		return nil, nil
	case cfg.CertFile == "" || cfg.KeyFile == "":
		return nil, errors.New("CertFile and KeyFile go together; set both or none")
	}
	c := &certificate{certFile: cfg.CertFile, keyFile: cfg.KeyFile, signals: s, base: time.Now()}
	files, seen, err := c.read()
	if err != nil {
		return nil, err
	}
	pair, err := c.pair(files)
	if err != nil {
		return nil, err
	}
	c.seen = seen
	c.current.Store(pair)
	return c, nil
}

func (c *certificate) pair(files [2][]byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(files[0], files[1])
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w; write a PEM chain and the key of its first certificate", c.certFile, c.keyFile, err)
	}
	return &pair, nil
}

func (c *certificate) read() (files [2][]byte, seen digests, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if files[i], err = os.ReadFile(name); err != nil {
			return files, seen, err
		}
		seen[i] = sha256.Sum256(files[i])
	}
	return files, seen, nil
}

// get is tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	now := int64(time.Since(c.base))
	if last := c.looked.Load(); now-last >= int64(certificateLook) && c.looked.CompareAndSwap(last, now) {
		c.look()
	}
	return c.current.Load(), nil
}

// look reads the files again if they have changed. What does not load, as two files of which one is new yet, is told once and
// tried again when it changes.
func (c *certificate) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	files, seen, err := c.read()
	if err == nil {
		if seen == c.seen {
			return
		}
		var pair *tls.Certificate
		if pair, err = c.pair(files); err == nil {
			c.current.Store(pair)
		}
		c.seen = seen
	}
	if err != nil && c.broken {
		return
	}
	c.broken = err != nil
	c.signals.certificateRead(err)
}
