// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// derive returns a secret for one purpose. It stays the same as long as the identity key does.
func derive(key otelauth.IdentityKey, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, key.Secret, nil, "otelauth gateway "+purpose, sha256.Size)
}

// checkLimits returns the problems of what the gateway keeps over a restart, without reading the
// files.
func (f *gatewayFlags) checkLimits(s *settings, key otelauth.IdentityKey) []error {
	p := &problems{settings: s}
	f.checkSnapshot(p, key, "limit-file", f.LimitFile, f.LimitFileEvery, "budgets")
	f.checkSnapshot(p, key, "detect-file", f.DetectFile, f.DetectFileEvery, "learned")
	if f.LimitMemoryBytes != 0 {
		m, err := throttle.NewMemory(throttle.MemoryConfig{Bytes: f.LimitMemoryBytes})
		if err != nil {
			return append(p.all, explain(err, nil, s))
		}
		_ = m.Close() // nothing to save
	}
	return p.all
}

// checkSnapshot reports the problems of a file that is written now and then. shared is what Redis
// keeps in its place.
func (f *gatewayFlags) checkSnapshot(p *problems, key otelauth.IdentityKey, flag, file string, every span, shared string) {
	switch {
	case file == "":
		if every != 0 {
			p.report(flag+"-every", fmt.Errorf("has no effect without --%s: set that too, or remove this", flag))
		}
	case f.RedisURLFile != "":
		p.report(flag, fmt.Errorf("cannot be combined with --redis-url-file, because Redis keeps the %s: remove one of them", shared))
	case key.IsZero():
		p.report(flag, errors.New("needs an identity key that stays the same after a restart: set --identity-key-file, "+
			`created with: echo "k1:$(openssl rand -hex 32)" > identity.key`))
	default:
		if dir := filepath.Dir(file); !isDirectory(dir) {
			p.report(flag, fmt.Errorf("%s is not a directory: create it, writable for the gateway only", quoted(shown(dir))))
		}
	}
}

// memory returns the store of the budgets in this process, or nil for that of the library. The
// caller closes it, which writes --limit-file.
func (f *gatewayFlags) memory(s *settings, key []byte, observer attempt.NoticeObserver) (*throttle.Memory, error) {
	if f.LimitFile == "" && f.LimitMemoryBytes == 0 {
		return nil, nil
	}
	cfg := throttle.MemoryConfig{Notice: observer.Notice}
	apply(s.flags, "memory", &cfg)
	if cfg.SnapshotFile != "" {
		cfg.SnapshotKey = key
	}
	return throttle.NewMemory(cfg)
}

// stores are what the process keeps for longer than one configuration: budgets and, in Redis, the
// evidence of detection. The zero stores are those of the library.
type stores struct {
	memory *throttle.Memory // nil: that of the library
	key    []byte           // of the budgets in memory; nil: that of the library
	shared *shared          // nil: not shared
	detect detect.Snapshot  // its File is empty: a restart loses what was learned
}

// stores opens the stores that the flags name.
func (l *loaded) stores(observer attempt.NoticeObserver) (*stores, error) {
	st := new(stores)
	key := l.config.Auth.IdentityKey
	var err error
	if !key.IsZero() {
		if st.key, err = derive(key, "budgets"); err != nil {
			return nil, err
		}
	}
	if l.flags.DetectFile != "" {
		st.detect.File, st.detect.Every = l.flags.DetectFile, time.Duration(l.flags.DetectFileEvery)
		if st.detect.Key, err = derive(key, "detection"); err != nil {
			return nil, err
		}
	}
	if st.memory, err = l.flags.memory(l.settings, st.key, observer); err != nil {
		return nil, explain(err, &l.config, l.settings)
	}
	if st.shared, err = l.flags.share(l.settings, &l.config.Auth, st.memory, observer); err != nil {
		st.close()
		return nil, explain(err, &l.config, l.settings)
	}
	return st, nil
}

// wire sets the stores in cfg.
func (st *stores) wire(cfg *gateway.Config) {
	cfg.Auth.Detect.Snapshot = st.detect
	switch {
	case st.shared != nil:
		cfg.Auth.Throttle, cfg.Auth.Detect.Feed = st.shared.guesses, st.shared.feed
	case st.memory != nil:
		cfg.Auth.Budgets.Store, cfg.Auth.Budgets.Key = st.memory, st.key
	}
}

// close writes what is pending. Call it after the last request.
func (st *stores) close() {
	st.shared.close()
	if st.memory != nil {
		_ = st.memory.Close() // a notice has reported an error
	}
}
