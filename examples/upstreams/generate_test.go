// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// The paths from which inputs are generated.
var (
	restrictedPaths = []string{
		"/admin/", "/admin/x", "/admin/secret.txt", "/admin/Login", "/admin", "/u/me", "/access/x",
		"/files/private/", "/files/private/secret.txt",
	}
	openPaths      = []string{"/static/a.css", "/static/", "/healthz", "/u/7", "/u/bob", "/static/x/y.js"}
	protectedPaths = []string{"/", "/orders", "/files/", "/files/a", "/files/x/y", "/index.php", "/x.php", "/u/", "/static"}
	openPrefixes   = []string{"/static/", "/static/x/", "/u/", "/u/7/", "/files/", "/files/x%2fy/", "/files/x%2Fy%5cz/", "/files/a/", "/", "/healthz/"}

	scripts = []string{"/index.php", "/x.php", "/static/x.php", "/files/x.php", "/app.cgi", "/index.php/index.php", "/u/x.php", "/INDEX.PHP", "/index%2ephp", "/app.wsgi", "/x.php81"}
	climbs  = []string{
		"..", "..", "%2e%2e", ".%2e", "%2E.", "..;", "..;x=y", "%2e%2e;", "..%20", "%20..", "..%00", "..%09", "..%0d", "..%3f", "..%23", "..?", "..#", "..:", "..%3b",
		"..%2f", "..%5c", `..\`, "%252e%252e", "%252e.", "%25252e%25252e", "．．", "%EF%BC%8E%EF%BC%8E", "‥", "%E2%80%A5", ".%EF%BC%8E", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae",
		"%u002e%u002e", "%uff0e%uff0e", ".%E2%80%8B.", "..%E2%80%8B", "%C2%AD..", "...", "....", ". .", "..%C2%A0", "..%ff", ".", "%2e", "", ";", "%20", "..%2f..", "..%c0%af",
		"..%252f..", "%2e%2e%2f%2e%2e", "..%5c..", "..%EF%BC%8F..", "..%E2%88%95", ".;/..", "%F0%9D%85%B3..", "..+", "+..", ".+", "..%2b", "+", "..%E2%88%95..", "..%E2%88%96..", "..%C2%A5", "(S(x))", "(A(x)F(y))",
	}
	joints = []string{
		"//", "/./", "/.//", `\`, `/\`, "%2f", "%2F", "%5c", "%5C", "%252f", "%255c", "／", "%EF%BC%8F", "%E2%88%95", "%E2%81%84", "%EF%BC%BC", "%c0%af", "%e0%80%af",
		"/;/", "/;x=y/", ";/", ";a=b/", "%3b/", "/%20/", "/%00/", "/%2e/", "/.;/", "%u002f", "%u2215", "/%E2%80%8B/", "/%C2%AD/", "/%09/", "///", "/%2f", "%2f/", "/+/", "/(S(x))/", "/%28f%28x%29)/", "%E2%88%96", "%C2%A5", "¥", "%E2%82%A9",
	}
	suffixes = []string{
		".json", ".html", ".php", ".bak", ".", "..", "~", "%7E", "%20", "%20%20", "+", "+%20", "%2b", "%252b", "::$DATA", "%3A%3A$DATA", ":$i30", ";", ";x", ";.css", ";jsessionid=1", "%3b", "%3B.js",
		"%00", "%00.png", "%0a", "%0d%0a", "%09", "%3f", "%3Fx", "%3f.css", "%23", "%23x", "#", "#/static/a.css", "?", "??", "*", "%2a", ",", "%2C", ":", "%3a80", "%7f", "%80",
		"%ff", "%C2%A0", "%E2%80%8B", "%EF%BB%BF", "%CC%81", "/", "//", "/.", "/..", "%2f", "%5c", `\`, "/x.css", "/..;/", "|", "%7C", "^", "`", "{}", "[1]", "(1)", "'", "@", "!", "$", "&",
	}
	garbage = []string{"%", "%2", "%zz", "%%32%65", "%%2e", "%u", "%u00", "%u00zz", "%-1", "%c0", "%f0%80%80%af", "%ed%a0%80", "\x80", "\xff", "é", "\"", "<", ">", "\t", "\x01", "\x7f"}
	letters = map[byte][]string{
		'a': {"á", "ａ", "ª", "ⓐ", "𝐚", "å"}, 'b': {"ｂ", "ƀ", "ⓑ"}, 'c': {"ç", "ｃ", "ℂ", "ⅽ"}, 'd': {"đ", "ｄ", "ⅾ", "ď"}, 'e': {"é", "ｅ", "ℯ", "ē"}, 'f': {"ｆ"},
		'h': {"ħ", "ｈ", "ʰ"}, 'i': {"í", "ı", "İ", "ｉ", "ⅰ"}, 'l': {"ł", "ｌ", "ⅼ"}, 'm': {"ｍ", "ⅿ", "ṁ"}, 'n': {"ñ", "ｎ", "ⁿ"}, 'o': {"ø", "ö", "ｏ"}, 'p': {"ｐ", "ṕ"},
		'r': {"ｒ", "ř"}, 's': {"ſ", "ｓ", "š", "ß"}, 't': {"ŧ", "ｔ", "ť"}, 'u': {"ü", "ｕ"}, 'v': {"ｖ", "ⅴ"}, 'x': {"ｘ", "ⅹ"}, 'z': {"ž", "ｚ", "ƶ"}, 'k': {"K"},
	}
	inserts = []string{"\u200b", "\u00ad", "\u2060", "\ufe0f", "\u180e", "\u0301", "\u0338", "\u20d7", "\x00", "\t", " ", ";", "%", "\u115f", "\U000e0001", "\u200d"}
)

type generator struct{ *rand.Rand }

// generate returns the input with a number of the run with a seed.
func generate(seed, number uint64) input {
	g := generator{rand.New(rand.NewPCG(seed, number))}
	in := input{method: "GET", target: g.path()}
	for range g.weight() {
		in.target = g.mutate(in.target)
	}
	g.form(&in)
	if !strings.HasPrefix(in.target, "/") && !strings.HasPrefix(in.target, "http") && in.target != "*" {
		in.target = "/" + in.target
	}
	return in
}

func (g generator) one(list []string) string { return list[g.IntN(len(list))] }

// weight returns the number of mutations of an input: 0 to 4, most often few.
func (g generator) weight() int { return min(g.IntN(5), g.IntN(5)) }

func (g generator) path() string {
	switch g.IntN(12) {
	case 0, 1, 2:
		return g.one(restrictedPaths)
	case 3, 4:
		return g.one(openPaths)
	case 5, 6:
		return g.one(openPrefixes) + g.climb() + g.one(restrictedPaths)[1:]
	case 7:
		return g.one(scripts) + g.one(append(restrictedPaths, protectedPaths...))
	case 8:
		return strings.TrimSuffix(g.one(openPrefixes), "/") + g.one(joints) + g.one(restrictedPaths)[1:]
	case 9:
		a, b := g.one(openPaths), g.one(restrictedPaths)
		return a[:g.IntN(len(a)+1)] + b[g.IntN(len(b)):]
	case 10:
		return g.one(protectedPaths)
	default:
		return g.one(openPrefixes) + g.one(restrictedPaths)[1:]
	}
}

// climb returns one to three dot segments. Half of the time they are spelled alike, and often
// plainly.
func (g generator) climb() (path string) {
	list := climbs
	if g.IntN(3) == 0 {
		list = climbs[:5]
	}
	segment, alike := g.one(list), g.IntN(2) == 0
	for range 1 + g.IntN(3) {
		if !alike {
			segment = g.one(list)
		}
		path += segment + "/"
	}
	return path
}

func (g generator) mutate(s string) string {
	if s == "" {
		return "/"
	}
	i := g.IntN(len(s))
	switch g.IntN(12) {
	case 0, 1, 2:
		return g.spell(s, i)
	case 3, 4: // the end of a segment
		if j := strings.IndexByte(s[i:], '/'); j > 0 {
			return s[:i+j] + g.one(suffixes) + s[i+j:]
		}
		return s + g.one(suffixes)
	case 5: // a slash
		if j := strings.IndexByte(s[i:], '/'); j >= 0 {
			return s[:i+j] + g.one(joints) + s[i+j+1:]
		}
		return s + g.one(joints)
	case 6:
		return g.encoded(s, i, g.one(inserts))
	case 7:
		return s[:i] + g.one(garbage) + s[i:]
	case 8:
		return g.prefix(s)
	case 9: // a segment more
		return strings.Replace(s, "/", "/"+g.one(climbs)+"/", 1+g.IntN(2))
	case 10: // bytes less
		return s[:i] + s[min(len(s), i+1+g.IntN(3)):]
	default:
		return g.spell(g.spell(g.spell(s, i), g.IntN(len(s))), g.IntN(len(s)))
	}
}

// prefix adds a prefix.
func (g generator) prefix(s string) string {
	switch g.IntN(6) {
	case 0, 1:
		return g.one(scripts) + s
	case 2:
		return "//" + g.one([]string{"h", "anyhost", "h:80", "user@h", "[::1]", ""}) + s
	case 3:
		return "/" + g.one(climbs) + s
	case 4:
		return g.one(joints) + s
	default:
		return "/" + s
	}
}

// spell writes the byte at i in another way.
func (g generator) spell(s string, i int) string {
	if i >= len(s) {
		return s
	}
	c := s[i]
	var with string
	switch g.IntN(10) {
	case 0, 1:
		with = fmt.Sprintf("%%%02x", c)
	case 2:
		with = fmt.Sprintf("%%%02X", c)
	case 3:
		with = fmt.Sprintf("%%25%02x", c)
	case 4:
		with = fmt.Sprintf("%%u%04x", c)
	case 5:
		with = fmt.Sprintf("%%%02x%%%02x", 0xC0|c>>6, 0x80|c&0x3F)
	case 6:
		if c > ' ' && c < 0x7F {
			return g.encoded(s[:i]+s[i+1:], i, string(rune(c)-'!'+'！'))
		}
		with = string(rune(c))
	case 7:
		if others := letters[c|0x20]; others != nil {
			return g.encoded(s[:i]+s[i+1:], i, g.one(others))
		}
		with = fmt.Sprintf("%%%02x", c)
	default:
		with = string(rune(c ^ 0x20)) // the other letter case, or a neighbour of the sign
		if c < 'A' || with == "\x7f" {
			with = string(rune(c))
		}
	}
	return s[:i] + with + s[i+1:]
}

// encoded inserts text at i, as it is or percent-encoded.
func (g generator) encoded(s string, i int, text string) string {
	if g.IntN(4) > 0 || strings.ContainsAny(text, "\x00\t ") {
		var b strings.Builder
		for _, c := range []byte(text) {
			fmt.Fprintf(&b, [...]string{"%%%02x", "%%%02X"}[g.IntN(2)], c)
		}
		text = b.String()
	}
	return s[:i] + text + s[i:]
}

// form chooses everything besides the path.
func (g generator) form(in *input) {
	if g.IntN(6) == 0 {
		in.method = g.one([]string{"HEAD", "POST", "PUT", "OPTIONS", "DELETE", "PROPFIND", "PATCH", "get", "BREW", "TRACE", "CONNECT"})
	}
	switch g.IntN(40) {
	case 0:
		in.target += "?" + g.one([]string{"_method=GET", "path=/admin/", "x=/static/", "/static/a.css", "url=/u/me"})
	case 1:
		in.target = "http://" + g.one([]string{"h", "other.example", "admin.example:80"}) + in.target
	case 2:
		in.target += "#" + g.one([]string{"/static/a.css", "x", "?x"})
	case 3:
		in.host = g.one([]string{"admin.example", "other.example:8080", "127.0.0.1", "H."})
	case 4:
		in.header = []string{g.one([]string{
			"X-Original-URL: /admin/", "X-Rewrite-URL: /admin/x", "X-HTTP-Method-Override: GET", "X-Forwarded-Prefix: /admin",
			"X-Original-URI: /static/a.css", "X-Forwarded-Uri: /static/a.css", "Script_Name: /admin", "X-Forwarded-Host: admin.example",
		})}
	case 5:
		if g.IntN(8) == 0 {
			in.target = strings.Repeat("/a", 20) + strings.Repeat("/"+g.one(climbs), g.IntN(1500)) + in.target
		}
	case 6:
		if g.IntN(8) == 0 {
			in.target = "*"
		}
	}
}
