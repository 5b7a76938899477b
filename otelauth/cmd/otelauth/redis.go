// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/detect/redisfeed"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
)

// redisFlags name the Redis in which several gateways share guess budgets and detection.
type redisFlags struct {
	RedisURLFile string        `name:"redis-url-file" placeholder:"FILE" help:"File whose only line is the URL of a Redis or Valkey, redis://name:password@host:6379/0 or rediss://…, in which several gateways share guess budgets and detection. Requires the same --identity-key-file for all of them. Default: each gateway counts for itself."`
	RedisPrefix  string        `default:"otelauth" placeholder:"NAME" help:"Prefix of every key in Redis. Use a different one for each service. Default: otelauth."`
	RedisTimeout time.Duration `default:"500ms" help:"How long Redis may be silent, 50ms to 10s, before this gateway uses its own memory instead. Time in which the gateway itself gets no CPU is not counted. Default: 500ms."`
}

// detectSuffix separates the keys of detection from those of budgets.
const detectSuffix = "-detect"

// options returns the options in the file, or nil without a file.
func (f *redisFlags) options() (*redis.Options, error) {
	if f.RedisURLFile == "" {
		return nil, nil
	}
	if strings.Contains(f.RedisURLFile, "://") {
		return nil, errors.New("is a URL itself (not shown): put it into a file and name the file, because every user of the machine can list arguments")
	}
	url, err := readSecretLine(f.RedisURLFile)
	if err != nil && !errors.Is(err, errNotOneLine) {
		return nil, err
	}
	o, errURL := redis.ParseURL(url)
	// The parser's own error quotes the URL.
	if err != nil || errURL != nil {
		return nil, fmt.Errorf("%s: write exactly one line, a URL (not shown) such as redis://name:password@host:6379/0; a password may need percent-encoding", f.RedisURLFile)
	}
	o.ContextTimeoutEnabled = true // a command ends when its context does
	return o, nil
}

// The range of --redis-timeout, which is that of redisstore.
const (
	minRedisTimeout = 50 * time.Millisecond
	maxRedisTimeout = 10 * time.Second
)

// redisPrefix matches a --redis-prefix to which detectSuffix can be added.
var redisPrefix = regexp.MustCompile(`^[A-Za-z0-9._:-]{0,57}$`)

// validate checks the flags and the file. It does not call Redis, because a gateway must start
// without it.
func (f *redisFlags) validate(s *settings, key otelauth.IdentityKey) []error {
	p := &problems{settings: s}
	o, err := f.options()
	p.report("redis-url-file", err)
	if o == nil {
		return p.all
	}
	if key.IsZero() {
		p.report("redis-url-file", errors.New("needs an identity key that all gateways share: set the same --identity-key-file for all, "+
			`created with: echo "k1:$(openssl rand -hex 32)" > identity.key`))
	}
	if !redisPrefix.MatchString(f.RedisPrefix) {
		p.report("redis-prefix", fmt.Errorf("%s: use up to 57 letters, digits and \"._-:\"", quoted(shown(f.RedisPrefix))))
	}
	if f.RedisTimeout != 0 && (f.RedisTimeout < minRedisTimeout || f.RedisTimeout > maxRedisTimeout) {
		p.report("redis-timeout", fmt.Errorf("is %v: use %v to %v", f.RedisTimeout, minRedisTimeout, maxRedisTimeout))
	}
	return p.all
}

// shared is the state that several gateways share in Redis. A nil shared shares nothing.
type shared struct {
	client  *redis.Client
	store   *redisstore.Store
	guesses *throttle.Budgets
	feed    *redisfeed.Feed
}

// noLines discards the log lines of go-redis. Notices report once when Redis is lost.
type noLines struct{}

func (noLines) Printf(context.Context, string, ...any) {}

// share opens the Redis that f names, or returns nil. The secrets that protect the content of
// Redis are derived from the identity key in use at the start: gateways share only with the same
// key.
func (f *redisFlags) share(key otelauth.IdentityKey, observer attempt.NoticeObserver) (*shared, error) {
	o, err := f.options()
	if o == nil || err != nil {
		return nil, err
	}
	derive := func(purpose string) []byte {
		out, e := hkdf.Key(sha256.New, key.Secret, nil, "otelauth gateway "+purpose, sha256.Size)
		err = errors.Join(err, e)
		return out
	}
	budgets, evidence := derive("budgets"), derive("evidence")
	if err != nil {
		return nil, err
	}
	redis.SetLogger(noLines{})
	s := &shared{client: redis.NewClient(o)}
	var errStore, errGuesses, errFeed error
	s.store, errStore = redisstore.New(redisstore.Config{Client: s.client, Prefix: f.RedisPrefix, Timeout: f.RedisTimeout, Notice: observer.Notice})
	if errStore == nil {
		s.guesses, errGuesses = throttle.New(throttle.Config{Store: s.store, Key: budgets, Identify: key.Hash, Notice: observer.Notice})
	}
	s.feed, errFeed = redisfeed.New(redisfeed.Config{Client: s.client, Prefix: f.RedisPrefix + detectSuffix, Key: evidence, Notice: observer.Notice})
	if err := errors.Join(errStore, errGuesses, errFeed); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// wire sets the shared state in cfg.
func (s *shared) wire(cfg *gateway.Config) {
	if s != nil {
		cfg.Auth.Throttle, cfg.Auth.Detect.Feed = s.guesses, s.feed
	}
}

// close settles pending charges and hands over the lead of detection. Call it after the last
// request.
func (s *shared) close() {
	if s == nil {
		return
	}
	if s.feed != nil {
		_ = s.feed.Close() // without Redis the lead ends with its lease
	}
	if s.store != nil {
		_ = s.store.Close()
	}
	_ = s.client.Close()
}

// notices returns the observer that writes notices where events go.
func (p *process) notices() (attempt.NoticeObserver, error) {
	if p.lines != nil {
		return p.lines, nil
	}
	return audit.New(audit.Config{LoggerProvider: p.signals.logger})
}
