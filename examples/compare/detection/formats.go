// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/internal/simulate"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// format is a kind of log that all programs read.
type format struct {
	name string
	jail string // of fail2ban
	kind string // the label "type" of CrowdSec
	web  bool
	// line returns the lines about an attempt in the log that fail2ban and CrowdSec read.
	line func(a *simulate.Attempt, request int) string
	// other returns its line in the log that only otelauth reads; nil: there is none.
	other func(a *simulate.Attempt) string
	// No address with fewer than burst failures within a time overflows a bucket of CrowdSec.
	burst  int
	within time.Duration
}

// formats has every format by the value of -format. A log has times in seconds, so a window of
// CrowdSec is a second longer.
var formats = map[string]*format{
	"nginx": {
		name: "nginx", jail: "nginx-http-auth", kind: "nginx", web: true, line: errorLine, other: accessLine,
		burst: 6, within: time.Minute + time.Second,
	},
	// Its scenarios fire after 6 failures within a minute (ssh-bf), or 11 within 11 minutes
	// (ssh-slow-bf); 6 within 11 minutes includes both.
	"openssh": {
		name: "OpenSSH", jail: "sshd", kind: "syslog", line: sshLine,
		burst: 6, within: 11*time.Minute + time.Second,
	},
}

// sshLine returns what OpenSSH 9.2 writes at its default level, through rsyslog. A login is one
// attempt. An attempt without a name does not reach the log.
func sshLine(a *simulate.Attempt, request int) string {
	head := fmt.Sprintf("%s host sshd[%d]: ", a.Time.UTC().Format("2006-01-02T15:04:05.000000-07:00"), 1000+request)
	from := fmt.Sprintf("%s from %s port 40000", a.Name, a.Client)
	switch {
	case a.Outcome == attempt.Success:
		return head + "Accepted password for " + from + " ssh2"
	case a.Outcome != attempt.Failure:
		return ""
	case a.Known:
		return head + "Failed password for " + from + " ssh2"
	}
	return head + "Invalid user " + from + "\n" + head + "Failed password for invalid user " + from + " ssh2"
}

// accessLine returns what nginx writes to the access log, in the format combined.
func accessLine(a *simulate.Attempt) string {
	name, status := a.Name, 401
	if name == "" {
		name = "-"
	}
	if a.Outcome == attempt.Success {
		status = 200
	}
	return fmt.Sprintf(`%s - %s [%s] "GET %s HTTP/1.1" %d 179 "-" "%s"`, a.Client, name, a.Time.UTC().Format("02/Jan/2006:15:04:05 -0700"),
		pathOf(a.Route), status, agent)
}

// replayed runs otelauth detect replay on the log that fail2ban reads, and on the access log.
func (p *replay) replayed(ctx context.Context) (findings, error) {
	program := filepath.Join(p.dir, "otelauth")
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/otelauth/otelauth-go").Output()
	if err != nil {
		return findings{}, fmt.Errorf("detection: go list: %w", err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./otelauth/cmd/otelauth")
	build.Dir = strings.TrimSpace(string(root))
	if out, err := build.CombinedOutput(); err != nil {
		return findings{}, fmt.Errorf("detection: go build: %w: %s", err, out)
	}
	args := []string{"detect", "replay", "-o", "json", "--zone", "UTC", p.errorLog}
	if other := p.recording.format.other; other != nil {
		path := filepath.Join(p.dir, "access.log")
		err := writeFile(path, func(w *bufio.Writer) error {
			for i := range p.recording.attempts {
				fmt.Fprintln(w, other(&p.recording.attempts[i]))
			}
			return nil
		})
		if err != nil {
			return findings{}, err
		}
		args = append(args, path)
	}
	out, err := p.command(ctx, program, args...)
	if err != nil {
		return findings{}, err
	}
	return p.recording.named(out)
}

// named returns the addresses that the findings of medium and high severity name: those that
// failed, in a network of the finding, between its first and its last attempt.
func (r *recording) named(out []byte) (findings, error) {
	f := findings{refused: map[int]bool{}}
	var report struct {
		Findings []struct {
			Rule, Severity        string
			First, Detected, Last time.Time
			Networks              []netip.Prefix
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return f, fmt.Errorf("detection: otelauth printed no report: %w", err)
	}
	failures := map[netip.Prefix][]*simulate.Attempt{}
	for i := range r.attempts {
		if a := &r.attempts[i]; a.Outcome == attempt.Failure {
			network, _ := a.Client.Prefix(24)
			failures[network] = append(failures[network], a)
		}
	}
	for _, one := range report.Findings {
		if one.Severity == "low" {
			continue
		}
		seen := map[netip.Addr]bool{}
		for _, network := range one.Networks {
			for _, a := range failures[network] {
				at := a.Time.Truncate(time.Second)
				if !seen[a.Client] && !at.Before(one.First) && !at.After(one.Last) {
					seen[a.Client] = true
					f.blocks = append(f.blocks, block{a.Client, one.Detected, one.Rule})
				}
			}
		}
	}
	return f, nil
}
