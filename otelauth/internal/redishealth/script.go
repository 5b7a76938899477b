// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package redishealth is what the packages that share state through Redis have in common: [Script]
// runs a script by its digest, and [Health] records whether Redis answers.
package redishealth

import (
	"context"
	"crypto/sha1" //nolint:gosec // EVALSHA names a script by its SHA-1; no security depends on it
	"encoding/hex"

	"github.com/redis/go-redis/v9"
)

// Script is a Lua script. Create it with [NewScript].
type Script struct{ text, digest string }

// NewScript returns a Script.
func NewScript(text string) Script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // as above
	return Script{text, hex.EncodeToString(sum[:])}
}

// Call is one run of a Script.
type Call struct {
	Script *Script
	Keys   []string
	Args   []any
}

// Command is a command that go-redis does not retry: the first attempt may have been executed, and
// no script may run twice.
type Command struct{ *redis.Cmd }

// NoRetry returns true. go-redis calls it.
func (Command) NoRetry() bool { return true }

// ByDigest returns a command with the digest of the script.
func (c *Call) ByDigest() Command { return c.command("evalsha", c.Script.digest) }

// InFull returns a command with the text of the script. It also loads the script into the server.
func (c *Call) InFull() Command { return c.command("eval", c.Script.text) }

func (c *Call) command(name, script string) Command {
	args := make([]any, 0, 3+len(c.Keys)+len(c.Args))
	args = append(args, name, script, len(c.Keys))
	for _, k := range c.Keys {
		args = append(args, k)
	}
	return NewCommand(append(args, c.Args...)...)
}

// NewCommand returns a command that is not a script.
func NewCommand(args ...any) Command { return Command{redis.NewCmd(context.Background(), args...)} }

// Run sends a call by digest, and again in full if the server does not have the script. It returns
// the command that was sent last.
func (c *Call) Run(send func(Command) error) (Command, error) {
	cmd := c.ByDigest()
	err := send(cmd)
	if IsUnknownScript(err) {
		cmd = c.InFull()
		err = send(cmd)
	}
	return cmd, err
}

// IsUnknownScript reports whether the server does not have a script that was sent by digest.
func IsUnknownScript(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT") }
