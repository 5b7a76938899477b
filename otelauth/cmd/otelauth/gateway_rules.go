// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

// ruleSet builds one rule for each pattern from all flags that name it.
type ruleSet struct {
	problems *problems
	rules    []gateway.Rule
	index    map[string]int // by pattern
}

// rules returns the rules of all flags.
func (f *gatewayFlags) rules(p *problems) []gateway.Rule {
	set := &ruleSet{problems: p, index: make(map[string]int)}
	for _, pattern := range f.Public {
		set.rule(pattern).Access = gateway.Public
	}
	for _, pattern := range f.Endpoint {
		set.rule(pattern) // names the route only
	}
	for _, pattern := range f.Sensitive {
		set.rule(pattern).Sensitive = true
	}
	groups := func(r *gateway.Rule) *[]string { return &r.Groups }
	for _, names := range f.DefaultGroups {
		set.grant("default-groups", "/="+names, groups)
	}
	for _, text := range f.AllowGroups {
		set.grant("allow-groups", text, groups)
	}
	for _, text := range f.AllowAccounts {
		set.grant("allow-accounts", text, func(r *gateway.Rule) *[]string { return &r.Accounts })
	}
	return set.rules
}

// rule returns the rule of a pattern.
func (s *ruleSet) rule(pattern string) *gateway.Rule {
	i, found := s.index[pattern]
	if !found {
		i = len(s.rules)
		s.index[pattern] = i
		s.rules = append(s.rules, gateway.Rule{Pattern: pattern})
	}
	return &s.rules[i]
}

// grant adds the names of "PATTERN=NAME,NAME" to a list of the pattern's rule.
func (s *ruleSet) grant(flag, text string, list func(*gateway.Rule) *[]string) {
	i := strings.LastIndexByte(text, '=') // the last one, because a path may hold an equals sign
	if i < 0 {
		s.problems.report(flag, fmt.Errorf("%s is not of the form PATTERN=NAME,NAME", quoted(shown(text))))
		return
	}
	names := list(s.rule(text[:i]))
	for name := range strings.SplitSeq(text[i+1:], ",") {
		if name = strings.TrimSpace(name); name == "" {
			s.problems.report(flag, fmt.Errorf("%s has an empty name: remove the comma", quoted(shown(text))))
			return
		}
		*names = append(*names, name)
	}
}
