// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/spans"
)

// ours is otelauth without telemetry, because the peers have none. Verify has no observer. Handler
// has the one that counts hashes.
var ours = Peer{
	Name: "otelauth", Title: "otelauth", Module: "github.com/otelauth/otelauth-go", Hashed: true,
	New: func(users []User, next http.Handler) (*Service, error) {
		alone, err := otelauth.New(OtelauthConfig(users))
		if err != nil {
			return nil, err
		}
		counter := countingObserver{new(Counts)}
		cfg := OtelauthConfig(users)
		cfg.Observers = []attempt.Observer{counter}
		mw, err := otelauth.New(cfg)
		if err != nil {
			return nil, err
		}
		return &Service{
			Handler: mw.Wrap(next),
			Verify: func(r *http.Request) bool {
				_, res := alone.Authenticate(r)
				return res.Outcome == attempt.Success
			},
			Counts: counter.counts,
			close:  func() error { return errors.Join(alone.Close(), mw.Close()) },
		}, nil
	},
}

// oursRecorded is otelauth as it is used: inside otelhttp, every attempt is sampled, counted and
// recorded.
var oursRecorded = Peer{
	Name: "otelauth-otel", Title: "otelauth in otelhttp, SDK with traces, metrics and events",
	Module: "github.com/otelauth/otelauth-go", Hashed: true,
	New: func(users []User, next http.Handler) (*Service, error) {
		sdk := NewTelemetry(true)
		counter := countingObserver{new(Counts)}
		s, errSpans := spans.New(spans.Config{TracerProvider: sdk.Tracers})
		m, errMetrics := metrics.New(metrics.Config{MeterProvider: sdk.Meters})
		a, errAudit := audit.New(audit.Config{LoggerProvider: sdk.Loggers})
		if err := errors.Join(errSpans, errMetrics, errAudit); err != nil {
			return nil, fmt.Errorf("peers: otelauth: %w", err)
		}
		cfg := OtelauthConfig(users)
		cfg.Observers = []attempt.Observer{s, m, a, counter}
		mw, err := otelauth.New(cfg)
		if err != nil {
			return nil, err
		}
		return &Service{
			Handler: otelhttp.NewHandler(mw.Wrap(next), "compare", append(sdk.OTelHTTP(), otelhttp.WithPublicEndpointFn(mw.Untrusted))...),
			Counts:  counter.counts,
			close:   func() error { return errors.Join(mw.Close(), sdk.Shutdown()) },
		}, nil
	},
}

// OtelauthConfig returns the configuration of otelauth over the accounts, without telemetry.
func OtelauthConfig(users []User) otelauth.Config {
	hashes := make(map[string]string, len(users))
	for _, u := range users {
		hashes[u.Name] = u.Hash
	}
	return otelauth.Config{
		Realm:     "compare",
		Accounts:  &verify.Static{Hashes: hashes},
		Observers: []attempt.Observer{},
		Throttle:  throttle.DangerouslyNone{}, // the peers have none
	}
}

// countingObserver counts the hashes that attempts caused.
type countingObserver struct{ counts *Counts }

func (countingObserver) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

func (o countingObserver) Decide(_ context.Context, _ *attempt.Request, res *attempt.Result) error {
	if res.Hash.Ran() {
		o.counts.Add(res.Hash.Outcome == attempt.Success)
	}
	return nil
}

func (countingObserver) End(context.Context, *attempt.Request, *attempt.Result, *attempt.Response) {}
