// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	lognoop "go.opentelemetry.io/otel/log/noop"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
)

const silenceEnv = "OTELAUTH_TEST_SILENCE"

// TestNeverSilent runs services with and without providers in processes of their own, because
// slog.Default and the providers are global.
func TestNeverSilent(t *testing.T) {
	t.Parallel()
	lost := func(signal string) string { return "no " + signal + " is set" }
	for name, want := range map[string][]string{
		"nothing": {
			lost("LoggerProvider"), "msg=auth.identity_key.random", lost("TracerProvider"), lost("MeterProvider"),
			"auth.outcome=failure", "auth.outcome=success",
		},
		"disabled":        nil,
		"spans":           {lost("LoggerProvider"), "msg=auth.identity_key.random", lost("MeterProvider"), "auth.outcome=failure", "auth.outcome=success"},
		"all, after New":  {lost("LoggerProvider"), "msg=auth.identity_key.random"},
		"all, before New": nil,
		"slog handler": {
			"msg=auth.identity_key.random", lost("TracerProvider"), lost("MeterProvider"), "auth.outcome=failure", "auth.outcome=success",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestServeSilently$")
			cmd.Env = append(os.Environ(), silenceEnv+"="+name)
			var out bytes.Buffer
			cmd.Stderr = &out
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			lines := slices.Collect(strings.Lines(out.String()))
			if len(lines) != len(want) {
				t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), out.String())
			}
			for i, text := range want {
				if !strings.Contains(lines[i], text) {
					t.Errorf("line %d is %swant %q", i, lines[i], text)
				}
			}
		})
	}
}

// TestServeSilently is the service of TestNeverSilent: a wrong and a right password.
func TestServeSilently(t *testing.T) {
	what, child := os.LookupEnv(silenceEnv)
	if !child {
		return
	}
	stderr := slog.NewTextHandler(os.Stderr, nil)
	slog.SetDefault(slog.New(stderr))
	rec := otelauthtest.NewRecorder(t)
	all := func() {
		otel.SetTracerProvider(rec.TracerProvider())
		otel.SetMeterProvider(rec.MeterProvider())
		otel.SetLoggerProvider(rec.LoggerProvider())
	}
	cfg := otelauth.Config{Accounts: accounts(t)}
	switch what {
	case "disabled":
		cfg.DisableFallback = true
	case "spans":
		otel.SetTracerProvider(rec.TracerProvider())
	case "all, before New":
		all()
	case "slog handler":
		slog.SetDefault(slog.New(slog.DiscardHandler))
		cfg.Slog = stderr
	}
	mw, err := otelauth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if what == "all, after New" {
		all()
	}
	h := mw.Wrap(ordersMux())
	for _, pass := range []string{"guess", "wonderland"} {
		h.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/orders", "alice", pass))
	}
	if err := mw.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSlogIsAdditive: Config.Slog gets the events beside the LoggerProvider.
func TestSlogIsAdditive(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	var out bytes.Buffer
	mw := newMiddleware(t, otelauth.Config{
		TracerProvider: rec.TracerProvider(), MeterProvider: rec.MeterProvider(), LoggerProvider: rec.LoggerProvider(),
		Slog: slog.NewJSONHandler(&out, nil),
	})
	mw.Wrap(ordersMux()).ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/orders", "alice", "guess"))
	e := rec.Events()
	last := e[len(e)-1]
	if last.Name() != "auth.attempt" || !strings.Contains(out.String(), `"msg":"auth.attempt"`) ||
		!strings.Contains(out.String(), `"trace_id":"`+last.Record.TraceID().String()+`"`) {
		t.Errorf("the LoggerProvider got %s, the handler %s", last.Name(), out.String())
	}
}

// TestNoopProviders: providers that record nothing lose nothing else.
func TestNoopProviders(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	mw := newMiddleware(t, otelauth.Config{
		TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider(),
		LoggerProvider: lognoop.NewLoggerProvider(), Slog: slog.NewTextHandler(&out, nil),
	})
	mw.Wrap(ordersMux()).ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/orders", "alice", "guess"))
	for _, text := range []string{"no TracerProvider", "no MeterProvider", "msg=auth.attempt"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("%q is missing in %s", text, out.String())
		}
	}
}
