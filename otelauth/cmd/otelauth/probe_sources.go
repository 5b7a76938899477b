// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/openapi"
)

// probeSources name the endpoints.
type probeSources struct {
	List    []string `sep:"none" placeholder:"FILE" help:"A list of endpoints: one METHOD /path a line, with what is expected: public, optional, groups=admin. A - is standard input. May be repeated."`
	OpenAPI []string `name:"openapi" sep:"none" placeholder:"FILE" help:"An OpenAPI 3.0 or 3.1 document. May be repeated."`
	Policy  []string `sep:"none" placeholder:"FILE" help:"The configuration file of otelauth gateway: its rules name endpoints and who may use them. May be repeated."`
	Events  []string `sep:"none" placeholder:"FILE" help:"Access events of the service, one JSON object a line. A - is standard input. May be repeated."`
}

// endpoints returns those of all sources. Of two with the same method and path the first counts.
func (c *probeSources) endpoints(t *terminal) ([]probe.Endpoint, error) {
	if len(c.List)+len(c.OpenAPI)+len(c.Policy)+len(c.Events) == 0 {
		return nil, errNoSource
	}
	var all []probe.Endpoint
	for _, source := range []struct {
		flag  string
		files []string
		read  func(r io.Reader, name string) ([]probe.Endpoint, error)
	}{
		{"list", c.List, probe.ReadList},
		{"openapi", c.OpenAPI, openapi.Read},
		{"policy", c.Policy, readPolicy},
		{"events", c.Events, probe.ReadEvents},
	} {
		list, err := each(t, source.flag, source.files, func(r *os.File, name string) ([]probe.Endpoint, error) { return source.read(r, name) })
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	seen := make(map[string]bool)
	return slices.DeleteFunc(all, func(e probe.Endpoint) bool {
		known := seen[e.String()]
		seen[e.String()] = true
		return known
	}), nil
}

// readPolicy returns the endpoints that the rules of a gateway's configuration file name.
func readPolicy(r io.Reader, name string) ([]probe.Endpoint, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxPolicyBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxPolicyBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxPolicyBytes)
	}
	var file struct {
		Public        []string  `yaml:"public"`
		Endpoint      []string  `yaml:"endpoint"`
		Sensitive     []string  `yaml:"sensitive"`
		ProtectOnly   []string  `yaml:"protect-only"`
		DefaultGroups []string  `yaml:"default-groups"`
		AllowGroups   yaml.Node `yaml:"allow-groups"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: not a configuration file of the gateway: %s", name, firstLine(err))
	}
	grants, err := groupGrants(&file.AllowGroups)
	if err != nil {
		return nil, fmt.Errorf("%s: allow-groups: %w", name, err)
	}
	var fallback []string
	for _, names := range file.DefaultGroups {
		fallback = append(fallback, splitList(names)...)
	}
	p := policyReader{name: name, index: make(map[string]int)}
	for _, pattern := range file.Public {
		p.add(pattern).Access = probe.Public
	}
	for _, pattern := range slices.Concat(file.Endpoint, file.Sensitive, file.ProtectOnly) {
		if e := p.add(pattern); e.Access == "" && len(e.Groups) == 0 {
			e.Groups = fallback
		}
	}
	for _, g := range grants {
		p.add(g.pattern).Groups = g.groups
	}
	if len(p.list) == 0 {
		return nil, fmt.Errorf("%s: no rule names an endpoint: the keys are public, endpoint, sensitive, protect-only and allow-groups", name)
	}
	return p.list, nil
}

const maxPolicyBytes = 1 << 20

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func splitList(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// grant is an entry of allow-groups.
type grant struct {
	pattern string
	groups  []string
}

// groupGrants reads "PATTERN=GROUP,…" items, or a mapping from patterns to groups.
func groupGrants(node *yaml.Node) ([]grant, error) {
	if node.Kind == 0 {
		return nil, nil
	}
	var items []string
	if err := node.Decode(&items); err == nil {
		var grants []grant
		for _, text := range items {
			i := strings.LastIndexByte(text, '=')
			if i < 0 {
				return nil, fmt.Errorf("%s is not of the form PATTERN=GROUP,GROUP", quoted(shown(text)))
			}
			grants = append(grants, grant{text[:i], splitList(text[i+1:])})
		}
		return grants, nil
	}
	var mapping map[string][]string
	if err := node.Decode(&mapping); err != nil {
		return nil, errors.New("neither a list nor a mapping from patterns to groups")
	}
	var grants []grant
	for pattern, groups := range mapping {
		grants = append(grants, grant{pattern, groups})
	}
	slices.SortFunc(grants, func(a, b grant) int { return strings.Compare(a.pattern, b.pattern) })
	return grants, nil
}

// policyReader makes one endpoint of each pattern.
type policyReader struct {
	name  string
	list  []probe.Endpoint
	index map[string]int
}

func (p *policyReader) add(pattern string) *probe.Endpoint {
	if i, known := p.index[pattern]; known {
		return &p.list[i]
	}
	e := probe.Endpoint{Method: http.MethodGet, Path: pattern, Source: p.name}
	if method, path, found := strings.Cut(pattern, " "); found {
		e.Method, e.Path = method, strings.TrimSpace(path)
	}
	if i := strings.IndexByte(e.Path, '/'); i > 0 {
		e.Path = e.Path[i:] // without the host
	}
	e.Path = strings.TrimSuffix(e.Path, "{$}")
	e.Route = e.Path
	if strings.Contains(e.Path, "{") {
		e.Skip = "the pattern has a parameter: list a path of it with --list and route=" + e.Path
	}
	p.index[pattern] = len(p.list)
	p.list = append(p.list, e)
	return &p.list[len(p.list)-1]
}

// identityFile is the YAML of --identities.
type identityFile struct {
	Identities []struct {
		Name         string   `yaml:"name"`
		Username     string   `yaml:"username"`
		Password     string   `yaml:"password"`
		PasswordEnv  string   `yaml:"password-env"`
		PasswordFile string   `yaml:"password-file"`
		Groups       []string `yaml:"groups"`
	} `yaml:"identities"`
}

// The variables of the account that is used without --identities. Those of further accounts have
// the suffix _2, _3 and so on.
const (
	userVariable     = "OTELAUTH_PROBE_USER"
	passwordVariable = "OTELAUTH_PROBE_PASSWORD" //nolint:gosec // the name of a variable
	groupsVariable   = "OTELAUTH_PROBE_GROUPS"
)

// environmentIdentities returns the accounts of the environment, up to the first number without
// one.
func environmentIdentities(getenv func(string) string) ([]probe.Identity, error) {
	var list []probe.Identity
	for suffix := ""; ; suffix = fmt.Sprintf("_%d", len(list)+1) {
		user, password, groups := getenv(userVariable+suffix), getenv(passwordVariable+suffix), getenv(groupsVariable+suffix)
		switch {
		case user == "" && password == "" && groups == "":
			return list, nil
		case user == "" || password == "":
			return nil, fmt.Errorf("%s and %s belong together: set both", userVariable+suffix, passwordVariable+suffix)
		}
		list = append(list, probe.Identity{Name: user, Username: user, Password: password, Groups: splitList(groups)})
	}
}

// readIdentities returns the accounts of a file, or those of the environment. Errors do not show
// what the file holds.
func readIdentities(file string, getenv func(string) string) ([]probe.Identity, error) {
	if file == "" {
		return environmentIdentities(getenv)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--identities: %w", err)
	}
	var parsed identityFile
	if err := yaml.Load(text, &parsed, yaml.WithKnownFields()); err != nil {
		return nil, fmt.Errorf("--identities: %s is not of the form that docs/probe.md shows: identities with name, username, groups and one of password-env, password-file, password", file)
	}
	var list []probe.Identity
	for i, id := range parsed.Identities {
		password := id.Password
		switch {
		case id.PasswordEnv != "":
			if password = getenv(id.PasswordEnv); password == "" {
				return nil, fmt.Errorf("--identities: %s: the variable %s of identity %d is not set", file, shown(id.PasswordEnv), i+1)
			}
		case id.PasswordFile != "":
			if password, err = readSecretLine(id.PasswordFile); err != nil {
				return nil, fmt.Errorf("--identities: the password file of identity %d: %w", i+1, err)
			}
		}
		if id.Username == "" {
			id.Username = id.Name
		}
		if id.Username == "" || password == "" {
			return nil, fmt.Errorf("--identities: identity %d of %s has no name or no password", i+1, file)
		}
		list = append(list, probe.Identity{Name: id.Name, Username: id.Username, Password: password, Groups: id.Groups})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("--identities: %s has no identity", file)
	}
	return list, nil
}

// readBaseline returns the findings that a file accepts: a list of id, reason and expires.
func readBaseline(file string) ([]probe.Acceptance, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--baseline: %w", err)
	}
	var nodes []yaml.Node
	if len(bytes.TrimSpace(text)) > 0 {
		if err := yaml.Unmarshal(text, &nodes); err != nil {
			return nil, fmt.Errorf("--baseline: %s is not a list of findings with id, reason and expires: %s", file, firstLine(err))
		}
	}
	var list []probe.Acceptance
	var problems []error
	for _, node := range nodes {
		var entry struct{ ID, Reason, Expires string }
		problem := func(text string) {
			problems = append(problems, fmt.Errorf("--baseline: %s:%d: %s", file, node.Line, text))
		}
		if err := node.Load(&entry, yaml.WithKnownFields()); err != nil {
			problem("the keys of an entry are id, reason and expires")
			continue
		}
		expires, err := time.Parse(time.DateOnly, entry.Expires)
		switch {
		case entry.ID == "":
			problem("the entry has no id: copy it from the report")
		case entry.Reason == "":
			problem("the entry has no reason: write why the finding is accepted")
		case err != nil:
			problem("the entry has no date of expiry: write expires: 2026-12-31")
		default:
			list = append(list, probe.Acceptance{ID: entry.ID, Reason: entry.Reason, Expires: expires.AddDate(0, 0, 1)})
		}
	}
	return list, errors.Join(problems...)
}
