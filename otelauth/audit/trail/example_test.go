// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// A service records an attempt; an auditor verifies the folder.
func Example() {
	dir, err := os.MkdirTemp("", "trail")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	dir = filepath.Join(dir, "trail")
	key, err := trail.GenerateKey(rand.Reader, "host.example/shop")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := serve(dir, key); err != nil {
		fmt.Println(err)
		return
	}
	report, err := trail.Verify(context.Background(), dir, trail.VerifyOptions{Keys: []string{key.Public()}})
	fmt.Println(report.Lines, "lines:", err)
	for line, err := range trail.Lines(context.Background(), dir, 0) {
		fmt.Println(line.Seq, line.Event, err)
	}
	// Output:
	// 3 lines: <nil>
	// 0 auth.trail.segment <nil>
	// 1 auth.identity_key.random <nil>
	// 2 auth.attempt <nil>
}

// serve runs a service for one request.
func serve(dir string, key *trail.Key) (err error) {
	record, err := trail.Open(trail.Config{
		Dir: dir, Key: key,
		Durability: trail.Ordered, // for this example; the default is Required
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, record.Close(context.Background())) }()
	accounts := &verify.Static{Hashes: map[string]string{"alice": "$2a$04$zVHmKQtGGQob.b/Nc7l9NO8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy"}}
	mw, err := otelauth.New(otelauth.Config{Accounts: accounts, Trail: record})
	if err != nil {
		return err
	}
	defer func() { _ = mw.Close() }()
	orders := mw.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	orders.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/orders/7", nil))
	return nil
}
