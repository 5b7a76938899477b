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

// certificate is a pair of files that is read again when it changes. Handshakes check for a
// change, at most once per certificateInterval, so there is no goroutine to start or stop.
type certificate struct {
	certFile, keyFile string
	signals           *signals

	current atomic.Pointer[tls.Certificate]
	checked atomic.Int64 // monotonic, since base
	base    time.Time

	mu     sync.Mutex
	seen   digests // of the files that were read last, whether or not they were valid
	broken bool
}

// certificateInterval is how often the files are checked for a change.
const certificateInterval = time.Second

// digests identify a version of the files. Size and time do not: two certificates can have the
// same size, and both can be written within one tick of a file system's clock.
type digests [2][sha256.Size]byte

// newCertificate returns nil if cfg names no files.
func newCertificate(cfg *Config, s *signals) (*certificate, error) {
	switch {
	case cfg.CertFile == "" && cfg.KeyFile == "":
		return nil, nil
	case cfg.CertFile == "" || cfg.KeyFile == "":
		return nil, errors.New("CertFile and KeyFile belong together; set both or neither")
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
		return nil, fmt.Errorf("%s with %s: %w; provide a PEM chain and the key of its first certificate", c.certFile, c.keyFile, err)
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

// get implements tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	now := int64(time.Since(c.base))
	if last := c.checked.Load(); now-last >= int64(certificateInterval) && c.checked.CompareAndSwap(last, now) {
		c.reload()
	}
	return c.current.Load(), nil
}

// reload reads the files again if they have changed. A pair that cannot be loaded, such as two
// files of which only one is new yet, is reported once and tried again when it changes.
func (c *certificate) reload() {
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
