// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/internal/rawpath"
)

// pattern is a pattern of http.ServeMux in a form that can be matched against a path as somebody else may read it. A ServeMux
// answers for one reading only, and redirects where we must decide.
type pattern struct {
	text     string
	method   string // "": any
	host     string // "": any
	segments []segment
	rest     bool // ends in "/" or "{name...}": any one or more segments follow
}

type segment struct {
	literal string
	any     bool // {name}: one segment that is not empty
}

// parsePattern refuses what http.ServeMux refuses, and paths that no request in normal form can have.
func parsePattern(text string) (*pattern, error) {
	if err := handle(http.NewServeMux(), text); err != nil {
		return nil, err
	}
	p := &pattern{text: text}
	rest := text
	if method, after, found := strings.Cut(text, " "); found {
		p.method, rest = method, strings.TrimLeft(after, " \t")
	}
	slash := strings.IndexByte(rest, '/')
	path := rest[slash:]
	p.host = canonicalHost(rest[:slash])
	if strings.ContainsRune(path, '%') {
		return nil, errors.New("a pattern is written without percent-encoding: the path is decoded before it is compared")
	}
	plain := strings.NewReplacer("{", "", "}", "", "$", "", "...", "").Replace(path)
	if !rawpath.Normal(&url.URL{Path: plain}) && plain != "" {
		return nil, errors.New("the path is not in normal form, so no request that is let through could match it")
	}
	if p.method != strings.ToUpper(p.method) {
		return nil, fmt.Errorf("the method %s is written in lower case, and requests with such methods are refused", p.method)
	}
	for part := range strings.SplitSeq(path[1:], "/") {
		switch {
		case part == "{$}":
			p.segments = append(p.segments, segment{})
		case strings.HasPrefix(part, "{") && strings.HasSuffix(part, "...}"), part == "":
			p.rest = true
		case strings.HasPrefix(part, "{"):
			p.segments = append(p.segments, segment{any: true})
		default:
			p.segments = append(p.segments, segment{literal: part})
		}
	}
	return p, nil
}

// handle returns what http.ServeMux panics with.
func handle(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("not a pattern of http.ServeMux: %v", fault)
		}
	}()
	mux.Handle(pattern, http.NotFoundHandler())
	return nil
}

// path returns what stands behind method and host.
func (p *pattern) path() string {
	return p.text[strings.IndexByte(p.text, '/'):]
}

// everything reports whether the path of p matches all paths.
func (p *pattern) everything() bool { return p.rest && len(p.segments) == 0 }

func (p *pattern) matchMethod(method string) bool {
	return p.method == "" || p.method == method || p.method == http.MethodGet && method == http.MethodHead
}

func (p *pattern) matchHost(host string) bool { return p.host == "" || p.host == host }

// matchPath matches the segments of a path, "/a/" being "a" and "".
func (p *pattern) matchPath(path []string) bool {
	n := len(p.segments)
	if len(path) < n || !p.rest && len(path) != n || p.rest && len(path) == n {
		return false
	}
	for i := range p.segments {
		if s := &p.segments[i]; s.any {
			if path[i] == "" {
				return false
			}
		} else if path[i] != s.literal {
			return false
		}
	}
	return true
}

// within reports whether every request that matches p matches q too.
func (p *pattern) within(q *pattern) bool {
	if q.host != "" && q.host != p.host {
		return false
	}
	if q.method != "" && q.method != p.method && (q.method != http.MethodGet || p.method != http.MethodHead) {
		return false
	}
	for i := range q.segments {
		if i >= len(p.segments) {
			return false // p ends earlier, or goes on with anything
		}
		switch a, b := p.segments[i], q.segments[i]; {
		case b.any && !a.any && a.literal == "", !b.any && a != b:
			return false
		}
	}
	if q.rest {
		return p.rest || len(p.segments) > len(q.segments)
	}
	return !p.rest && len(p.segments) == len(q.segments)
}

// before reports whether p is more specific than q. http.ServeMux puts a pattern with a host before any without; here that
// would let "shop.example/" take "/admin/" out of its rule, so both hold.
func (p *pattern) before(q *pattern) bool { return p.within(q) && !q.within(p) }

// literal reports whether p names one path, letter by letter.
func (p *pattern) literal() bool {
	return !p.rest && !slices.ContainsFunc(p.segments, func(s segment) bool { return s.any })
}

// fold returns p as an upstream that is not strict sees it.
func (p *pattern) fold() *pattern {
	f := *p
	f.segments = make([]segment, len(p.segments))
	for i, s := range p.segments {
		f.segments[i] = segment{literal: foldText(s.literal), any: s.any}
	}
	return &f
}

// canonicalHost takes off what two Host fields of one site may differ by. What is no port stays, and makes it the host of nobody.
func canonicalHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Trim(host[i+1:], "0123456789") == "" {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
