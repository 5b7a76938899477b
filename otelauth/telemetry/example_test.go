// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/telemetry"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// A program starts telemetry first and ends it last.
func ExampleStart() {
	ctx := context.Background()
	providers, err := telemetry.Start(ctx, "orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	mw, err := otelauth.New(otelauth.Config{Accounts: &verify.Static{Hashes: map[string]string{"alice": "$2a$04$bbxDPdNXVRQemIgGJIUZZuvB4CtLsA8B9LA.6r.PjsMOlSiQQLIo2"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	// The program serves mw.Wrap(handler) here. Then, with a limit for a collector that hangs:
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	fmt.Println(errors.Join(mw.Close(), providers.Shutdown(ctx)))
	// Output: <nil>
}

// New sets nothing global, so that two services of one process have providers of their own.
func ExampleNew() {
	ctx := context.Background()
	var lines bytes.Buffer
	providers, err := telemetry.New(ctx, telemetry.Config{
		Service: "orders", Version: "1.2.3", Lines: &lines,
		Getenv: func(string) string { return "" }, // no exporter, so events are lines
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mw, err := otelauth.New(otelauth.Config{
		Accounts:       &verify.Static{Hashes: map[string]string{"alice": "$2a$04$bbxDPdNXVRQemIgGJIUZZuvB4CtLsA8B9LA.6r.PjsMOlSiQQLIo2"}},
		TracerProvider: providers.TracerProvider, MeterProvider: providers.MeterProvider, LoggerProvider: providers.LoggerProvider,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mw.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/orders/7", nil))
	err = errors.Join(mw.Close(), providers.ForceFlush(ctx))
	fmt.Println(err, strings.Contains(lines.String(), `"msg":"auth.attempt"`))
	// A program that has one service makes them global: providers.SetGlobal()
	fmt.Println(providers.Shutdown(ctx))
	// Output:
	// <nil> true
	// <nil>
}

// A program that creates the providers itself takes the parts that it needs.
func ExampleNewLineExporter() {
	telemetry.HandleErrors(os.Stderr)
	limits, batch := telemetry.SpanLimits()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithRawSpanLimits(limits))
	loggers := sdklog.NewLoggerProvider()
	if !telemetry.HasExporter() {
		loggers = sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(telemetry.NewLineExporter(os.Stdout))))
	}
	ctx := context.Background()
	fmt.Println(batch, errors.Join(tracers.Shutdown(ctx), loggers.Shutdown(ctx)))
	// Output: 128 <nil>
}
