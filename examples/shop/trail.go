// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// record keeps the trail of auth in the folder cfg.trail. Its key is in the file cfg.trail.key; the
// first start makes it. The caller must call the closer after it has closed the middleware.
func (s *service) record(cfg *config, auth *otelauth.Config) (closer func() error, err error) {
	key, err := trailKey(cfg.trail+".key", "shop.example/"+cfg.name)
	if err != nil {
		return nil, err
	}
	record, err := trail.Open(trail.Config{Dir: cfg.trail, Key: key, MeterProvider: s.signals.meters, LoggerProvider: s.signals.logs})
	if err != nil {
		return nil, err
	}
	auth.Trail = record
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return record.Close(ctx)
	}, nil
}

// trailKey reads the key in path, or makes one and writes the public key to path.pub.
func trailKey(path, origin string) (*trail.Key, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		return trail.ParseKey(string(text))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := trail.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, err
	}
	return key, errors.Join(replace(path+".pub", []byte(key.Public()+"\n"), 0o600), replace(path, []byte(key.Private()+"\n"), 0o600))
}
