// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

const (
	homepage = "https://github.com/otelauth/otelauth-go"
	helpPage = homepage + "/blob/main/docs/probe.md"
)

// WriteSARIF writes the findings as SARIF 2.1.0, for code scanning. A finding is located at the
// place that names its endpoint, such as a line of the list of endpoints, or at its path below the
// target. Findings that a baseline accepts are suppressed. What was not tested is a notification.
func WriteSARIF(w io.Writer, r *probe.Report) error {
	rules := probe.Rules()
	run := sarifRun{
		Tool:              sarifTool{driver(r, rules)},
		AutomationDetails: sarifID{"otelauth-probe/" + r.Run},
		Invocations:       []sarifInvocation{invocation(r)},
		OriginalURIs:      map[string]sarifArtifact{"TARGET": {URI: strings.TrimSuffix(r.Target, "/") + "/"}},
		Taxonomies:        taxonomies(rules),
		Results:           make([]sarifResult, 0, len(r.Findings)),
		ColumnKind:        "utf16CodeUnits",
		Properties:        map[string]any{"target": r.Target, "requests": r.Requests, "verdicts": r.Verdicts},
	}
	for i := range r.Findings {
		run.Results = append(run.Results, result(&r.Findings[i], rules))
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	err := encoder.Encode(sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0",
		Runs:    []sarifRun{run},
	})
	if err != nil {
		return fmt.Errorf("probe: report as SARIF: %w", err)
	}
	return nil
}

// The positions in taxonomies.
const (
	taxonomyCWE = iota
	taxonomyASVS
)

var taxonomyNames = []string{taxonomyCWE: "CWE", taxonomyASVS: "OWASP ASVS"}

func cweOf(t probe.RuleText) string  { return strconv.Itoa(t.CWE) }
func asvsOf(t probe.RuleText) string { return t.ASVS }

// idsOf returns the entries of a taxonomy that the rules refer to.
func idsOf(rules []probe.RuleText, id func(probe.RuleText) string) []string {
	var list []string
	for _, t := range rules {
		if !slices.Contains(list, id(t)) {
			list = append(list, id(t))
		}
	}
	return list
}

func taxonomies(rules []probe.RuleText) []sarifComponent {
	cwe := sarifComponent{Name: taxonomyNames[taxonomyCWE], Organization: "MITRE", InformationURI: "https://cwe.mitre.org/", Short: &sarifText{Text: "Common Weakness Enumeration"}}
	for _, id := range idsOf(rules, cweOf) {
		cwe.Taxa = append(cwe.Taxa, sarifDescriptor{ID: id, HelpURI: "https://cwe.mitre.org/data/definitions/" + id + ".html"})
	}
	asvs := sarifComponent{Name: taxonomyNames[taxonomyASVS], Version: "5.0", Organization: "OWASP", InformationURI: "https://owasp.org/www-project-application-security-verification-standard/", Short: &sarifText{Text: "Application Security Verification Standard"}}
	for _, id := range idsOf(rules, asvsOf) {
		asvs.Taxa = append(asvs.Taxa, sarifDescriptor{ID: id})
	}
	return []sarifComponent{cwe, asvs}
}

// related returns the relationship of a rule to an entry of a taxonomy.
func related(rules []probe.RuleText, t probe.RuleText, taxonomy int, id func(probe.RuleText) string) sarifRelationship {
	return sarifRelationship{
		Target: sarifTarget{ID: id(t), Index: slices.Index(idsOf(rules, id), id(t)), Component: sarifReference{taxonomyNames[taxonomy], taxonomy}},
		Kinds:  []string{"superset"},
	}
}

func driver(r *probe.Report, rules []probe.RuleText) sarifComponent {
	c := sarifComponent{Name: "otelauth probe", Version: r.Version, Organization: "otelauth", InformationURI: homepage}
	for i, name := range taxonomyNames {
		c.Supported = append(c.Supported, sarifReference{name, i})
	}
	for _, t := range rules {
		properties := map[string]any{
			"tags":      []string{"security", "authentication", fmt.Sprintf("external/cwe/cwe-%03d", t.CWE)},
			"precision": "high",
		}
		if score := scores[t.Severity]; score != "" {
			properties["security-severity"] = score
		}
		c.Rules = append(c.Rules, sarifDescriptor{
			ID:    string(t.Rule),
			Short: &sarifText{Text: t.Title},
			Full:  &sarifText{Text: fmt.Sprintf("%s (CWE-%d, OWASP ASVS 5.0 item %s).", t.Title, t.CWE, t.ASVS)},
			Help: &sarifText{
				Text: "How to mend: " + t.Mend,
				Markdown: fmt.Sprintf("**How to mend:** %s\n\n[CWE-%d](https://cwe.mitre.org/data/definitions/%d.html), OWASP ASVS 5.0 item %s. [All rules](%s)",
					t.Mend, t.CWE, t.CWE, t.ASVS, helpPage),
			},
			HelpURI:       helpPage,
			Default:       &sarifDefault{levels[t.Severity]},
			Relationships: []sarifRelationship{related(rules, t, taxonomyCWE, cweOf), related(rules, t, taxonomyASVS, asvsOf)},
			Properties:    properties,
		})
	}
	return c
}

var (
	levels = map[probe.Severity]string{probe.Critical: "error", probe.High: "error", probe.Medium: "warning", probe.Low: "note", probe.Info: "note"}
	// scores are read by GitHub, which makes a severity of them again.
	scores = map[probe.Severity]string{probe.Critical: "9.5", probe.High: "8.0", probe.Medium: "5.5", probe.Low: "2.5"}
	ranks  = map[probe.Severity]float64{probe.Critical: 95, probe.High: 80, probe.Medium: 55, probe.Low: 25, probe.Info: 5}
)

func invocation(r *probe.Report) sarifInvocation {
	in := sarifInvocation{Successful: r.Complete, Start: sarifTime(r.Started), End: sarifTime(r.Ended)}
	if !r.Complete {
		in.Notifications = append(in.Notifications, sarifNotification{Level: "error", Message: message("The run is not complete: " + r.Stopped)})
	}
	for _, g := range r.NotTested {
		what := strings.TrimSpace(g.Endpoint + " " + g.Probe)
		if what == "" {
			what = "some endpoints"
		}
		if g.Times > 1 {
			what += fmt.Sprintf(" (%d endpoints)", g.Times)
		}
		in.Notifications = append(in.Notifications, sarifNotification{Level: "note", Message: message("Not tested: " + what + ": " + g.Why)})
	}
	return in
}

func sarifTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// message returns a message of SARIF. In its text, braces are placeholders (section 3.11.5) and
// brackets are links (section 3.11.6) unless they are escaped.
func message(text string) sarifText {
	return sarifText{Text: messageEscapes.Replace(visible(text))}
}

var messageEscapes = strings.NewReplacer("{", "{{", "}", "}}", "[", `\[`, "]", `\]`, `\`, `\\`)

func result(f *probe.Finding, rules []probe.RuleText) sarifResult {
	sum := sha256.Sum256([]byte(f.ID))
	text := f.Rule.Text()
	res := sarifResult{
		RuleID:    string(f.Rule),
		RuleIndex: slices.IndexFunc(rules, func(t probe.RuleText) bool { return t.Rule == f.Rule }),
		Kind:      "fail",
		Level:     levels[f.Severity],
		Rank:      ranks[f.Severity],
		Message:   message(findingMessage(f)),
		Locations: []sarifLocation{location(f.Endpoint)},
		Fingerprints: map[string]string{
			// The one that GitHub compares.
			"primaryLocationLineHash": hex.EncodeToString(sum[:8]) + ":1",
			"otelauthFinding/v1":      visible(f.ID),
		},
		Suppressions: []sarifSuppression{},
		Properties: map[string]any{
			"severity": f.Severity, "cwe": text.CWE, "asvs": text.ASVS, "probes": f.Probes,
		},
	}
	if a := f.Accepted; a != nil {
		res.Suppressions = append(res.Suppressions, sarifSuppression{
			Kind: "external", Status: "accepted", Justification: visible(a.Reason),
			Properties: map[string]any{"expires": a.Expires.UTC().Format(time.DateOnly)},
		})
	}
	if len(f.Attempts) > 0 {
		a := &f.Attempts[0]
		res.Request, res.Response = webRequest(a), webResponse(a)
		res.Properties["curl"] = visible(a.Request.Curl)
	}
	return res
}

func findingMessage(f *probe.Finding) string {
	detail := f.Detail
	if f.Endpoint.Path != "" && !strings.Contains(detail, f.Endpoint.String()) {
		detail = f.Endpoint.String() + ": " + detail
	}
	return detail
}

// location returns where the endpoint was found, or its path below the target.
func location(e probe.Endpoint) sarifLocation {
	l := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{URI: "./", BaseID: "TARGET"}}}
	if e.Path == "" {
		return l
	}
	l.Logical = []sarifLogical{{FullName: visible(e.String()), Kind: "resource"}}
	if file, line := sourceOf(e); file != "" {
		l.Physical.Artifact = sarifArtifact{URI: fileReference(file)}
		l.Physical.Region = &sarifRegion{StartLine: max(line, 1)}
		return l
	}
	path, _, _ := strings.Cut(e.Path, "?")
	l.Physical.Artifact.URI = reference(strings.TrimLeft(path, "/"))
	return l
}

// sourceOf returns the file that names an endpoint, and the line if it is known.
func sourceOf(e probe.Endpoint) (file string, line int) {
	file = e.Source
	if i := strings.LastIndexByte(file, ':'); i > 0 {
		if n, err := strconv.Atoi(file[i+1:]); err == nil && n > 0 {
			file, line = file[:i], n
		}
	}
	if filepath.Ext(file) == "" || strings.ContainsAny(file, " \n") {
		return "", 0 // such as "router" or "-"
	}
	return file, line
}

// fileReference returns the URI of a file: relative if its name is, so that code scanning finds it
// in the repository.
func fileReference(file string) string {
	file = filepath.ToSlash(file)
	if strings.HasPrefix(file, "/") {
		return (&url.URL{Scheme: "file", Path: file}).String()
	}
	return reference((&url.URL{Path: strings.TrimPrefix(file, "./")}).EscapedPath())
}

// reference returns an escaped path as a relative URI that is valid and has no scheme.
func reference(path string) string {
	var b strings.Builder
	first, _, _ := strings.Cut(path, "/")
	if path == "" || strings.Contains(first, ":") {
		b.WriteString("./")
	}
	for i := range len(path) {
		if c := path[i]; c > ' ' && c < 0x7f && !strings.ContainsRune("\"<>\\^`{|}#", rune(c)) && (c != '%' || isEscape(path[i:])) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func isEscape(s string) bool {
	if len(s) < 3 {
		return false
	}
	_, err := strconv.ParseUint(s[1:3], 16, 8)
	return err == nil
}

func webRequest(a *probe.Attempt) *sarifRequest {
	r := &sarifRequest{
		Protocol: "HTTP", Version: "1.1", Target: visible(a.Request.Target), Method: visible(a.Request.Method), Headers: headers(a.Request.Headers),
	}
	if a.Request.Body != "" {
		r.Body = &sarifText{Text: visible(a.Request.Body)}
	}
	return r
}

func webResponse(a *probe.Attempt) *sarifResponse {
	if a.Answer.Status == 0 {
		return &sarifResponse{None: true}
	}
	r := &sarifResponse{Protocol: "HTTP", Version: "1.1", Status: a.Answer.Status, Headers: headers(a.Answer.Headers)}
	if a.Answer.Excerpt != "" {
		r.Body = &sarifText{Text: visible(a.Answer.Excerpt)}
	}
	return r
}

// headers joins fields of the same name, as RFC 9110, section 5.3, does.
func headers(list []probe.Header) map[string]string {
	fields := make(map[string]string, len(list))
	for _, h := range list {
		name, value := visible(h.Name), visible(h.Value)
		if before, ok := fields[name]; ok {
			value = before + ", " + value
		}
		fields[name] = value
	}
	return fields
}
