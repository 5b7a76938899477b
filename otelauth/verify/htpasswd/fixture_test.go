// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// Hashes made by Apache's htpasswd -nbB -C 10, argon2 -id -t 2 -k 19456 -p 1 -l 32 and
// openssl passwd -6.
const (
	bcryptHash = "$2y$10$WJkiL6lQ418rEeuyYC3hL.vj9hspEwCQFz/4yehy/VZwmGIMEzoLW" // wonderland
	bcryptNew  = "$2y$10$gty8mUZsC/s0BjE/kPFFLuyXvVvYiHbY0nhVSXiD8hQZ9/47lQwju" // newpass
	argon2Hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$VhxavleEsqL8LcUM3IdDIkymqGCd05cIoS+tZN/883A"
	cryptHash  = "$6$saltsalt$imNpoTToxg0uElWe0jkumPeYaSbMjdfpMltx4ujhl6fBM0Kbfp4goTvuYuH/9J.53A/DGQiRrlELi.Z/L.rQo/"
)

const (
	one   = "alice:" + bcryptHash + "\n"
	two   = one + "bob:" + argon2Hash + "\n"
	three = two + "carol:" + cryptHash + "\n"
)

// hashNumber returns one of a million different well-formed hashes.
func hashNumber(i int) string { return fmt.Sprintf("%s%06d%s", bcryptHash[:29], i, bcryptHash[35:]) }

// memory is a file system whose files can be changed and broken while they are read.
type memory struct {
	mu    sync.Mutex
	files map[string]string
	errs  map[string]error
	opens int
	// after has the content of the file after this many opens. Each look and each reading opens
	// it twice: for its mode and for its content.
	after map[int]string
}

func newMemory(content string) *memory {
	return &memory{files: map[string]string{"users": content}, errs: map[string]error{}}
}

func (m *memory) Open(name string) (fs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opens++
	defer func() {
		if content, found := m.after[m.opens]; found {
			m.files["users"] = content
		}
	}()
	if err := m.errs[name]; err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	content, found := m.files[name]
	if !found {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return fstest.MapFS{name: {Data: []byte(content)}}.Open(name)
}

func (m *memory) write(content string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files["users"] = content
	delete(m.errs, "users")
}

func (m *memory) remove() {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, "users")
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errs["users"] = err
}

func lookup(t *testing.T, f *File, name string) *verify.Account {
	t.Helper()
	a, err := f.Lookup(t.Context(), name)
	if err != nil {
		t.Fatalf("Lookup(%q) = %v", name, err)
	}
	return a
}

// reports collects the reports of OnReload.
func reports(t *testing.T, f *File) <-chan verify.Reload {
	t.Helper()
	c := make(chan verify.Reload, 10_000)
	t.Cleanup(f.OnReload(func(r verify.Reload) { c <- r }))
	return c
}
