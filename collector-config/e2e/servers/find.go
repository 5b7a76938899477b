// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Programs that [Find] knows how to install.
const (
	Prometheus2  = "prometheus"  // Debian's, 2.42: scrape and remote write
	Prometheus3  = "prometheus3" // also OTLP
	Alertmanager = "alertmanager"
	Jaeger       = "jaeger"
	VictoriaLogs = "victoria-logs"
	Loki         = "loki"
	Omniwitness  = "omniwitness" // of transparency-dev/witness
)

// debian maps programs to Debian's names of command and package.
var debian = map[string]string{Prometheus2: "prometheus", Alertmanager: "prometheus-alertmanager"}

// Find returns the path of a program. It looks in the directory $OTELAUTH_SERVERS, then on the
// PATH, then in the cache of .ci/full. The error says how to install it.
func Find(name string) (string, error) {
	var dirs []string
	if dir := os.Getenv("OTELAUTH_SERVERS"); dir != "" {
		dirs = append(dirs, dir)
	}
	cache := os.Getenv("CI_CACHE")
	if cache == "" {
		if dir, err := os.UserCacheDir(); err == nil {
			cache = filepath.Join(dir, "otelauth-ci")
		}
	}
	if path, err := executable(dirs, name); err == nil {
		return path, nil
	}
	for _, command := range []string{name, debian[name]} {
		if path, err := exec.LookPath(command); err == nil {
			return path, nil
		}
	}
	if path, err := executable([]string{filepath.Join(cache, "servers")}, name); err == nil {
		return path, nil
	}
	if command := debian[name]; command != "" {
		return "", fmt.Errorf("servers: %s is missing: apt-get install %s", name, command)
	}
	return "", fmt.Errorf("servers: %s is missing: run .ci/full build %s", name, name)
}

func executable(dirs []string, name string) (string, error) {
	for _, dir := range dirs {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}
