// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// User is one account.
type User struct {
	Name string
	// Password is the right one; "" when it is unknown.
	Password string
	// Hash is bcrypt in modular crypt format.
	Hash string
}

// Authorize sets the user's right credentials on r.
func (u User) Authorize(r *http.Request) { r.SetBasicAuth(u.Name, u.Password) }

// NewUsers returns one account for each name, hashed at the bcrypt cost. Every account has its own
// password and salt. Otherwise a cache that is keyed by hash and password would recognise one
// account by another.
func NewUsers(cost int, names ...string) ([]User, error) {
	users := make([]User, len(names))
	errs := make([]error, len(names))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, name := range names {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			pw := "pass-" + name + "-word"
			hash, err := bcrypt.GenerateFromPassword([]byte(pw), cost)
			users[i], errs[i] = User{Name: name, Password: pw, Hash: string(hash)}, err
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("peers: hashing: %w", err)
		}
	}
	return users, nil
}

// bcryptAlphabet is the base64 alphabet of bcrypt.
const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// LockedUser returns an account whose password is unknown: a well-formed hash of random salt and
// digest. To compare with it costs what the cost says. To create it costs nothing, so a thousand
// accounts of cost 12 do not take minutes.
func LockedUser(name string, cost int, rng *rand.Rand) User {
	var b strings.Builder
	fmt.Fprintf(&b, "$2a$%02d$", cost)
	for i := range 22 + 31 {
		c := bcryptAlphabet[rng.IntN(len(bcryptAlphabet))]
		// The last character of the salt carries 2 bits, that of the digest 4. The other bits must
		// be zero, or strict parsers refuse the hash.
		switch i {
		case 21:
			c = bcryptAlphabet[rng.IntN(4)<<4]
		case 52:
			c = bcryptAlphabet[rng.IntN(16)<<2]
		}
		b.WriteByte(c)
	}
	return User{Name: name, Hash: b.String()}
}

// WriteUsers writes "name:password:hash" lines for [ReadUsers]. The passwords exist for the
// measurement only.
func WriteUsers(w io.Writer, users []User) error {
	for _, u := range users {
		if _, err := fmt.Fprintf(w, "%s:%s:%s\n", u.Name, u.Password, u.Hash); err != nil {
			return fmt.Errorf("peers: writing accounts: %w", err)
		}
	}
	return nil
}

// ReadUsers reads what [WriteUsers] wrote.
func ReadUsers(r io.Reader) ([]User, error) {
	var users []User
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		f := strings.SplitN(lines.Text(), ":", 3)
		if len(f) != 3 {
			return nil, fmt.Errorf("peers: accounts: line %d is not name:password:hash", n)
		}
		users = append(users, User{Name: f[0], Password: f[1], Hash: f[2]})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("peers: reading accounts: %w", err)
	}
	return users, nil
}
