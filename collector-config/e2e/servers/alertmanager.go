// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"path/filepath"
	"time"
)

// AlertmanagerConfig configures an Alertmanager. Its zero value keeps the alerts and sends no
// notifications.
type AlertmanagerConfig struct {
	ConfigFile string   // path of its configuration; "" means one receiver that does nothing
	Args       []string // further command-line flags
}

// AlertmanagerServer is a running Alertmanager. [Find] prefers a built one to Debian's.
type AlertmanagerServer struct {
	*Process
	Addr string // host:port
	URL  string // http://host:port
}

// StartAlertmanager starts an Alertmanager without a cluster.
func StartAlertmanager(t Owner, cfg AlertmanagerConfig) *AlertmanagerServer {
	t.Helper()
	path := found(t, Alertmanager)
	dir := t.TempDir()
	addr := FreeAddrs(t, 1)[0]
	if cfg.ConfigFile == "" {
		cfg.ConfigFile = filepath.Join(dir, "alertmanager.yml")
		writeFile(t, cfg.ConfigFile, []byte("route: {receiver: none, group_wait: 1s}\nreceivers: [{name: none}]\n"))
	}
	a := &AlertmanagerServer{Addr: addr, URL: "http://" + addr}
	a.Process = Start(t, Program{
		Name: Alertmanager, Path: path, Dir: dir, Ready: answers(a.URL + "/-/ready"),
		Args: append([]string{
			"--config.file=" + cfg.ConfigFile, "--storage.path=" + filepath.Join(dir, "data"),
			"--web.listen-address=" + addr, "--cluster.listen-address=", "--log.level=warn",
		}, cfg.Args...),
	})
	return a
}

// Alerts returns the active alerts of the Alertmanager.
func (a *AlertmanagerServer) Alerts() ([]Alert, error) {
	var answer []struct {
		Labels      map[string]string
		Annotations map[string]string
		StartsAt    time.Time
		Status      struct{ State string }
	}
	err := ask(a.URL+"/api/v2/alerts", nil, &answer)
	alerts := make([]Alert, 0, len(answer))
	for _, x := range answer {
		alerts = append(alerts, Alert{Labels: x.Labels, Annotations: x.Annotations, State: x.Status.State, ActiveAt: x.StartsAt})
	}
	return alerts, err
}
