// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

func ExampleEngine() {
	engine, err := verify.New(verify.Config{
		Accounts: &verify.Static{Hashes: map[string]string{
			"alice": "$2y$05$yao41l1.YIkmZDucz9VZSuO71dgc7/OWzrTJOEh6yba9Syi0UdQFe",
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	network := netip.MustParsePrefix("192.0.2.7/32")
	r := http.Request{Header: http.Header{}}
	for _, pass := range []string{"wonderland", "wonderland", "looking-glass"} {
		r.SetBasicAuth("alice", pass)
		field, _ := credential.Split(r.Header, 0)
		var result attempt.Result
		account := engine.Verify(context.Background(), time.Now(), field, network, &result)
		fmt.Println(result.Outcome, result.Cache, result.Reason, account != nil)
	}
	// Output:
	// success miss  true
	// success hit  true
	// failure miss wrong_password false
}

func ExampleNewGate() {
	// Two middlewares in one process share its processors, so they share a gate.
	gate := verify.NewGate(verify.Limits{Queued: 256, MaxWait: 2 * time.Second})
	running, queued := gate.Load()
	fmt.Println(running, queued)
	// Output: 0 0
}

// directory is a Verifier over a map of passwords.
type directory map[string]string

func (d directory) Verify(_ context.Context, name string, secret credential.Secret) (*verify.Account, error) {
	if want, ok := d[name]; !ok || !secret.Equal(credential.NewSecret(want)) {
		return nil, nil
	}
	return &verify.Account{Name: name}, nil
}

func ExampleVerifier() {
	engine, err := verify.New(verify.Config{Verifier: directory{"alice": "wonderland"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth("alice", "wonderland")
	field, _ := credential.Split(r.Header, 0)
	var result attempt.Result
	engine.Verify(context.Background(), time.Now(), field, netip.Prefix{}, &result)
	fmt.Println(result.Outcome, result.UserName)
	// Output: success alice
}

func ExampleStatic() {
	users := &verify.Static{
		Hashes: map[string]string{
			"alice": "$2y$10$WJkiL6lQ418rEeuyYC3hL.vj9hspEwCQFz/4yehy/VZwmGIMEzoLW",
		},
		Groups: map[string][]string{"ops": {"alice"}},
	}
	alice, err := users.Lookup(context.Background(), "alice")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(alice.Name, alice.Groups, alice.Password.Verify([]byte("wonderland")).Match)
	// Output: alice [ops] true
}

func ExampleStatic_Validate() {
	users := &verify.Static{
		Hashes: map[string]string{"alice:": "$2y$10$WJkiL6lQ418rEeuyYC3hL.vj9hspEwCQFz/4yehy/VZwmGIMEzoLW"},
		Groups: map[string][]string{"ops": {"alcie"}},
	}
	fmt.Println(users.Validate())
	// Output:
	// verify: Static.Hashes["alice:"]: the name contains a colon
	// verify: Static.Groups["ops"]: "alcie" is not an account in Static.Hashes: add it there or remove it here
}

func ExampleValidName() {
	fmt.Println(verify.ValidName("alice"))
	fmt.Println(verify.ValidName("alice "))
	// Output:
	// <nil>
	// the name begins or ends with white space
}
