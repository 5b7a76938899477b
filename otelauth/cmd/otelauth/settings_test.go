// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/cmd/otelauth/internal/flagfile"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

func gatewayNodeOf(t *testing.T) *kong.Node {
	t.Helper()
	var c commands
	k, err := newParser(&c)
	if err != nil {
		t.Fatal(err)
	}
	return gatewayNode(k)
}

func noEnvironment(string) string { return "" }

func configOf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func loadFlags(t *testing.T, args []string, env map[string]string) gatewayFlags {
	t.Helper()
	c, _, err := loadGateway(append([]string{"gateway"}, args...), func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	return c.gatewayFlags
}

// sample returns a value that differs from the default, in the forms of command line,
// environment and file.
func sample(t *testing.T, f *kong.Flag) (args []string, env, yaml string) {
	t.Helper()
	switch {
	case f.IsSlice():
		return []string{"--" + f.Name, "first, one", "--" + f.Name, "second"}, "first, one\nsecond\n", "['first, one', second]"
	case f.IsBool():
		return []string{"--" + f.Name}, "true", "true"
	case f.Enum != "":
		for _, value := range f.EnumSlice() {
			if value != f.Default && value != "" {
				return []string{"--" + f.Name, value}, value, value
			}
		}
	case f.Target.Type() == reflect.TypeFor[limit]():
		return []string{"--" + f.Name, "7/77s"}, "7/77s", "7/1m17s"
	case f.Target.Type() == reflect.TypeFor[time.Duration](), f.Target.Type() == reflect.TypeFor[span]():
		return []string{"--" + f.Name, "77s"}, "77s", "1m17s"
	case f.Target.CanInt():
		return []string{"--" + f.Name, "77"}, "77", "77"
	case f.Target.Kind() == reflect.String:
		return []string{"--" + f.Name, "text"}, "text", `"text"`
	}
	t.Fatalf("%s: no sample for %v", f.Name, f.Target.Type())
	return nil, "", ""
}

// TestEveryFlagEverywhere checks that every flag has a variable and a key in the file with the
// same effect. It sets all of them at once, because a parser takes milliseconds to build.
func TestEveryFlagEverywhere(t *testing.T) {
	t.Parallel()
	var args []string
	var text strings.Builder
	variables := make(map[string]string)
	for _, f := range fileFlags(gatewayNodeOf(t)) {
		flagArgs, env, yaml := sample(t, f)
		args = append(args, flagArgs...)
		variables[variable(f.Name)] = env
		text.WriteString(f.Name + ": " + yaml + "\n")
		if !strings.Contains(f.Help, "$"+variable(f.Name)) {
			t.Errorf("the help of --%s does not name %s", f.Name, variable(f.Name))
		}
	}
	load := func(args []string, env map[string]string) []*kong.Flag {
		_, s, err := loadGateway(append([]string{"gateway"}, args...), func(name string) string { return env[name] })
		if err != nil {
			t.Fatal(err)
		}
		return s.flags
	}
	defaults, byFlag, byVariable := load(nil, nil), load(args, nil), load(nil, variables)
	byFile := load([]string{"--config", configOf(t, text.String())}, nil)
	n := 0
	for i, f := range byFlag {
		if isOnlyFlag(f.Name) {
			continue
		}
		n++
		value := func(flags []*kong.Flag) any { return flags[i].Target.Interface() }
		if reflect.DeepEqual(value(byFlag), value(defaults)) {
			t.Errorf("--%s has no effect", f.Name)
		}
		if !reflect.DeepEqual(value(byFlag), value(byVariable)) {
			t.Errorf("$%s sets %v, --%s sets %v", variable(f.Name), value(byVariable), f.Name, value(byFlag))
		}
		if !reflect.DeepEqual(value(byFlag), value(byFile)) {
			t.Errorf("%s in the file sets %v, --%[1]s sets %v", f.Name, value(byFile), value(byFlag))
		}
	}
	// A field of the struct without a flag would be a setting that cannot be set.
	if n < 120 {
		t.Errorf("only %d flags were checked", n)
	}
}

// TestPrecedence checks the order flag, variable, file, default.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := configOf(t, "realm: file\npublic: [/file]\nuser-names: hash\nidle-timeout: 7s\n")
	env := map[string]string{"OTELAUTH_CONFIG": file, "OTELAUTH_REALM": "variable", "OTELAUTH_PUBLIC": "/variable", "OTELAUTH_USER_NAMES": "plain"}
	got := loadFlags(t, []string{"--realm", "flag"}, env)
	if got.Realm != "flag" || !reflect.DeepEqual(got.Public, []string{"/variable"}) || got.UserNames != "plain" ||
		got.IdleTimeout != 7*time.Second || got.DialTimeout != 5*time.Second {
		t.Errorf("%+v", got)
	}
	// --config overrides its variable, and a list replaces its default.
	other := configOf(t, "realm: other\nlisten: ':1'\n")
	if got := loadFlags(t, []string{"--config", other}, map[string]string{"OTELAUTH_CONFIG": file}); got.Realm != "other" || len(got.Listen) != 1 || got.Listen[0] != ":1" {
		t.Errorf("realm %q, listen %q", got.Realm, got.Listen)
	}
	if got := loadFlags(t, []string{"--listen", ":2"}, nil); len(got.Listen) != 1 {
		t.Errorf("listen %q: the default was added to the setting", got.Listen)
	}
}

// TestDefaults holds the defaults of the flags against those that the packages document.
func TestDefaults(t *testing.T) {
	t.Parallel()
	f, d := loadFlags(t, nil, nil), gateway.Defaults()
	for name, pair := range map[string][2]any{
		"max-stream-age":          {f.MaxStreamAge, d.MaxStreamAge},
		"read-header-timeout":     {f.ReadHeaderTimeout, d.ReadHeaderTimeout},
		"idle-timeout":            {f.IdleTimeout, d.IdleTimeout},
		"stall-timeout":           {f.StallTimeout, d.StallTimeout},
		"max-header-bytes":        {f.MaxHeaderBytes, d.MaxHeaderBytes},
		"dial-timeout":            {f.DialTimeout, d.DialTimeout},
		"response-header-timeout": {f.ResponseHeaderTimeout, d.ResponseHeaderTimeout},
		"drain-timeout":           {f.DrainTimeout, d.DrainTimeout},
		"server-name":             {f.ServerName, d.ServerName},
		"realm":                   {f.Realm, "restricted"},
		"cache-ttl":               {f.CacheTTL, verify.DefaultTTL},
		"cache-entries":           {f.CacheEntries, verify.DefaultVerifiedEntries},
	} {
		if pair[0] != pair[1] {
			t.Errorf("--%s is %v, documented %v", name, pair[0], pair[1])
		}
	}
	if got := gateway.Defaults().IdentityHeaders; !reflect.DeepEqual(got, []string{"Remote-User", "X-Forwarded-User"}) {
		t.Errorf("the help of --identity-header is out of date: %v", got)
	}
}

// TestConfigFileErrors checks that every error has its line and the remedy, and shows no value.
func TestConfigFileErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":          {"upstream: http://h\nusrs: canary\n", `f:2: unknown key "usrs": did you mean users?`},
		"underscores":          {"key_file: canary\n", `f:1: unknown key "key_file": did you mean key-file?`},
		"far from any key":     {"canary-key-of-somebody: canary\n", `f:1: unknown key "canary-key-of-somebody": see otelauth help --all gateway for all keys`},
		"check is no setting":  {"check: true\n", `f:1: unknown key "check": see otelauth help --all gateway for all keys`},
		"twice":                {"users: a\nrealm: x\nusers: canary\n", "f:3: users is set in line 1 already: remove one of the two"},
		"list for text":        {"realm:\n  - canary\n", "f:2: realm: write one value, not a list or a mapping"},
		"number for text":      {"realm: 7\n", "f:1: realm: write text: put quotes around it"},
		"truth for text":       {"realm: true\n", "f:1: realm: write text: put quotes around it"},
		"text for truth":       {"django: canary\n", "f:1: django: write true or false"},
		"quoted truth":         {"django: \"true\"\n", "f:1: django: write true or false"},
		"text for number":      {"max-header-bytes: canary\n", "f:1: max-header-bytes: write a number"},
		"fraction":             {"max-header-bytes: 1.5\n", "f:1: max-header-bytes: write a number"},
		"duration without":     {"idle-timeout: 30\n", "f:1: idle-timeout: write a duration with its unit, such as 30s or 5m"},
		"no duration":          {"\nidle-timeout: soon\n", `f:2: idle-timeout: expected duration but got "soon": time: invalid duration "soon"`},
		"not of the enum":      {"user-names: both\n", "f:1: user-names: use one of plain, hash"},
		"mapping for list":     {"public:\n  a: b\n", "f:2: public: write a list"},
		"list in a list":       {"public:\n  - /a\n  - [/b]\n", "f:3: public: write text: put quotes around it"},
		"null in a list":       {"public:\n  - /a\n  -\n", "f:3: public: write text: put quotes around it"},
		"a pattern twice":      {"allow-groups:\n  /a/: [x]\n  /a/: [y]\n", "f:3: allow-groups: the same pattern as in line 2: merge the names into one list"},
		"a comma in a name":    {"allow-groups:\n  /a/: 'x,y'\n", "f:2: allow-groups: a name holds a comma: write each name as a separate item of the list"},
		"anchor":               {"realm: &a canary\n", "f:1: realm: anchors are not supported: remove the & and its name"},
		"alias":                {"realm: &a canary\nusers: *a\n", "f:1: realm: anchors are not supported: remove the & and its name\nf:2: users: aliases are not supported: write the value"},
		"a list of settings":   {"- users: canary\n", "f:1: not a mapping: write settings such as upstream: http://127.0.0.1:8000"},
		"a key that is a list": {"? [a]\n: b\n", "f:1: a key must be a plain name"},
		"two documents":        {"users: a\n---\nusers: canary\n", "f: more than one document: remove everything after ---"},
		"syntax":               {"users: a\n\tcanary: [\n", "f:2: not valid YAML"},
		"all at once":          {"x1: 1\nrealm: [canary]\nidle-timeout: 5\n", "f:1: unknown key \"x1\": see otelauth help --all gateway for all keys\nf:2: realm: write one value, not a list or a mapping\nf:3: idle-timeout: write a duration with its unit, such as 30s or 5m"},
	} {
		_, err := flagfile.Read(strings.NewReader(test.text), "f", fileFlags(gatewayNodeOf(t)))
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", name, err, test.want)
			continue
		}
		if name != "far from any key" && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: shows the value: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "comment": "# nothing\n", "null": "~\n", "a null setting": "realm:\nusers: ~\n", "a marker": "---\n", "byte order mark": "\ufeffusers: a\n",
	} {
		if _, err := flagfile.Read(strings.NewReader(text), "f", fileFlags(gatewayNodeOf(t))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEffective checks that the output of --check is a file with the same settings.
func TestEffective(t *testing.T) {
	t.Parallel()
	args := []string{
		"gateway", "--upstream", "http://127.0.0.1:1", "--users", "u: {x}", "--realm", "yes", "--public", "GET /static/", "--public", "/a b/{x...}",
		"--allow-groups", "/admin/=ops,staff", "--django", "--idle-timeout", "90s", "--max-header-bytes", "123456", "--user-names", "hash",
	}
	c, s, err := loadGateway(args, func(name string) string {
		return map[string]string{"OTELAUTH_SERVER_NAME": "#1"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := effective(&out, s); err != nil {
		t.Fatal(err)
	}
	again, _, err := loadGateway([]string{"gateway", "--config", configOf(t, out.String())}, noEnvironment)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	want := c.gatewayFlags
	want.IdentityHeader = gateway.Defaults().IdentityHeaders // printed, because it is in force
	if d := cmp.Diff(want, again.gatewayFlags, cmp.Exporter(func(reflect.Type) bool { return true })); d != "" {
		t.Errorf("(-printed +read again):\n%s\n%s", d, out.String())
	}
	if !strings.Contains(out.String(), "server-name: '#1' # OTELAUTH_SERVER_NAME\n") {
		t.Errorf("does not show where a setting comes from:\n%s", out.String())
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	f := gatewayFlags{
		Public: []string{"GET /static/"}, Endpoint: []string{"/orders/", "/admin/"}, Sensitive: []string{"/admin/"},
		AllowGroups: []string{"/admin/=ops, staff", "/a=b/=x"}, AllowAccounts: []string{"/admin/=alice"},
		DefaultGroups: []string{"staff, ops"},
	}
	p := &problems{settings: &settings{}}
	rules := f.rules(p)
	if len(p.all) > 0 {
		t.Fatal(p.all)
	}
	want := []gateway.Rule{
		{Pattern: "GET /static/", Access: gateway.Public},
		{Pattern: "/orders/"},
		{Pattern: "/admin/", Sensitive: true, Groups: []string{"ops", "staff"}, Accounts: []string{"alice"}},
		{Pattern: "/", Groups: []string{"staff", "ops"}},
		{Pattern: "/a=b/", Groups: []string{"x"}},
	}
	if d := cmp.Diff(want, rules); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, bad := range []string{"/admin/", "/admin/=", "/admin/=ops,", "/admin/=,ops"} {
		f := gatewayFlags{AllowGroups: []string{bad}}
		p := &problems{settings: &settings{}}
		if f.rules(p); len(p.all) != 1 || !strings.HasPrefix(p.all[0].Error(), "--allow-groups: ") {
			t.Errorf("%s: %v", bad, p.all)
		}
	}
}
