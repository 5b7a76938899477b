// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"context"
	"crypto/rand"
	"net/netip"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

func newKey(t testing.TB) *trail.Key {
	t.Helper()
	key, err := trail.GenerateKey(rand.Reader, "host.example/shop")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// decide records an attempt and its response, and returns the error of Decide.
func decide(tr *trail.Trail, path string, outcome attempt.Outcome) error {
	req := attempt.Request{
		Context: context.Background(), Time: time.Now(), Method: "GET", Route: "/{rest}", Path: path,
		Client: netip.MustParseAddr("192.0.2.7"), Scheme: attempt.SchemeBasic,
	}
	res := attempt.Result{Outcome: outcome, UserName: "alice"}
	if outcome != attempt.Success {
		res.UserName, res.ErrorType, res.Reason = "", attempt.InvalidCredentials, attempt.ReasonWrongPassword
	}
	ctx := tr.Begin(req.Context, &req)
	err := tr.Decide(ctx, &req, &res)
	tr.End(req.Context, &req, &res, &attempt.Response{Status: 200, Handler: true})
	return err
}

// address returns a different network for each n.
func address(n int64) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n>>16) + 1, byte(n >> 8), byte(n), 1})
}
