// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package rulefile reads rules and exceptions of an operator for detection from a YAML file, as
// docs/detection-rules.md describes it. Every error names the file and the line and says what to
// write instead.
package rulefile

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// maxFileBytes bounds a file.
const maxFileBytes = 1 << 20

// Load reads the file at path. It returns all errors of the file, joined.
func Load(path string) (*detect.Custom, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("rulefile: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("rulefile: %w", err)
	}
	return Parse(text, path)
}

// Parse reads the text of a file. name is its name in errors.
func Parse(text []byte, name string) (*detect.Custom, error) {
	p := &parser{name: name, networks: map[string][]netip.Prefix{}, accounts: map[string][]string{}}
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("rulefile: %s: the file has more than %d bytes; split the lists of networks into fewer prefixes", name, maxFileBytes)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("rulefile: %s: %w", name, err)
	}
	if len(root.Content) == 1 {
		p.file(root.Content[0])
	}
	p.validate()
	if err := errors.Join(p.problems...); err != nil {
		return nil, err
	}
	return &p.custom, nil
}

// parser turns nodes into a Custom and collects every error.
type parser struct {
	name     string
	problems []error

	networks map[string][]netip.Prefix
	accounts map[string][]string

	custom       detect.Custom
	rules        []int // the lines
	exceptions   []int
	isIncomplete bool // a part could not be read, so counts of what is there mean nothing
}

func (p *parser) add(n *yaml.Node, format string, args ...any) {
	p.at(n.Line, fmt.Sprintf(format, args...))
}

func (p *parser) at(line int, text string) {
	p.problems = append(p.problems, fmt.Errorf("rulefile: %s:%d: %s", p.name, line, text))
	p.isIncomplete = true
}

// validate adds what is wrong with rules that can be read.
func (p *parser) validate() {
	if p.isIncomplete {
		return
	}
	var list interface{ Unwrap() []error }
	err := p.custom.Validate()
	if !errors.As(err, &list) {
		return
	}
	for _, one := range list.Unwrap() {
		line := 1
		var of *detect.CustomError
		if errors.As(one, &of) {
			switch {
			case of.Rule > 0:
				line = p.rules[of.Rule-1]
			case of.Exception > 0:
				line = p.exceptions[of.Exception-1]
			}
			p.at(line, of.Text)
		}
	}
}

// fields calls the function of each key of a mapping, in the order of the file.
func (p *parser) fields(n *yaml.Node, what string, of map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.add(n, "%s is not a mapping; write its keys below it, indented", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, ok := of[key.Value]
		switch {
		case !ok:
			var names []string
			for name := range of {
				names = append(names, name)
			}
			slices.Sort(names)
			p.add(key, "%s has no key %q; use %s", what, short(key.Value), strings.Join(names, ", "))
		case seen[key.Value]:
			p.add(key, "%s has the key %s twice; remove one", what, key.Value)
		default:
			seen[key.Value] = true
			read(value)
		}
	}
}

func short(text string) string {
	if len(text) > 40 {
		return text[:40] + "…"
	}
	return text
}

func (p *parser) file(n *yaml.Node) {
	// Sets first, wherever they stand: rules refer to them.
	nothing := func(*yaml.Node) {}
	p.fields(n, "the file", map[string]func(*yaml.Node){"sets": p.sets, "rules": nothing, "exceptions": nothing})
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch n.Content[i].Value {
		case "rules":
			p.list(n.Content[i+1], "rules", p.rule)
		case "exceptions":
			p.list(n.Content[i+1], "exceptions", p.exception)
		}
	}
}

func (p *parser) list(n *yaml.Node, what string, read func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		p.add(n, `%s is not a list; begin each entry with "- "`, what)
		return
	}
	for _, one := range n.Content {
		read(one)
	}
}

func (p *parser) sets(n *yaml.Node) {
	p.fields(n, "sets", map[string]func(*yaml.Node){
		"networks": func(n *yaml.Node) {
			p.named(n, "sets.networks", func(name string, n *yaml.Node) { p.networks[name] = p.prefixes(n) })
		},
		"accounts": func(n *yaml.Node) {
			p.named(n, "sets.accounts", func(name string, n *yaml.Node) { p.accounts[name] = p.names(n, "accounts") })
		},
	})
}

// named calls read for each named set.
func (p *parser) named(n *yaml.Node, what string, read func(string, *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.add(n, "%s is not a mapping; write \"name: [value, …]\" lines below it", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		if seen[name] {
			p.add(n.Content[i], "%s has the set %q twice; remove one", what, short(name))
		}
		seen[name] = true
		read(name, n.Content[i+1])
	}
}

// texts returns the scalars of a list; a scalar is a list of one.
func (p *parser) texts(n *yaml.Node, what string) (all []*yaml.Node) {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	for _, one := range list {
		if one.Kind != yaml.ScalarNode || one.Value == "" || one.Tag == "!!null" {
			p.add(one, "%s has an empty or nested value; write a list of texts", what)
			continue
		}
		all = append(all, one)
	}
	if len(list) == 0 {
		p.add(n, "%s is empty; remove it, or name a value", what)
	}
	return all
}

// names returns texts in which @name stands for a set of accounts.
func (p *parser) names(n *yaml.Node, what string) (all []string) {
	for _, one := range p.texts(n, what) {
		set, isSet := strings.CutPrefix(one.Value, "@")
		switch members, ok := p.accounts[set]; {
		case !isSet:
			all = append(all, one.Value)
		case !ok:
			p.add(one, "there is no set of accounts %q; add it to sets.accounts", short(set))
		default:
			all = append(all, members...)
		}
	}
	return all
}

func (p *parser) plain(n *yaml.Node, what string) (all []string) {
	for _, one := range p.texts(n, what) {
		all = append(all, one.Value)
	}
	return all
}

// prefixes returns networks; @name stands for a set of networks, an address for itself.
func (p *parser) prefixes(n *yaml.Node) (all []netip.Prefix) {
	for _, one := range p.texts(n, "network") {
		if set, isSet := strings.CutPrefix(one.Value, "@"); isSet {
			members, ok := p.networks[set]
			if !ok {
				p.add(one, "there is no set of networks %q; add it to sets.networks", short(set))
			}
			all = append(all, members...)
			continue
		}
		prefix, err := netip.ParsePrefix(one.Value)
		if err != nil {
			addr, err := netip.ParseAddr(one.Value)
			if err != nil || addr.Zone() != "" {
				p.add(one, "%q is not a network; write it like 192.0.2.0/24 or 2001:db8::/32", short(one.Value))
				continue
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		if prefix != prefix.Masked() {
			p.add(one, "%s has bits beyond its length; write %s", prefix, prefix.Masked())
		}
		if prefix.Addr().Is4In6() {
			p.add(one, "%s is an IPv4 network in IPv6 form; write it as IPv4", prefix)
		}
		all = append(all, prefix)
	}
	return all
}

// choice returns the position of a value in names.
func choice[T ~uint8](p *parser, n *yaml.Node, what string, names ...string) T {
	i := slices.Index(names, n.Value)
	if n.Kind != yaml.ScalarNode || i < 0 {
		p.add(n, "%s is %q; use %s", what, short(n.Value), strings.Join(names, ", "))
		return 0
	}
	return T(i)
}

func (p *parser) rule(n *yaml.Node) {
	var r detect.CustomRule
	hasMatch := false
	p.fields(n, "the rule", map[string]func(*yaml.Node){
		"name":    func(n *yaml.Node) { r.Name = n.Value },
		"summary": func(n *yaml.Node) { r.Summary = n.Value },
		"severity": func(n *yaml.Node) {
			r.Severity = choice[detect.Severity](p, n, "severity", "low", "medium", "high")
		},
		"match":  func(n *yaml.Node) { r.Match = p.match(n, "match"); hasMatch = true },
		"except": func(n *yaml.Node) { r.Except = p.match(n, "except") },
		"count": func(n *yaml.Node) {
			r.Count = choice[detect.Counter](p, n, "count", "attempts", "accounts", "networks", "routes", "passwords")
		},
		"per": func(n *yaml.Node) { r.Per = choice[detect.Subject](p, n, "per", "all", "account", "network", "route") },
		"at_least": func(n *yaml.Node) {
			v, err := strconv.Atoi(n.Value)
			if err != nil || v < 1 {
				p.add(n, "at_least is %q; write a number from 1", short(n.Value))
			}
			r.AtLeast = v
		},
		"within": func(n *yaml.Node) {
			v, err := duration(n.Value)
			if err != nil {
				p.add(n, "within is %q; write a time such as 10m, 12h or 3d", short(n.Value))
			}
			r.Within = v
		},
	})
	if !hasMatch {
		p.add(n, "the rule has no match, so every attempt would count; name an outcome, an account, a group, a network or a route")
	}
	p.custom.Rules, p.rules = append(p.custom.Rules, r), append(p.rules, n.Line)
}

// duration reads a time in Go's form, or in days.
func duration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

func (p *parser) match(n *yaml.Node, what string) (m detect.Match) {
	p.fields(n, what, map[string]func(*yaml.Node){
		"outcome": func(n *yaml.Node) { m.Outcomes = p.plain(n, "outcome") },
		"route":   func(n *yaml.Node) { m.Routes = p.plain(n, "route") },
		"network": func(n *yaml.Node) { m.Networks = p.prefixes(n) },
		"account": func(n *yaml.Node) { m.Accounts = p.names(n, "account") },
		"group":   func(n *yaml.Node) { m.Groups = p.plain(n, "group") },
	})
	return m
}

func (p *parser) exception(n *yaml.Node) {
	var x detect.Exception
	p.fields(n, "the exception", map[string]func(*yaml.Node){
		"rule":    func(n *yaml.Node) { x.Rule = n.Value },
		"network": func(n *yaml.Node) { x.Networks = p.prefixes(n) },
		"account": func(n *yaml.Node) { x.Accounts = p.names(n, "account") },
		"why":     func(n *yaml.Node) { x.Why = n.Value },
		"until": func(n *yaml.Node) {
			for _, layout := range []string{time.DateOnly, time.RFC3339} {
				if t, err := time.Parse(layout, n.Value); err == nil {
					x.Until = t
					return
				}
			}
			p.add(n, "until is %q; write a date like 2026-12-31, or a time like 2026-12-31T18:00:00Z", short(n.Value))
		},
	})
	p.custom.Exceptions, p.exceptions = append(p.custom.Exceptions, x), append(p.exceptions, n.Line)
}
