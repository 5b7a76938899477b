// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
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

// redisFlags say where several gateways share guess budgets and evidence.
type redisFlags struct {
	RedisURLFile string        `name:"redis-url-file" placeholder:"FILE" help:"Gateways that name the same Redis or Valkey share guess budgets and detection: a file that holds its URL on its first line, redis://name:password@host:6379/0 or rediss://. It takes --identity-key-file, the same for all. Default: each gateway has its own."`
	RedisPrefix  string        `default:"otelauth" placeholder:"NAME" help:"What begins each key there. Gateways of different services need different ones. Default: otelauth."`
	RedisTimeout time.Duration `default:"500ms" help:"How long Redis may answer nothing, 50ms to 10s, before this gateway judges from its own memory. Time in which the gateway itself gets no CPU is not counted. Default: 500ms."`
}

// detectSuffix keeps what is detected apart from budgets.
const detectSuffix = "-detect"

// options reads the file; nil without one.
func (f *redisFlags) options() (*redis.Options, error) {
	if f.RedisURLFile == "" {
		return nil, nil
	}
	if strings.Contains(f.RedisURLFile, "://") {
		return nil, errors.New("a URL itself (not shown): put it into a file and name that, since arguments are public")
	}
	file, err := openRegular(f.RedisURLFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // read only
	text, err := io.ReadAll(io.LimitReader(file, maxDSNBytes+1))
	if err != nil {
		return nil, err
	}
	url := strings.TrimSpace(string(text))
	o, err := redis.ParseURL(url)
	// The parser's own error quotes what it was given.
	if err != nil || len(text) > maxDSNBytes || strings.ContainsAny(url, "\r\n") {
		return nil, fmt.Errorf("%s: not one line with a URL (not shown) such as redis://name:password@host:6379/0; a password may need percent-encoding", f.RedisURLFile)
	}
	// A command that nobody waits for any more ends by its own deadline.
	o.ContextTimeoutEnabled = true
	return o, nil
}

// validate looks at the flags and the file, and does not call Redis: a gateway must start without it.
func (f *redisFlags) validate(s *settings, key otelauth.IdentityKey) []error {
	o, err := f.options()
	if err != nil {
		return []error{placed{s.place("redis-url-file"), err}}
	}
	if o == nil {
		return nil
	}
	var faults []error
	if key.IsZero() {
		faults = append(faults, placed{s.place("redis-url-file"), errors.New(`without a key of their own gateways cannot share: give all the same --identity-key-file, made with: echo "k1:$(openssl rand -hex 32)" > identity.key`)})
		key = otelauth.IdentityKey{Secret: make([]byte, sha256.Size)}
	}
	// Without a client both say what is wrong and begin nothing.
	_, errStore := redisstore.New(redisstore.Config{Prefix: f.RedisPrefix, Timeout: f.RedisTimeout})
	_, errFeed := redisfeed.New(redisfeed.Config{Prefix: f.RedisPrefix + detectSuffix, Key: key.Secret})
	for _, err := range flatten(errors.Join(errStore, errFeed)) {
		switch text := err.Error(); {
		case strings.Contains(text, "Config.Client"):
		case strings.Contains(text, "Config.Timeout"):
			faults = append(faults, placed{s.place("redis-timeout"), err})
		default:
			faults = append(faults, placed{s.place("redis-prefix"), err})
		}
	}
	return faults
}

// shared is what several gateways have in common.
type shared struct {
	client  *redis.Client
	store   *redisstore.Store
	guesses *throttle.Budgets
	feed    *redisfeed.Feed
}

// noLines keeps go-redis from writing to standard error by itself: notices tell when Redis is lost, once.
type noLines struct{}

func (noLines) Printf(context.Context, string, ...any) {}

// share opens what f names; nil where it names nothing. The keys in Redis, and of what stands there, derive from the identity key that is in use at
// the start: gateways with another one share nothing with these.
func (f *redisFlags) share(key otelauth.IdentityKey, told attempt.NoticeObserver) (*shared, error) {
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
	s.store, errStore = redisstore.New(redisstore.Config{Client: s.client, Prefix: f.RedisPrefix, Timeout: f.RedisTimeout, Notice: told.Notice})
	if errStore == nil {
		s.guesses, errGuesses = throttle.New(throttle.Config{Store: s.store, Key: budgets, Identify: key.Hash, Notice: told.Notice})
	}
	s.feed, errFeed = redisfeed.New(redisfeed.Config{Client: s.client, Prefix: f.RedisPrefix + detectSuffix, Key: evidence, Notice: told.Notice})
	if err := errors.Join(errStore, errGuesses, errFeed); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// wire tells cfg of it.
func (s *shared) wire(cfg *gateway.Config) {
	if s != nil {
		cfg.Auth.Throttle, cfg.Auth.Detect.Feed = s.guesses, s.feed
	}
}

// close writes out what is to be settled and hands the lead over. It is called when nobody asks any more.
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

// notices are told where events are.
func (p *process) notices() (attempt.NoticeObserver, error) {
	if p.told != nil {
		return p.told, nil
	}
	return audit.New(audit.Config{LoggerProvider: p.signals.logger})
}
