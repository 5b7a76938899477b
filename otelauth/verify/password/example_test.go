// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password_test

import (
	"errors"
	"fmt"
	"slices"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

func ExampleParse() {
	h, err := password.Parse("$2y$04$BR0D124RWD7vpExdlEwkuepYJD1T2pmHQ./VGzQDXvLmcwjxD6iqy")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(h, h.Verify([]byte("wonderland")).Match, h.Verify([]byte("looking-glass")).Match)
	fmt.Println("weaker than today's policy:", h.RehashNeeded())
	// Output:
	// [redacted bcrypt] true false
	// weaker than today's policy: true
}

func ExampleParse_refused() {
	for _, stored := range []string{
		"wonderland",
		"$apr1$saltsalt$qHDFfhPC4ktCxjMbnfs6l.",
		"$6$rounds=999999999$saltstring$q6mk6SNx3KF2",
	} {
		_, err := password.Parse(stored)
		fmt.Println(err)
	}
	// Output:
	// password: not a hash of a known scheme; plaintext and DES crypt are never accepted: make the hash with htpasswd -B
	// password: apr1: too weak; make the hash with htpasswd -B, or set DangerouslyAllowLegacy while you migrate
	// password: sha512-crypt: rounds is outside 1000 to 1000000; hash the password again or raise Policy.Max.SHACryptRounds
}

func ExamplePolicy_Parse() {
	policy := password.Policy{
		Django: true,
		Today:  password.Params{Scheme: "argon2id"},
	}
	h, err := policy.Parse("bcrypt_sha256$$2b$04$BR0D124RWD7vpExdlEwkuepYJD1T2pmHQ./VGzQDXvLmcwjxD6iqy")
	fmt.Println(h.Scheme(), h.RehashNeeded(), err)

	_, err = policy.Parse("!Tf9aMOcYc8a1UxLE2A7RkwYd4G6bFQ")
	fmt.Println(errors.Is(err, password.ErrUnusable))
	// Output:
	// bcrypt true <nil>
	// true
}

func ExampleHash_Verify() {
	encoded, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte("wonderland"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := password.Parse(encoded)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%+v\n", h.Verify([]byte("wonderland")))
	fmt.Printf("%+v\n", h.Verify(make([]byte, 73)))
	// Output:
	// {Match:true Previous:false TooLong:false}
	// {Match:false Previous:false TooLong:true}
}

func ExampleParams_Hash() {
	encoded, err := password.Params{}.Hash([]byte("wonderland"), nil)
	fmt.Println(encoded[:31], err)
	// Output: $argon2id$v=19$m=19456,t=2,p=1$ <nil>
}

func ExampleMix_Decoy() {
	stored, err := password.Parse("$2y$04$BR0D124RWD7vpExdlEwkuepYJD1T2pmHQ./VGzQDXvLmcwjxD6iqy")
	if err != nil {
		fmt.Println(err)
		return
	}
	mix := password.NewMix(slices.Values([]*password.Hash{stored}))

	// "mallory" is not an account, but gets the same work.
	var key uint64 = 0x5ca1ab1e // from a keyed hash of the name
	fmt.Println(mix.Decoy(key), mix.Decoy(key).Verify([]byte("wonderland")).Match)
	// Output: [redacted bcrypt] false
}

// While a password is rotated, both hashes are accepted, and the verdict says which one matched.
func ExampleHash_WithPrevious() {
	cheap := password.Params{Scheme: "bcrypt", BcryptCost: 4} // an example must be quick
	var hashes []*password.Hash
	for _, secret := range []string{"looking-glass", "wonderland"} {
		encoded, err := cheap.Hash([]byte(secret), nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		hash, err := password.Parse(encoded)
		if err != nil {
			fmt.Println(err)
			return
		}
		hashes = append(hashes, hash)
	}
	both := hashes[0].WithPrevious(hashes[1])
	fmt.Println(both.Verify([]byte("looking-glass")).Match, both.Verify([]byte("wonderland")).Previous)
	fmt.Println(hashes[0].Equal(hashes[1]), hashes[0].MemoryBytes())
	// Output:
	// true true
	// false 8192
}

// A service that must answer within 100 ms refuses hashes that take longer, when it reads them.
func ExampleBounds() {
	policy := password.Policy{Max: password.Bounds{BcryptCost: 10}}
	_, err := policy.Parse("$2y$12$WJkiL6lQ418rEeuyYC3hL.vj9hspEwCQFz/4yehy/VZwmGIMEzoLW")
	refused, ok := errors.AsType[*password.ParseError](err)
	fmt.Println(ok)
	if ok {
		fmt.Println(refused.Scheme, refused.Reason)
	}
	// Output:
	// true
	// bcrypt the cost is outside 4 to 10; hash the password again or raise Policy.Max.BcryptCost
}
