// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package otelauthtest is for the tests of services that use otelauth: a [Recorder] that holds what was
// exported, with the real SDK in memory behind it, [NoSecrets], which proves that no password is in it, and a [Clock]
// that stands still.
//
// It imports the OpenTelemetry SDK and is for tests only. It keeps everything until the test ends, so it
// refuses to be a backend.
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
