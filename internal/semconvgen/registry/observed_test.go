// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/otelauth/otelauth-go/internal/semconvgen/registry"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	r, err := registry.Load(fstest.MapFS{"registry_manifest.yaml": {Data: []byte(manifest)}, "test.yaml": {Data: []byte(valid)}})
	if err != nil {
		t.Fatal(err)
	}
	size := map[string]string{"auth.size": "int"}
	for _, tc := range []struct {
		name string
		o    registry.Observed
		want string // part of the only problem; "" for none
	}{
		{"event as declared", registry.Observed{Type: "event", Name: "auth.use", Own: true, Severity: "INFO", Types: size}, ""},
		{"event that is not declared", registry.Observed{Type: "event", Name: "auth.used", Own: true}, "not declared"},
		{"event with another severity", registry.Observed{Type: "event", Name: "auth.use", Own: true, Severity: "WARN", Types: size}, "severity WARN"},
		{"event without a required attribute", registry.Observed{Type: "event", Name: "auth.use", Own: true, Severity: "INFO"}, "auth.size is missing"},
		{"event with another type", registry.Observed{Type: "event", Name: "auth.use", Own: true, Severity: "INFO", Types: map[string]string{"auth.size": "string"}}, "is a string"},
		{"event of another instrumentation", registry.Observed{Type: "event", Name: "other"}, ""},
		{"metric as declared", registry.Observed{Type: "metric", Name: "auth.uses", Own: true, Kind: "counter", Unit: "{use}", Description: "Uses."}, ""},
		{"metric with another unit", registry.Observed{Type: "metric", Name: "auth.uses", Own: true, Kind: "counter", Unit: "1", Description: "Uses."}, "counter in 1"},
		{"span with an undeclared attribute", registry.Observed{Type: "span", Name: "use", Own: true, Kind: "internal", Types: size}, "auth.size is not declared"},
		{"span of another instrumentation with an attribute of ours", registry.Observed{Type: "span", Name: "GET", Kind: "server", Types: size}, "auth.size is not declared"},
		{"span of another instrumentation", registry.Observed{Type: "span", Name: "GET", Kind: "server", Types: map[string]string{"http.route": "string"}}, ""},
	} {
		problems := strings.Join(r.Check(tc.o), "\n")
		if (tc.want == "") != (problems == "") || !strings.Contains(problems, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, problems, tc.want)
		}
	}
	everything := []registry.Observed{
		{Type: "event", Name: "auth.use", Own: true, Severity: "INFO", Types: size}, {Type: "metric", Name: "auth.uses", Own: true}, {Type: "span", Name: "use", Own: true},
	}
	none := func(*registry.Group) bool { return false }
	if problems := r.Unseen(everything, none); len(problems) > 0 {
		t.Errorf("nothing is missing, but Unseen returns %q", problems)
	}
	for i := range everything {
		if problems := r.Unseen(append(everything[:i:i], everything[i+1:]...), none); len(problems) != 1 {
			t.Errorf("without %s: %q", everything[i].Name, problems)
		}
	}
}
