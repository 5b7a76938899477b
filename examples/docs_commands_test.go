// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// TestReadmeCommands: .ci/run takes the first command that begins with "go run" and the first that
// begins with "go test". It adds --once to the first.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	sh := blocks(fromRoot(t, "README.md"), "sh")
	if len(sh) == 0 || sh[0] != "go run ./examples/quickstart\ngo test ./...\n" {
		t.Errorf("the first sh block is %q", sh)
	}
}

// TestReadmeClone uses a clone as the README describes.
func TestReadmeClone(t *testing.T) {
	t.Parallel()
	var edit string
	for _, b := range blocks(fromRoot(t, "README.md"), "sh") {
		if strings.HasPrefix(b, "go mod edit ") {
			edit = strings.ReplaceAll(b, "\\\n", "")
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
	write(t, dir, "go.mod", "module orders\n\ngo 1.26.0\n")
	write(t, dir, "main.go", "package main\n\nimport _ \"github.com/otelauth/otelauth-go/otelauth\"\n\nfunc main() {}\n")
	write(t, dir, "go.sum", fromRoot(t, "go.sum")) // as go mod tidy would write it
	for _, args := range [][]string{args, {"go", "build", "-mod=mod", "-o", os.DevNull, "."}} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "PWD="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// otelauthCommand returns the path of the command.
func otelauthCommand(t *testing.T) string {
	t.Helper()
	return testkit.Build(t, testkit.OTelAuth)
}

// words splits a line as a shell does, for lines with simple quotes.
func words(line string) (all []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
			continue
		}
		all = append(all, strings.Fields(part)...)
	}
	return all
}

// sandbox returns a directory with the files that command lines of the documentation name. There
// is an accounts file unless the block makes one.
func sandbox(t *testing.T, block string) string {
	t.Helper()
	dir := t.TempDir()
	if !strings.Contains(block, "users add") {
		write(t, dir, "users.htpasswd", "alice:"+wonderland+"\n")
	}
	write(t, dir, "groups", "staff: alice\nops: alice\n")
	write(t, dir, "identity.key", "k1:"+strings.Repeat("0f", 32)+"\n")
	write(t, dir, "redis.url", "redis://127.0.0.1:6379/0\n")

	if strings.Contains(block, "otelauth trail") && !strings.Contains(block, "trail keygen") {
		sandboxTrail(t, dir)
	}
	certificate := testkit.NewCertificate(t, "orders.example")
	write(t, dir, "tls.crt", string(certificate.CertPEM))
	write(t, dir, "tls.key", string(certificate.KeyPEM))
	if operatorCommand.MatchString(block) {
		sandboxGateway(t, dir)
	}
	return dir
}

// operatorCommand matches the commands that call a running gateway.
var operatorCommand = regexp.MustCompile(`(?m)^otelauth (?:status|top|attempts|episodes|budgets)\b`)

// operatorSocket is the socket of the gateway of a sandbox.
const operatorSocket = "operator.sock"

// sandboxGateway starts a gateway that operators may ask and change.
func sandboxGateway(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command(otelauthCommand(t), "gateway", "--upstream", "http://127.0.0.1:1", "--users", "users.htpasswd",
		"--listen", "127.0.0.1:0", "--operator-listen", "unix:"+operatorSocket, "--operator-acts")
	cmd.Dir, cmd.Env = dir, freshHome(dir)
	testkit.Start(t, cmd).WaitLine(t, "gateway.operator_listening")
}

// sandboxProbe makes the files that a probe reads, and a service in place of its target. Its
// findings are not errors, and it does not wait for telemetry, which no one sends here.
func sandboxProbe(t *testing.T, dir string, args []string) []string {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	write(t, dir, "endpoints.txt", "GET /orders/\n")
	write(t, dir, "gateway.yaml", "endpoint: [/orders/]\n")
	write(t, dir, "service.log", "")
	write(t, dir, "identities.yaml", "identities: [{name: alice, password: wonderland}]\n")
	write(t, dir, "baseline.yaml", "- {id: open GET /export/, reason: it moves, expires: 2999-12-31}\n")
	args = slices.Clone(args)
	args[1] = server.URL
	if i := slices.Index(args, "--telemetry"); i > 0 {
		args[i+1] = testkit.FreeAddress(t)
	}
	args = append(args, "--rate", "0", "--only", "none", "--fail-on", "none")
	if slices.Contains(args, "--telemetry") || slices.Contains(args, "--logs") {
		args = append(args, "--telemetry-wait", "100ms")
	}
	return args
}

// sandboxTrail makes a trail of some lines, its key, and a file with its checkpoint.
func sandboxTrail(t *testing.T, dir string) {
	t.Helper()
	key, err := trail.GenerateKey(rand.Reader, "orders.example/gateway")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "trail.key", key.Private()+"\n")
	write(t, dir, "trail.key.pub", key.Public()+"\n")
	for range 2 {
		w, err := trail.Open(trail.Config{Dir: filepath.Join(dir, "trail"), Key: key, Durability: trail.Ordered})
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			w.Notice(t.Context(), attempt.Notice{Kind: attempt.AccountReload, Accounts: 1})
		}
		if err := w.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		checkpoint, err := os.ReadFile(filepath.Join(dir, "trail", "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "checkpoints.json", fmt.Sprintf(`{"event_name":"auth.trail.checkpoint","auth.trail.note":%q}`, checkpoint))
		if _, err := os.Stat(filepath.Join(dir, "older.checkpoint")); err != nil {
			write(t, dir, "older.checkpoint", string(checkpoint))
		}
	}
}

// runOtelauth runs a command line of otelauth: the gateway with --check, everything else as it is.
func runOtelauth(t *testing.T, where, dir string, args []string) {
	t.Helper()
	if args[0] == "probe" {
		args = sandboxProbe(t, dir, args)
	}
	if args[0] == "gateway" && !slices.Contains(args, "--help") {
		args = append(slices.Clone(args), "--check")
	}
	cmd := exec.CommandContext(t.Context(), otelauthCommand(t), args...)
	cmd.Dir, cmd.Env = dir, freshHome(dir)
	cmd.Stdin = strings.NewReader("correct horse battery staple\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	// The hash and the id on the pages are invented.
	for command, answer := range map[string]string{"whois": "no candidate matches", "episodes": "There is no episode"} {
		if args[0] == command && strings.Contains(out.String(), answer) {
			return
		}
	}
	if err != nil {
		t.Errorf("%s: otelauth %s: %v\n%s", where, strings.Join(args, " "), err, out.String())
	}
}

// freshHome returns an environment in which nothing is configured or cached.
func freshHome(dir string) []string {
	return []string{
		"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "OTELAUTH_OPERATOR=unix:" + operatorSocket,
	}
}

// runShell runs a line that makes a file which later lines need.
func runShell(t *testing.T, where, dir, line string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir, cmd.Env = dir, freshHome(dir)
	if strings.Contains(line, "otelauth ") {
		cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(otelauthCommand(t))+":"+os.Getenv("PATH"))
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %s: %v\n%s", where, line, err, out)
	}
}

// TestDocsCommands runs or checks every line of every sh and console block. A line of a kind that
// this test does not know is an error.
func TestDocsCommands(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	declared := declaredTests(t)
	for name, text := range pages(t) {
		for _, block := range blocks(text, "(?:sh|console)") {
			dir, here := sandbox(t, block), "."
			for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", "")) {
				line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
				args := words(line)
				for len(args) > 0 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(args[0]) {
					args = args[1:]
				}
				if len(args) == 0 {
					continue
				}
				switch {
				case ranElsewhere(t, name, text, line, declared):
				case args[0] == "mkdir" || args[0] == "otelauth" && slices.Contains(args, ">"):
					runShell(t, name, dir, line)
				case args[0] == "otelauth":
					runOtelauth(t, name, dir, args[1:])
				case strings.HasPrefix(line, "go run ./otelauth/cmd/otelauth "):
					runOtelauth(t, name, dir, args[3:])
				case args[0] == "openssl" || args[0] == "echo" && !strings.HasPrefix(line, `echo "k1:`):
					runShell(t, name, dir, line)
				case args[0] == "cd":
					here = args[1]
				case strings.HasPrefix(line, "go mod edit "): // TestReadmeClone
				case line == "go build ./otelauth/cmd/otelauth": // otelauthCommand builds it
				case strings.HasPrefix(line, `echo "k1:`): // sandbox makes this file
				case args[0] == "go" || args[0] == ".ci/run" || args[0] == ".ci/full" || args[0] == "otelcol-contrib":
					if err := checkCommand(t, here, args); err != nil {
						t.Errorf("%s: %s: %v", name, line, err)
					}
				default:
					t.Errorf("%s: nothing tests the command %q", name, line)
				}
			}
		}
		// Commands inside of the text, which run at the root or in examples/compare.
		for _, q := range quoted(prose(text)) {
			if args := words(q); len(args) > 2 && args[0] == "go" && (args[1] == "run" || args[1] == "test") {
				if err := checkCommand(t, ".", args); err != nil && checkCommand(t, "examples/compare", args) != nil {
					t.Errorf("%s: %s: %v", name, q, err)
				}
			}
		}
	}
}

// checkCommand reports why a command cannot work. It is for commands that take too long to run
// here.
func checkCommand(t *testing.T, here string, args []string) error {
	t.Helper()
	switch args[0] {
	case ".ci/run", ".ci/full":
		script := fromRoot(t, args[0])
		for _, step := range args[1:] {
			if !strings.Contains(script, "\nstep_"+step+"()") && !strings.Contains(script, "\n"+step+"()") {
				return fmt.Errorf("there is no step %q", step)
			}
		}
		return nil
	case "otelcol-contrib":
		for _, arg := range args[1:] {
			if arg == "--config" {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, "collector-config", arg)); err != nil {
				return err
			}
		}
		return nil
	}
	return checkGo(here, args[1:])
}

// checkGo checks "run" and "test": the package exists, its flags are defined, and a pattern of
// -run or -bench matches a function.
func checkGo(here string, args []string) error {
	var dir string
	var flags, patterns []string
	for i, arg := range args[1:] {
		switch {
		case strings.HasPrefix(arg, "./") || arg == ".":
			dir = filepath.Join(root, here, strings.TrimSuffix(arg, "..."))
		case (args[i] == "-run" || args[i] == "-bench") && arg != "^$":
			patterns = append(patterns, arg)
		case args[0] == "run" && strings.HasPrefix(arg, "-"):
			flags = append(flags, strings.TrimLeft(arg, "-"))
		}
	}
	if strings.HasSuffix(args[len(args)-1], "...") {
		_, err := os.Stat(dir)
		return err
	}
	sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return fmt.Errorf("there is no package in %s", dir)
	}
	// A command in cmd may have its flags in the package of the same name beside cmd.
	beside, err := filepath.Glob(filepath.Join(dir, "..", "..", filepath.Base(dir), "*.go"))
	if err != nil {
		return err
	}
	sources = append(sources, beside...)
	var text strings.Builder
	for _, s := range sources {
		b, err := os.ReadFile(s)
		if err != nil {
			return err
		}
		text.Write(b)
	}
	if args[0] == "run" && !strings.Contains(text.String(), "\npackage main\n") {
		return fmt.Errorf("%s is not a command", dir)
	}
	for _, f := range flags {
		if !strings.Contains(text.String(), `"`+f+`"`) {
			return fmt.Errorf("there is no flag -%s", f)
		}
	}
	for _, p := range patterns {
		re, err := regexp.Compile(p)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(regexp.MustCompile(`(?m)^func (?:Test|Benchmark)\w*`).FindAllString(text.String(), -1),
			func(f string) bool { return re.MatchString(strings.TrimPrefix(f, "func ")) }) {
			return fmt.Errorf("no function matches %q", p)
		}
	}
	return nil
}

// TestDocsFlags: every flag of otelauth that a page names exists.
func TestDocsFlags(t *testing.T) {
	t.Parallel()
	var help bytes.Buffer
	commands := [][]string{
		{"gateway"}, {"gateway", "init"}, {"whois"}, {"probe"}, {"help"}, {"man"}, {"status"}, {"top"}, {"attempts"}, {"episodes"},
		{"detect", "replay"},
	}
	for _, c := range []string{"list", "explain", "clear", "allow", "deny", "forget", "acts", "undo"} {
		commands = append(commands, []string{"budgets", c})
	}
	for _, c := range []string{"add", "passwd", "disable", "enable", "expire", "remove", "list", "check"} {
		commands = append(commands, []string{"users", c})
	}
	for _, c := range []string{"keygen", "verify", "show", "prove", "prune", "export"} {
		commands = append(commands, []string{"trail", c})
	}
	for _, args := range commands {
		cmd := exec.CommandContext(t.Context(), otelauthCommand(t), append([]string{"help", "--all"}, args...)...)
		cmd.Stdout = &help
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	}
	known := make(map[string]bool)
	flag := regexp.MustCompile(`--[a-z][a-z-]*`)
	for _, f := range flag.FindAllString(help.String(), -1) {
		known[f] = true
	}
	for name, text := range pages(t) {
		for _, q := range quoted(prose(text)) {
			if !strings.HasPrefix(q, "--") && !strings.HasPrefix(q, "otelauth ") {
				continue
			}
			for _, f := range flag.FindAllString(q, -1) {
				if !known[f] {
					t.Errorf("%s names the flag %s, which otelauth does not have", name, f)
				}
			}
		}
	}
}

// TestDocsYAML: the gateway accepts the configuration file that the page shows.
func TestDocsYAML(t *testing.T) {
	t.Parallel()
	yaml := blocks(fromRoot(t, "docs/configuration.md"), "yaml")
	if len(yaml) == 0 {
		t.Fatal("docs/configuration.md shows no configuration file")
	}
	for _, text := range yaml {
		dir := sandbox(t, "")
		runOtelauth(t, "docs/configuration.md", dir, []string{"gateway", "--config", write(t, dir, "gateway.yaml", text)})
	}
}
