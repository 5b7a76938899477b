// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"regexp"
	"strings"
)

// parameter is a parameter in a route, as routers write it: {id}, {path...}, <int:id>, :id or *path.
var parameter = regexp.MustCompile(`\{[^}/]*\}|<[^>/]*>|(^|/)[:*][^/]*`)

// shape returns a route without the names of its parameters. An OpenAPI document, a list and the
// router of a service often name them differently.
func shape(route string) string {
	route = strings.TrimSuffix(route, "{$}")
	if !strings.ContainsAny(route, "{<:*") {
		return route
	}
	return parameter.ReplaceAllString(route, "$1{}")
}

// known returns the route of the expectations that is the same but for the names of its
// parameters, or route itself.
func (l *Ledger) known(route string) string {
	if name, ok := l.routes[shape(route)]; ok {
		return name
	}
	return route
}
