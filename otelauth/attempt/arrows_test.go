// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// These tests check the arrows of the import graph, transitive imports included, for every package
// that the module ships. They are in this package because every arrow ends here.

const module = "github.com/otelauth/otelauth-go"

// arrows lists what a package may import, directly or through others. Tests may import anything.
//
// ours are packages of this module. others are modules, or path prefixes of them, besides the
// standard library. The dependencies of a module are listed too, so each new one is a decision.
var arrows = []struct {
	pkg    string // relative to the module
	ours   []string
	others []string
}{
	{"otelauth/attempt", nil, nil},
	{"otelauth/semconv", nil, nil},
	{"otelauth/semconv/mappings", []string{"otelauth/semconv"}, nil},
	{"otelauth/credential", []string{"otelauth/attempt"}, nil},
	{"otelauth/clientip", []string{"otelauth/attempt"}, nil},
	{"otelauth/internal/pathform", nil, []string{"golang.org/x/text"}},
	{"otelauth/throttle/internal/budget", nil, nil},
	{"otelauth/throttle", []string{
		"otelauth/attempt", "otelauth/credential", "otelauth/clientip", "otelauth/internal/snapshot", "otelauth/throttle/internal/budget",
	}, nil},
	{"otelauth/verify", []string{
		"otelauth/attempt", "otelauth/credential", "otelauth/clientip", "otelauth/throttle", "otelauth/internal/pairs", "otelauth/internal/scrub", "otelauth/internal/snapshot", "otelauth/throttle/internal/budget", "otelauth/verify/password",
	}, mac},
	{"otelauth/verify/password", []string{"otelauth/attempt", "otelauth/credential"}, hashes},
	{"otelauth/verify/htpasswd", []string{
		"otelauth/attempt", "otelauth/credential", "otelauth/clientip", "otelauth/throttle", "otelauth/internal/pairs", "otelauth/internal/scrub", "otelauth/internal/snapshot", "otelauth/throttle/internal/budget", "otelauth/verify", "otelauth/verify/password",
	}, append([]string{"github.com/fsnotify/fsnotify"}, mac...)},
	{"otelauth/verify/sqlstore", []string{ // and no driver: the program chooses
		"otelauth/attempt", "otelauth/credential", "otelauth/clientip", "otelauth/throttle", "otelauth/internal/pairs", "otelauth/internal/scrub", "otelauth/internal/snapshot", "otelauth/throttle/internal/budget", "otelauth/verify", "otelauth/verify/password",
	}, mac},
	{"spans", []string{"otelauth/attempt", "otelauth/semconv"}, api},
	{"metrics", []string{"otelauth/attempt", "otelauth/semconv"}, otelhttp},
	{"otelauth/internal/slogevent", nil, api},
	{"otelauth/audit", []string{"otelauth/attempt", "otelauth/semconv", "otelauth/internal/slogevent", "otelauth/audit/internal/wide"}, api},
	{"otelauth/audit/trail", []string{"otelauth/attempt", "otelauth/semconv", "otelauth/audit/internal/wide", "otelauth/audit/trail/internal/disk"}, append([]string{"golang.org/x/mod", "golang.org/x/sys"}, api...)},
	{"otelauth/detect", []string{"otelauth/attempt", "otelauth/semconv", "otelauth/internal/pairs", "otelauth/internal/snapshot", "otelauth/detect/internal/feed"}, siphash},
	{"otelauth/detect/internal/feed", nil, nil},
	{"otelauth/internal/pairs", nil, nil},
	{"otelauth/internal/snapshot", nil, nil},
	{"otelauth/internal/scrub", []string{"otelauth/attempt", "otelauth/credential"}, nil},
	{"otelauth/detect/geoip", []string{"otelauth/attempt", "otelauth/semconv", "otelauth/internal/pairs", "otelauth/internal/snapshot", "otelauth/detect", "otelauth/detect/internal/feed"}, append([]string{"github.com/oschwald/maxminddb-golang/v2", "golang.org/x/sys"}, siphash...)},
	{"otelauth/detect/rulefile", []string{"otelauth/attempt", "otelauth/semconv", "otelauth/internal/pairs", "otelauth/internal/snapshot", "otelauth/detect", "otelauth/detect/internal/feed"}, append([]string{"go.yaml.in/yaml/v4"}, siphash...)},
	{"otelauth/detect/redisfeed", []string{"otelauth/attempt", "otelauth/detect/internal/feed", "otelauth/internal/redishealth", "otelauth/internal/snapshot"}, redis},
	{"otelauth/internal/redishealth", []string{"otelauth/attempt"}, redis},
	{"otelauth/internal/ranksum", nil, nil},
	{"otelauth/probe", []string{"otelauth/internal/ranksum"}, nil},
	{"internal/otlpreceiver", nil, otlp},
	{"otelauth/internal/leak", nil, nil},
	{"otelauth/probe/evidence", []string{"otelauth/semconv", "otelauth/internal/leak", "internal/otlpreceiver"}, otlp},
	{"otelauth/probe/loglines", []string{
		"otelauth/semconv", "otelauth/internal/leak", "internal/otlpreceiver", "otelauth/probe/evidence",
	}, append([]string{"go.yaml.in/yaml/v4"}, otlp...)},
	{"otelauth/probe/openapi", []string{"otelauth/internal/ranksum", "otelauth/probe"}, []string{
		"github.com/getkin/kin-openapi", "github.com/go-openapi", "github.com/santhosh-tekuri/jsonschema/v6", "go.yaml.in/yaml/v4", "golang.org/x/text",
	}},
	{"otelauth/internal/legible", nil, nil},
	{"otelauth/console", nil, nil},
	{"otelauth/operator", []string{ // and no Redis: the documents of throttle hide it
		"otelauth", "spans", "metrics", "otelauth/attempt", "otelauth/audit", "otelauth/audit/internal/wide", "otelauth/clientip", "otelauth/credential",
		"otelauth/detect", "otelauth/detect/internal/feed", "otelauth/internal/legible", "otelauth/internal/pairs", "otelauth/internal/pathform",
		"otelauth/internal/problem", "otelauth/internal/scrub", "otelauth/internal/slogevent", "otelauth/semconv", "otelauth/throttle",
		"otelauth/internal/snapshot", "otelauth/throttle/internal/budget", "otelauth/verify", "otelauth/verify/password",
	}, slices.Concat([]string{"golang.org/x/text"}, mac, otelhttp)},
	{"otelauth/probe/report", []string{"otelauth/internal/ranksum", "otelauth/probe"}, nil},
	{"otelauth/client", []string{"otelauth/attempt", "otelauth/semconv", "otelauth/credential"}, otelhttp},
	{"otelauth/telemetry", []string{"otelauth/attempt", "otelauth/credential", "otelauth/internal/scrub", "otelauth/internal/slogevent"}, autoexport},
}

// backwards lists imports that no package below pkg may have, packages without a rule included.
var backwards = []struct {
	pkg   string
	never []string
	but   []string
}{
	{pkg: "otelauth/throttle", never: []string{"otelauth", "spans", "metrics", "otelauth/audit", "otelauth/detect", "otelauth/verify"}},
	{pkg: "otelauth/verify", never: []string{"otelauth", "spans", "metrics", "otelauth/audit", "otelauth/detect"}},
	{pkg: "otelauth/audit", never: []string{"otelauth", "spans", "metrics", "otelauth/detect", "otelauth/verify", "otelauth/throttle"}},
	{pkg: "otelauth/detect", never: []string{"otelauth", "spans", "metrics", "otelauth/audit", "otelauth/verify"}},
	{pkg: "otelauth", never: []string{"otelauth/cmd/otelauth"}},
	// Only programs start an SDK.
	{pkg: "otelauth", never: []string{"otelauth/telemetry"}, but: []string{"otelauth/cmd/otelauth"}},
	{
		pkg:   "otelauth",
		never: []string{"otelauth/operator"},
		but:   []string{"otelauth/cmd/otelauth", "otelauth/operator", "otelauth/console"},
	},
	{
		pkg:   "otelauth",
		never: []string{"otelauth/otelauthtest", "otelauth/gateway", "otelauth/probe", "otelauth/console"},
		but:   []string{"otelauth/cmd/otelauth", "otelauth/gateway", "otelauth/gateway/internal/soak", "otelauth/probe", "otelauth/probe/openapi", "otelauth/probe/report", "otelauth/internal/probeproof", "otelauth/otelauthtest", "otelauth/console"},
	},
}

var (
	hashes = []string{"golang.org/x/crypto", "golang.org/x/sys", "github.com/GehirnInc/crypt", "github.com/go-crypt/x"}
	mac    = append([]string{"github.com/dchest/siphash"}, hashes...)
	redis  = []string{"github.com/redis/go-redis/v9", "go.uber.org/atomic", "github.com/cespare/xxhash/v2", "golang.org/x/sys"}
	// api is OpenTelemetry without its SDK, which TestNoSDK excludes.
	api = []string{
		// auto/sdk is how the API finds eBPF instrumentation
		"go.opentelemetry.io/otel", "go.opentelemetry.io/auto/sdk",
		"github.com/go-logr/logr", "github.com/go-logr/stdr", "github.com/cespare/xxhash/v2",
	}
	// otlp is the messages of OTLP, without gRPC.
	otlp    = []string{"go.opentelemetry.io/proto/otlp", "google.golang.org/protobuf"}
	siphash = append([]string{"github.com/dchest/siphash"}, api...)
	// autoexport is the SDK with every exporter that an OTEL_ variable may name.
	autoexport = append([]string{
		"go.opentelemetry.io/contrib/exporters/autoexport", "go.opentelemetry.io/contrib/bridges/prometheus", "go.opentelemetry.io/proto/otlp",
		"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto", "golang.org/x/net", "golang.org/x/text", "golang.org/x/sys",
		"github.com/prometheus", "github.com/beorn7/perks", "github.com/munnerz/goautoneg", "github.com/google/uuid",
		"github.com/cenkalti/backoff/v5", "github.com/grpc-ecosystem/grpc-gateway/v2",
	}, api...)
	otelhttp = append([]string{
		"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "github.com/felixge/httpsnoop",
	}, api...)
)

// mayHaveSDK reports whether pkg is a program, an example or a test helper. Only these choose an
// SDK.
func mayHaveSDK(pkg string) bool {
	for _, p := range []string{"otelauth/otelauthtest", "otelauth/gateway", "otelauth/cmd", "otelauth/telemetry", "examples", "collector-config", "internal/semconvgen"} {
		if pkg == p || strings.HasPrefix(pkg, p+"/") {
			return true
		}
	}
	return false
}

type pkgInfo struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Standard   bool
	Deps       []string
}

// listed returns every package of the module by go list, and the set of standard packages.
func listed(t *testing.T) (own []pkgInfo, standard map[string]bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps", "-json=ImportPath,Dir,GoFiles,Standard,Deps", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	standard = make(map[string]bool)
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkgInfo
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		standard[p.ImportPath] = p.Standard
		if rel, ok := strings.CutPrefix(p.ImportPath, module+"/"); ok {
			p.ImportPath = rel
			own = append(own, p)
			// go test caches a result unless a file changed that the test itself has read.
			for _, f := range append([]string{"."}, p.GoFiles...) {
				_, _ = os.Stat(filepath.Join(p.Dir, f))
			}
		}
	}
	if len(own) < len(arrows)/2 {
		t.Fatalf("go list found %d packages of the module", len(own))
	}
	return own, standard
}

func TestArrows(t *testing.T) {
	t.Parallel()
	own, standard := listed(t)
	for _, p := range own {
		for _, rule := range arrows {
			if rule.pkg != p.ImportPath {
				continue
			}
			for _, dep := range p.Deps {
				if standard[dep] || dep == "C" {
					continue
				}
				if rel, ok := strings.CutPrefix(dep, module+"/"); ok {
					if !slices.Contains(rule.ours, rel) {
						t.Errorf("%s imports %s, directly or through others", p.ImportPath, rel)
					}
				} else if !slices.ContainsFunc(rule.others, func(o string) bool { return dep == o || strings.HasPrefix(dep, o+"/") }) {
					t.Errorf("%s has a new dependency: %s; add it to arrows if it is wanted", p.ImportPath, dep)
				}
			}
		}
		for _, back := range backwards {
			if p.ImportPath != back.pkg && !strings.HasPrefix(p.ImportPath, back.pkg+"/") || slices.Contains(back.but, p.ImportPath) {
				continue
			}
			for _, never := range back.never {
				if slices.Contains(p.Deps, module+"/"+never) {
					t.Errorf("%s imports %s, against the direction of the imports", p.ImportPath, never)
				}
			}
		}
	}
}

func TestNoSDK(t *testing.T) {
	t.Parallel()
	own, _ := listed(t)
	for _, p := range own {
		if mayHaveSDK(p.ImportPath) {
			continue
		}
		for _, dep := range p.Deps {
			if dep == "go.opentelemetry.io/otel/sdk" || strings.HasPrefix(dep, "go.opentelemetry.io/otel/sdk/") ||
				strings.HasPrefix(dep, "go.opentelemetry.io/otel/exporters/") {
				t.Errorf("%s imports %s, but a library takes providers from its caller", p.ImportPath, dep)
			}
		}
	}
}
