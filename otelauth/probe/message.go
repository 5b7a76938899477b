// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// message is a request as it is sent, secrets included.
type message struct {
	method, target, proto string
	host                  string // no Host field if empty
	fields                []field
	contentType, body     string
	credentials           string // in words
	username              string
	identity              string // the name of the identity, if it is the right one
	// secrets are those of this request, which the answer must not show.
	secrets []string
}

// field is a header field. shown replaces value in reports.
type field struct{ name, value, shown string }

func (f field) display() string {
	if f.shown != "" {
		return f.shown
	}
	return f.value
}

// append appends the bytes of the message.
func (m *message) append(b []byte) []byte {
	b = append(b, m.method...)
	b = append(b, ' ')
	b = append(b, m.target...)
	b = append(b, ' ')
	b = append(b, m.proto...)
	b = append(b, "\r\n"...)
	if m.host != "" {
		b = appendField(b, "Host", m.host)
	}
	for _, f := range m.fields {
		b = appendField(b, f.name, f.value)
	}
	if m.contentType != "" {
		b = appendField(b, "Content-Type", m.contentType)
	}
	if m.body != "" || m.method == "POST" || m.method == "PUT" || m.method == "PATCH" {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(m.body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, m.body...)
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// isGuess reports whether a service may count the request as a wrong password.
func (m *message) isGuess() bool {
	return m.identity == "" && slices.ContainsFunc(m.fields, func(f field) bool { return strings.TrimSpace(f.name) == "Authorization" })
}

// add appends a field that holds no secret.
func (m *message) add(name, value string) *message {
	m.fields = append(m.fields, field{name: name, value: value})
	return m
}

// token returns the credentials of RFC 7617.
func token(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// authorize adds an Authorization field with the scheme as it is written.
func (m *message) authorize(scheme, user, password, words string) *message {
	t := token(user, password)
	shown := user
	if strings.ContainsFunc(shown, unicode.IsControl) {
		shown = strings.Trim(strconv.Quote(shown), `"`)
	}
	m.fields = append(m.fields, field{"Authorization", scheme + " " + t, fmt.Sprintf("%s {base64 of %s:%s}", scheme, shown, words)})
	m.username = user
	m.secrets = append(m.secrets, t)
	if password != "" {
		m.secrets = append(m.secrets, password)
	}
	return m
}

// request returns the message without its secrets.
func (m *message) request(base string) Request {
	r := Request{Method: m.method, Target: m.target, Credentials: m.credentials, Body: m.body}
	r.Headers = make([]Header, 0, 2+len(m.fields))
	if m.host != "" {
		r.Headers = append(r.Headers, Header{"Host", m.host})
	}
	for _, f := range m.fields {
		r.Headers = append(r.Headers, Header{f.name, abridged(f.display())})
	}
	if m.contentType != "" {
		r.Headers = append(r.Headers, Header{"Content-Type", m.contentType})
	}
	r.Curl = m.curl(base)
	return r
}

const longestShown = 300

func abridged(s string) string {
	if len(s) <= longestShown {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:100], len(s))
}

// curl returns a command line for the message. The placeholder of a password is the variable
// PASSWORD.
func (m *message) curl(base string) string {
	args := append(make([]string, 0, 10+2*len(m.fields)), "curl", "--include", "--path-as-is")
	if m.proto == "HTTP/1.0" {
		args = append(args, "--http1.0")
	}
	switch m.method {
	case "GET":
	case "HEAD":
		args = append(args, "--head")
	default:
		args = append(args, "--request", quoteShell(m.method))
	}
	for _, f := range m.fields {
		if strings.EqualFold(f.name, "traceparent") || f.name == "X-Request-Id" {
			continue // they belong to one attempt
		}
		args = append(args, "--header", quoteShell(f.name+": "+abridged(f.display())))
	}
	if m.contentType != "" {
		args = append(args, "--header", quoteShell("Content-Type: "+m.contentType))
	}
	if m.body != "" {
		args = append(args, "--data-raw", quoteShell(m.body))
	}
	url := base + m.target
	if strings.HasPrefix(m.target, "http://") || strings.HasPrefix(m.target, "https://") || !strings.HasPrefix(m.target, "/") {
		args = append(args, "--request-target", quoteShell(m.target))
		url = base
	}
	return strings.Join(append(args, quoteShell(url)), " ")
}

// quoteShell quotes s for a shell.
func quoteShell(s string) string {
	if isPlain(s) {
		return s
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		q := strconv.QuoteToASCII(s)
		return "$'" + strings.ReplaceAll(strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`), "'", `\'`) + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// isPlain reports whether s means itself to a shell.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && (c < '0' || c > '9') && strings.IndexByte("-_./:=@%+,", c) < 0 {
			return false
		}
	}
	return s != ""
}

// scrub replaces the secrets of the message in text of the target.
func scrub(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) > 2 {
			text = strings.ReplaceAll(text, s, "{secret}")
		}
	}
	return text
}

// echoes reports whether text shows a secret of a request. Secrets shorter than 6 bytes are not
// looked for, because they may be part of other words.
func echoes(text string, secrets []string) bool {
	return slices.ContainsFunc(secrets, func(s string) bool { return len(s) >= 6 && strings.Contains(text, s) })
}
