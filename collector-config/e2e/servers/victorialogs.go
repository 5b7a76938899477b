// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
)

// VictoriaLogsServer is a running VictoriaLogs.
type VictoriaLogsServer struct {
	*Process
	Addr string // host:port
	URL  string // http://host:port
	OTLP string // http://host:port/insert/opentelemetry: /v1/logs is added by the exporter
}

// StartVictoriaLogs starts a VictoriaLogs with additional command-line flags.
func StartVictoriaLogs(t Owner, args ...string) *VictoriaLogsServer {
	t.Helper()
	path := found(t, VictoriaLogs)
	dir := t.TempDir()
	addr := FreeAddrs(t, 1)[0]
	v := &VictoriaLogsServer{Addr: addr, URL: "http://" + addr, OTLP: "http://" + addr + "/insert/opentelemetry"}
	v.Process = Start(t, Program{
		Name: VictoriaLogs, Path: path, Dir: dir, Ready: answers(v.URL + "/health"),
		Args: append([]string{
			"-httpListenAddr=" + addr, "-storageDataPath=" + filepath.Join(dir, "data"), "-loggerLevel=WARN",
			"-retentionPeriod=100y", // tests send data that is older than a week
			"-memory.allowedBytes=256MiB",
		}, args...),
	})
	return v
}

// Query runs a LogsQL query over all time. A row holds the fields of an event as text, with _msg
// and _time. Events are visible about a second after their arrival.
func (v *VictoriaLogsServer) Query(query string, limit int) ([]map[string]string, error) {
	values := url.Values{"query": {query}}
	if limit > 0 {
		values.Set("limit", strconv.Itoa(limit))
	}
	return lines(v.URL+"/select/logsql/query", values)
}

// Flush writes what is in memory to disk and makes it visible.
func (v *VictoriaLogsServer) Flush() error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, v.URL+"/internal/force_flush", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return status(resp, nil)
}
