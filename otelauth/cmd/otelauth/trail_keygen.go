// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// trailKeygen makes a key.
type trailKeygen struct {
	File   string `arg:"" help:"The file for the private key, with mode 0600. The public key is written beside it, with .pub added."`
	Origin string `required:"" placeholder:"NAME" help:"The name of the trail, which all its checkpoints bear: host.example/orders, for example. It has no space and no plus sign. A new key for the same trail has the same name."`
}

// Run writes the two files and prints the public key.
func (c *trailKeygen) Run(t *terminal) error {
	if c.Origin == "" || len(c.Origin) > maxOriginBytes || strings.ContainsFunc(c.Origin, func(r rune) bool { return r <= ' ' || r == '+' || r > '~' }) {
		return usageError{fmt.Errorf("--origin: use 1 to %d printable ASCII characters without spaces and plus signs, such as host.example/orders", maxOriginBytes)}
	}
	key, err := trail.GenerateKey(rand.Reader, c.Origin)
	if err != nil {
		return err
	}
	public := c.File + ".pub"
	if _, err := os.Lstat(public); err == nil {
		return fmt.Errorf("%s exists already: choose another name, because a key that is overwritten cannot verify its checkpoints", public)
	}
	if err := writeNew(c.File, key.Private()+"\n", 0o600); err != nil {
		return err
	}
	if err := writeNew(public, key.Public()+"\n", 0o644); err != nil {
		return errors.Join(err, os.Remove(c.File))
	}
	t.print("%s", key.Public())
	fmt.Fprintf(t.err, "otelauth: the private key is in %s, the public key in %s; copy the public key to a place that this host cannot change\n", c.File, public)
	return nil
}

// maxOriginBytes keeps the first line of a checkpoint short.
const maxOriginBytes = 200

// writeNew writes a file that must not exist, and flushes it.
func writeNew(file, content string, mode fs.FileMode) (err error) {
	f, err := os.OpenFile(filepath.Clean(file), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: choose another name; nothing was changed", file)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}
