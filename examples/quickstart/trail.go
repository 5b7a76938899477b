// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// record is the trail of the service. The zero record writes nothing.
type record struct {
	dir   string
	trail *trail.Trail
}

// openRecord opens the trail in dir. Its key is in the file dir.key; the first run makes it.
func openRecord(dir string) (r record, err error) {
	if dir == "" {
		return record{}, nil
	}
	key, err := readKey(dir + ".key")
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(dir + ".key")
	}
	if err != nil {
		return record{}, err
	}
	r.dir = dir
	r.trail, err = trail.Open(trail.Config{Dir: dir, Key: key})
	return r, err
}

func readKey(file string) (*trail.Key, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return trail.ParseKey(string(text))
}

// makeKey makes a key and writes the public one to file.pub.
func makeKey(file string) (*trail.Key, error) {
	key, err := trail.GenerateKey(rand.Reader, "localhost/quickstart")
	if err != nil {
		return nil, err
	}
	return key, errors.Join(
		os.WriteFile(file, []byte(key.Private()+"\n"), 0o600),
		os.WriteFile(file+".pub", []byte(key.Public()+"\n"), 0o600),
	)
}

// observer returns the trail, or nil.
func (r record) observer() attempt.Observer {
	if r.trail == nil {
		return nil
	}
	return r.trail
}

// close signs the last checkpoint and prints how to verify the trail.
func (r record) close(ctx context.Context, stdout io.Writer) error {
	if r.trail == nil {
		return nil
	}
	if err := r.trail.Close(ctx); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nEvery attempt is a line of %s/segments. Verify that none was changed:\n\n"+
		"  go run ./otelauth/cmd/otelauth trail verify --public-key %s.key.pub %s\n", r.dir, r.dir, r.dir)
	return nil
}
