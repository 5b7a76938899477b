// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// A step is one transformation that some upstream applies to a path.
type step func(string) string

// reading is an upstream as a function from a request target to the path that it serves.
type reading struct {
	name  string
	steps []step
}

// readings model upstreams that cannot be run in process, and lenient applications.
var readings = []reading{
	{"nginx", []step{cutQuery, decode, mergeSlashes, resolveDots}},
	{"decodes late", []step{cutQuery, mergeSlashes, resolveDots, decode}},
	{"servlet", []step{cutQuery, dropParams, decode, mergeSlashes, resolveDots}},
	{"servlet that decodes first", []step{cutQuery, decode, dropParams, mergeSlashes, resolveDots}},
	{"WHATWG URL", []step{whatwg, decode}},
	{"WHATWG URL, files", []step{whatwg, decode, mergeSlashes, resolveDots}},
	{"parse_url", []step{dropHost, cutQuery, decode}},
	{"front controller", []step{cutQuery, decode, mergeSlashes, resolveDots, dropScript}},
	{"decodes twice", []step{cutQuery, decode, decode, mergeSlashes, resolveDots}},
	{"decodes three times", []step{cutQuery, decode, mergeSlashes, decode, decode, resolveDots}},
	{"query after decoding", []step{cutQuery, decode, cutQuery, mergeSlashes, resolveDots}},
	{"C string", []step{cutQuery, decode, cutNUL, mergeSlashes, resolveDots}},
	{"controls dropped", []step{cutQuery, decode, dropControls, mergeSlashes, resolveDots}},
	{"backslash", []step{cutQuery, decode, backslash, mergeSlashes, resolveDots}},
	{"case", []step{cutQuery, decode, mergeSlashes, resolveDots, strings.ToLower}},
	{"case and accents", []step{cutQuery, decode, norm.NFKD.String, mergeSlashes, resolveDots, foldCase, dropMarks, trimSpace}},
	{"accents before dots", []step{cutQuery, decode, decode, norm.NFKC.String, backslash, dropIgnorables, mergeSlashes, resolveDots, foldCase}},
	{"Windows", []step{cutQuery, decode, decode, decodeU, backslash, mergeSlashes, trimDots, resolveDots, dropStream, strings.ToLower}},
	{"overlong UTF-8", []step{cutQuery, decode, overlong, mergeSlashes, resolveDots}},
	{"format suffix", []step{cutQuery, decode, mergeSlashes, resolveDots, dropFormat}},
	{"plus is a space", []step{cutQuery, plus, decode, mergeSlashes, resolveDots, padSpace}},
	{"Windows, plus is a space", []step{cutQuery, decode, plus, backslash, mergeSlashes, trimDots, resolveDots, strings.ToLower}},
	{"best fit of a code page", []step{cutQuery, decode, bestFit, backslash, mergeSlashes, trimDots, resolveDots, strings.ToLower}},
	{"ASP.NET", []step{cutQuery, decode, backslash, dropSessions, mergeSlashes, trimDots, resolveDots, strings.ToLower}},
	{"Rails", []step{cutQuery, mergeSlashes, trimSlash, decode, dropFormat}},
	{"uwsgi, decoded again", []step{cutQuery, decode, mergeSlashes, resolveDots, plus, decode}},
	{"path-to-regexp", []step{cutQuery, trimSlash, decode, strings.ToLower}},
	{"StripSlashes and CleanPath", []step{cutQuery, trimSlash, resolveDots, mergeSlashes, decode, resolveDots}},
	{"program in WSGI", []step{cutQuery, decode, mergeSlashes, resolveDots, dropWSGI}},
	{"backup suffix", []step{cutQuery, decode, mergeSlashes, resolveDots, dropTilde, trimSpace}},
}

// read returns the part of the site that the upstream shows for a target.
func (r reading) read(target string) kind {
	if rest, absolute := strings.CutPrefix(target, "http://"); absolute {
		_, rest, _ = strings.Cut(rest, "/")
		target = "/" + rest
	}
	for _, s := range r.steps {
		target = s(target)
	}
	return kindOf(target)
}

func cutQuery(s string) string { return cutAny(s, "?#") }
func cutNUL(s string) string   { return cutAny(s, "\x00") }

func cutAny(s, chars string) string {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i]
	}
	return s
}

// decode replaces every %XX that is one.
func decode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// decodeU replaces %uXXXX.
func decodeU(s string) string {
	return percentU.ReplaceAllStringFunc(s, func(m string) string {
		n, err := strconv.ParseUint(m[2:], 16, 16)
		if err != nil {
			return m
		}
		return norm.NFKC.String(string(rune(n)))
	})
}

var percentU = regexp.MustCompile(`%[uU][0-9A-Fa-f]{4}`)

// overlong decodes UTF-8 without the check for the shortest form.
func overlong(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case (c == 0xC0 || c == 0xC1) && i+1 < len(s) && s[i+1]&0xC0 == 0x80:
			b = append(b, c<<6|s[i+1]&0x3F)
			i++
		case c == 0xE0 && i+2 < len(s) && s[i+1]&0xE0 == 0x80 && s[i+2]&0xC0 == 0x80:
			b = append(b, s[i+1]<<6|s[i+2]&0x3F)
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func mergeSlashes(s string) string {
	for strings.Contains(s, "//") {
		s = strings.ReplaceAll(s, "//", "/")
	}
	return s
}

// resolveDots keeps a slash at the end.
func resolveDots(s string) string {
	if !strings.Contains(s, "/.") {
		return s
	}
	clean := path.Clean("/" + s)
	if clean != "/" && (strings.HasSuffix(s, "/") || strings.HasSuffix(s, "/.") || strings.HasSuffix(s, "/..")) {
		clean += "/"
	}
	return clean
}

func backslash(s string) string { return strings.ReplaceAll(s, `\`, "/") }

func plus(s string) string { return strings.ReplaceAll(s, "+", " ") }

// padSpace removes spaces at the end of names, as databases do that compare with PAD SPACE.
func padSpace(s string) string {
	return segments(s, func(p string) string { return strings.TrimRight(p, " ") })
}

func trimSlash(s string) string {
	if trimmed := strings.TrimRight(s, "/"); strings.Count(trimmed, "/") > 1 {
		return trimmed
	}
	return s // the site distinguishes "/static/" from "/static"
}

// bestFit converts to a code page as Windows does, which replaces missing signs by similar ones.
func bestFit(s string) string { return fits.Replace(norm.NFKC.String(s)) }

var fits = strings.NewReplacer("\u2215", "/", "\u2044", "/", "\u2216", `\`, "\u00a5", `\`, "\u20a9", `\`)

// dropSessions removes sessions without a cookie, "(S(…))".
func dropSessions(s string) string {
	for session.MatchString(s) {
		s = session.ReplaceAllString(s, "/")
	}
	return s
}

var session = regexp.MustCompile(`/\((?:[ASFasf]\([^)/]*\))+\)/`)

func dropWSGI(s string) string { return wsgi.ReplaceAllString(s, "/") }

var wsgi = regexp.MustCompile(`^(/[^/]*)*?/[^/]*\.(wsgi|psgi|php[0-9]+)/`)

// segments applies a function to each segment.
func segments(s string, f func(string) string) string {
	parts := strings.Split(s, "/")
	for i := range parts {
		parts[i] = f(parts[i])
	}
	return strings.Join(parts, "/")
}

func dropParams(s string) string {
	return segments(s, func(p string) string { return cutAny(p, ";") })
}

func trimSpace(s string) string { return segments(s, strings.TrimSpace) }

func trimDots(s string) string {
	return segments(s, func(p string) string {
		if p == "." || p == ".." {
			return p
		}
		return strings.TrimRight(p, ". ")
	})
}

func dropStream(s string) string {
	return segments(s, func(p string) string {
		if i := strings.Index(p, "::$"); i > 0 {
			return p[:i]
		}
		return p
	})
}

// dropFormat removes ".json" and the like from the last segment.
func dropFormat(s string) string {
	last := strings.LastIndexByte(s, '/') + 1
	if i := strings.IndexByte(s[last:], '.'); i > 0 {
		return s[:last+i]
	}
	return s
}

// dropTilde removes the end of a backup's name, as long as a name is left.
func dropTilde(s string) string {
	if name := strings.TrimRight(s, "~"); !strings.HasSuffix(name, "/") {
		return name
	}
	return s
}

func dropControls(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

func foldCase(s string) string { return cases.Fold().String(s) }

func dropMarks(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, s)
}

func dropIgnorables(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) {
			return -1
		}
		return r
	}, s)
}

// dropHost takes "//host/x" for the path "/x", as parse_url of PHP does.
func dropHost(s string) string {
	if rest, ok := strings.CutPrefix(s, "//"); ok {
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			return rest[i:]
		}
		return "/"
	}
	return s
}

// dropScript removes what leads to a front controller.
func dropScript(s string) string { return script.ReplaceAllString(s, "/") }

var script = regexp.MustCompile(`^(/[^/]*)*?/[^/]*\.(php|cgi)/`)

// whatwg returns the pathname of new URL(target, base).
func whatwg(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, s)
	s = cutQuery(s)
	s = dropHost(backslash(s))
	parts := strings.Split(s, "/")
	out := parts[:0:0]
	for i, p := range parts {
		last := i == len(parts)-1
		switch strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(p, "%2e", "."), "%2E", ".")) {
		case ".":
			if last {
				out = append(out, "")
			}
		case "..":
			if len(out) > 1 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, p)
		}
	}
	return strings.Join(out, "/")
}

// mirrors is an upstream that reads each request in every way at once: as each Go router and as
// each reading. Its answer has a line for each of them.
type mirrors struct {
	names    []string
	handlers []http.Handler
}

func newMirrors() *mirrors {
	m := &mirrors{}
	for _, r := range routers() {
		site, _ := r.build(nil)
		m.names, m.handlers = append(m.names, r.name), append(m.handlers, site)
	}
	return m
}

// each visits what every way of reading shows. r is nil when net/http cannot parse the target.
func (m *mirrors) each(target string, r *http.Request, visit func(name string, k kind)) {
	for _, r := range readings {
		visit(r.name, r.read(target))
	}
	if r == nil {
		return
	}
	for i, h := range m.handlers {
		visit(m.names[i], show(h, r))
	}
}

func (m *mirrors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body strings.Builder
	m.each(r.RequestURI, r, func(name string, k kind) {
		if k != "" {
			body.WriteString("marker=" + string(k) + " " + name + "\n")
		}
	})
	_, _ = w.Write([]byte(body.String()))
}

// show returns the kind of what h answers to a copy of r.
func show(h http.Handler, r *http.Request) kind {
	var w capture
	clone, u := *r, *r.URL
	clone.URL = &u
	h.ServeHTTP(&w, &clone)
	return kind(w.header.Get("Marker"))
}

// capture is a response of which only the header is kept.
type capture struct {
	header http.Header
	status int
}

func (c *capture) Header() http.Header {
	if c.header == nil {
		c.header = make(http.Header)
	}
	return c.header
}

func (c *capture) Write(b []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	return len(b), nil
}

func (c *capture) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
}

// parse reads a request as net/http does. It returns nil when net/http refuses it.
func parse(in input, who account) *http.Request {
	c := client{front: front{host: "h"}}
	c.encode(in, who)
	r, err := http.ReadRequest(newReader(c.head.Bytes()))
	if err != nil {
		return nil
	}
	r.RemoteAddr = "127.0.0.1:4711"
	return r
}
