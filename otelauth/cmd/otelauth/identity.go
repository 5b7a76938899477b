// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth"
)

// An identity key file has a key on each line, id:secret, the secret in hexadecimal digits, 64 of them at least; lines that begin
// with # are comments. The first key is used, the others are former ones. One is made with:
//
//	echo "k1:$(openssl rand -hex 32)" > identity.key

// readIdentityKeys reads the keys of all files: the first is the key, all others are former ones.
func readIdentityKeys(files []string) (otelauth.IdentityKey, error) {
	var keys []otelauth.IdentityKey
	for _, file := range files {
		more, err := readIdentityFile(file)
		if err != nil {
			return otelauth.IdentityKey{}, err
		}
		keys = append(keys, more...)
	}
	if len(keys) == 0 {
		return otelauth.IdentityKey{}, nil
	}
	key := keys[0]
	key.Previous = keys[1:]
	return key, nil
}

func readIdentityFile(file string) (keys []otelauth.IdentityKey, err error) {
	f, err := openRegular(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		id, digits, _ := strings.Cut(text, ":")
		// hex's own errors quote what they choke on.
		secret, err := hex.DecodeString(digits)
		if err != nil || len(secret) < 32 {
			return nil, fmt.Errorf(`%s:%d: not id:secret with at least 64 hexadecimal digits; make one with: echo "k1:$(openssl rand -hex 32)"`, file, n)
		}
		if id == "" || len(id) > 32 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return nil, fmt.Errorf("%s:%d: the id is not 1 to 32 characters of a-z, 0-9, - and _", file, n)
		}
		for _, k := range keys {
			if k.ID == id {
				return nil, fmt.Errorf("%s:%d: the id stands twice: give each key one of its own", file, n)
			}
		}
		keys = append(keys, otelauth.IdentityKey{ID: id, Secret: secret})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf(`%s: holds no key; make one with: echo "k1:$(openssl rand -hex 32)" > %s`, file, file)
	}
	return keys, nil
}

// openRegular refuses what would block or never end. Its errors hold the path.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, errNotRegular)
	}
	return os.Open(path)
}

var errNotRegular = errors.New("not a regular file")
