// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

//go:embed fail2ban.py
var fail2banDriver string

//go:embed axes.py
var axesDriver string

//go:embed alerts.py
var alertsDriver string

// replay is one run of the programs in a temporary directory.
type replay struct {
	dir       string
	recording *recording
	attempts  string // the recording for the drivers
	errorLog  string // the recording as nginx would log it
	whole     bool   // CrowdSec gets every line
	log       io.Writer
}

// python is Debian's interpreter, which finds Debian's packages.
const python = "/usr/bin/python3"

// command runs a program with a small environment and returns its output.
func (p *replay) command(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = p.dir
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TZ=UTC", "LC_ALL=C.UTF-8", "HOME=" + p.dir}
	var out bytes.Buffer
	errs := tail{}
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("detection: %s: %w: %s", filepath.Base(name), err, errs.last)
	}
	if name == python {
		_, _ = p.log.Write(errs.last)
	}
	return out.Bytes(), nil
}

// tail is a Writer that keeps the end of its input.
type tail struct{ last []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.last = append(t.last, b...)
	t.last = t.last[max(0, len(t.last)-2000):]
	return len(b), nil
}

// drive runs one of the Python drivers.
func (p *replay) drive(ctx context.Context, name, code string, args ...string) (findings, error) {
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
		return findings{}, err
	}
	out, err := p.command(ctx, python, append([]string{path}, args...)...)
	if err != nil {
		return findings{}, err
	}
	return parseFindings(out)
}

func (p *replay) axes(ctx context.Context) (findings, error) {
	return p.drive(ctx, "replay_axes.py", axesDriver, p.attempts)
}

// fail2ban enables the jail in a copy of the stock configuration and changes no other decision.
func (p *replay) fail2ban(ctx context.Context) (findings, error) {
	conf, growing := filepath.Join(p.dir, "fail2ban"), filepath.Join(p.dir, "error.log")
	if err := p.copyTree(ctx, "/etc/fail2ban", conf); err != nil {
		return findings{}, err
	}
	// Debian adds the jail of sshd.
	if err := os.RemoveAll(filepath.Join(conf, "jail.d")); err != nil {
		return findings{}, err
	}
	local := fmt.Sprintf("[%s]\nenabled = true\nlogpath = %s\nbackend = polling\naction =\n", p.recording.format.jail, growing)
	if err := os.WriteFile(filepath.Join(conf, "jail.local"), []byte(local), 0o600); err != nil {
		return findings{}, err
	}
	if err := os.WriteFile(growing, nil, 0o600); err != nil {
		return findings{}, err
	}
	return p.drive(ctx, "replay_fail2ban.py", fail2banDriver, conf, p.recording.format.jail, growing, p.attempts)
}

// matched returns how many lines of the error log the stock filter matches, as fail2ban-regex
// counts.
func (p *replay) matched(ctx context.Context) (string, error) {
	out, err := p.command(ctx, "/usr/bin/fail2ban-regex", "--no-check-all", p.errorLog, p.recording.format.jail)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Lines:") {
			return strings.TrimSpace(line), nil
		}
	}
	return "", fmt.Errorf("detection: fail2ban-regex counted no lines: %s", out)
}

// crowdsecFor is the duration of a decision in the profile of the package.
const crowdsecFor = 4 * time.Hour

// crowdsec replays the log with a copy of the configuration of the package. Only paths, journal
// and address differ, the central API is left out, and alerts are not deleted after 5,000.
func (p *replay) crowdsec(ctx context.Context) (findings, error) {
	log := filepath.Join(p.dir, "crowdsec-error.log")
	var of map[netip.Addr]bool
	if !p.whole {
		of = p.recording.bursts(p.recording.format.burst, p.recording.format.within)
	}
	if err := p.recording.writeErrorLog(log, of); err != nil {
		return findings{}, err
	}
	conf, data := filepath.Join(p.dir, "crowdsec"), filepath.Join(p.dir, "crowdsec-data")
	if err := p.copyTree(ctx, "/etc/crowdsec", conf); err != nil {
		return findings{}, err
	}
	if err := p.copyTree(ctx, "/usr/share/crowdsec/data", data); err != nil {
		return findings{}, err
	}
	// The package enables a scenario without the list of paths that it needs, so each request
	// would log 100 KB of errors. An empty list has the same effect.
	if err := os.WriteFile(filepath.Join(data, "http_path_traversal.txt"), nil, 0o600); err != nil {
		return findings{}, err
	}
	for _, name := range []string{"config.yaml.local", "local_api_credentials.yaml", "online_api_credentials.yaml"} {
		if err := os.RemoveAll(filepath.Join(conf, name)); err != nil {
			return findings{}, err
		}
	}
	api, err := testkit.FindAddress(ctx)
	if err != nil {
		return findings{}, err
	}
	file := filepath.Join(conf, "config.yaml")
	db := filepath.Join(data, "crowdsec.db")
	yaml := strings.NewReplacer("CONF", conf, "DATA", data, "DB", db, "API", api).Replace(crowdsecConfig)
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		return findings{}, err
	}
	credentials := filepath.Join(conf, "local_api_credentials.yaml")
	if err := os.WriteFile(credentials, []byte("url: http://"+api+"\n"), 0o600); err != nil {
		return findings{}, err
	}
	if _, err := p.command(ctx, "/usr/bin/cscli", "-c", file, "--error", "machines", "add", "replay", "--force",
		"--password", rand.Text(), "--url", "http://"+api, "-f", credentials); err != nil {
		return findings{}, err
	}
	if _, err := p.command(ctx, "/usr/bin/crowdsec", "-c", file, "-dsn", "file://"+log, "-type", p.recording.format.kind); err != nil {
		return findings{}, err
	}
	f, err := p.drive(ctx, "replay_alerts.py", alertsDriver, db)
	f.refuseFor(p.recording, crowdsecFor)
	return f, err
}

// The settings of Debian's config.yaml, with other paths.
const crowdsecConfig = `common:
  daemonize: false
  log_media: stdout
  log_level: warning
  working_dir: .
config_paths:
  config_dir: CONF/
  data_dir: DATA/
  simulation_path: CONF/simulation.yaml
  hub_dir: /var/lib/crowdsec/hub/
  index_path: /var/lib/crowdsec/hub/.index.json
  notification_dir: CONF/notifications/
  plugin_dir: /usr/lib/crowdsec/plugins/
crowdsec_service:
  acquisition_path: CONF/acquis.yaml
  parser_routines: 1
db_config:
  log_level: warning
  type: sqlite
  db_path: DB
  use_wal: true
  flush:
    max_items: 10000000
plugin_config:
  user: nobody
  group: nogroup
api:
  client:
    insecure_skip_verify: false
    credentials_path: CONF/local_api_credentials.yaml
  server:
    log_level: warning
    listen_uri: API
    profiles_path: CONF/profiles.yaml
prometheus:
  enabled: false
`

// copyTree copies a directory; it copies links as links.
func (p *replay) copyTree(ctx context.Context, from, to string) error {
	_, err := p.command(ctx, "/bin/cp", "-a", from, to)
	return err
}
