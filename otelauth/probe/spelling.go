// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

func encode(n uint64) string { return strconv.FormatUint(n, 36) }

func encodeBase64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// path returns a maker of anonymous requests for another spelling of the path. spell returns "" if
// the path has no such spelling.
func path(spell func(path string) string) func(*cell) (*message, string) {
	return func(c *cell) (*message, string) {
		// The path of the target stays as it is: the spelling is that of the endpoint.
		own := c.path[len(c.prefix):]
		p := spell(own)
		if p == "" || p == own {
			return nil, ""
		}
		m := c.plain()
		m.target = c.prefix + p + c.query
		return m, ""
	}
}

func prefixed(prefix string) func(string) string {
	return func(p string) string { return prefix + p }
}

func suffixed(suffix string) func(string) string {
	return func(p string) string {
		if trimmed := strings.TrimRight(p, "/"); trimmed != "" {
			return trimmed + suffix
		}
		return ""
	}
}

func isLetter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }

// lastLetter returns the index of the last letter of the path outside of an escape, or -1.
func lastLetter(p string) int {
	for i := len(p) - 1; i >= 0; i-- {
		if isLetter(p[i]) && (i < 1 || p[i-1] != '%') && (i < 2 || p[i-2] != '%') {
			return i
		}
	}
	return -1
}

func encodedLetter(p string) string {
	i := lastLetter(p)
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("%s%%%02X%s", p[:i], p[i], p[i+1:])
}

func encodedLetters(p string) string {
	var b strings.Builder
	for i := range len(p) {
		if isLetter(p[i]) && (i < 1 || p[i-1] != '%') && (i < 2 || p[i-2] != '%') {
			fmt.Fprintf(&b, "%%%02x", p[i])
		} else {
			b.WriteByte(p[i])
		}
	}
	return b.String()
}

func doubleEncoded(p string) string {
	i := lastLetter(p)
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("%s%%25%02X%s", p[:i], p[i], p[i+1:])
}

// innerIndex returns the index of the last slash with a segment on either side, or -1.
func innerIndex(p string) int {
	i := strings.LastIndexByte(strings.TrimRight(p, "/"), '/')
	if i <= 0 {
		return -1
	}
	return i
}

func encodedSlash(p string) string {
	i := innerIndex(p)
	if i < 0 {
		return ""
	}
	return p[:i] + "%2F" + p[i+1:]
}

func innerSlash(p string) string {
	i := innerIndex(p)
	if i < 0 {
		return ""
	}
	return p[:i] + "/" + p[i:]
}

func backslash(p string) string {
	i := innerIndex(p)
	if i < 0 {
		return ""
	}
	return p[:i] + `\` + p[i+1:]
}

func trailingSlash(p string) string {
	if trimmed := strings.TrimRight(p, "/"); trimmed != p {
		return trimmed
	}
	return p + "/"
}

// upperCase leaves escapes as they are, because their case has no meaning.
func upperCase(p string) string {
	b := []byte(p)
	for i := 0; i < len(b); i++ {
		if b[i] == '%' {
			i += 2
			continue
		}
		if b[i] >= 'a' && b[i] <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

// out returns a maker of requests that leave a public path.
func (c *cell) out(step string) (*message, string) {
	if c.public == "" {
		return nil, notSentPublic
	}
	m := c.plain()
	public := strings.Trim(c.public[len(c.prefix):], "/")
	if public == "" {
		return nil, ""
	}
	m.target = c.prefix + "/" + public + strings.Repeat(step, strings.Count(public, "/")+1) + c.path[len(c.prefix):] + c.query
	return m, ""
}

func makePublicDots(c *cell) (*message, string)      { return c.out("/..") }
func makePublicSemicolon(c *cell) (*message, string) { return c.out("/..;") }

func makeAbsolute(c *cell) (*message, string) {
	m := c.plain()
	m.target = c.scheme + "://" + c.host + m.target
	return m, ""
}

// method returns a maker of anonymous requests with another method.
func method(name string) func(*cell) (*message, string) {
	return func(c *cell) (*message, string) {
		if c.endpoint.Method == name {
			return nil, ""
		}
		m := c.plain()
		m.method, m.body, m.contentType = name, "", ""
		return m, ""
	}
}

func makeLowerMethod(c *cell) (*message, string) {
	m := c.plain()
	m.method = strings.ToLower(m.method)
	return m, ""
}

func makePost(c *cell) (*message, string) {
	if !c.unsafe {
		return nil, notSentUnsafe
	}
	return method("POST")(c)
}

func makeOverride(c *cell) (*message, string) {
	m := c.plain()
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		m.add(name, m.method)
	}
	m.method, m.body, m.contentType = "OPTIONS", "", ""
	return m, ""
}

// extra returns a maker of anonymous requests with more fields.
func extra(fields []Header) func(*cell) (*message, string) {
	return func(c *cell) (*message, string) {
		m := c.plain()
		for _, f := range fields {
			m.add(f.Name, f.Value)
		}
		return m, ""
	}
}

// forwardingHeaders are those by which a proxy names the client.
var forwardingHeaders = []Header{
	{"X-Forwarded-For", "127.0.0.1"},
	{"Forwarded", "for=127.0.0.1;proto=https"},
	{"X-Real-IP", "127.0.0.1"},
	{"X-Client-IP", "127.0.0.1"},
	{"X-Originating-IP", "127.0.0.1"},
	{"X-Remote-IP", "127.0.0.1"},
	{"X-Remote-Addr", "127.0.0.1"},
	{"X-Cluster-Client-IP", "127.0.0.1"},
	{"True-Client-IP", "127.0.0.1"},
	{"CF-Connecting-IP", "127.0.0.1"},
	{"X-ProxyUser-Ip", "127.0.0.1"},
	{"X-Forwarded-Proto", "https"},
	{"X-Forwarded-Host", "localhost"},
}

// internalHeaders are those by which frameworks and proxies mark requests of their own.
var internalHeaders = []Header{
	{"X-Internal", "1"},
	{"X-Internal-Request", "true"},
	// CVE-2025-29927
	{"X-Middleware-Subrequest", "middleware:middleware:middleware:middleware:middleware"},
	{"X-Debug", "1"},
	{"X-Requested-With", "XMLHttpRequest"},
	{"Referer", "http://localhost/"},
}

// identityHeaders are those by which a proxy names the user.
var identityHeaders = []string{
	"Remote-User", "Remote-Name", "Remote-Groups", "X-Remote-User", "X-Forwarded-User", "X-Auth-Request-User", "X-Auth-Request-Email",
	"X-WEBAUTH-USER", "X-Authenticated-User", "X-Authenticated-Userid", "X-Auth-User", "X-User", "X-User-Id", "X-Username",
	"X-Token-User-Name", "X-Consumer-Username", "X-Credential-Username", "X-Auth-Username",
}

func makeIdentityHeaders(c *cell) (*message, string) {
	user := "admin"
	if c.right != nil {
		user = c.right.Username
	}
	m := c.plain()
	for _, name := range identityHeaders {
		m.add(name, user)
	}
	return m, ""
}

func makeOriginalURL(c *cell) (*message, string) {
	m := c.plain()
	m.target = "/"
	if c.public != "" {
		m.target = c.public
	}
	if m.target == c.path {
		return nil, ""
	}
	for _, name := range []string{"X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Uri", "X-Forwarded-Path"} {
		m.add(name, c.path+c.query)
	}
	return m, ""
}

func makeHostLocalhost(c *cell) (*message, string) {
	m := c.plain()
	if m.host == "localhost" {
		return nil, ""
	}
	m.host = "localhost"
	return m, ""
}

func makeHTTP10(c *cell) (*message, string) {
	m := c.plain()
	m.proto, m.host = "HTTP/1.0", ""
	return m, ""
}

func makeSpaceColon(c *cell) (*message, string) {
	m := c.plain().authorize("Basic", c.names.user(), c.names.password(), "wrong password")
	m.fields[0].name = "Authorization "
	m.credentials, m.username = "unknown user, a space before the colon", ""
	return m, ""
}

func makeFolded(c *cell) (*message, string) {
	m := c.plain().authorize("Basic", c.names.user(), c.names.password(), "wrong password")
	m.fields[0].value = strings.Replace(m.fields[0].value, " ", "\r\n ", 1)
	m.credentials, m.username = "unknown user, over two lines", ""
	return m, ""
}
