// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package pathform

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Pattern is a pattern of http.ServeMux, [METHOD ][HOST]/[PATH]. It is immutable. [ParsePattern]
// returns one.
type Pattern struct {
	text     string
	method   string // "": any
	host     string // "": any
	segments []literal
	rest     bool // ends in "/" or "{name...}": one or more segments follow
}

// literal is one segment of a pattern.
type literal struct {
	any      bool   // {name}: one non-empty segment
	sent     string // the only spelling that opens
	skeleton string
}

// ParsePattern parses a pattern. It returns an error for patterns that http.ServeMux refuses,
// and for paths that no permitted request can have.
func ParsePattern(text string) (*Pattern, error) {
	if err := register(text); err != nil {
		return nil, err
	}
	p := &Pattern{text: text}
	rest := text
	if method, after, found := strings.Cut(text, " "); found {
		p.method, rest = method, strings.TrimLeft(after, " \t")
	}
	if p.method != strings.ToUpper(p.method) {
		return nil, fmt.Errorf("the method %s is in lower case, and requests with such methods are refused; write it in upper case", p.method)
	}
	host, parts, _ := strings.Cut(rest, "/")
	p.host = CanonicalHost(host)
	example := ""
	for part := range strings.SplitSeq(parts, "/") {
		switch {
		case part == "{$}":
			p.segments = append(p.segments, literal{})
		case strings.HasPrefix(part, "{") && strings.HasSuffix(part, "...}"), part == "":
			p.rest = true
		case strings.HasPrefix(part, "{"):
			p.segments = append(p.segments, literal{any: true})
			example += "/x"
		default:
			decoded, err := url.PathUnescape(part)
			if err != nil {
				return nil, fmt.Errorf("not a pattern of http.ServeMux: %w", err)
			}
			l := literal{sent: canonical(decoded)}
			p.segments = append(p.segments, l)
			example += "/" + l.sent
		}
	}
	return p, p.prepare(example)
}

// prepare computes the skeletons of p from a path that matches it.
func (p *Pattern) prepare(example string) error {
	u, err := url.ParseRequestURI("/" + strings.TrimPrefix(example, "/"))
	if err != nil {
		return fmt.Errorf("the path cannot be parsed: %w", err)
	}
	var path Path
	path.Read(u)
	switch {
	case path.Refusal != "":
		return errors.New("every request for it would be refused: " + path.Refusal)
	case path.Unusual != "":
		return errors.New("the path holds " + path.Unusual + ", so no request could match it")
	case path.loose:
		return errors.New("the path holds a character that some servers read as a slash")
	}
	for i := range path.segments {
		if !p.segments[i].any {
			p.segments[i].skeleton = string(path.segments[i].text)
		}
	}
	return nil
}

// register returns the error with which http.ServeMux panics.
func register(pattern string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("not a pattern of http.ServeMux: %v", p)
		}
	}()
	http.NewServeMux().Handle(pattern, http.NotFoundHandler())
	return nil
}

// canonical returns the only spelling of a segment that opens: the bytes of plain unchanged, all
// others percent-encoded in upper case.
func canonical(segment string) string {
	var b strings.Builder
	for _, c := range []byte(segment) {
		if plain[c] {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', upperHex[c>>4], upperHex[c&0xf]})
		}
	}
	return b.String()
}

// CanonicalHost returns a Host field in lower case, without a port and a final dot.
func CanonicalHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Trim(host[i+1:], "0123456789") == "" {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// SentHost returns a Host field without its port. What opens is compared with it: many servers
// compare hosts byte by byte, and take "SHOP.example" or "shop.example." for a host that they do
// not know.
func SentHost(host string) string {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || i == len(host)-1 || strings.Trim(host[i+1:], "0123456789") != "" {
		return host
	}
	return host[:i]
}

// String returns the pattern as it was written.
func (p *Pattern) String() string { return p.text }

// Host returns the canonical host of p, or "" for any.
func (p *Pattern) Host() string { return p.host }

// Method returns the method of p, or "" for any.
func (p *Pattern) Method() string { return p.method }

// Route returns the path of p, without method and host.
func (p *Pattern) Route() string { return p.text[strings.IndexByte(p.text, '/'):] }

// Name returns the begin of the first segment of p, or "" if that is a wildcard or missing. p
// applies only to paths that have this name among their [Path.Names].
func (p *Pattern) Name() string {
	if len(p.segments) == 0 {
		return ""
	}
	return string(nameOf([]byte(p.segments[0].skeleton)))
}

// maxName is the longest name by which patterns are found.
const maxName = 16

// nameOf returns text up to the first character with which a name may continue.
func nameOf(text []byte) []byte {
	for i, c := range text {
		if i == maxName || isContinuation(c) {
			return text[:i]
		}
	}
	return text
}

// Names appends the names with which the path may begin: its own first name, and the names after
// script segments. all reports that the names are unknown, so that every pattern must be
// compared.
func (p *Path) Names(names [][]byte) (_ [][]byte, all bool) {
	for _, segments := range [...][]segment{p.segments, p.dropped} {
		begins := true
		for i := range segments {
			if begins {
				name := nameOf(segments[i].text)
				all = all || len(name) < min(maxName, len(segments[i].text)) && segments[i].text[len(name)] == control
				names = append(names, name)
			}
			begins = segments[i].script
		}
		all = all || begins && len(segments) > 0 // beneath the program is everything
	}
	return names, all
}

// isEverything reports whether the path of p matches all paths.
func (p *Pattern) isEverything() bool { return p.rest && len(p.segments) == 0 }

// CheckPublic returns why p must not be public, or nil. A pattern of every path may be public
// only for OPTIONS (CORS preflight). "/{a}/" and the like are patterns of every path too: only the
// pages at the root are not beneath it.
func (p *Pattern) CheckPublic() error {
	isLiteral := func(l literal) bool { return !l.any }
	if p.rest && !slices.ContainsFunc(p.segments, isLiteral) && p.method != http.MethodOptions {
		return fmt.Errorf("opens every path; name the first segment, or write %q for the root page",
			strings.TrimSuffix(p.text, p.Route())+"/{$}")
	}
	return nil
}

// MatchesMethod reports whether p applies to a method. GET includes HEAD.
func (p *Pattern) MatchesMethod(method string) bool {
	return p.method == "" || p.method == method || p.method == http.MethodGet && method == http.MethodHead
}

// Opens reports whether p matches the path exactly, in the spelling that every server reads
// alike. The caller compares method and host.
func (p *Pattern) Opens(path *Path) bool {
	return path.exact && p.MatchesSent(path) && path.script+1 < max(1, p.named())
}

// named returns the number of literal segments before the first wildcard.
func (p *Pattern) named() int {
	for i := range p.segments {
		if p.segments[i].any {
			return i
		}
	}
	return len(p.segments)
}

// MatchesSent reports whether p matches the path as it was sent, as http.ServeMux would without
// decoding.
func (p *Pattern) MatchesSent(path *Path) bool {
	if len(path.sent) == 0 {
		return false
	}
	rest, more := path.sent[1:], true
	for i := range p.segments {
		if !more {
			return false
		}
		var segment []byte
		segment, rest, more = bytes.Cut(rest, slash)
		if l := &p.segments[i]; l.any {
			// spaces for some servers, which remove them
			if len(bytes.TrimLeft(segment, "+")) == 0 {
				return false
			}
		} else if string(segment) != l.sent {
			return false
		}
	}
	return more == p.rest
}

var slash = []byte{'/'}

// Restricts reports whether a server may read the path as one that p matches. The caller
// compares method and host.
func (p *Pattern) Restricts(path *Path) bool {
	return p.restricts(path, path.segments) || len(path.dropped) > 0 && p.restricts(path, path.dropped)
}

func (p *Pattern) restricts(path *Path, segments []segment) bool {
	if p.matches(segments, path.loose) {
		return true
	}
	for i := range segments {
		if segments[i].script && p.matches(segments[i+1:], path.loose) {
			return true
		}
	}
	return false
}

// matches reports whether p matches the segments of a skeleton. If a slash may be data (loose),
// a wildcard matches any number of segments, and p matches everything beneath it.
func (p *Pattern) matches(segments []segment, loose bool) bool {
	at, ended := 0, len(segments) == 0
	// the last wildcard that may take any number of segments, and where those end
	wild, until := -1, 0
	for i := 0; i < len(p.segments); i++ {
		l := &p.segments[i]
		switch {
		case !l.any && l.skeleton == "": // {$}
		case l.any && loose:
			wild, until = i, at
		case at == len(segments):
			return false
		case l.any || segments[at].matches(l.skeleton):
			ended = segments[at].ends
			at++
		case wild < 0:
			return false
		default: // the wildcard takes one more
			until++
			i, at = wild, until
		}
	}
	return p.rest || loose || ended || at == len(segments)
}

// Beneath reports whether p may match a path beneath path, so that a method on a whole tree
// concerns p.
func (p *Pattern) Beneath(path *Path) bool {
	return p.beneath(path, path.segments) || len(path.dropped) > 0 && p.beneath(path, path.dropped)
}

func (p *Pattern) beneath(path *Path, segments []segment) bool {
	if p.continues(segments, path.loose) {
		return true
	}
	for i := range segments {
		if segments[i].script && p.continues(segments[i+1:], path.loose) {
			return true
		}
	}
	return false
}

// continues reports whether all segments match the first segments of p, and p has more.
func (p *Pattern) continues(segments []segment, loose bool) bool {
	for i := range segments {
		if i == len(p.segments) {
			return false
		}
		if l := &p.segments[i]; l.any && loose {
			return true
		} else if !l.any && !segments[i].matches(l.skeleton) {
			return false
		}
		if segments[i].ends {
			return true
		}
	}
	return len(p.segments) > len(segments)
}

// matches reports whether a server may read the segment as name: it equals name, or continues it
// as variants, streams and parameters do.
func (s *segment) matches(name string) bool {
	at := 0
	for i := range len(name) {
		for at < len(s.text) && s.text[at] == control {
			at++
		}
		if at == len(s.text) || s.text[at] != name[i] {
			return false
		}
		at++
	}
	return name != "" && (at == len(s.text) || isContinuation(s.text[at]))
}

func isContinuation(c byte) bool {
	switch c {
	case '.', ';', '?', '#', '~', ':', '*', ',', ' ', '+', control:
		return true
	}
	return false
}
