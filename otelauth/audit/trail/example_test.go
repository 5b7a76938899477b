// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"context"
	"crypto/rand"
	"log"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// A service whose handlers run only when the attempt is on disk.
func Example() {
	key, err := trail.GenerateKey(rand.Reader, "host.example/shop")
	if err != nil {
		log.Fatal(err)
	}
	record, err := trail.Open(trail.Config{Dir: "/var/lib/shop/trail", Key: key})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = record.Close(context.Background()) }()
	mw, err := otelauth.New(otelauth.Config{Accounts: &verify.Static{}, Trail: record})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = mw.Close() }()
}

// An auditor checks a copy of the folder against checkpoints that were kept elsewhere.
func ExampleVerify() {
	var seen [][]byte // for example from the events "auth.trail.checkpoint" in a log store
	report, err := trail.Verify(context.Background(), "/mnt/evidence/trail", trail.VerifyOptions{
		Keys:        []string{"host.example/shop+e2b2e7f2+AbcDefGhi"},
		Checkpoints: seen,
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Println(report.Size, report.Root)
}
