// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/otelauth/otelauth-go/otelauth/internal/pathform"
)

// patterns are exceptions: the path must match one of them exactly as it was sent.
type patterns []*pathform.Pattern

func newPatterns(field string, texts []string, report report) (ps patterns) {
	for i, text := range texts {
		p, err := pathform.ParsePattern(text)
		if err != nil {
			report(fmt.Sprintf("%s[%d]", field, i), fmt.Errorf("%q: %w", text, err))
			continue
		}
		ps = append(ps, p)
	}
	return ps
}

// match reports whether one of ps names the endpoint of r.
func (ps patterns) match(r *http.Request) bool {
	if len(ps) == 0 {
		return false
	}
	path := pathform.Get(r.URL)
	defer path.Free()
	host := pathform.SentHost(r.Host)
	return slices.ContainsFunc(ps, func(p *pathform.Pattern) bool {
		return p.MatchesMethod(r.Method) && (p.Host() == "" || p.Host() == host) && p.Opens(path)
	})
}
