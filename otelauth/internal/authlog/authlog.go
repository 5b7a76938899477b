// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package authlog reads attempts to log in from the logs of other programs: OpenSSH, nginx and
// Apache, and from JSON lines, those of otelauth among them.
//
// A [Parser] reads the lines of one file. [Merge] reads several files in the order of time.
package authlog

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/probe/loglines"
)

// Attempt is an attempt that a log reports.
type Attempt struct {
	Time   time.Time
	Client netip.Addr // the zero Addr if the log has none
	Name   string     // as the client claimed it
	Hash   string     // user.hash, of logs that have it
	Route  string     // the pattern of the endpoint, of logs that have it
	// Outcome is Success, Failure or Throttled.
	Outcome attempt.Outcome
	// Reason is unknown_user, wrong_password or account_disabled, or "" if the log does not report
	// it.
	Reason attempt.Reason
	// Count is the number of equal attempts that the line reports, from 1.
	Count int

	source source
}

// source is the kind of a log.
type source uint8

const (
	fromOther source = iota
	fromAccessLog
	fromErrorLog
)

// Kind is what a line is.
type Kind uint8

const (
	// Unreadable is a line in no known format.
	Unreadable Kind = iota
	// Other is a line that is not about an attempt.
	Other
	// Attempted is a line with an attempt.
	Attempted
	// NoCredentials is a request without credentials. Browsers and curl send one first.
	NoCredentials
	// Undecided is a request with credentials whose answer does not show whether they were right.
	Undecided
	// Folded is a line of otelauth for several denials that have no lines of their own.
	Folded
	// Duplicate is a line about an attempt that another line reports too.
	Duplicate
	// KeyRefused is a public key or a host that OpenSSH refused. Clients offer several.
	KeyRefused
	// NoAddress is an attempt whose client is a host name.
	NoAddress

	// KindCount is the number of kinds.
	KindCount = iota
)

// Line is a line of a log.
type Line struct {
	Kind    Kind
	Attempt Attempt // if Kind is Attempted
	Folded  int64   // the number of denials, if Kind is Folded
}

// Options say how to read what a log does not contain.
type Options struct {
	// Zone is the time zone of times without one. Default: time.Local.
	Zone *time.Location
	// Written is when the file was last written. The first line is at most a year older, and so
	// determines the year of the other lines. Default: time.Now.
	Written time.Time
	// Fields is the mapping of JSON lines. Default: those of otelauth, ECS and OCSF.
	Fields *loglines.Fields
}

// Parser reads the lines of one file. It is not safe for concurrent use.
type Parser struct {
	clock
	ssh    sshd
	fields []*loglines.Fields
	only   bool // fields was configured, so no other format is tried
}

// NewParser returns a Parser of one file.
func NewParser(o Options) (*Parser, error) {
	p := &Parser{clock: clock{zone: o.Zone, written: o.Written}}
	if p.zone == nil {
		p.zone = time.Local
	}
	if p.written.IsZero() {
		p.written = time.Now()
	}
	if o.Fields != nil {
		p.fields, p.only = []*loglines.Fields{o.Fields}, true
		return p, nil
	}
	for _, name := range []string{"otelauth", "ecs", "ocsf"} {
		f, err := loglines.Shipped(name)
		if err != nil {
			return nil, err
		}
		p.fields = append(p.fields, f)
	}
	return p, nil
}

// Line reads one line, without its end.
func (p *Parser) Line(raw []byte) Line {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return Line{Kind: Other}
	}
	if p.only || raw[0] == '{' {
		return p.event(raw)
	}
	text := string(raw)
	for _, read := range [...]func(string) (Line, bool){p.accessLog, p.nginxError, p.apacheError, p.syslog} {
		if line, ok := read(text); ok {
			return line
		}
	}
	return Line{}
}

// failed returns the line of a wrong credential.
func failed(at time.Time, client, name string, reason attempt.Reason) Line {
	return decided(at, client, name, attempt.Failure, reason)
}

func decided(at time.Time, client, name string, outcome attempt.Outcome, reason attempt.Reason) Line {
	addr, err := netip.ParseAddr(client)
	if err != nil {
		return Line{Kind: NoAddress}
	}
	return Line{Kind: Attempted, Attempt: Attempt{
		Time: at, Client: addr.Unmap().WithZone(""), Name: name, Outcome: outcome, Reason: reason, Count: 1,
	}}
}

// unescape replaces the escapes of web servers and of OpenSSH: \xHH, \" and \\, and \ooo.
func unescape(s string) string {
	if !hasEscape(s) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		i++
		switch {
		case s[i] == 'x' && i+2 < len(s):
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
			out = append(out, '\\', s[i])
		case s[i] >= '0' && s[i] <= '3' && i+2 < len(s):
			if n, err := strconv.ParseUint(s[i:i+3], 8, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
			out = append(out, '\\', s[i])
		case s[i] == '"' || s[i] == '\\':
			out = append(out, s[i])
		default:
			out = append(out, '\\', s[i])
		}
	}
	return string(out)
}

func hasEscape(s string) bool {
	for i := range len(s) {
		if s[i] == '\\' {
			return true
		}
	}
	return false
}
