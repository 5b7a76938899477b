// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/crypto/bcrypt"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// recordedShop is the shop behind the middleware, which exports to the address. A route that is
// wrapped by forget is served without the middleware.
func recordedShop(t *testing.T, receiver, forget string) string {
	t.Helper()
	ctx := t.Context()
	traces, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(receiver), otlptracehttp.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	points, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(receiver), otlpmetrichttp.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	records, err := otlploghttp.New(ctx, otlploghttp.WithEndpoint(receiver), otlploghttp.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(traces, sdktrace.WithBatchTimeout(20*time.Millisecond)))
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(points, sdkmetric.WithInterval(50*time.Millisecond))))
	lp := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(records, sdklog.WithExportInterval(20*time.Millisecond))))
	hash, err := bcrypt.GenerateFromPassword([]byte("canary-right-alice"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	page := func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "four orders: tea, coffee, sugar, milk")
	}
	mux.HandleFunc("GET /orders", page)
	mux.HandleFunc("GET /stock/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != "7" {
			http.NotFound(w, r)
			return
		}
		page(w, r)
	})
	mw, err := otelauth.New(otelauth.Config{
		Accounts: &verify.Static{Hashes: map[string]string{"alice": string(hash)}}, Routes: mux,
		TracerProvider: tp, MeterProvider: mp, LoggerProvider: lp, Events: audit.Events{DangerouslyUnfolded: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	protected := otelhttp.NewHandler(mw.Wrap(mux), "shop", otelhttp.WithTracerProvider(tp), otelhttp.WithMeterProvider(mp), otelhttp.WithPublicEndpointFn(mw.Untrusted))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != forget {
			protected.ServeHTTP(w, r)
			return
		}
		if user, password, _ := r.BasicAuth(); user == "alice" && password == "canary-right-alice" {
			mux.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", "Basic")
		http.Error(w, "denied", http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		_ = errors.Join(mw.Close(), tp.Shutdown(ctx), mp.Shutdown(ctx), lp.Shutdown(ctx))
	})
	return server.URL
}

// TestProbeTelemetry: nothing is missing of a service that records all, and an endpoint that
// records nothing is found. The pattern of the second endpoint is not known, so any is right.
func TestProbeTelemetry(t *testing.T) {
	t.Parallel()
	for forget, want := range map[string]int{"": 0, "/stock/7": 1} {
		t.Run("forget"+strings.ReplaceAll(forget, "/", " "), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range map[string]string{"list.txt": "GET /orders route=/orders\nGET /stock/7\n", "identities.yaml": "identities: [{name: alice, password: canary-right-alice}]\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			receiver, level := testkit.FreeAddress(t), "low"
			if want > 0 {
				level = "high"
			}
			out, err := probeShop(t, recordedShop(t, receiver, forget), dir, "--telemetry", receiver, "--telemetry-wait", "5s", "--fail-on", level)
			var findings findingsError
			if errors.As(err, &findings); findings.count != want || want == 0 && err != nil {
				t.Errorf("got %v, want %d findings\n%s", err, want, out)
			}
			if !strings.Contains(out, "telemetry: ") || want > 0 && !strings.Contains(out, "event: missing") {
				t.Errorf("the report does not say what was recorded:\n%s", out)
			}
		})
	}
}

// TestProbePortInUse: a receiver that cannot listen ends the command before the first request.
func TestProbePortInUse(t *testing.T) {
	t.Parallel()
	service := &shop{}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	for _, flag := range []string{"--telemetry", "--telemetry-grpc"} {
		_, err := probeShop(t, server.URL, shopFiles(t), flag, server.Listener.Addr().String())
		if err == nil || !strings.Contains(err.Error(), "another program listens there") || service.requests.Load() > 0 {
			t.Errorf("%s: %v, %d requests", flag, err, service.requests.Load())
		}
	}
}

// TestProbeResumeTelemetry kills a run that judges telemetry, ends the next one by its bound of
// requests, and continues it: the report has the evidence of each attempt, and what the second run
// found.
func TestProbeResumeTelemetry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{"list.txt": "GET /stock/7\nGET /orders\n", "identities.yaml": "identities: [{name: alice, password: canary-right-alice}]\n"} {
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	receiver := testkit.FreeAddress(t)
	target := recordedShop(t, receiver, "/stock/7")
	state := []string{"--resume", file("state"), "--workers", "1", "--only", "credentials", "--fail-on", "none"}
	judge := slices.Concat(state, []string{"--telemetry", receiver, "--telemetry-wait", "5s", "--require", "events,no-secrets"})
	// A run that is killed has judged nothing: the next one repeats the endpoint.
	p := start(t, nil, slices.Concat([]string{"probe", target, "--list", file("list.txt"), "--identities", file("identities.yaml"), "--rate", "0"}, judge)...)
	p.Await(t, "the row of an endpoint", func() bool {
		text, _ := os.ReadFile(file("state"))
		return bytes.Count(text, []byte("\n")) > 1
	})
	p.Kill()
	if out, err := probeShop(t, target, dir, slices.Concat(judge, []string{"--max-requests", "30"})...); err == nil || !strings.Contains(out, "event: missing") {
		t.Fatalf("the second run is complete, or finds nothing: %v\n%s", err, out)
	}
	out, err := probeShop(t, target, dir, slices.Concat(judge, []string{"--json", file("report.json")})...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	report := readReport(t, file("report.json"))
	found, sent := false, 0
	for _, f := range report.Findings {
		found = found || f.ID == "telemetry missing/event GET /stock/7"
	}
	for _, row := range report.Rows {
		for _, a := range row.Attempts {
			sent++
			if a.Evidence == nil {
				t.Errorf("%s has no verdict on its telemetry", a.ID)
			}
		}
	}
	judged := 0
	for _, n := range report.Telemetry.Attempts {
		judged += n
	}
	if !found || !report.Complete || len(report.Rows) != 2 || judged < sent {
		t.Errorf("found: %t, complete: %t, %d rows, %d attempts of which %d are judged", found, report.Complete, len(report.Rows), sent, judged)
	}
	if report.Requests > 30 {
		t.Errorf("the last run made %d requests: it did not use the run before", report.Requests)
	}
	if text, err := os.ReadFile(file("state")); err != nil || bytes.Contains(text, []byte("canary")) {
		t.Errorf("the file of --resume shows a password, or cannot be read: %v", err)
	}
}

// TestProbeLogs judges the lines of a service that only logs.
func TestProbeLogs(t *testing.T) {
	t.Parallel()
	dir := shopFiles(t)
	log := filepath.Join(dir, "service.log")
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	service := &shop{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		service.ServeHTTP(rec, r)
		if r.URL.Path != "/admin" { // this view does not log
			logLine(f, r, rec.Code)
		}
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = rec.Body.WriteTo(w)
	}))
	t.Cleanup(server.Close)
	out, _ := probeShop(t, server.URL, dir, "--logs", log, "--log-fields", "django", "--telemetry-wait", "3s", "--require", "each-attempt,status", "--only", "none,unknown-user,another-identity", "--samples", "0")
	list := " (" + filepath.Join(dir, "list.txt") + ":"
	for _, want := range []string{"telemetry: ", "GET /admin" + list + "2)\n      line: missing"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "GET /orders"+list+"1)\n      line: missing") {
		t.Errorf("/orders logs each attempt:\n%s", out)
	}
}

// logLine writes a line as a Django site with plain logging does.
// block returns a block of code of a page: the text between marks.
func block(t *testing.T, page, start string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, start)
	text, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatalf("the page has no %q", start)
	}
	return text
}

// TestProbeLogsOfNginx judges the access log of nginx as the documentation shows. What is planted
// is found: a location without a log. What only looks like a gap is not: an account of another file
// gets 401, nginx reads a name from malformed credentials, and a path that does not exist has no
// log.
func TestProbeLogsOfNginx(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Fatal("no nginx: .ci/run installs it")
	}
	page, err := os.ReadFile("../../../docs/probe-telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "otelauth-probe") //nolint:usetesting // a server that drops root must reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	address := testkit.FreeAddress(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	_, after, _ := strings.Cut(string(page), "```nginx\n")
	access := strings.ReplaceAll(block(t, string(page), "```nginx\n"), "/var/log/nginx", dir)
	locations := ""
	for _, l := range []string{"/orders/ users", "/stock/ users", "/admin/ admins"} {
		path, users, _ := strings.Cut(l, " ")
		locations += "location " + path + " { auth_basic shop; auth_basic_user_file " + file(users) + "; }\n"
		if err := errors.Join(os.MkdirAll(file("site"+path), 0o755), os.WriteFile(file("site"+path+"list.txt"), []byte("four orders: tea, coffee, sugar, milk"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	locations = strings.Replace(locations, "location /stock/ {", "location /stock/ { access_log off;", 1) + "location /gone/ { access_log off; }\n"
	for name, text := range map[string]string{
		"nginx.conf": "pid " + file("pid") + "; daemon off; error_log stderr error; events {}\nhttp {\n" + access +
			"server { listen " + address + "; root " + file("site") + ";\n" + locations + "} }\n",
		"users":           "alice:{PLAIN}canary-right-alice\nbob:{PLAIN}canary-right-bob\nmallory:{PLAIN}canary-right-mallory\n",
		"admins":          "alice:{PLAIN}canary-right-alice\n",
		"list.txt":        "GET /orders/list.txt\nGET /stock/list.txt\nGET /admin/list.txt groups=admin\nGET /gone/list.txt\n",
		"identities.yaml": "identities: [{name: alice, password: canary-right-alice, groups: [admin]}, {name: bob, password: canary-right-bob}]\n",
		"fields.yaml":     block(t, after, "```yaml\n"),
	} {
		if err := os.WriteFile(file(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := testkit.Start(t, exec.Command(nginx, "-p", dir, "-e", "stderr", "-c", file("nginx.conf")))
	p.WaitListening(t, "tcp", address)
	out, err := probeShop(t, "http://"+address, dir, "--throwaway", "mallory", "--logs", file("probe.log"), "--log-fields", file("fields.yaml"), "--samples", "0",
		"--telemetry-wait", "2s", "--json", file("report.json"))
	report := readReport(t, file("report.json"))
	for _, f := range report.Findings {
		if f.ID != "telemetry missing/line GET /stock/list.txt" {
			t.Errorf("%s: %s by %v", f.ID, f.Detail, f.Probes)
		}
	}
	if len(report.Findings) != 1 || report.Telemetry.Attempts["recorded"] < 100 || report.Telemetry.Attempts["missing"] < 15 {
		t.Errorf("%v, %d findings, %v\n%s", err, len(report.Findings), report.Telemetry, out)
	}
	if !strings.Contains(out, "GET /gone/list.txt telemetry: an attempt without a record is no finding here: the right credentials get 404") {
		t.Errorf("the path that does not exist is not listed:\n%s", out)
	}
}

func logLine(w io.Writer, r *http.Request, status int) {
	user, _, sent := r.BasicAuth()
	name := "auth_missing"
	switch {
	case sent && status < 300 || sent && status == http.StatusForbidden:
		name = "auth_success"
	case sent:
		name = "auth_failure"
	}
	line, err := json.Marshal(map[string]any{
		"event": name, "source_ip": "127.0.0.1", "username_attempted": user, "method": r.Method, "path": r.URL.Path,
		"status_code": status, "user_agent": r.UserAgent(), "request_id": r.Header.Get("X-Request-Id"),
	})
	if err == nil {
		_, _ = w.Write(append(line, '\n')) // one write, which appends as a whole
	}
}
