// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

const (
	userName = "alice"
	passText = "open sesame 1704"
)

func authorization() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userName+":"+passText))
}

type account struct{ name, hash string }

// writeAccounts writes a file of n accounts. One hash is that of the password and comes from
// htpasswd. The others are well-formed and random: they cost the same to read, and match no known
// password.
func writeAccounts(ctx context.Context, file string, n, cost int) error {
	cmd := exec.CommandContext(ctx, "htpasswd", "-niB", "-C", fmt.Sprint(cost), userName)
	cmd.Stdin = strings.NewReader(passText + "\n")
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("gateway: %w; install htpasswd: apt-get install apache2-utils", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", bytes.TrimSpace(out))
	for i := 1; i < n; i++ {
		// 22 characters of salt and 31 of hash. The last character of each holds fewer bits, and
		// "." is always valid there.
		fmt.Fprintf(&b, "user%d:$2y$%02d$%s.%s.\n", i, cost, letters(21), letters(30))
	}
	//nolint:gosec // G306: nginx runs its workers as another user
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	return nil
}

// letters returns n characters of bcrypt's alphabet.
func letters(n int) string {
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[b[i]%64]
	}
	return string(b)
}

func readAccounts(file string) (all []account, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, hash, _ := strings.Cut(lines.Text(), ":")
		all = append(all, account{name, hash})
	}
	return all, lines.Err()
}
