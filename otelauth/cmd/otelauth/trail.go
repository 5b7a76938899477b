// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/witness"
)

// trailCommands work on the trail of a service.
type trailCommands struct {
	Keygen trailKeygen `cmd:"" help:"Make the key that signs the checkpoints of a trail."`
	Verify trailVerify `cmd:"" help:"Verify that no line was changed, removed, added or reordered."`
	Show   trailShow   `cmd:"" help:"Print lines as text, JSON, OCSF or ECS, without verifying them."`
	Prove  trailProve  `cmd:"" help:"Prove that a line is in the trail, or that one checkpoint continues another."`
	Prune  trailPrune  `cmd:"" help:"Remove old segments. The trail records who did it and why."`
	Export trailExport `cmd:"" help:"Write lines and their proof to a file for an auditor."`
}

// trailFolder is the argument of the commands that read a trail.
type trailFolder struct {
	Dir string `arg:"" help:"The folder of the trail."`
}

// publicKeys name the keys that verify checkpoints.
type publicKeys struct {
	PublicKey []string `sep:"none" required:"" placeholder:"FILE" help:"File with the public keys of the trail, one a line, from a place that the host cannot change. May be repeated."`
}

// read returns the keys.
func (k *publicKeys) read() ([]string, error) {
	var keys []string
	for _, file := range k.PublicKey {
		more, err := readPublicKeys(file)
		if err != nil {
			return nil, usageError{err}
		}
		keys = append(keys, more...)
	}
	return keys, nil
}

// errNoSuchTrail means that a folder is not a trail.
var errNoSuchTrail = errors.New("no trail is in this folder; name the folder that the service was given, the one with the folder segments")

// checkFolder returns an error if dir is not the folder of a trail.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: not a folder; %w", dir, errNoSuchTrail)
	}
	if info, err = os.Stat(dir + "/segments"); err != nil || !info.IsDir() {
		return fmt.Errorf("%s: %w", dir, errNoSuchTrail)
	}
	return nil
}

// eachLine calls use with each line of a small file that is neither empty nor a comment.
func eachLine(file string, use func(line string) error) error {
	f, err := openRegular(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	n, lines := 0, bufio.NewScanner(f)
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := use(line); err != nil {
			return fmt.Errorf("%s:%d: %w", file, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// readPublicKeys reads the public keys of a file.
func readPublicKeys(file string) (keys []string, err error) {
	err = eachLine(file, func(line string) error {
		if strings.HasPrefix(line, "PRIVATE+KEY+") {
			return errors.New("this is the private key: name the file with the public key, which ends in .pub")
		}
		// The key of a witness is accepted too; a checkpoint that only it has signed is not.
		if _, err := witness.ParseKey(line); err != nil {
			return errors.New("not a public key, name+hash+key; otelauth trail keygen prints it")
		}
		keys = append(keys, line)
		return nil
	})
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("%s: holds no public key; otelauth trail keygen prints it", file)
	}
	return keys, err
}

// readTrailKey reads the private key of a trail.
func readTrailKey(file string) (*trail.Key, error) {
	line, err := readSecretLine(file)
	if errors.Is(err, errNotOneLine) {
		return nil, fmt.Errorf("%s: write exactly one line, the key (not shown); make it with: otelauth trail keygen", file)
	}
	if err != nil {
		return nil, err
	}
	key, err := trail.ParseKey(line)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}

// interruptible returns a context that the first interrupt ends. The second one ends the process.
func interruptible() (ctx context.Context, stop context.CancelFunc) {
	ctx, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// interrupted returns errInterrupted if ctx was ended by an interrupt, and err otherwise.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}
