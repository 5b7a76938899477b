// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package witness_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/witness"
)

// A trail whose checkpoints a witness cosigns. The key is the one that the operator of the witness
// publishes.
func ExampleNew() {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := note.NewEd25519VerifierKey("witness.example", public)
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := witness.ParseKey(key)
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := witness.New(witness.Config{URL: "https://witness.example/", Key: key, Timeout: 5 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	var cosigner trail.Witness = client
	cfg := trail.Config{Witness: cosigner}
	fmt.Println(verifier.Name(), client.Name(), cfg.Witness != nil)
	// An auditor asks when it cosigned a checkpoint; this one is not signed by it.
	_, err = witness.CosignedAt([]byte("host.example/shop\n1\nAAAA\n\n— nobody AAAA\n"), key)
	fmt.Println(err != nil)
	// Output:
	// witness.example witness.example true
	// true
}
