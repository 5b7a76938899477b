// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// A service without an OpenTelemetry log pipeline writes the events to its slog handler.
func ExampleNewSlog() {
	obs := audit.NewSlog(slog.NewTextHandler(os.Stdout, nil))

	req := attempt.Request{
		Context: context.Background(),
		Time:    time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Scheme:  attempt.SchemeBasic,
		Client:  netip.MustParseAddr("192.0.2.7"),
		Method:  "GET", Route: "/orders/{id}", Path: "/orders/7",
		UserAgent: "curl/8\nlevel=INFO msg=forged",
	}
	res := attempt.Result{
		Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Reason: attempt.ReasonWrongPassword,
		UserName: "alice",
	}
	obs.End(req.Context, &req, &res, &attempt.Response{Status: 401})
	// Output:
	// time=2026-03-04T05:06:07.000Z level=WARN msg=auth.attempt auth.scheme=basic auth.outcome=failure user.name=alice client.address=192.0.2.7 http.request.method=GET http.route=/orders/{id} url.path=/orders/7 user_agent.original="curl/8�level=INFO msg=forged" http.response.status_code=401 error.type=invalid_credentials auth.reason=wrong_password
}

// The events are log records of OpenTelemetry; here the exporter prints them.
func ExampleNew() {
	provider := sdklog.NewLoggerProvider(
		sdklog.WithProcessor(sdklog.NewSimpleProcessor(printer{})),
		sdklog.WithAllowKeyDuplication(), // the keys of an event are unique, so no check is needed
	)
	obs, err := audit.New(audit.Config{LoggerProvider: provider})
	if err != nil {
		fmt.Println(err)
		return
	}
	req := attempt.Request{Context: context.Background(), Scheme: attempt.SchemeBasic, Route: "/admin", Method: "GET"}
	res := attempt.Result{Outcome: attempt.Success, Cache: attempt.Hit, UserName: "alice"}
	obs.End(req.Context, &req, &res, &attempt.Response{Status: 403, Handler: true})
	// Output: INFO auth.attempt auth.scheme=basic auth.outcome=success user.name=alice http.request.method=GET http.route=/admin http.response.status_code=403 auth.cache.result=hit
}

// A flood of wrong passwords from one address: twenty are individual events, and one event has
// the number of the others.
func ExampleEvents() {
	var suppressed int64
	clock := otelauthtest.NewClock(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	individual := 0
	obs, err := audit.NewSlogEvents(countAttempts{slog.NewTextHandler(os.Stdout, nil), &individual}, audit.Events{
		Success:    audit.EverySuccess, // the default
		Suppressed: func(_ context.Context, s attempt.Suppression) { suppressed += s.Count },
		Now:        clock.Now, // the default is time.Now
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 5000 {
		req := attempt.Request{
			Context: context.Background(), Time: clock.Now(), Scheme: attempt.SchemeBasic, Route: "/orders/{id}",
			Client: netip.MustParseAddr("192.0.2.7"),
		}
		res := attempt.Result{
			Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Reason: attempt.ReasonWrongPassword,
		}
		obs.End(req.Context, &req, &res, &attempt.Response{Status: 401})
		clock.Advance(time.Millisecond)
	}
	obs.Flush() // at the end of the program; a period ends without it
	fmt.Println(individual, "individual events,", suppressed, "folded")
	// Output:
	// time=2026-03-04T05:06:12.000Z level=WARN msg=auth.events.suppressed auth.events.suppressed.event=auth.attempt auth.events.suppressed.count=4978 auth.events.suppressed.first_time=2026-03-04T05:06:07.020Z auth.events.suppressed.last_time=2026-03-04T05:06:11.999Z client.address=192.0.2.7 auth.events.suppressed.network=192.0.2.7/32 auth.outcome=failure auth.scheme=basic error.type=invalid_credentials auth.reason=wrong_password auth.events.suppressed.routes=[/orders/{id}] auth.events.suppressed.route_counts=[4978]
	// 22 individual events, 4978 folded
}

// countAttempts counts the individual events instead of writing them.
type countAttempts struct {
	slog.Handler
	individual *int
}

func (h countAttempts) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == semconv.EventAttempt {
		*h.individual++
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

type printer struct{}

func (printer) Export(_ context.Context, records []sdklog.Record) error {
	for _, r := range records {
		fmt.Print(r.Severity(), " ", r.EventName())
		r.WalkAttributes(func(kv attribute.KeyValue) bool {
			fmt.Print(" ", kv.Key, "=", kv.Value.String())
			return true
		})
		fmt.Println()
	}
	return nil
}

func (printer) Shutdown(context.Context) error   { return nil }
func (printer) ForceFlush(context.Context) error { return nil }
