// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"flag"
	"fmt"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated documentation")

const strippedPage = "../../docs/stripped-headers.md"

// strippedTable returns the tables of docs/stripped-headers.md.
func strippedTable() string {
	var b strings.Builder
	for _, group := range stripped {
		fmt.Fprintf(&b, "\n## %s\n\nAccepted by %s.\n\n| removed | of these, well known |\n| --- | --- |\n", group.title, group.believedBy)
		var exact []string
		for _, name := range group.names {
			prefix, isPattern := strings.CutSuffix(name, "*")
			if !isPattern {
				if !beneath(group.names, name) {
					exact = append(exact, "`"+name+"`")
				}
				continue
			}
			var members []string
			for _, member := range group.names {
				if strings.HasPrefix(member, prefix) && !strings.HasSuffix(member, "*") {
					members = append(members, "`"+member+"`")
				}
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", name, strings.Join(members, " "))
		}
		if len(exact) > 0 {
			fmt.Fprintf(&b, "| %s | |\n", strings.Join(exact, " "))
		}
	}
	return b.String()
}

// beneath reports whether a pattern covers a name.
func beneath(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		prefix, isPattern := strings.CutSuffix(p, "*")
		return isPattern && strings.HasPrefix(name, prefix)
	})
}

// docs/stripped-headers.md shows the list. After a change run: go test ./otelauth/gateway -run
// TestStrippedHeadersPage -update.
func TestStrippedHeadersPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(strippedPage)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "<!-- The rest is generated from otelauth/gateway/stripped.go. -->\n"
	intro, rest, found := strings.Cut(string(page), mark)
	if !found {
		t.Fatalf("%s has no line %q", strippedPage, mark)
	}
	if want := strippedTable(); rest != want {
		if !*update {
			t.Fatalf("%s does not show the list; run this test with -update", strippedPage)
		}
		if err := os.WriteFile(strippedPage, []byte(intro+mark+want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The list uses canonical names, holds no name twice, and no header that services need from
// clients.
func TestStrippedHeadersAreWellFormed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, name := range DefaultStripHeaders() {
		plain := strings.TrimSuffix(name, "*")
		if !isPlainName(plain) || textproto.CanonicalMIMEHeaderKey(plain) != plain || seen[name] {
			t.Errorf("%s is listed twice, or not as net/http writes it (%s)", name, textproto.CanonicalMIMEHeaderKey(plain))
		}
		seen[name] = true
	}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Authorization", "Cache-Control", "Content-Type", "Cookie", "Destination", "Grpc-Timeout", "Host",
		"If-Match", "Origin", "Range", "Referer", "Sec-Fetch-Site", "Sec-Websocket-Key", "Te", "Traceparent", "Tracestate", "Upgrade",
		"User-Agent", "X-Access-Token", "X-Api-Key", "X-Auth-Token", "X-Client-Data", "X-Csrf-Token", "X-Grpc-Web", "X-Request-Id",
		"X-Requested-With", "X-Scope-Orgid", "X-User-Agent", "X-Xsrf-Token",
	} {
		if seen[name] || beneath(DefaultStripHeaders(), name) {
			t.Errorf("%s is removed: services need it from clients", name)
		}
	}
}
