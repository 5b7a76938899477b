// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauthtest_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/spans"
)

// TestAttempts checks that Attempts returns what the observers received, from events and, without
// the fields of the event, from spans alone.
func TestAttempts(t *testing.T) {
	t.Parallel()
	for _, out := range attempt.Outcomes() {
		for _, errType := range attempt.ErrorTypes() {
			for _, events := range []bool{true, false} {
				rec := otelauthtest.NewRecorder(t)
				obs := rec.Observers("")
				if !events {
					var err error
					if obs, err = spans.New(spans.Config{TracerProvider: rec.TracerProvider()}); err != nil {
						t.Fatal(err)
					}
				}
				req := attempt.Request{
					Context: context.Background(), Time: time.Unix(9, 0), Scheme: attempt.SchemeBasic, Route: "/o/{id}", Method: "PUT",
					Path: "/o/7", Client: netip.MustParseAddr("2001:db8::7"),
				}
				res := attempt.Result{
					Outcome: out, ErrorType: errType, Reason: attempt.ReasonAccountDisabled, Cache: attempt.Coalesced,
					UserName: "bob", UserHash: "k1:ff", Duration: time.Second,
				}
				inner := obs.Begin(req.Context, &req)
				_ = obs.Decide(inner, &req, &res)
				obs.End(req.Context, &req, &res, &attempt.Response{Status: 418})

				want := otelauthtest.Attempt{
					Time: time.Unix(10, 0), Scheme: attempt.SchemeBasic, Outcome: out, ErrorType: errType,
					Reason: attempt.ReasonAccountDisabled, Cache: attempt.Coalesced, UserName: "bob", UserHash: "k1:ff",
					Client: netip.MustParseAddr("2001:db8::7"), Route: "/o/{id}", Method: "PUT", Path: "/o/7", Status: 418,
				}
				if out == attempt.Success {
					want.ErrorType, want.Reason = attempt.NoError, ""
				}
				ignore := []string{"TraceID"}
				if !events {
					want.Path, want.Status = "", 0
					// the time of the span is from the clock of the SDK
					ignore = append(ignore, "Time")
				}
				got := rec.Attempts()
				if d := cmp.Diff([]otelauthtest.Attempt{want}, got, cmpopts.IgnoreFields(otelauthtest.Attempt{}, ignore...),
					cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
					t.Errorf("%v/%v, events %v (-want +got):\n%s", out, errType, events, d)
				}
				if len(got) == 1 && got[0].TraceID != rec.Spans()[0].SpanContext.TraceID() {
					t.Errorf("trace %v differs from that of the span", got[0].TraceID)
				}
			}
		}
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	c := otelauthtest.NewClock(time.Unix(100, 0))
	if got := c.Advance(-time.Minute); !got.Equal(time.Unix(40, 0)) || !c.Now().Equal(got) {
		t.Errorf("clock at %v after a step back", got)
	}
}
