// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package otelauthtest helps to test services that use otelauth. A [Recorder] records telemetry
// with the real SDK in memory, [NoSecrets] checks that no password is in it, [Coverage] probes
// every route and proves that each attempt was recorded, and a [Clock] moves only on demand.
//
// It imports the OpenTelemetry SDK and is for tests only. It keeps all telemetry until the test
// ends.
//
//	rec := otelauthtest.NewRecorder(t)
//	mw, err := otelauth.New(otelauth.Config{
//		TracerProvider: rec.TracerProvider(),
//		MeterProvider:  rec.MeterProvider(),
//		LoggerProvider: rec.LoggerProvider(),
//		…
//	})
//	// requests
//	if got := rec.Attempts(); len(got) != 1 || got[0].Outcome != attempt.Failure { … }
//	otelauthtest.NoSecrets(t, rec, "the-password")
package otelauthtest
