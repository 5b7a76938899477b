// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// serverEnv makes the test binary a server; its value is alice's password hash.
const serverEnv = "OTELAUTH_TEST_SERVER"

// serveForHeapDump serves until a line of in names the file for its heap dump. It writes its
// address first and "done" last, both as lines to out.
func serveForHeapDump(in io.Reader, out io.Writer) error {
	traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(dropped{})))
	mux := ordersMux()
	mw, err := otelauth.New(otelauth.Config{
		Accounts: &verify.Static{Hashes: map[string]string{"alice": os.Getenv(serverEnv)}}, Routes: mux,
		TracerProvider: traces, MeterProvider: meters, LoggerProvider: logs,
	})
	if err != nil {
		return err
	}
	var conns sync.WaitGroup
	srv := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: otelhttp.NewHandler(mw.Wrap(mux), "orders", otelhttp.WithTracerProvider(traces), otelhttp.WithMeterProvider(meters),
			otelhttp.WithPublicEndpointFn(mw.Untrusted)),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed, http.StateHijacked:
				conns.Done()
			}
		},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = srv.Serve(listener) }()
	fmt.Fprintln(out, listener.Addr())

	path, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		return err
	}
	conns.Wait() // the client has closed its connections
	if err := errors.Join(traces.ForceFlush(context.Background()), logs.ForceFlush(context.Background())); err != nil {
		return err
	}
	for range 3 { // a sync.Pool keeps objects for two collections
		runtime.GC()
	}
	debug.FreeOSMemory()
	file, err := os.Create(strings.TrimSpace(path))
	if err != nil {
		return err
	}
	debug.WriteHeapDump(file.Fd())
	if err := file.Close(); err != nil {
		return err
	}
	fmt.Fprintln(out, "done")
	runtime.KeepAlive(mw) // its memory must be in the dump
	return nil
}

// Invariant 1 for memory: after the requests no secret of a client remains in the process.
func TestHeapHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	// Random, so that the binary itself does not hold them.
	canary := func(kind string) string { return kind + "-" + rand.Text() }
	right, wrong, unknown, long := canary("right"), canary("wrong"), canary("unknown"), canary("long")
	malformed, control, other, twice, plain := canary("malformed"), canary("control"), canary("other"), canary("twice"), canary("plain")
	asName := canary("name") // people type passwords into the name field
	marker := canary("marker")

	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(t.Context(), binary)
	server.Env = append(os.Environ(), serverEnv+"="+hash(t, right))
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line := func() string {
		t.Helper()
		s, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the server has exited: %v", err)
		}
		return strings.TrimSpace(s)
	}
	addr := line()

	client := &http.Client{Transport: &http.Transport{}}
	for range 3 { // over one connection, which is kept alive
		for _, tc := range []struct {
			fields []string
			status int
		}{
			{[]string{token("alice:" + right)}, 200},
			{[]string{token("alice:" + wrong)}, 401},
			{[]string{token("mallory:" + unknown)}, 401},
			{[]string{token(asName + ":")}, 401},
			{[]string{token("alice:" + long + strings.Repeat("x", 100))}, 401},
			{[]string{token("alice:" + strings.Repeat("x", 1000) + long)}, 401},
			{[]string{token(malformed)}, 400},
			{[]string{"Basic " + malformed}, 400},
			{[]string{token("alice:" + control + "\x00")}, 400},
			{[]string{"Bearer " + other}, 401},
			{[]string{token("alice:" + twice), token("alice:" + twice)}, 400},
		} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr+"/orders", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header["Authorization"] = tc.fields
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != tc.status {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tc.status, body)
			}
		}
	}
	client.CloseIdleConnections()
	// A proxy that reports http: the credentials are neither verified nor kept.
	_, _ = exchangeRaw(t, "tcp", addr, "GET /orders HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.7\r\nAuthorization: "+
		token("alice:"+plain)+"\r\n\r\n")

	path := filepath.Join(t.TempDir(), "heap-"+marker)
	_, _ = io.WriteString(in, path+"\n")
	if got := line(); got != "done" {
		t.Fatalf("the server wrote %q", got)
	}
	_ = in.Close()
	if err := server.Wait(); err != nil {
		t.Fatal(err)
	}
	dump, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The dump is valid only if it contains what the process does hold.
	if leaks, err := otelauthtest.Leaks(dump, marker); err != nil || len(leaks) == 0 {
		t.Fatalf("the dump of %d bytes does not hold the path that it was written to: %v", len(dump), err)
	}
	otelauthtest.NoSecretsIn(t, "the heap", dump, right, wrong, unknown, long, malformed, control, other, twice, plain, asName)
}
