// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/detect/redisfeed"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
)

// share keeps the budgets and the evidence of auth in Redis, so that replicas of a service share
// them. Without Redis each replica continues on its own. The caller must call the closers after it
// has closed the middleware.
func share(cfg *config, auth *otelauth.Config) (closers []func() error, err error) {
	secret, err := os.ReadFile(filepath.Join(cfg.secrets, redisSecretFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	budgetsKey, errBudgets := derive(auth.IdentityKey, "budgets of "+cfg.name)
	feedKey, errFeed := derive(auth.IdentityKey, "evidence of "+cfg.name)
	if err := errors.Join(errBudgets, errFeed); err != nil {
		return nil, err
	}
	client := redis.NewClient(&redis.Options{Addr: cfg.redis, Password: strings.TrimSpace(string(secret))})
	closers = []func() error{client.Close}
	store, err := redisstore.New(redisstore.Config{Client: client, Prefix: "shop:" + cfg.name})
	if err != nil {
		return closers, err
	}
	closers = append([]func() error{store.Close}, closers...)
	if auth.Throttle, err = throttle.New(throttle.Config{Store: store, Key: budgetsKey}); err != nil {
		return closers, err
	}
	feed, err := redisfeed.New(redisfeed.Config{Client: client, Key: feedKey, Prefix: "shop-detect:" + cfg.name})
	if err != nil {
		return closers, err
	}
	auth.Detect.Feed = feed
	return append([]func() error{feed.Close}, closers...), nil
}
