// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/console"
	"github.com/otelauth/otelauth-go/otelauth/detect/redisfeed"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/operator"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/sqlstore"
)

// roots are the structs that the tags sets and via name.
var roots = map[string]reflect.Type{
	"gateway":    reflect.TypeFor[gateway.Config](),
	"memory":     reflect.TypeFor[throttle.MemoryConfig](),
	"htpasswd":   reflect.TypeFor[htpasswd.Config](),
	"sqlstore":   reflect.TypeFor[sqlstore.Config](),
	"redisstore": reflect.TypeFor[redisstore.Config](),
	"redisfeed":  reflect.TypeFor[redisfeed.Config](),
	"trail":      reflect.TypeFor[trail.Config](),
	"operator":   reflect.TypeFor[operator.Config](),
	"console":    reflect.TypeFor[console.Config](),
}

// notSettings are the fields that no flag sets, with the reason.
var notSettings = map[string]string{
	"gateway:Propagators":                "OTEL_PROPAGATORS sets it",
	"gateway:Uninstrumented":             "OTEL_SDK_DISABLED sets it",
	"gateway:Auth.Additional":            "the operator's API, which the command always has",
	"gateway:Auth.Budgets.NameOf":        "the accounts name it",
	"operator:SharedDetection":           "--redis-url-file sets it",
	"operator:Version":                   "the version of the command",
	"operator:Describe":                  "set by the command",
	"operator:CloseStreams":              "set by the command",
	"gateway:Auth.Accounts":              "--users or --sql-driver opens it",
	"gateway:Auth.Verifier":              "Go code: the command has accounts only",
	"gateway:Auth.Routes":                "set by the gateway",
	"gateway:Auth.Public":                "set by the gateway, from the rules",
	"gateway:Auth.Sensitive":             "set by the gateway, from the rules",
	"gateway:Auth.Registered":            "set by the gateway, from the rules",
	"gateway:Auth.Endpoint":              "set by the gateway",
	"gateway:Auth.RequestID":             "set by the gateway",
	"gateway:Auth.Deny":                  "Go code",
	"gateway:Auth.Throttle":              "--redis-url-file opens it; Budgets configures it otherwise",
	"gateway:Auth.Gate":                  "Hashing configures it",
	"gateway:Auth.TracerProvider":        "the OTEL_ variables set it",
	"gateway:Auth.MeterProvider":         "the OTEL_ variables set it",
	"gateway:Auth.LoggerProvider":        "the OTEL_ variables set it",
	"gateway:Auth.Slog":                  "Go code: without an exporter, events are lines on standard error",
	"gateway:Auth.DisableFallback":       "the command always sets the providers",
	"gateway:Auth.Observers":             "OTEL_SDK_DISABLED sets it",
	"gateway:Auth.Budgets.Store":         "--limit-file, --limit-memory-bytes or --redis-url-file opens it",
	"gateway:Auth.Budgets.Key":           "derived from the identity key",
	"gateway:Auth.Budgets.Identify":      "set by the middleware",
	"gateway:Auth.Budgets.Notice":        "set by the middleware",
	"gateway:Auth.Events.Suppressed":     "set by the middleware",
	"gateway:Auth.Detect.LoggerProvider": "that of the middleware",
	"gateway:Auth.Detect.MeterProvider":  "that of the middleware",
	"gateway:Auth.Detect.TracerProvider": "that of the middleware",
	"gateway:Auth.Detect.OnDetection":    "Go code",
	"gateway:Auth.Detect.OnEpisode":      "the operator's API records episodes",
	"gateway:Auth.Detect.Notice":         "set by the middleware",
	"gateway:Auth.Detect.Snapshot.Key":   "derived from the identity key",
	"gateway:Auth.Detect.Feed":           "--redis-url-file opens it",
	"memory:SnapshotKey":                 "derived from the identity key",
	"memory:Notice":                      "set by the command",
	"trail:Notify":                       "set by the command",
	"trail:MeterProvider":                "the OTEL_ variables set it",
	"trail:LoggerProvider":               "the OTEL_ variables set it",
	"htpasswd:FS":                        "files are those of the operating system",
	"htpasswd:Unwatched":                 "a gateway watches its files",
	"htpasswd:Policy.Django":             "encodings of a database",
	"htpasswd:Policy.Today":              "hashes are made by otelauth users, with flags of its own",
	"sqlstore:Policy.Today":              "hashes are made by the owner of the database",
	"sqlstore:Canonical":                 "Go code",
	"redisstore:Fallback":                "--limit-memory-bytes configures it",
	"redisstore:Notice":                  "set by the command",
	"redisfeed:Key":                      "derived from the identity key",
	"redisfeed:Notice":                   "set by the command",
}

// isInjected reports whether a field is for tests: the clock and the source of randomness.
func isInjected(name string) bool { return name == "Now" || name == "Rand" || name == "Elapsed" }

// TestEverySettingHasAFlag walks the structs of the configuration. A field that no flag sets is a
// setting that operators cannot reach.
func TestEverySettingHasAFlag(t *testing.T) {
	t.Parallel()
	index, used := flagsByField(), map[string]bool{}
	var walk func(root, path string, typ reflect.Type)
	walk = func(root, path string, typ reflect.Type) {
		for field := range typ.Fields() {
			if !field.IsExported() || isInjected(field.Name) {
				continue
			}
			name := strings.TrimPrefix(path+"."+field.Name, ".")
			full := root + ":" + name
			_, hasFlag := index[full]
			_, excluded := notSettings[full]
			used[full] = true
			switch {
			case hasFlag && excluded:
				t.Errorf("%s has a flag: remove it from notSettings", full)
			case hasFlag || excluded:
			case field.Type.Kind() == reflect.Struct && strings.Contains(field.Type.PkgPath(), "otelauth"):
				walk(root, name, field.Type)
			default:
				t.Errorf("%s cannot be set: add to tuningFlags in gateway_tuning.go\n\tName %v `rare:\"\" sets:%q placeholder:\"…\" group:\"…\" help:\"…\"`\nor name it in notSettings with the reason",
					full, field.Type, full)
			}
		}
	}
	for root, typ := range roots {
		walk(root, "", typ)
	}
	for full := range index {
		if !used[full] {
			t.Errorf("the tag of --%s names %s, which does not exist", index[full], full)
		}
	}
	for full, reason := range notSettings {
		if !used[full] || reason == "" {
			t.Errorf("notSettings: %s does not exist, or has no reason", full)
		}
	}
}

// TestApply checks that each flag with the tag sets reaches its field.
func TestApply(t *testing.T) {
	t.Parallel()
	args := []string{"gateway"}
	for _, f := range fileFlags(gatewayNodeOf(t)) {
		flagArgs, _, _ := sample(t, f)
		args = append(args, flagArgs...)
	}
	_, s, err := loadGateway(args, noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range s.flags {
		for _, field := range strings.Fields(f.Tag.Get("sets")) {
			n++
			root, path, _ := strings.Cut(field, ":")
			target := reflect.New(roots[root])
			apply(s.flags, root, target.Interface())
			v := target.Elem()
			for name := range strings.SplitSeq(path, ".") {
				v = v.FieldByName(name)
			}
			if v.IsZero() {
				t.Errorf("--%s does not set %s", f.Name, field)
			}
		}
	}
	if n < 80 {
		t.Errorf("only %d fields were checked", n)
	}
}

// stated matches the default in a help text and in the comment of a field.
var stated = regexp.MustCompile(`Defaults?: ([^.]*(?:\.\d[^.]*)*)`)

// defaultsInComments returns the default that the comment of each field states, by package and
// struct. It reads the source, because a library has no other list of them.
func defaultsInComments(t *testing.T, typ reflect.Type) map[string]string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", strings.TrimPrefix(typ.PkgPath(), "github.com/otelauth/otelauth-go/"))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != typ.Name() {
				return true
			}
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				if m := stated.FindStringSubmatch(strings.Join(strings.Fields(field.Doc.Text()), " ")); m != nil {
					for _, name := range field.Names {
						all[name.Name] = m[1]
					}
				}
			}
			return true
		})
	}
	return all
}

// plainDefault matches a default that a test can compare: a number or a duration.
var plainDefault = regexp.MustCompile(`^([0-9,]+)( ?(ms|s|min|m|h|d|days?|minutes?|KiB|MiB))?$`)

// quantity returns a default as a number: bytes, a count, or nanoseconds.
func quantity(text string) (n float64, ok bool) {
	text, _, _ = strings.Cut(text, " (")
	text, _, _ = strings.Cut(text, ",  ")
	m := plainDefault.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return 0, false
	}
	for _, digit := range strings.ReplaceAll(m[1], ",", "") {
		n = n*10 + float64(digit-'0')
	}
	unit := map[string]float64{
		"": 1, "ms": float64(time.Millisecond), "s": float64(time.Second), "min": float64(time.Minute), "m": float64(time.Minute),
		"minute": float64(time.Minute), "minutes": float64(time.Minute), "h": float64(time.Hour), "d": 24 * float64(time.Hour),
		"day": 24 * float64(time.Hour), "days": 24 * float64(time.Hour), "KiB": 1 << 10, "MiB": 1 << 20,
	}[m[3]]
	return n * unit, true
}

// TestTuningDefaults holds the default in the help of each rare setting against that in the
// comment of its field, and those of the limits against the package.
func TestTuningDefaults(t *testing.T) {
	t.Parallel()
	compared := 0
	flags := gatewayNodeOf(t).Flags
	for _, f := range flags {
		if !f.Tag.Has("sets") || f.Default != "" {
			continue
		}
		help := stated.FindStringSubmatch(f.Help)
		for _, field := range strings.Fields(f.Tag.Get("sets")) {
			root, path, _ := strings.Cut(field, ":")
			typ, names := roots[root], strings.Split(path, ".")
			for _, name := range names[:len(names)-1] {
				sub, _ := typ.FieldByName(name)
				typ = sub.Type
			}
			if typ == reflect.TypeFor[throttle.Limits]() {
				continue // below
			}
			comment := defaultsInComments(t, typ)[names[len(names)-1]]
			want, ok := quantity(comment)
			if !ok || help == nil {
				continue
			}
			if got, _ := quantity(help[1]); got != want {
				t.Errorf("the help of --%s names the default %q, the comment of %s names %q", f.Name, help[1], field, comment)
			}
			compared++
		}
	}
	if compared < 30 {
		t.Errorf("only %d defaults were compared", compared)
	}
	limits := reflect.ValueOf(throttle.DefaultLimits())
	for _, f := range flags {
		_, name, found := strings.Cut(f.Tag.Get("sets"), "Auth.Budgets.Limits.")
		if !found || name == "Requests" {
			continue
		}
		if want := limit(limits.FieldByName(name).Interface().(throttle.Limit)).String(); !strings.Contains(f.Help, "Default: "+want+".") {
			t.Errorf("the help of --%s must state the default %s: %s", f.Name, want, f.Help)
		}
	}
	// The defaults of the packages, of which some export a constant.
	for name, want := range map[string]any{
		"event-success-period": span(audit.DefaultSuccessPeriod), "event-burst": audit.DefaultBurst, "event-every": span(audit.DefaultEvery),
		"event-period": span(audit.DefaultPeriod), "event-entries": audit.DefaultEntries, "hash-queue": 1024,
		"hash-max-wait": span(10 * time.Second), "hash-memory-bytes": verify.DefaultMemoryBytes, "users-poll": span(5 * time.Second),
		"users-settle": span(200 * time.Millisecond), "sql-max-queries": sqlstore.DefaultMaxQueries,
	} {
		for _, f := range flags {
			text := regexp.MustCompile(`Default: (\S+?)[. ]`).FindStringSubmatch(f.Help)
			if f.Name == name && (text == nil || text[1] != fmt.Sprint(want)) {
				t.Errorf("the help of --%s must state the default %v: %s", name, want, f.Help)
			}
		}
	}
}
