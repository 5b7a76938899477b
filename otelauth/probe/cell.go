// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"strings"
	"sync"
	"sync/atomic"
)

// cell is an endpoint and a probe: what a request is made from.
type cell struct {
	endpoint Endpoint
	// path is the path of the endpoint with that of the target in front. query has its "?".
	path, query string
	prefix      string // the path of the target
	scheme      string
	host        string
	right       *Identity // nil if no identity may use the endpoint
	throwaway   string
	public      string // the path of a public endpoint, or ""
	unsafe      bool
	names       *names
}

// names makes user names and passwords that are unique to a run.
type names struct {
	run   string
	count atomic.Uint64
	once  sync.Once
	long  string
}

// user returns a name that no account has.
func (n *names) user() string {
	return "probe-" + n.run + "-" + encode(n.count.Add(1))
}

// oversized returns a field of 64 KiB, the same for the whole run.
func (n *names) oversized() string {
	n.once.Do(func() { n.long = "Basic " + encodeBase64(n.user()+":"+strings.Repeat("x", oversizedBytes)) })
	return n.long
}

// password returns a password that no account has.
func (n *names) password() string {
	return "wrong-" + n.run + "-" + encode(n.count.Add(1))
}

const (
	notSentThrowaway = "no throwaway account: name one with --throwaway"
	notSentIdentity  = "no identity has the right to this endpoint: name one in --identities"
	notSentPublic    = "no endpoint is known to be public"
	notSentUnsafe    = "an unsafe method: --unsafe-methods allows it"
)

// plain returns the request of the endpoint without credentials.
func (c *cell) plain() *message {
	return &message{
		method: c.endpoint.Method, target: c.path + c.query, proto: "HTTP/1.1", host: c.host,
		contentType: c.endpoint.ContentType, body: c.endpoint.Body, credentials: "none",
	}
}

// as returns the request with the credentials of an identity.
func (c *cell) as(id *Identity, scheme string) *message {
	m := c.plain().authorize(scheme, id.Username, id.Password, "password of "+id.Name)
	m.credentials, m.identity = id.Name, id.Name
	return m
}

func makeControl(c *cell) (*message, string) {
	if c.right == nil {
		return nil, notSentIdentity
	}
	return c.as(c.right, "Basic"), ""
}

// absent is the name of a path that no service has.
func (c *cell) absent() string {
	dir := c.path[:strings.LastIndexByte(strings.TrimSuffix(c.path, "/"), '/')+1]
	if dir == "" {
		dir = "/"
	}
	return dir + "otelauth-probe-" + c.names.run
}

func makeErrorPage(c *cell) (*message, string) {
	m, why := makeControl(c)
	if m != nil {
		m.target = c.absent()
		if !isSafe(m.method) {
			m.method, m.body, m.contentType = "GET", "", ""
		}
	}
	return m, why
}

func makeDeniedPage(c *cell) (*message, string) {
	m := c.plain()
	m.target = c.absent()
	if !isSafe(m.method) {
		m.method, m.body, m.contentType = "GET", "", ""
	}
	return m, ""
}

func makeAnonymous(c *cell) (*message, string) { return c.plain(), "" }

func makeUnknown(c *cell) (*message, string) {
	m := c.plain().authorize("Basic", c.names.user(), c.names.password(), "wrong password")
	m.credentials = "unknown user"
	return m, ""
}

func makeWrong(c *cell) (*message, string) {
	if c.throwaway == "" {
		return nil, notSentThrowaway
	}
	m := c.plain().authorize("Basic", c.throwaway, c.names.password(), "wrong password")
	m.credentials = "wrong password of the throwaway account"
	return m, ""
}

func makeEmptyUser(c *cell) (*message, string) {
	m := c.plain().authorize("Basic", "", c.names.password(), "wrong password")
	m.credentials = "empty user name"
	return m, ""
}

func makeEmptyPassword(c *cell) (*message, string) {
	user := c.throwaway
	if user == "" {
		user = c.names.user()
	}
	m := c.plain().authorize("Basic", user, "", "")
	m.credentials = "empty password"
	return m, ""
}

func makeEmptyBoth(c *cell) (*message, string) {
	m := c.plain().add("Authorization", "Basic Og==")
	m.credentials = "empty user name and password"
	return m, ""
}

// authorization returns a maker of requests with this Authorization field.
func authorization(value, words string) func(*cell) (*message, string) {
	return func(c *cell) (*message, string) {
		m := c.plain().add("Authorization", value)
		m.credentials = words
		return m, ""
	}
}

func makeBearer(c *cell) (*message, string) {
	t := c.names.password()
	m := c.plain()
	m.fields = append(m.fields, field{"Authorization", "Bearer " + t, "Bearer {invented token}"})
	m.secrets = append(m.secrets, t)
	m.credentials = "an invented Bearer token"
	return m, ""
}

func makeNoColon(c *cell) (*message, string) {
	name := c.names.user()
	t := encodeBase64(name)
	m := c.plain()
	m.fields = append(m.fields, field{"Authorization", "Basic " + t, "Basic {base64 of " + name + "}"})
	m.credentials = "no colon"
	return m, ""
}

func makeSchemeCase(c *cell) (*message, string) {
	m := c.plain().authorize("bAsIc", c.names.user(), c.names.password(), "wrong password")
	m.credentials = "unknown user"
	return m, ""
}

func makeSchemeCaseRight(c *cell) (*message, string) {
	if c.right == nil {
		return nil, notSentIdentity
	}
	return c.as(c.right, "bAsIc"), ""
}

func makeTwoWrong(c *cell) (*message, string) {
	m := c.plain().authorize("Basic", c.names.user(), c.names.password(), "wrong password")
	m.authorize("Basic", c.names.user(), c.names.password(), "wrong password")
	m.credentials, m.username = "two wrong fields", ""
	return m, ""
}

func makeTwoHeaders(c *cell) (*message, string) {
	if c.right == nil {
		return nil, notSentIdentity
	}
	m := c.plain().authorize("Basic", c.names.user(), c.names.password(), "wrong password")
	m.authorize("Basic", c.right.Username, c.right.Password, "password of "+c.right.Name)
	m.credentials, m.username = "a wrong field, then that of "+c.right.Name, ""
	return m, ""
}

func makeJoined(c *cell) (*message, string) {
	m, why := makeTwoHeaders(c)
	if m != nil {
		first, second := m.fields[0], m.fields[1]
		m.fields = []field{{"Authorization", first.value + ", " + second.value, first.shown + ", " + second.shown}}
	}
	return m, why
}

// oversizedBytes is more than each common server reads of one field.
const oversizedBytes = 64 << 10

func makeOversized(c *cell) (*message, string) {
	m := c.plain()
	m.fields = append(m.fields, field{"Authorization", c.names.oversized(), "Basic {64 KiB}"})
	m.credentials = "oversized"
	return m, ""
}

func makeControlCharacter(c *cell) (*message, string) {
	m := c.plain().authorize("Basic", c.names.user()+"\x00\x1b[1m", c.names.password(), "wrong password")
	m.credentials = "a control character in the user name"
	return m, ""
}

func makeRawControl(c *cell) (*message, string) {
	m := c.plain()
	t := token(c.names.user(), c.names.password())
	m.fields = append(m.fields, field{"Authorization", "Basic \x01" + t, "Basic \\x01{base64}"})
	m.secrets = append(m.secrets, t)
	m.credentials = "a control character in the field"
	return m, ""
}

func isSafe(method string) bool {
	switch strings.ToUpper(method) {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return false
}
