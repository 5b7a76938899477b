// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/pathform"
)

// tree is what a WebDAV method (RFC 4918) does with a path and everything beneath it, as HTTP
// methods.
type tree struct {
	method      string
	shallow     []string // values of Depth with which it concerns one resource; "" is no such field
	source      []string
	destination []string
}

var trees = []tree{
	{method: "COPY", source: []string{"COPY", http.MethodGet}, destination: []string{"COPY", http.MethodPut, http.MethodDelete}},
	{method: "MOVE", source: []string{"MOVE", http.MethodGet, http.MethodDelete}, destination: []string{"MOVE", http.MethodPut, http.MethodDelete}},
	{method: http.MethodDelete, source: []string{http.MethodDelete}},
	{method: "PROPFIND", shallow: []string{"0", "1"}, source: []string{"PROPFIND", http.MethodGet}},
	// RFC 3253
	{method: "REPORT", shallow: []string{"", "0"}, source: []string{"REPORT", http.MethodGet}},
	// RFC 5323
	{method: "SEARCH", source: []string{"SEARCH", http.MethodGet}},
	{method: "LOCK", shallow: []string{"0"}, source: []string{"LOCK", http.MethodPut}},
}

// decideTree adds what a method requires that acts on a whole tree, and what the Destination
// field requires. A client may send that field with any method, so it is judged with every
// method.
func (p *Policy) decideTree(r *http.Request, q *query) {
	d := q.d
	fields := r.Header["Destination"]
	t := treeOf(r)
	if t == nil && fields == nil {
		return
	}
	if t == nil {
		t = &tree{destination: []string{r.Method, http.MethodPut}}
	}
	for _, q.method = range t.source {
		q.tree()
	}
	if fields == nil {
		if t.destination != nil { // a proxy that asks may not pass it on
			d.refuse(http.StatusBadRequest, attempt.ReasonRawPath, "COPY and MOVE need a Destination field.")
		}
		return
	}
	if len(fields[0])+q.path.SentBytes() > pathform.MaxBytes {
		d.refuse(http.StatusRequestURITooLong, attempt.ReasonRawPath, "The path and the Destination field together are longer than 8192 bytes.")
		return
	}
	there := destination(r, fields)
	if there == nil {
		d.refuse(http.StatusBadRequest, attempt.ReasonRawPath, "The Destination field is repeated or is not a URL.")
		return
	}
	path := pathform.Get(there.URL)
	defer path.Free()
	for _, there.Method = range t.destination {
		var other Decision
		if p.check(there, path, &other); other.Refusal.Status != 0 {
			d.Refusal = other.Refusal
			return
		}
		at := query{policy: p, d: &other, path: path, method: there.Method, host: p.host(there.Host)}
		at.decide()
		if t.source != nil {
			at.tree()
		}
		d.Public, d.Sensitive, d.Unusual = d.Public && other.Public, d.Sensitive || other.Sensitive, d.Unusual || other.Unusual
		for _, rule := range other.needs {
			d.need(rule)
		}
	}
}

// treeOf returns what r does with a tree, or nil if r concerns one resource.
func treeOf(r *http.Request) *tree {
	for i := range trees {
		if t := &trees[i]; t.method == r.Method {
			// Servers disagree about which of several fields counts.
			if len(r.Header["Depth"]) <= 1 && slices.Contains(t.shallow, r.Header.Get("Depth")) {
				return nil
			}
			return t
		}
	}
	return nil
}

// tree adds every rule that applies to the path or to a path beneath it.
func (q *query) tree() {
	var buffer [4]*rule
	q.restrict(q.named(buffer[:0]), (*pathform.Pattern).Restricts)
	q.restrict(nil, (*pathform.Pattern).Beneath)
}

// destination returns the request that would write to the Destination of r, or nil if the field
// is invalid.
func destination(r *http.Request, fields []string) *http.Request {
	// ParseRequestURI does not cut at "#".
	u, err := url.ParseRequestURI(fields[0])
	if err != nil || len(fields) > 1 {
		return nil
	}
	there := &http.Request{URL: u, Host: r.Host}
	if u.Host != "" && u.Host != r.Host {
		there.Host = "" // a server may ignore it, so the rules of every host hold
	}
	return there
}
