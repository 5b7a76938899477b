// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth"
)

// An identity key file has one key a line, id:secret, with a secret of at least 64 hexadecimal
// digits. Lines that begin with # are comments. The first key is in use; the others are previous
// keys. Create a file with:
//
//	echo "k1:$(openssl rand -hex 32)" > identity.key

// readIdentityKeys reads the keys of all files: the first is in use, all others are previous keys.
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
	defer func() { _ = f.Close() }() // only read
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		id, digits, _ := strings.Cut(text, ":")
		// hex's own errors quote the secret.
		secret, err := hex.DecodeString(digits)
		if err != nil || len(secret) < 32 {
			return nil, fmt.Errorf(`%s:%d: not id:secret with at least 64 hexadecimal digits; create one with: echo "k1:$(openssl rand -hex 32)"`, file, n)
		}
		if id == "" || len(id) > 32 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return nil, fmt.Errorf("%s:%d: the id must be 1 to 32 characters of a-z, 0-9, - and _", file, n)
		}
		for _, k := range keys {
			if k.ID == id {
				return nil, fmt.Errorf("%s:%d: the id is used twice: give each key its own id", file, n)
			}
		}
		keys = append(keys, otelauth.IdentityKey{ID: id, Secret: secret})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf(`%s: holds no key; create one with: echo "k1:$(openssl rand -hex 32)" > %s`, file, file)
	}
	return keys, nil
}
