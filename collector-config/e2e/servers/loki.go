// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"strconv"
	"time"
)

// LokiServer is a running Loki in one process, with files as storage.
type LokiServer struct {
	*Process
	Addr string // host:port
	URL  string // http://host:port
	OTLP string // http://host:port/otlp: /v1/logs is added by the exporter
}

// StartLoki starts a Loki with additional command-line flags.
func StartLoki(t Owner, args ...string) *LokiServer {
	t.Helper()
	path := found(t, Loki)
	dir := t.TempDir()
	addrs := FreeAddrs(t, 2)
	l := &LokiServer{Addr: addrs[0], URL: "http://" + addrs[0], OTLP: "http://" + addrs[0] + "/otlp"}
	data := filepath.Join(dir, "data")
	config := map[string]any{
		"auth_enabled": false,
		"analytics":    map[string]any{"reporting_enabled": false},
		"server": map[string]any{
			"http_listen_address": "127.0.0.1", "http_listen_port": Port(addrs[0]),
			"grpc_listen_address": "127.0.0.1", "grpc_listen_port": Port(addrs[1]), "log_level": "warn",
		},
		"common": map[string]any{
			"instance_addr": "127.0.0.1", "instance_interface_names": []string{"lo"}, "path_prefix": data, "replication_factor": 1,
			"ring":    map[string]any{"kvstore": map[string]any{"store": "inmemory"}},
			"storage": map[string]any{"filesystem": map[string]any{"chunks_directory": filepath.Join(data, "chunks"), "rules_directory": filepath.Join(data, "rules")}},
		},
		"ingester": map[string]any{"lifecycler": map[string]any{"min_ready_duration": "0s", "final_sleep": "0s"}},
		"schema_config": map[string]any{"configs": []any{map[string]any{
			"from": "2024-01-01", "store": "tsdb", "object_store": "filesystem", "schema": "v13",
			"index": map[string]any{"prefix": "index_", "period": "24h"},
		}}},
		"limits_config": map[string]any{"allow_structured_metadata": true, "reject_old_samples": false},
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		t.Fatalf("servers: %v", err)
	}
	file := filepath.Join(dir, "loki.yaml")
	writeFile(t, file, text)
	l.Process = Start(t, Program{
		Name: Loki, Path: path, Dir: dir, Ready: answers(l.URL + "/ready"),
		Args: append([]string{"-config.file=" + file}, args...),
	})
	return l
}

// LogLine is a line of a stream. Labels are those of the stream and the line's structured
// metadata.
type LogLine struct {
	Labels map[string]string
	Time   time.Time
	Line   string
}

// Query runs a LogQL query for lines over the last day, newest first.
func (l *LokiServer) Query(query string, limit int) ([]LogLine, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Stream map[string]string
				Values [][2]string
			}
		}
	}
	now := time.Now()
	err := ask(l.URL+"/loki/api/v1/query_range", url.Values{
		"query": {query}, "limit": {strconv.Itoa(limit)},
		"start": {strconv.FormatInt(now.Add(-24*time.Hour).UnixNano(), 10)}, "end": {strconv.FormatInt(now.Add(time.Minute).UnixNano(), 10)},
	}, &answer)
	var found []LogLine
	for _, s := range answer.Data.Result {
		for _, v := range s.Values {
			ns, _ := strconv.ParseInt(v[0], 10, 64)
			found = append(found, LogLine{Labels: s.Stream, Time: time.Unix(0, ns), Line: v[1]})
		}
	}
	return found, err
}

// QueryMetric runs a LogQL query that returns numbers, at the current time.
func (l *LokiServer) QueryMetric(query string) ([]Sample, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  point
			}
		}
	}
	err := ask(l.URL+"/loki/api/v1/query", url.Values{"query": {query}}, &answer)
	samples := make([]Sample, 0, len(answer.Data.Result))
	for _, r := range answer.Data.Result {
		samples = append(samples, Sample{Labels: r.Metric, Value: r.Value.value, Time: r.Value.time})
	}
	return samples, err
}
