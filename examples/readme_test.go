// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package examples_test holds the README together with the code.
package examples_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/detect/redisfeed"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

const root = ".."

func file(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func readme(t *testing.T) string {
	t.Helper()
	return file(t, filepath.Join(root, "README.md"))
}

// blocks returns the fenced blocks of a language.
func blocks(text, language string) []string {
	var all []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// The Go blocks of the README, compiled and run. A block is a run of lines of this file; blank lines, indentation and
// what only a test needs (a statement that ends in "// not in the README") do not count.

func Example_integration() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		user, ok := otelauth.UserFromContext(r.Context())
		fmt.Fprintln(w, user.Name, ok)
	})
	directory, err := os.MkdirTemp("", "readme")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(directory) }()
	if err := os.WriteFile(filepath.Join(directory, "users.htpasswd"), []byte("alice:"+wonderland+"\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	handler, stop := integrated(directory, mux)
	defer stop()

	r := httptest.NewRequest("GET", "/orders/7", nil)
	r.RemoteAddr = "127.0.0.1:40000"
	for _, password := range []string{"wonderland", "looking-glass"} {
		r.SetBasicAuth("alice", password)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 401
}

func integrated(directory string, mux *http.ServeMux) (http.Handler, func()) {
	check := func(err error) { // not in the README
		if err != nil { // not in the README
			panic(err) // not in the README
		} // not in the README
	} // not in the README
	here, err := os.Getwd()
	check(err)
	check(os.Chdir(directory))
	defer func() { check(os.Chdir(here)) }()

	users, err := htpasswd.Open(htpasswd.Config{Path: "users.htpasswd"})
	check(err) // not in the README
	mw, err := otelauth.New(otelauth.Config{Realm: "orders", Accounts: users, Routes: mux})
	check(err) // not in the README
	handler := otelhttp.NewHandler(mw.Wrap(mux), "orders", otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName("orders.example:443"))

	return handler, func() { _, _ = mw.Close(), users.Close() }
}

// wonderland is a hash of that word, as cheap as only a test may have it.
const wonderland = "$2y$04$sW65/0lcGVKlAH4F55lS2OJnUXYQZJn0Wy8QvO0e47nojfb5NefFC"

// forgetful is a log exporter.
type forgetful struct{}

func (forgetful) Export(context.Context, []sdklog.Record) error { return nil }
func (forgetful) ForceFlush(context.Context) error              { return nil }
func (forgetful) Shutdown(context.Context) error                { return nil }

func TestReadmeLogs(t *testing.T) {
	t.Parallel()
	exporter := forgetful{}
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)), sdklog.WithAllowKeyDuplication())
	if err := logs.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReadmeRecorder(t *testing.T) {
	t.Parallel()
	users := &verify.Static{Hashes: map[string]string{"alice": wonderland}}
	rec := otelauthtest.NewRecorder(t)
	mw, err := otelauth.New(otelauth.Config{
		Accounts:       users,
		TracerProvider: rec.TracerProvider(), MeterProvider: rec.MeterProvider(), LoggerProvider: rec.LoggerProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.RemoteAddr = "127.0.0.1:40000"
	r.SetBasicAuth("alice", "looking-glass")
	if _, res := mw.Authenticate(r); res.Outcome != attempt.Failure || len(rec.Attempts()) != 1 {
		t.Errorf("%v, %d attempts", res.Outcome, len(rec.Attempts()))
	}
}

// guess sends n wrong passwords for alice from 192.0.2.7, and returns the last status.
func guess(t *testing.T, mw *otelauth.Middleware, n int) int {
	t.Helper()
	w := httptest.NewRecorder()
	for i := range n {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "https://orders.example/", nil)
		r.RemoteAddr = "192.0.2.7:40000"
		r.SetBasicAuth("alice", fmt.Sprint("guess", i))
		w = httptest.NewRecorder()
		mw.Wrap(http.NotFoundHandler()).ServeHTTP(w, r)
	}
	return w.Code
}

func TestReadmeEnd(t *testing.T) {
	t.Parallel()
	users, err := htpasswd.Open(htpasswd.Config{Path: "quickstart/accounts.htpasswd", Unwatched: true})
	if err != nil {
		t.Fatal(err)
	}
	mw, err := otelauth.New(otelauth.Config{Accounts: users})
	if err != nil {
		t.Fatal(err)
	}
	ctx, server, logs := t.Context(), new(http.Server), sdklog.NewLoggerProvider()
	err = errors.Join(server.Shutdown(ctx), mw.Close(), users.Close(), logs.Shutdown(ctx))
	if err != nil {
		t.Error(err)
	}
}

func TestReadmeTuned(t *testing.T) {
	t.Parallel()
	check := func(err error) { // not in the README
		t.Helper()      // not in the README
		if err != nil { // not in the README
			t.Fatal(err) // not in the README
		} // not in the README
	} // not in the README
	users := &verify.Static{Hashes: map[string]string{"alice": wonderland}}

	half, whole := throttle.Limit{Burst: 5, Every: time.Hour}, throttle.Limit{Burst: 10, Every: 30 * time.Minute}
	guesses, err := throttle.New(throttle.Config{Budgets: throttle.Budgets{NewPair: half, KnownPair: half, Account: whole}})
	check(err) // not in the README
	mw, err := otelauth.New(otelauth.Config{
		Accounts: users,
		Throttle: guesses,
		Detect:   detect.Config{Off: []string{detect.UnusualHour}, Thresholds: detect.Thresholds{SprayAccounts: 20}},
		Events:   audit.Events{Success: audit.FirstSuccess},
	})
	check(err) // not in the README

	t.Cleanup(func() {
		check(mw.Close())
	})
	if code := guess(t, mw, 11); code != http.StatusTooManyRequests || mw.Budgets() != nil {
		t.Errorf("the eleventh guess got %d", code)
	}
}

// TestReadmeShared: budgets work while there is no Redis.
func TestReadmeShared(t *testing.T) {
	t.Parallel()
	check := func(err error) { // not in the README
		t.Helper()      // not in the README
		if err != nil { // not in the README
			t.Fatal(err) // not in the README
		} // not in the README
	} // not in the README
	users := &verify.Static{Hashes: map[string]string{"alice": wonderland}}
	rec := otelauthtest.NewRecorder(t)
	events, err := audit.New(audit.Config{LoggerProvider: rec.LoggerProvider()})
	check(err)
	client := redis.NewClient(&redis.Options{})
	client.AddHook(new(fakeRedis))
	key := []byte("a key of a test, 32 bytes or more")
	identity := otelauth.IdentityKey{ID: "test", Secret: key}

	store, err := redisstore.New(redisstore.Config{Client: client, Prefix: "orders", Notice: events.Notice})
	check(err) // not in the README
	guesses, err := throttle.New(throttle.Config{Store: store, Key: key, Identify: identity.Hash, Notice: events.Notice})
	check(err) // not in the README
	feed, err := redisfeed.New(redisfeed.Config{Client: client, Key: key, Notice: events.Notice})
	check(err) // not in the README
	mw, err := otelauth.New(otelauth.Config{
		Accounts: users, IdentityKey: identity, Throttle: guesses, Detect: detect.Config{Feed: feed},
	})
	check(err) // not in the README

	t.Cleanup(func() {
		check(mw.Close())
		_ = feed.Close() // it says that Redis is away
		check(errors.Join(store.Close(), client.Close()))
	})
	if code := guess(t, mw, 11); code != http.StatusTooManyRequests {
		t.Errorf("the eleventh guess got %d", code)
	}
	var told []string
	for _, e := range rec.Events() {
		told = append(told, e.Name())
	}
	told = slices.DeleteFunc(told, func(name string) bool { return name == string(attempt.DetectionFeed) }) // when it comes, it comes
	if !slices.Equal(told, []string{string(attempt.ThrottleStore)}) {
		t.Errorf("told %q", told)
	}
	who := throttle.Subject{Account: "alice", Network: netip.MustParsePrefix("192.0.2.7/32")}
	if err := guesses.Allow(t.Context(), who, throttle.Act{By: "carol", Why: "test"}); err != nil {
		t.Fatal(err)
	}
	for _, e := range rec.Events() {
		if e.Name() == string(attempt.ThrottleChanged) && e.Attribute("user.hash") != identity.Hash("alice") {
			t.Errorf("the act was told of %q", e.Attribute("user.hash"))
		}
	}
}

func TestReadmeSnapshot(t *testing.T) {
	t.Chdir(t.TempDir())
	events, err := audit.New(audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("a key of a test, 32 bytes or more")
	memory, err := throttle.NewMemory(throttle.MemoryConfig{SnapshotFile: "budgets", SnapshotKey: key, Notice: events.Notice})
	if err != nil {
		t.Fatal(err)
	}
	if err := memory.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("budgets"); err != nil {
		t.Error(err)
	}
}

func TestReadmeOperator(t *testing.T) {
	t.Parallel()
	check := func(err error) { // not in the README
		t.Helper()      // not in the README
		if err != nil { // not in the README
			t.Fatal(err) // not in the README
		} // not in the README
	} // not in the README
	users := &verify.Static{Hashes: map[string]string{"alice": wonderland}}
	mw, err := otelauth.New(otelauth.Config{Accounts: users})
	check(err)
	t.Cleanup(func() {
		check(mw.Close())
	})
	ctx := t.Context()
	if code := guess(t, mw, 11); code != http.StatusTooManyRequests {
		t.Errorf("the eleventh guess got %d", code)
	}

	who := throttle.Subject{Account: "alice", Network: netip.MustParsePrefix("192.0.2.7/32")}
	why, err := mw.Budgets().Explain(ctx, who)
	check(err)                                                                                                // not in the README
	if s := why.String(); !strings.HasPrefix(s, "refused by the pair budget (10, then 1 each 1m0s) until ") { // not in the README
		t.Error(s) // not in the README
	} // not in the README
	fmt.Println(why) // refused by the pair budget (10, then 1 each 1m0s) until …
	err = mw.Budgets().Clear(ctx, who, throttle.Act{By: "carol@ops", Why: "her new phone"})
	check(err)                                                    // not in the README
	if code := guess(t, mw, 1); code != http.StatusUnauthorized { // not in the README
		t.Error(code) // not in the README
	} // not in the README

	testers := throttle.Subject{Network: netip.MustParsePrefix("198.51.100.0/24")}
	err = mw.Budgets().Allow(ctx, testers, throttle.Act{By: "carol@ops", Why: "penetration test", For: time.Hour})
	check(err) // not in the README
	err = mw.Budgets().Deny(ctx, throttle.Subject{Account: "bob"}, throttle.Act{By: "carol@ops", Why: "password stolen"})
	check(err) // not in the README

	if n := len(mw.Budgets().Rules()); n != 2 {
		t.Errorf("%d rules", n)
	}
}

func TestReadmeGoBlocks(t *testing.T) {
	t.Parallel()
	plain := func(text string) string {
		var lines []string
		for _, l := range strings.Split(text, "\n") {
			if l = strings.TrimSpace(l); l != "" && !strings.HasSuffix(l, "// not in the README") {
				lines = append(lines, l)
			}
		}
		return strings.Join(lines, "\n") + "\n"
	}
	source := plain(file(t, "readme_test.go"))
	all := blocks(readme(t), "go")
	if len(all) == 0 {
		t.Fatal("the README has no Go block")
	}
	for _, b := range all {
		if !strings.Contains(source, "\n"+plain(b)) {
			t.Errorf("this block is not compiled in examples/readme_test.go:\n%s", b)
		}
	}
}

// TestReadmeCommands: .ci/run takes the first command that begins "go run" and the first that begins "go test", and
// the former must understand --once behind it.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	sh := blocks(readme(t), "sh")
	if len(sh) == 0 || sh[0] != "go run ./examples/quickstart\ngo test ./...\n" {
		t.Errorf("the first sh block is %q", sh)
	}
}

// TestReadmeClone does what the README says to use a clone.
func TestReadmeClone(t *testing.T) {
	t.Parallel()
	var edit string
	for _, b := range blocks(readme(t), "sh") {
		if strings.HasPrefix(b, "go mod edit ") {
			edit = strings.TrimSpace(b)
		}
	}
	clone, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Fields(strings.Replace(edit, "../otelauth-go", clone, 1))
	if len(args) == 0 {
		t.Fatal("the README has no go mod edit")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module orders\n\ngo 1.26.0\n",
		"main.go": "package main\n\nimport _ \"github.com/otelauth/otelauth-go/otelauth\"\n\nfunc main() {}\n",
		"go.sum":  file(t, filepath.Join(root, "go.sum")), // what go mod tidy would write
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{args, {"go", "build", "-mod=mod", "-o", os.DevNull, "."}} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "PWD="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// rows returns the cells of the table whose header begins with these.
func rows(t *testing.T, text string, header ...string) [][]string {
	t.Helper()
	_, table, found := strings.Cut(text, "\n| "+strings.Join(header, " | ")+" |")
	if !found {
		t.Fatalf("the README has no table %q", header)
	}
	var all [][]string
	for _, line := range strings.Split(table, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		var cells []string
		for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(c))
		}
		all = append(all, cells)
	}
	return all
}

// quoted returns what stands in backquotes, sorted.
func quoted(cell string) []string {
	var all []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}

// TestReadmeRules: the rules and budgets of the README are those of the code.
func TestReadmeRules(t *testing.T) {
	t.Parallel()
	text := readme(t)
	var want, got [][]string
	for _, r := range detect.Rules() {
		want = append(want, []string{"`" + r.Name + "`", r.Severity.String(), r.Technique})
	}
	for _, row := range rows(t, text, "rule", "severity", "ATT&CK", "speaks at") {
		got = append(got, row[:3])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-code +README):\n%s", diff)
	}

	want, got = nil, nil
	budgets := reflect.ValueOf(throttle.DefaultBudgets())
	for field, v := range budgets.Fields() {
		limit := "none"
		if l := v.Interface().(throttle.Limit); l != (throttle.Limit{}) {
			limit = l.String()
		}
		want = append(want, []string{"`" + field.Name + "`", limit})
	}
	for _, row := range rows(t, text, "budget", "wrong guesses", "of") {
		got = append(got, row[:2])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("budgets (-code +README):\n%s", diff)
	}

	// What an attacker is left is measured where it is documented.
	documented := strings.Join(strings.Fields(file(t, filepath.Join(root, "otelauth", "throttle", "defaults.go"))), " ")
	for _, row := range rows(t, text, "from", "first day", "each further day") {
		if line := strings.Join(row, " "); !strings.Contains(documented, " "+line+" ") {
			t.Errorf("%q does not stand in throttle/defaults.go", line)
		}
	}
}

// TestReadmePackages: the package map is complete, and links lead somewhere.
func TestReadmePackages(t *testing.T) {
	t.Parallel()
	text := readme(t)
	var listed []string
	for _, m := range regexp.MustCompile(`(?m)^\| \[([a-z/]+)\]\(([a-z/]+)\) \|`).FindAllStringSubmatch(text, -1) {
		if m[1] != m[2] {
			t.Errorf("[%s] leads to %s", m[1], m[2])
		}
		if !strings.HasPrefix(m[1], "examples/") {
			listed = append(listed, m[1])
		}
	}
	slices.Sort(listed)
	var exist []string
	for _, top := range []string{"otelauth", "spans", "metrics"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if d.Name() == "internal" { // no user can import it
				return filepath.SkipDir
			}
			sources, err := filepath.Glob(filepath.Join(path, "*.go"))
			if len(sources) > 0 {
				exist = append(exist, filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator))))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(exist)
	if diff := cmp.Diff(exist, listed); diff != "" {
		t.Errorf("packages (-tree +README):\n%s", diff)
	}
	for name, dir := range map[string]string{"README.md": root, "examples/README.md": ".", "examples/routers/README.md": "routers", "examples/shop/README.md": "shop",
		"examples/demo/README.md": "demo", "examples/gateway/README.md": "gateway", "examples/django/README.md": "django",
		"collector-config/README.md": "../collector-config"} {
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(file(t, filepath.Join(root, name)), -1) {
			if _, err := os.Stat(filepath.Join(dir, m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
