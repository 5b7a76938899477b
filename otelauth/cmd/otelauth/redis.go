// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/detect/redisfeed"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
)

// redisFlags name the Redis in which several gateways share guess budgets and detection.
type redisFlags struct {
	RedisURLFile string        `via:"redisstore:Client redisfeed:Client" start:"" name:"redis-url-file" placeholder:"FILE" help:"File whose only line is the URL of a Redis or Valkey, redis://name:password@host:6379/0 or rediss://…, in which several gateways share guess budgets and detection. Requires the same --identity-key-file for all of them. Default: each gateway counts for itself."`
	RedisPrefix  string        `via:"redisstore:Prefix redisfeed:Prefix" start:"" default:"otelauth" placeholder:"NAME" help:"Prefix of every key in Redis. Use a different one for each service. Default: otelauth."`
	RedisTimeout time.Duration `sets:"redisstore:Timeout" start:"" default:"500ms" help:"How long Redis may be silent, 50ms to 10s, before this gateway uses its own memory instead. Time in which the gateway itself gets no CPU is not counted. Default: 500ms."`
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

// redisPrefix matches a --redis-prefix to which detectSuffix can be added.
var redisPrefix = regexp.MustCompile(`^[A-Za-z0-9._:-]{0,57}$`)

// validate checks the flags and the file. It does not call Redis, because a gateway must start
// without it.
func (f *redisFlags) validate(s *settings, auth *otelauth.Config) []error {
	p := &problems{settings: s}
	o, err := f.options()
	p.report("redis-url-file", err)
	if o == nil {
		return p.all
	}
	if auth.IdentityKey.IsZero() {
		p.report("redis-url-file", errors.New("needs an identity key that all gateways share: set the same --identity-key-file for all, "+
			`created with: echo "k1:$(openssl rand -hex 32)" > identity.key`))
	}
	if !redisPrefix.MatchString(f.RedisPrefix) {
		p.report("redis-prefix", fmt.Errorf("%s: use up to 57 letters, digits and \"._-:\"", quoted(shown(f.RedisPrefix))))
	}
	if len(p.all) > 0 {
		return p.all
	}
	o.Dialer = func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
	sh, err := share(o, s, auth, nil, f.RedisPrefix, func(context.Context, attempt.Notice) {})
	if err != nil {
		return []error{explain(err, nil, s)}
	}
	sh.close()
	return nil
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

// share opens the Redis that f names, or returns nil. memory, if not nil, has the budgets while
// Redis does not answer. The secrets that protect the content of Redis are derived from the
// identity key in use at the start: gateways share only with the same key.
func (f *redisFlags) share(s *settings, auth *otelauth.Config, memory *throttle.Memory, observer attempt.NoticeObserver) (*shared, error) {
	o, err := f.options()
	if o == nil || err != nil {
		return nil, err
	}
	return share(o, s, auth, memory, f.RedisPrefix, observer.Notice)
}

func share(o *redis.Options, s *settings, auth *otelauth.Config, memory *throttle.Memory, prefix string,
	notice func(context.Context, attempt.Notice),
) (*shared, error) {
	budgets, errBudgets := derive(auth.IdentityKey, "budgets")
	evidence, errEvidence := derive(auth.IdentityKey, "evidence")
	if err := errors.Join(errBudgets, errEvidence); err != nil {
		return nil, err
	}
	redis.SetLogger(noLines{})
	sh := &shared{client: redis.NewClient(o)}
	storeConfig := redisstore.Config{Client: sh.client, Prefix: prefix, Notice: notice}
	if memory != nil {
		storeConfig.Fallback = memory
	}
	apply(s.flags, "redisstore", &storeConfig)
	feedConfig := redisfeed.Config{Client: sh.client, Prefix: prefix + detectSuffix, Key: evidence, Notice: notice}
	apply(s.flags, "redisfeed", &feedConfig)
	var errStore, errGuesses, errFeed error
	if sh.store, errStore = redisstore.New(storeConfig); errStore == nil {
		guesses := auth.Budgets
		guesses.Store, guesses.Key, guesses.Identify, guesses.Notice = sh.store, budgets, auth.IdentityKey.Hash, notice
		sh.guesses, errGuesses = throttle.New(guesses)
	}
	sh.feed, errFeed = redisfeed.New(feedConfig)
	if err := errors.Join(errStore, errGuesses, errFeed); err != nil {
		sh.close()
		return nil, err
	}
	return sh, nil
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

// notices returns the observer that writes notices where events go, and for the operator's API.
func (p *process) notices() (attempt.NoticeObserver, error) {
	events := p.lines
	if events == nil {
		var err error
		if events, err = audit.New(audit.Config{LoggerProvider: p.signals.LoggerProvider}); err != nil {
			return nil, err
		}
	}
	return attempt.Join(events, p.operator.Operator).(attempt.NoticeObserver), nil
}
