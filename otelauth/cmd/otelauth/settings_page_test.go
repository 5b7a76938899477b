// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the part of docs/settings.md that the flags determine")

const (
	settingsPage  = "../../../docs/settings.md"
	settingsBegin = "<!-- begin: generated -->\n"
	settingsEnd   = "<!-- end: generated -->\n"
)

// statedDefault matches the default at the end of a help text.
var statedDefault = regexp.MustCompile(` ?(?:The )?[Dd]efault: (.*?)\.?$`)

// settingsTables returns one table for each group of flags.
func settingsTables(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	var groups []string
	rows := make(map[string][]string)
	escape := strings.NewReplacer("|", `\|`, "<", "&lt;")
	for _, f := range gatewayNodeOf(t).Flags {
		if isOnlyFlag(f.Name) {
			continue
		}
		help, _, _ := strings.Cut(f.Help, " ($"+variable(f.Name)+")")
		value := ""
		if m := statedDefault.FindStringSubmatchIndex(help); m != nil {
			value, help = help[m[2]:m[3]], help[:m[0]]
		}
		group := f.Group.Key
		if rows[group] == nil {
			groups = append(groups, group)
		}
		rows[group] = append(rows[group], fmt.Sprintf("| `%s` | %s | %s |\n", f.Name, escape.Replace(help), escape.Replace(value)))
	}
	for _, group := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n| setting | what it does | default |\n| --- | --- | --- |\n%s", group, strings.Join(rows[group], ""))
	}
	return b.String() + "\n"
}

// TestSettingsPage holds docs/settings.md against the flags.
func TestSettingsPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(settingsPage)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(page), settingsBegin)
	_, tail, found2 := strings.Cut(rest, settingsEnd)
	if !found || !found2 {
		t.Fatalf("%s has no lines %q and %q", settingsPage, settingsBegin, settingsEnd)
	}
	want := head + settingsBegin + settingsTables(t) + settingsEnd + tail
	if string(page) == want {
		return
	}
	if !*update {
		t.Fatalf("%s differs from the flags; run: go generate ./otelauth/cmd/otelauth", settingsPage)
	}
	if err := os.WriteFile(settingsPage, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}
