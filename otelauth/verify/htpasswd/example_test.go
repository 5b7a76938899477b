// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing/fstest"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

const line = "alice:$2y$10$WJkiL6lQ418rEeuyYC3hL.vj9hspEwCQFz/4yehy/VZwmGIMEzoLW\n"

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "users.htpasswd") // made by: htpasswd -c -B users.htpasswd alice
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	users, err := htpasswd.Open(htpasswd.Config{Path: path})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer users.Close()
	alice, _ := users.Lookup(context.Background(), "alice")
	fmt.Println(users.Len(), alice.Password.Scheme(), alice.Password.Verify([]byte("wonderland")).Match)
	// Output: 1 bcrypt true
}

// Accounts that are compiled into the program. With //go:embed it is an embed.FS.
func ExampleOpen_embedded() {
	embedded := fstest.MapFS{
		"users.htpasswd": {Data: []byte(line)},
		"users.groups":   {Data: []byte("ops: alice\n")},
	}
	users, err := htpasswd.Open(htpasswd.Config{FS: embedded, Path: "users.htpasswd", Groups: "users.groups"})
	if err != nil {
		fmt.Println(err)
		return
	}
	alice, _ := users.Lookup(context.Background(), "alice")
	fmt.Println(alice.Name, alice.Groups)
	// Output: alice [ops]
}

// A process reloads at SIGHUP. A bad file changes nothing and is reported.
func ExampleFile_Reload() {
	files := fstest.MapFS{"users.htpasswd": {Data: []byte(line)}}
	users, err := htpasswd.Open(htpasswd.Config{FS: files, Path: "users.htpasswd"})
	if err != nil {
		fmt.Println(err)
		return
	}
	files["users.htpasswd"] = &fstest.MapFile{Data: []byte(line + "bob\n")}
	fmt.Println(users.Reload())
	alice, _ := users.Lookup(context.Background(), "alice")
	fmt.Println(alice.Name, "is still served")
	// Output:
	// htpasswd: users.htpasswd:2: no colon: a line is name:hash (the previous 1 accounts are still served)
	// alice is still served
}

func ExampleFile_OnReload() {
	files := fstest.MapFS{"users.htpasswd": {Data: []byte(line)}}
	users, err := htpasswd.Open(htpasswd.Config{FS: files, Path: "users.htpasswd"})
	if err != nil {
		fmt.Println(err)
		return
	}
	stop := users.OnReload(func(r verify.Reload) { fmt.Println(r.Source, r.Accounts, r.Err) })
	defer stop()
	_ = users.Reload()
	// Output: users.htpasswd 1 <nil>
}

func ExampleParseError() {
	files := fstest.MapFS{"users.htpasswd": {Data: []byte(line + line)}}
	_, err := htpasswd.Open(htpasswd.Config{FS: files, Path: "users.htpasswd"})
	var bad *htpasswd.ParseError
	if errors.As(err, &bad) {
		fmt.Printf("%s, line %d: %v\n", bad.File, bad.Line, bad.Err)
	}
	// Output: users.htpasswd, line 2: the same name as line 1: remove one of the two
}

// Change a password without an outage. For a day the previous password is right too, and each
// attempt records which one was used.
func ExampleEdit() {
	dir, err := os.MkdirTemp("", "accounts")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "users.htpasswd")
	cheap := password.Params{MemoryKiB: 64, Passes: 1} // for an example only
	first, _ := cheap.Hash([]byte("wonderland"), nil)
	second, _ := cheap.Hash([]byte("looking-glass"), nil)

	ctx := context.Background()
	err = htpasswd.Edit(ctx, path, func(c *htpasswd.Content) error {
		return c.Add(htpasswd.Line{Name: "alice", Hash: first})
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = htpasswd.Edit(ctx, path, func(c *htpasswd.Content) error {
		line, err := c.Get("alice")
		if err != nil {
			return err
		}
		line.Previous, line.PreviousExpires = line.Hash, time.Now().Add(24*time.Hour)
		line.Hash = second
		return c.Replace(line)
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	users, err := htpasswd.Open(htpasswd.Config{Path: path, Unwatched: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	alice, _ := users.Lookup(ctx, "alice")
	fmt.Printf("%+v\n", alice.Password.Verify([]byte("looking-glass")))
	fmt.Printf("%+v\n", alice.Password.Verify([]byte("wonderland")))
	// Output:
	// {Match:true Previous:false TooLong:false}
	// {Match:false Previous:true TooLong:false}
}

// A tool lists a file that the service would refuse, and shows what is wrong.
func ExampleReadContent() {
	dir, err := os.MkdirTemp("", "orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "users.htpasswd")
	if err := os.WriteFile(path, []byte(line+"bob:plain\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	content, err := htpasswd.ReadContent(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(content.Names())
	for number, account := range content.All() {
		_, err := password.Parse(account.Hash)
		fmt.Println(number, account.Name, err)
	}
	// Edit gives its function such a Content, of a file that is valid, and writes it.
	fmt.Println(content.Remove("bob"), content.Names())
	// Output:
	// [alice bob]
	// 1 alice <nil>
	// 2 bob password: not a hash of a known scheme; plaintext and DES crypt are never accepted: make the hash with htpasswd -B
	// <nil> [alice]
}
