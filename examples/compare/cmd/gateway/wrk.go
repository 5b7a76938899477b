// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// script makes wrk print its result as one line of JSON, because its own report rounds.
const script = `
done = function(summary, latency, requests)
  io.write(string.format("\nresult {\"requests\":%d,\"micros\":%d,\"p50\":%f,\"p99\":%f,\"status\":%d,\"failures\":%d}\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
`

// load is one run of wrk. Latencies are in µs.
type load struct {
	Requests, Micros int64
	P50, P99         float64
	Status, Failures int64
}

func (r load) rate() float64 { return float64(r.Requests) / (float64(r.Micros) / 1e6) }

// drive makes wrk request / repeatedly.
func (l *lab) drive(ctx context.Context, address string, connections int, d time.Duration, auth bool) (load, error) {
	args := []string{"-t1", fmt.Sprintf("-c%d", connections), fmt.Sprintf("-d%ds", int(d.Round(time.Second)/time.Second)), "--timeout", "30s", "-s", l.script}
	if auth {
		args = append(args, "-H", "Authorization: "+authorization())
	}
	out, err := exec.CommandContext(ctx, "wrk", append(args, "http://"+address+"/")...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			out = append(out, exit.Stderr...)
		}
		return load{}, fmt.Errorf("gateway: wrk: %w (install it with apt-get install wrk)\n%s", err, out)
	}
	_, result, found := strings.Cut(string(out), "\nresult ")
	if !found {
		return load{}, fmt.Errorf("gateway: wrk printed no result\n%s", out)
	}
	var r load
	if err := json.Unmarshal([]byte(result), &r); err != nil {
		return load{}, fmt.Errorf("gateway: wrk: %w", err)
	}
	if r.Status > 0 || r.Failures > 0 || r.Requests == 0 {
		return load{}, fmt.Errorf("gateway: of %d requests to %s %d were refused and %d failed", r.Requests, address, r.Status, r.Failures)
	}
	return r, nil
}

func writeScript(file string) error {
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	return nil
}
