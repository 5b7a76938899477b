// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// probeSettings are the settings that the verdicts of a run depend on. A run continues another one
// only if they are the same. Passwords are not among them.
type probeSettings struct {
	Target    string           `json:"target"`
	Endpoints []probe.Endpoint `json:"endpoints"`
	Accounts  []probe.Identity `json:"accounts"`
	// Flags are the values of further flags. An empty value is that of a flag which is not set.
	Flags map[string]string `json:"flags"`
}

// settings returns what the verdicts of the run depend on.
func (c *probeCommand) settings(config *probe.Config) probeSettings {
	s := probeSettings{Target: c.Target, Accounts: config.Identities, Flags: map[string]string{
		"--only": sortedList(c.Only), "--without": sortedList(c.Without), "--correlate": sortedList(c.Correlate), "--throwaway": c.Throwaway,
		"--unsafe-methods": ifSet(c.UnsafeMethods), "--shared-traffic": ifSet(c.SharedTraffic),
		"--telemetry or --telemetry-grpc": ifSet(c.isOTLP()), "--logs": ifSet(c.Logs != ""),
	}}
	if c.Logs != "" {
		s.Flags["--log-fields"] = c.LogFields
	}
	if c.isSet() {
		s.Flags["--require"] = sortedList(c.required())
	}
	for _, e := range config.Endpoints {
		e.Source = ""
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

func ifSet(is bool) string {
	if is {
		return "set"
	}
	return ""
}

func sortedList[T ~string](names []T) string {
	var list []string
	for _, name := range names {
		list = append(list, string(name))
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

// differences says which flags of this run, now, differ from those of an earlier one. It returns ""
// if none does.
func (s probeSettings) differences(now probeSettings) string {
	var list []string
	add := func(flags, text string) {
		if text != "" {
			list = append(list, flags+" "+text)
		}
	}
	add("--list, --openapi, --policy or --events", differenceOf(s.Endpoints, now.Endpoints))
	add("--identities", differenceOf(s.Accounts, now.Accounts))
	flags := maps.Clone(s.Flags)
	maps.Copy(flags, now.Flags)
	for _, flag := range slices.Sorted(maps.Keys(flags)) {
		before, after := s.Flags[flag], now.Flags[flag]
		if before != after {
			add(flag, "was "+orNotSet(before)+" and is "+orNotSet(after))
		}
	}
	return strings.Join(list, "; ")
}

func orNotSet(value string) string {
	if value == "" {
		return "not set"
	}
	return shown(value)
}

// differenceOf compares two lists whose elements have names, or returns "".
func differenceOf[T fmt.Stringer](before, now []T) string {
	earlier, later := byName(before), byName(now)
	var gone, changed, added []string
	for _, name := range slices.Sorted(maps.Keys(earlier)) {
		text, found := later[name]
		switch {
		case !found:
			gone = append(gone, name)
		case text != earlier[name]:
			changed = append(changed, name)
		}
		delete(later, name)
	}
	added = slices.Sorted(maps.Keys(later))
	var parts []string
	for _, p := range []struct {
		verb  string
		names []string
	}{{"lack", gone}, {"add", added}, {"change", changed}} {
		if len(p.names) > 0 {
			parts = append(parts, p.verb+" "+some(p.names))
		}
	}
	return strings.Join(parts, ", ")
}

// byName returns each element as text that holds all of it.
func byName[T fmt.Stringer](list []T) map[string]string {
	texts := make(map[string]string, len(list))
	for _, element := range list {
		text, _ := json.Marshal(element) // strings and lists of them
		texts[element.String()] = string(text)
	}
	return texts
}

// some returns the first names as text.
func some(names []string) string {
	const most = 3
	var list []string
	for _, name := range names[:min(most, len(names))] {
		list = append(list, shown(name))
	}
	text := strings.Join(list, ", ")
	if n := len(names) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}
