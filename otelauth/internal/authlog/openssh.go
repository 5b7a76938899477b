// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package authlog

import (
	"strconv"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// maxConnections bounds the connections of OpenSSH that are remembered. If there are more, all are
// forgotten, and an attempt with two lines may then count twice.
const maxConnections = 4096

// sshd has, for each process of OpenSSH, the attempt that a line has reported and that a second
// line about the same attempt may repeat.
type sshd struct{ reported map[string]string }

// report remembers an attempt of a process.
func (s *sshd) report(process, name string) {
	if s.reported == nil || len(s.reported) >= maxConnections {
		s.reported = map[string]string{}
	}
	s.reported[process] = name
}

// wasReported reports whether an earlier line of the process was about this attempt, once.
func (s *sshd) wasReported(process, name string) bool {
	if known, ok := s.reported[process]; !ok || known != name {
		return false
	}
	delete(s.reported, process)
	return true
}

// syslog reads a line of syslog or of journalctl -o short-iso.
func (p *Parser) syslog(line string) (Line, bool) {
	if line[0] == '<' { // the priority of RFC 3164
		if _, rest, found := strings.Cut(line, ">"); found {
			line = rest
		}
	}
	var at time.Time
	var rest string
	ok := false
	if len(line) > bsdLen && line[bsdLen] == ' ' {
		at, ok = p.bsd(line[:bsdLen])
		rest = line[bsdLen+1:]
	}
	if !ok {
		var text string
		text, rest, _ = strings.Cut(line, " ")
		if at, ok = p.iso(text); !ok {
			return Line{}, false
		}
	}
	host, rest, _ := strings.Cut(rest, " ")
	program, message, found := strings.Cut(rest, ": ")
	if !found {
		return Line{Kind: Other}, true
	}
	name, _, _ := strings.Cut(program, "[")
	if name != "sshd" && name != "sshd-session" && name != "sshd-auth" {
		return Line{Kind: Other}, true
	}
	return p.openSSH(at, host+" "+program, strings.TrimLeft(message, " ")), true
}

// openSSH reads a message of OpenSSH.
//
// A wrong password of a name that is not an account has two lines: "Invalid user" and then "Failed
// password for invalid user". A client that disconnects in between has only the first. Likewise
// PAM reports a failure, and then OpenSSH does. The second line about an attempt is a duplicate.
func (p *Parser) openSSH(at time.Time, process, message string) Line {
	count := 1
	if rest, ok := strings.CutPrefix(message, "message repeated "); ok { // by rsyslog
		times, inner, found := strings.Cut(rest, " times: [ ")
		n, err := strconv.Atoi(times)
		if !found || err != nil || n < 1 {
			return Line{Kind: Other}
		}
		message, count = strings.TrimSuffix(inner, "]"), min(n, 1000)
	}
	line := p.oneMessage(at, process, message)
	if line.Kind == Attempted {
		line.Attempt.Count = count
		if len(line.Attempt.Name) > 0 {
			line.Attempt.Name = unescape(line.Attempt.Name)
		}
	}
	return line
}

func (p *Parser) oneMessage(at time.Time, process, message string) Line {
	const (
		invalid = "Invalid user "
		illegal = "illegal user "
		pam     = "error: PAM: "
	)
	switch {
	case strings.HasPrefix(message, "Accepted "):
		_, rest, _ := strings.Cut(message[len("Accepted "):], " for ")
		name, client, ok := fromClient(rest)
		if !ok {
			return Line{Kind: Other}
		}
		return decided(at, client, name, attempt.Success, "")
	case strings.HasPrefix(message, "Failed "):
		return p.failedLine(at, process, message[len("Failed "):])
	case strings.HasPrefix(message, invalid):
		return p.firstLine(at, process, message[len(invalid):], attempt.ReasonUnknownUser)
	case strings.HasPrefix(message, "User ") && strings.Contains(message, " not allowed because "):
		head, _, _ := strings.Cut(message[len("User "):], " not allowed because ")
		return p.firstLine(at, process, head, attempt.ReasonAccountDisabled)
	case strings.HasPrefix(message, pam):
		_, rest, found := strings.Cut(message, " for ")
		name, client, ok := fromClient(rest)
		if !found || !ok {
			return Line{Kind: Other}
		}
		reason := attempt.ReasonWrongPassword
		if after, isInvalid := strings.CutPrefix(name, illegal); isInvalid {
			name, reason = after, attempt.ReasonUnknownUser
		}
		line := Line{Kind: Duplicate}
		if !p.ssh.wasReported(process, name) {
			line = failed(at, client, name, reason)
		}
		p.ssh.report(process, name)
		return line
	}
	return Line{Kind: Other}
}

// firstLine reads "NAME from ADDRESS", of a line that "Failed …" may follow.
func (p *Parser) firstLine(at time.Time, process, text string, reason attempt.Reason) Line {
	name, client, ok := fromClient(text)
	if !ok {
		return Line{Kind: Other}
	}
	p.ssh.report(process, name)
	return failed(at, client, name, reason)
}

// failedLine reads "METHOD for [invalid user ]NAME from ADDRESS …".
func (p *Parser) failedLine(at time.Time, process, text string) Line {
	method, rest, found := strings.Cut(text, " for ")
	name, client, ok := fromClient(rest)
	switch {
	case !found || !ok || method == "none": // the client asks which methods there are
		return Line{Kind: Other}
	case method == "publickey" || method == "hostbased":
		return Line{Kind: KeyRefused}
	}
	reason := attempt.ReasonWrongPassword
	if after, isInvalid := strings.CutPrefix(name, "invalid user "); isInvalid {
		name, reason = after, attempt.ReasonUnknownUser
	}
	if p.ssh.wasReported(process, name) {
		return Line{Kind: Duplicate}
	}
	return failed(at, client, name, reason)
}

// fromClient splits "NAME from ADDRESS port …". The last "from" counts, because the client chooses
// the name.
func fromClient(text string) (name, client string, ok bool) {
	at := strings.LastIndex(text, " from ")
	if at < 0 {
		if client, ok = strings.CutPrefix(text, "from "); !ok { // an empty name
			return "", "", false
		}
		client, _, _ = strings.Cut(client, " ")
		return "", client, true
	}
	client, _, _ = strings.Cut(text[at+len(" from "):], " ")
	return text[:at], client, true
}
