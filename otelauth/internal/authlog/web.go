// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package authlog

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

const accessTime = "02/Jan/2006:15:04:05 -0700"

// accessLog reads a line in the format "common" or "combined" of Apache and nginx, also with the
// name of the virtual host in front:
//
//	192.0.2.7 - alice [29/Nov/2026:19:23:20 +0000] "GET / HTTP/1.1" 401 123 "-" "curl/8"
//
// A client chooses the name, which may contain spaces and brackets, but servers escape quotes. So
// the first quote that follows a bracket begins the request.
func (p *Parser) accessLog(line string) (Line, bool) {
	end := strings.Index(line, `] "`)
	begin := end - len(accessTime)
	if begin < 1 || line[begin-1] != '[' {
		return Line{}, false
	}
	at, err := time.Parse(accessTime, line[begin:end])
	if err != nil {
		return Line{}, false
	}
	rest, ok := afterQuote(line[end+3:])
	if !ok {
		return Line{}, false
	}
	status, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	code, err := strconv.Atoi(status)
	if err != nil {
		return Line{}, false
	}
	head := strings.TrimRight(line[:begin-1], " ")
	client, head, _ := strings.Cut(head, " ")
	if next, after, found := strings.Cut(head, " "); found && !isIdent(next) {
		client, head = next, after // the first field is the virtual host
	}
	_, name, found := strings.Cut(head, " ") // after the ident
	if !found {
		return Line{}, false
	}
	if name == "-" {
		if code == http.StatusUnauthorized {
			return Line{Kind: NoCredentials}, true
		}
		return Line{Kind: Other}, true
	}
	if name == `""` {
		name = ""
	}
	return answered(at, client, unescape(name), code), true
}

// isIdent reports whether text is the second field of the common format, which is "-" unless the
// server asks the client's identd.
func isIdent(text string) bool { return text == "-" }

// afterQuote returns what follows the next quote that is not escaped.
func afterQuote(s string) (rest string, ok bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[i+1:], true
		}
	}
	return "", false
}

// answered returns the line of a request with credentials. Servers write the name that the client
// has sent, right or wrong, so the answer decides.
func answered(at time.Time, client, name string, code int) Line {
	var line Line
	switch {
	case code == http.StatusUnauthorized:
		line = failed(at, client, name, "")
	case code == http.StatusTooManyRequests:
		line = decided(at, client, name, attempt.Throttled, "")
	case code >= 200 && code < 400, code == http.StatusNotFound, code == http.StatusMethodNotAllowed, code == http.StatusGone,
		code == http.StatusConflict, code == http.StatusPreconditionFailed, code == http.StatusRequestedRangeNotSatisfiable,
		code == http.StatusUnprocessableEntity:
		line = decided(at, client, name, attempt.Success, "")
	default:
		return Line{Kind: Undecided}
	}
	line.Attempt.source = fromAccessLog
	return line
}

const (
	nginxTime  = "2006/01/02 15:04:05"
	apacheTime = "Mon Jan 02 15:04:05.000000 2006"
)

// nginxError reads a line of nginx's error log:
//
//	2026/11/29 19:23:20 [error] 29#29: *3 user "alice": password mismatch, client: 192.0.2.7, …
func (p *Parser) nginxError(line string) (Line, bool) {
	if len(line) < len(nginxTime)+2 || line[4] != '/' || line[len(nginxTime):len(nginxTime)+2] != " [" {
		return Line{}, false
	}
	at, err := time.ParseInLocation(nginxTime, line[:len(nginxTime)], p.zone)
	if err != nil {
		return Line{}, false
	}
	_, text, found := strings.Cut(line, ` user "`)
	// The client chooses the name and the request, so its address is what follows the last of
	// these texts before the request.
	const missing, mismatch, client = `" was not found in "`, `": password mismatch, client: `, `, client: `
	text, _, cut := strings.Cut(text, `, server: `)
	if !found || !cut {
		return Line{Kind: Other}, true
	}
	if i := strings.LastIndex(text, mismatch); i >= 0 {
		return fromError(failed(at, text[i+len(mismatch):], text[:i], attempt.ReasonWrongPassword)), true
	}
	i, c := strings.LastIndex(text, missing), strings.LastIndex(text, client)
	if i < 0 || c < i {
		return Line{Kind: Other}, true
	}
	return fromError(failed(at, text[c+len(client):], text[:i], attempt.ReasonUnknownUser)), true
}

func fromError(line Line) Line {
	line.Attempt.source = fromErrorLog
	return line
}

// apacheError reads a line of Apache's error log:
//
//	[Sun Nov 29 19:23:20.123456 2026] [auth_basic:error] [pid 1:tid 2] [client 192.0.2.7:4711]
//	AH01617: user alice: authentication failure for "/": Password Mismatch
func (p *Parser) apacheError(line string) (Line, bool) {
	if line[0] != '[' {
		return Line{}, false
	}
	stamp, rest, found := strings.Cut(line[1:], "] ")
	at, err := time.ParseInLocation(apacheTime, stamp, p.zone)
	if !found || err != nil {
		return Line{}, false
	}
	if !strings.HasPrefix(rest, "[auth_") {
		return Line{Kind: Other}, true
	}
	_, rest, found = strings.Cut(rest, "[client ")
	client, message, closed := strings.Cut(rest, "] ")
	if !found || !closed {
		return Line{Kind: Other}, true
	}
	if i := strings.LastIndexByte(client, ':'); i >= 0 && strings.Count(client, ".") == 3 {
		client = client[:i]
	} else if i >= 0 && strings.HasPrefix(client, "[") { // of IPv6
		client = strings.Trim(client[:i], "[]")
	}
	_, text, found := strings.Cut(message, "user ")
	if !found {
		return Line{Kind: Other}, true
	}
	const mismatch, missing = `: authentication failure for "`, ` not found: `
	if name, _, ok := strings.Cut(text, mismatch); ok {
		return fromError(failed(at, client, unescape(name), attempt.ReasonWrongPassword)), true
	}
	if name, _, ok := strings.Cut(text, missing); ok {
		return fromError(failed(at, client, unescape(name), attempt.ReasonUnknownUser)), true
	}
	return Line{Kind: Other}, true
}
