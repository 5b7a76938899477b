// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"slices"
	"strings"
	"testing"
)

func TestReadings(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"/x/..%2fadmin":               "/admin",
		"/x/%252e%252e/admin":         "/admin",
		`/x\..\admin`:                 "/admin",
		"/x/..;a=b/admin;c":           "/admin",
		"/x/%c0%ae%c0%ae%c0%afadmin":  "/admin",
		"/%e0%80%aeadmin":             "/.admin",
		"/admin%00.css":               "/admin",
		"/adm%0ain":                   "/admin",
		"/admin%3fx":                  "/admin",
		"/admin%23x":                  "/admin",
		"//admin//x":                  "/admin/x",
		"/a//../b":                    "/a/b",
		"/%u002e%U002e/x":             "/x",
		"/adm%ffin":                   "/admin",
		"/x/%25%32%65%25%32%65/admin": "/admin",
	} {
		all, ok := readings(raw)
		if !ok || !slices.Contains(all, want) {
			t.Errorf("%q is not read as %q: %q", raw, want, all)
		}
		if all[0] != raw {
			t.Errorf("%q is not read as it is", raw)
		}
	}
}

// What can be read in too many ways, or is too long to look at, is refused; it costs little.
func TestReadingsAreBounded(t *testing.T) {
	t.Parallel()
	if _, ok := readings("/" + strings.Repeat("a", maxRawPathBytes)); ok {
		t.Error("a long path is read")
	}
	nested := "/"
	for i, mark := range []string{"2e2e", "5c", "3b", "3f", "23", "00", "0d", "c0%ae", "ff", "2f2f"} {
		nested += "%" + strings.Repeat("25", i+1) + mark + "/../a%" + strings.Repeat("25", 10-i) + mark + ";x/"
	}
	if all, ok := readings(nested); ok {
		t.Errorf("read in %d ways", len(all))
	}
}
