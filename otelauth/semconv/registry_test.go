// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package semconv_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/internal/semconvgen/generate"
	"github.com/otelauth/otelauth-go/internal/semconvgen/registry"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

func open(t *testing.T) *registry.Registry {
	t.Helper()
	r, err := registry.Open()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGeneratedFilesAreCurrent(t *testing.T) {
	t.Parallel()
	files, err := generate.All(open(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(registry.Root(), filepath.FromSlash(name)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not current (%v); run go generate ./otelauth/semconv:\n%s", name, err, cmp.Diff(string(got), string(want)))
		}
	}
}

// The generated file official_test.go does not compile when OpenTelemetry's package lacks an
// attribute.
func TestOfficialKeys(t *testing.T) {
	t.Parallel()
	for _, keys := range officialKeys {
		if keys[0] != keys[1] {
			t.Errorf("the registry has %s, OpenTelemetry's package %s", keys[0], keys[1])
		}
	}
	if semconv.SchemaURL != officialSchemaURL {
		t.Errorf("SchemaURL = %s, want %s", semconv.SchemaURL, officialSchemaURL)
	}
}

// The registry refers to the newest semantic conventions that the OpenTelemetry module in go.mod
// has.
func TestOfficialVersionIsTheNewest(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "go.opentelemetry.io/otel").Output()
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "semconv", "v1.*"))
	if err != nil || len(dirs) == 0 {
		t.Fatal("no versions: ", err)
	}
	minor := func(version string) int {
		n, err := strconv.Atoi(strings.Split(version, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, d := range dirs {
		if version := filepath.Base(d); minor(version) > minor(officialVersion) {
			t.Errorf("the module has %s; change registry_manifest.yaml, which has %s, and run go generate ./otelauth/semconv", version, officialVersion)
		}
	}
}

// Each enumeration of the data model has the values that the registry declares.
func TestEnumerations(t *testing.T) {
	t.Parallel()
	r := open(t)
	members := func(key string) (values []string) {
		for _, m := range r.Own(key).Type.Members {
			values = append(values, m.Value)
		}
		return values
	}
	var errorTypes []string
	for _, g := range r.Groups {
		for _, a := range g.Attributes {
			if a.Ref == semconv.KeyErrorType && g.ID == "span.auth.authenticate" {
				for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(a.Note, -1) {
					errorTypes = append(errorTypes, m[1])
				}
			}
		}
	}
	for _, tc := range []struct {
		key        string
		code       []string
		registered []string
	}{
		{semconv.KeyOutcome, texts(attempt.Outcomes()), members(semconv.KeyOutcome)},
		{semconv.KeyCacheResult, texts(attempt.CacheResults()), members(semconv.KeyCacheResult)},
		{semconv.KeyReason, texts(attempt.Reasons()), members(semconv.KeyReason)},
		{semconv.KeyCoverageFinding, texts(attempt.CoverageFindings()), members(semconv.KeyCoverageFinding)},
		{semconv.KeyErrorType, texts(attempt.ErrorTypes()), errorTypes},
	} {
		slices.Sort(tc.code)
		slices.Sort(tc.registered)
		if diff := cmp.Diff(tc.code, tc.registered); diff != "" {
			t.Errorf("%s (-package attempt +registry):\n%s", tc.key, diff)
		}
	}
}

// texts returns the texts of values, without "", which leaves an attribute out.
func texts[T any](values []T) (all []string) {
	for _, v := range values {
		if s := fmt.Sprint(v); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// Each notice becomes an event that the registry declares.
func TestNoticeKindsAreEvents(t *testing.T) {
	t.Parallel()
	var declared []string
	for _, g := range open(t).Of("event") {
		declared = append(declared, g.EventName)
	}
	for _, kind := range attempt.NoticeKinds() {
		if !slices.Contains(declared, string(kind)) {
			t.Errorf("no event %s in otelauth/semconv/registry; add it", kind)
		}
	}
}

func TestUnitAndDescription(t *testing.T) {
	t.Parallel()
	for _, g := range open(t).Of("metric") {
		if semconv.Unit(g.MetricName) != g.Unit || semconv.Description(g.MetricName) == "" {
			t.Errorf("%s: unit %q, description %q", g.MetricName, semconv.Unit(g.MetricName), semconv.Description(g.MetricName))
		}
	}
	if semconv.Unit("auth.unknown") != "" || semconv.Description("auth.unknown") != "" {
		t.Error("a metric that is not declared has a unit or a description")
	}
}
