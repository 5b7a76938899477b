// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/internal/testkit"
)

func checkOverlays(t *testing.T, files ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "./check-overlays", files...)
	cmd.Dir = collectortest.ConfigDir()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// With two overlays that have the same exporter name, the collector starts and one backend gets
// nothing. check-overlays refuses them.
func TestTwoOverlaysWithTheSameExporterName(t *testing.T) {
	t.Parallel()
	first, second := collectortest.NewSink(t), collectortest.NewSink(t)
	dir := t.TempDir()
	write := func(name, endpoint string) string {
		path := filepath.Join(dir, name+".yaml")
		text := "exporters:\n  otlp_http/mine:\n    endpoint: " + endpoint + "\nservice:\n  pipelines:\n    logs/" + name + ": {receivers: [forward/export], exporters: [otlp_http/mine]}\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two := write("one", first.HTTP), write("two", second.HTTP)
	c := collectortest.Start(t, collectortest.Options{Configs: []string{"base.yaml", one, two}})
	c.HTTP().MustLogs(t, collectortest.Events("auth.attempt", 1))
	second.WaitLogs(t, 2) // what both pipelines send
	if n := len(first.LogRecords()); n != 0 {
		t.Errorf("the first backend got %d records: the collector no longer merges silently, and check-overlays can be removed", n)
	}

	out, err := checkOverlays(t, "base.yaml", one, two)
	if collectortest.ExitCode(err) != 1 || !strings.Contains(out, two+":2: exporter otlp_http/mine is already defined in "+one) {
		t.Errorf("check-overlays: %v: %s", err, out)
	}
}

func TestCheckOverlaysPassesTheShippedFiles(t *testing.T) {
	t.Parallel()
	overlays, err := filepath.Glob(filepath.Join(collectortest.ConfigDir(), "backends", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := checkOverlays(t, append([]string{"base.yaml"}, overlays...)...); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := checkOverlays(t, "base.yaml", "/nonexistent.yaml"); collectortest.ExitCode(err) != 2 {
		t.Errorf("a file that is not there: %v: %s", err, out)
	}
}

func TestTLSOverlay(t *testing.T) {
	t.Parallel()
	sink := collectortest.NewSink(t)
	address := collectortest.LoopbackAddress(t, collectortest.PortGRPC, collectortest.PortHTTP, collectortest.PortHealth, collectortest.PortMetrics)
	certificate := testkit.NewCertificate(t, address)
	cert, key := certificate.Write(t, t.TempDir())
	pool := certificate.Pool()
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "tls.yaml", "backends/otlp.yaml"},
		Address: address,
		Env:     map[string]string{"OTLP_ENDPOINT": sink.HTTP, "OTELAUTH_COLLECTOR_CERT_FILE": cert, "OTELAUTH_COLLECTOR_KEY_FILE": key},
	})
	body, err := plogotlp.NewExportRequestFromLogs(collectortest.Events("auth.attempt", 1)).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	post := func(ctx context.Context, url, token string) int {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-protobuf")
		req.Header.Set("Authorization", "Bearer "+token)
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
		defer client.CloseIdleConnections()
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if got := post(t.Context(), "https://"+address+":"+collectortest.PortHTTP+"/v1/logs", c.Token); got != http.StatusOK {
		t.Errorf("over TLS: %d", got)
	}
	if got := post(t.Context(), "https://"+address+":"+collectortest.PortHTTP+"/v1/logs", "wrong"); got != http.StatusUnauthorized {
		t.Errorf("over TLS with a wrong token: %d", got)
	}
	if got := post(t.Context(), "http://"+address+":"+collectortest.PortHTTP+"/v1/logs", c.Token); got != http.StatusBadRequest {
		t.Errorf("in plain text: %d", got)
	}
	if err := c.GRPC(t, c.Token).Logs(t.Context(), collectortest.Events("auth.attempt", 1)); err == nil {
		t.Error("gRPC accepts plaintext")
	}
	sink.WaitLogs(t, 1)

	out, err := collectortest.Run(t, collectortest.Options{Configs: []string{"base.yaml", "tls.yaml"}})
	if err == nil || !strings.Contains(out, "OTELAUTH_COLLECTOR_CERT_FILE is not set") {
		t.Errorf("without its variables: %v: %s", err, out)
	}
}
