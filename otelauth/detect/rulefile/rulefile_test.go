// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package rulefile_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/detect/rulefile"
)

func ExampleParse() {
	custom, err := rulefile.Parse([]byte(`
rules:
  - name: ci_elsewhere
    severity: high
    match: {account: ci-bot, outcome: success}
    except: {network: 198.51.100.16/28}
`), "rules.yaml")
	fmt.Println(custom.Rules[0].Name, custom.Rules[0].Severity, err)
	_, err = rulefile.Parse([]byte("rules:\n  - name: x\n    match: {acount: ci-bot}\n"), "my.yaml")
	fmt.Println(err)
	// Output:
	// ci_elsewhere high <nil>
	// rulefile: my.yaml:3: match has no key "acount"; use account, group, network, outcome, route
}

func ExampleLoad() {
	_, err := rulefile.Load("missing.yaml")
	fmt.Println(err)
	// Output: rulefile: open missing.yaml: no such file or directory
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := rulefile.Parse([]byte(`
rules:
  - name: all_keys
    summary: text
    severity: medium
    match: {outcome: [success, failure], account: ["@robots", eve], group: g, network: ["@office", 203.0.113.7], route: /a/*}
    except: {network: "@office", account: eve}
    count: networks
    per: account
    at_least: 5
    within: 2d
exceptions:
  - {rule: all_keys, account: "@robots", until: 2026-12-31, why: because}
sets:
  networks: {office: [192.0.2.0/24]}
  accounts: {robots: [ci, backup]}
`), "f")
	if err != nil {
		t.Fatal(err)
	}
	office := netip.MustParsePrefix("192.0.2.0/24")
	want := &detect.Custom{
		Rules: []detect.CustomRule{{
			Name: "all_keys", Summary: "text", Severity: detect.Medium,
			Match: detect.Match{
				Outcomes: []string{"success", "failure"}, Accounts: []string{"ci", "backup", "eve"}, Groups: []string{"g"},
				Networks: []netip.Prefix{office, netip.MustParsePrefix("203.0.113.7/32")}, Routes: []string{"/a/*"},
			},
			Except: detect.Match{Networks: []netip.Prefix{office}, Accounts: []string{"eve"}},
			Count:  detect.CountNetworks, Per: detect.PerAccount, AtLeast: 5, Within: 48 * time.Hour,
		}},
		Exceptions: []detect.Exception{{
			Rule: "all_keys", Accounts: []string{"ci", "backup"}, Until: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC), Why: "because",
		}},
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, empty := range []string{"", "# nothing\n", "rules: []\n"} {
		if got, err := rulefile.Parse([]byte(empty), "f"); err != nil || len(got.Rules) != 0 {
			t.Errorf("%q: %v, %v", empty, got, err)
		}
	}
}

// TestErrors: each error has its line and a way out.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ file, want string }{
		{"rulez: []", `f:1: the file has no key "rulez"; use exceptions, rules, sets`},
		{"rules: {}", `f:1: rules is not a list; begin each entry with "- "`},
		{"- x", "f:1: the file is not a mapping"},
		{"rules:\n- name: a\n  match: {outcome: success}\n  at_least: many", `f:4: at_least is "many"; write a number from 1`},
		{"rules:\n- name: a\n  match: {outcome: success}\n  within: soon", `f:4: within is "soon"; write a time such as 10m, 12h or 3d`},
		{"rules:\n- name: a\n  match: {outcome: success}\n  severity: fatal", `f:4: severity is "fatal"; use low, medium, high`},
		{"rules:\n- name: a\n  match: {network: 192.0.2.1/24}", "f:3: 192.0.2.1/24 has bits beyond its length; write 192.0.2.0/24"},
		{"rules:\n- name: a\n  match: {network: here}", `f:3: "here" is not a network; write it like 192.0.2.0/24 or 2001:db8::/32`},
		{"rules:\n- name: a\n  match: {network: \"@x\"}", `f:3: there is no set of networks "x"; add it to sets.networks`},
		{"rules:\n- name: a\n  match: {account: \"@x\"}", `f:3: there is no set of accounts "x"; add it to sets.accounts`},
		{"rules:\n- name: a\n  match: {account: []}", "f:3: account is empty; remove it, or name a value"},
		{"rules:\n- name: a\n  name: b\n  match: {outcome: success}", "f:3: the rule has the key name twice; remove one"},
		{"rules:\n- name: a", "f:2: the rule has no match, so every attempt would count; name an outcome, an account, a group, a network or a route"},
		{"rules:\n- name: a\n  match: {outcome: success}\n- name: a\n  match: {outcome: success}", "f:4: the name a is taken; choose another one"},
		{"rules:\n- name: a\n  match: {outcome: missing}", "f:2: match: outcome \"missing\" is not evaluated; use success, failure or throttled"},
		{"exceptions:\n- rule: nothing\n  network: 192.0.2.1\n  until: 2026-12-31\n  why: x", `f:2: "nothing" is not a rule; use the name of a rule, or * for all`},
		{"exceptions:\n- rule: brute_force\n  network: 192.0.2.1\n  until: tomorrow\n  why: x", `f:4: until is "tomorrow"; write a date like 2026-12-31`},
		{"exceptions:\n- rule: brute_force\n  network: 192.0.2.1", "f:2: the exception has no end; set until\nrulefile: f:2: the exception has no reason; set why"},
		{"rules: [", "rulefile: f: "},
	} {
		_, err := rulefile.Parse([]byte(tc.file), "f")
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q:\n got %v\nwant %s", tc.file, err, tc.want)
		}
	}
	if _, err := rulefile.Load(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.HasPrefix(err.Error(), "rulefile: ") {
		t.Errorf("a missing file: %v", err)
	}
}

// TestPage: every file on the page is valid, and there are ten recipes.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/detection-rules.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```yaml\n")[1:]
	if len(blocks) != 11 {
		t.Errorf("%d files, want one example and ten recipes", len(blocks))
	}
	for i, b := range blocks {
		text, _, _ := strings.Cut(b, "```\n")
		custom, err := rulefile.Parse([]byte(text), fmt.Sprintf("file %d", i+1))
		if err != nil || len(custom.Rules)+len(custom.Exceptions) == 0 {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("rules:\n- name: a\n  match: {outcome: success}\n")
	f.Add("sets: {networks: {a: [\"@a\"]}}\n")
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		custom, err := rulefile.Parse([]byte(text), "f")
		if err == nil {
			if err := custom.Validate(); err != nil {
				t.Errorf("accepted, but %v", err)
			}
			return
		}
		if !strings.HasPrefix(err.Error(), "rulefile: f") {
			t.Errorf("%v", err)
		}
	})
}
