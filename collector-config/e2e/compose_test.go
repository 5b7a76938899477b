// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/examples/shop/customers"
)

// composeFile is the part of docker-compose.yaml that these tests read.
type composeFile struct {
	Services map[string]composeService `yaml:"services"`
	Networks map[string]struct {
		Internal bool `yaml:"internal"`
		IPAM     struct {
			Config []struct {
				Subnet string `yaml:"subnet"`
			} `yaml:"config"`
		} `yaml:"ipam"`
	} `yaml:"networks"`
	Volumes map[string]any `yaml:"volumes"`
}

type composeService struct {
	Image       string            `yaml:"image"`
	Build       map[string]string `yaml:"build"`
	Profiles    []string          `yaml:"profiles"`
	User        string            `yaml:"user"`
	ReadOnly    bool              `yaml:"read_only"`
	Privileged  bool              `yaml:"privileged"`
	CapDrop     []string          `yaml:"cap_drop"`
	CapAdd      []string          `yaml:"cap_add"`
	SecurityOpt []string          `yaml:"security_opt"`
	MemLimit    string            `yaml:"mem_limit"`
	CPUs        float64           `yaml:"cpus"`
	PIDs        int               `yaml:"pids_limit"`
	Restart     string            `yaml:"restart"`
	NetworkMode string            `yaml:"network_mode"`
	Entrypoint  []string          `yaml:"entrypoint"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	EnvFile     any               `yaml:"env_file"`
	Volumes     []string          `yaml:"volumes"`
	Ports       []string          `yaml:"ports"`
	Logging     struct {
		Options map[string]string `yaml:"options"`
	} `yaml:"logging"`
	Healthcheck struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
	Networks  yaml.Node `yaml:"networks"` // a list, or a map with addresses
	DependsOn map[string]struct {
		Condition string `yaml:"condition"`
		Required  *bool  `yaml:"required"`
	} `yaml:"depends_on"`
}

func (s composeService) once() bool { return s.Restart == "no" }

// addresses returns the service's fixed addresses by network.
func (s composeService) addresses(t *testing.T) map[string]netip.Addr {
	t.Helper()
	found := map[string]netip.Addr{}
	if s.Networks.Kind != yaml.MappingNode {
		return found
	}
	var networks map[string]struct {
		Address netip.Addr `yaml:"ipv4_address"`
	}
	if err := s.Networks.Decode(&networks); err != nil {
		t.Fatal(err)
	}
	for name, n := range networks {
		found[name] = n.Address
	}
	return found
}

func projectRoot() string { return filepath.Join(collectortest.ConfigDir(), "..") }

var interpolation = regexp.MustCompile(`\$\{[A-Z0-9_]+:-([^}]*)\}`)

// readCompose reads docker-compose.yaml as Compose does when no variable is set.
func readCompose(t *testing.T) composeFile {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(projectRoot(), "docker-compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text = interpolation.ReplaceAll(text, []byte("$1"))
	text = bytes.ReplaceAll(text, []byte("$$"), []byte("$"))
	var file composeFile
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Services) < 10 {
		t.Fatalf("docker-compose.yaml has %d services", len(file.Services))
	}
	return file
}

// own is the image that examples/Dockerfile builds.
const own = "otelauth-demo"

var secretName = regexp.MustCompile(`(?i)(password|passwd|secret|token|credentials?|authorization|api_?key|dsn)$`)

func TestComposeContainersAreConfined(t *testing.T) {
	t.Parallel()
	file := readCompose(t)
	for name, s := range file.Services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if s.User != "65532:65532" || !s.ReadOnly || s.Privileged || len(s.CapAdd) > 0 || !slices.Equal(s.CapDrop, []string{"ALL"}) ||
				!slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Errorf("user %q, read_only %v, cap_drop %v, cap_add %v, security_opt %v", s.User, s.ReadOnly, s.CapDrop, s.CapAdd, s.SecurityOpt)
			}
			if s.MemLimit == "" || s.CPUs <= 0 || s.PIDs <= 0 || s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
				t.Errorf("mem_limit %q, cpus %v, pids_limit %d, logging %v: each needs a limit", s.MemLimit, s.CPUs, s.PIDs, s.Logging.Options)
			}
			if tag := s.Image[strings.LastIndex(s.Image, ":")+1:]; s.Image != own && (tag == s.Image || !strings.ContainsAny(tag, "0123456789") || strings.Count(tag, ".") < 2) {
				t.Errorf("image %q is not pinned to a release", s.Image)
			}
			for _, p := range s.Ports {
				if !strings.HasPrefix(p, "127.0.0.1:") || strings.Count(p, ":") != 2 {
					t.Errorf("port %q is published beyond loopback", p)
				}
			}
			if s.EnvFile != nil {
				t.Error("env_file: the test cannot check its content")
			}
			for key, value := range s.Environment {
				if secretName.MatchString(key) {
					t.Errorf("environment %s: a secret belongs in a file", key)
				}
				for _, c := range customers.All {
					if strings.Contains(value, c.Password) {
						t.Errorf("environment %s holds a password", key)
					}
				}
			}
			serves := !s.once() && len(s.Entrypoint) == 0 || strings.HasPrefix(s.Image, "redis:")
			if serves && len(s.Healthcheck.Test) < 2 {
				t.Error("a server without a health check")
			}
			for other, d := range s.DependsOn {
				if _, ok := file.Services[other]; !ok {
					t.Errorf("depends_on %q, which is not a service", other)
				}
				optional := d.Required != nil && !*d.Required
				if hidden := len(file.Services[other].Profiles) > 0 && !slices.Equal(s.Profiles, file.Services[other].Profiles); hidden != optional {
					t.Errorf("depends_on %s: required %v, but its profiles are %v", other, !optional, file.Services[other].Profiles)
				}
			}
		})
	}
}

// TestImageContext: the .dockerignore file lets every directory pass that the programs of
// examples/Dockerfile are built from.
func TestImageContext(t *testing.T) {
	t.Parallel()
	ignore, err := os.ReadFile(filepath.Join(projectRoot(), ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(ignore), "\n")
	const module = "github.com/otelauth/otelauth-go/"
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "./examples/shop", "./examples/traffic", "./examples/demo", "./otelauth/cmd/otelauth")
	list.Dir = projectRoot()
	list.Env = append(os.Environ(), "GOWORK=off")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		dir, ok := strings.CutPrefix(path, module)
		if !ok {
			continue
		}
		top, _, _ := strings.Cut(dir, "/")
		if !slices.Contains(lines, "!"+top) || slices.Contains(lines, dir) {
			t.Errorf(".dockerignore keeps %s out of the image", dir)
		}
	}
}

func TestComposeMounts(t *testing.T) {
	t.Parallel()
	file := readCompose(t)
	writable := map[string]string{ // who may write what besides setup
		"queue": "collector", "lgtm": "lgtm", "victoria": "victoria-", "overlays": "overlay", "trail": "storefront",
	}
	used := map[string]bool{}
	dockerfile, err := os.ReadFile(filepath.Join(projectRoot(), "examples", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range file.Services {
		for _, mount := range s.Volumes {
			source, rest, _ := strings.Cut(mount, ":")
			target, mode, _ := strings.Cut(rest, ":")
			if host, ok := strings.CutPrefix(source, "./"); ok {
				if _, err := os.Stat(filepath.Join(projectRoot(), host)); err != nil {
					t.Errorf("%s mounts %s: %v", name, host, err)
				}
				if mode != "ro" {
					t.Errorf("%s may write %s, which is yours", name, host)
				}
				continue
			}
			if _, ok := file.Volumes[source]; !ok {
				t.Errorf("%s mounts %q, which is not a volume", name, source)
			}
			used[source] = true
			switch {
			case name == "setup":
				// The owner of a new volume is the owner of the directory in the image.
				if !strings.Contains(string(dockerfile), "/out"+target) {
					t.Errorf("setup mounts %s, but examples/Dockerfile does not create that directory: the volume would belong to root", target)
				}
			case mode == "ro", writable[source] != "" && strings.HasPrefix(name, writable[source]):
			default:
				t.Errorf("%s may write the volume %s", name, source)
			}
			// Each party has its own secrets.
			if target == "/run/shop" && source != name && source != "traffic" {
				t.Errorf("%s sees the secrets of %s", name, source)
			}
		}
	}
	for volume := range file.Volumes {
		if !used[volume] {
			t.Errorf("volume %s is not mounted anywhere", volume)
		}
		if !slices.ContainsFunc(file.Services["setup"].Volumes, func(m string) bool { return strings.HasPrefix(m, volume+":") }) {
			t.Errorf("setup does not mount %s, so it would belong to root", volume)
		}
	}
}

// Trust is by address: every address is in its network and unique, and the trusted addresses are
// the expected ones.
func TestComposeTrustsWhomItMeans(t *testing.T) {
	t.Parallel()
	file := readCompose(t)
	at := map[netip.Addr]string{}
	var attackers []string
	for name, s := range file.Services {
		for network, a := range s.addresses(t) {
			subnet := netip.MustParsePrefix(file.Networks[network].IPAM.Config[0].Subnet)
			if !subnet.Contains(a) || a == subnet.Addr().Next() {
				t.Errorf("%s: %v is not in the network of %s, %v", name, a, network, subnet)
			}
			if other, ok := at[a]; ok {
				t.Errorf("%s and %s have the same address %v", name, other, a)
			}
			at[a] = name
		}
		if name == "traffic" || slices.Contains(s.Profiles, "attack") {
			attackers = append(attackers, name)
		}
	}
	names := func(list string) (found []string) {
		for a := range strings.SplitSeq(list, ",") {
			found = append(found, at[netip.MustParseAddr(a)])
		}
		slices.Sort(found)
		return found
	}
	slices.Sort(attackers)
	for _, c := range []struct {
		service, variable string
		want              []string
	}{
		{"storefront", "SHOP_TRUSTED_PROXIES", attackers},
		{"orders", "SHOP_TRUSTED_CALLERS", []string{"storefront"}},
		{"inventory", "SHOP_TRUSTED_CALLERS", []string{"orders"}},
	} {
		if got := names(file.Services[c.service].Environment[c.variable]); !slices.Equal(got, c.want) {
			t.Errorf("%s %s: %v, want %v", c.service, c.variable, got, c.want)
		}
	}
	if s := file.Services["storefront"].Environment; s["SHOP_TRUSTED_CALLERS"] != "" {
		t.Error("the storefront continues the trace of a caller")
	}
	for _, name := range []string{"middle", "back"} {
		if !file.Networks[name].Internal {
			t.Errorf("network %s leads outside", name)
		}
	}
}

// demoPrograms builds what examples/Dockerfile builds, and returns the program at a path in the
// image.
func demoPrograms(t *testing.T) func(path string) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "./examples/shop", "./examples/traffic", "./examples/demo", "./otelauth/cmd/otelauth")
	build.Dir = projectRoot()
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return func(path string) string {
		name, ok := strings.CutPrefix(path, "/bin/")
		if !ok {
			name, ok = strings.CutPrefix(path, "/tools/")
		}
		if !ok {
			t.Fatalf("%q is not in the image", path)
		}
		return filepath.Join(dir, name)
	}
}

// The two tests that run programs share one build of them.
func TestComposePrograms(t *testing.T) {
	t.Parallel()
	program := demoPrograms(t)
	t.Run("commands", func(t *testing.T) {
		t.Parallel()
		testComposeCommands(t, program)
	})
	t.Run("probes", func(t *testing.T) {
		t.Parallel()
		testComposeProbes(t, program)
	})
}

// The test runs every command of the image unchanged, except for the directories of the volumes
// and the addresses of this machine. It also starts the real collector for each choice of
// backends, with the files and the environment of docker-compose.yaml.
func testComposeCommands(t *testing.T, program func(string) string) {
	t.Helper()
	file := readCompose(t)
	state := t.TempDir()
	volume := func(name string) string { return filepath.Join(state, name) }
	for name := range file.Volumes {
		if err := os.MkdirAll(volume(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// here translates a path of a container.
	here := func(s composeService, path string) string {
		for _, mount := range s.Volumes {
			source, rest, _ := strings.Cut(mount, ":")
			target, _, _ := strings.Cut(rest, ":")
			if below, ok := strings.CutPrefix(path, target); ok && (below == "" || below[0] == '/') {
				if host, ok := strings.CutPrefix(source, "./"); ok {
					return filepath.Join(projectRoot(), host) + below
				}
				return volume(source) + below
			}
		}
		return path
	}
	command := func(ctx context.Context, s composeService, more ...string) *exec.Cmd {
		words := append(slices.Clone(s.Entrypoint), s.Command...)
		if len(s.Entrypoint) == 0 {
			words = append([]string{"/bin/shop"}, words...)
		}
		var args []string
		for _, w := range append(words[1:], more...) {
			args = append(args, here(s, w))
		}
		cmd := exec.CommandContext(ctx, program(words[0]), args...)
		for key, value := range s.Environment {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
		return cmd
	}
	run := func(name string, more ...string) (string, int) {
		t.Helper()
		cmd := command(t.Context(), file.Services[name], more...)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatalf("%s: %v", name, err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}

	// setup has the directories of all parties below one directory.
	setup := file.Services["setup"]
	for i, mount := range setup.Volumes {
		if source, target, _ := strings.Cut(mount, ":"); strings.HasPrefix(target, "/secrets/") {
			if filepath.Base(target) != source {
				t.Errorf("setup.volumes[%d]: %s has the directory of another party", i, mount)
			}
		}
	}
	if out, err := exec.CommandContext(t.Context(), program(setup.Entrypoint[0]), setup.Entrypoint[1], state).CombinedOutput(); err != nil {
		t.Fatalf("setup: %v\n%s", err, out)
	}
	for name, s := range file.Services {
		if slices.ContainsFunc(s.Volumes, func(m string) bool { return strings.Contains(m, ":/run/shop") }) {
			if files, _ := os.ReadDir(here(s, "/run/shop")); len(files) == 0 {
				t.Errorf("%s: setup creates nothing for it", name)
			}
		}
	}
	for _, word := range file.Services["redis"].Entrypoint[1:] {
		if _, err := os.Stat(here(file.Services["redis"], word)); err != nil {
			t.Errorf("redis: %v", err)
		}
	}

	for _, name := range []string{"storefront", "orders", "inventory"} {
		s := file.Services[name]
		if !slices.Equal(s.Healthcheck.Test, []string{"CMD", "/bin/shop", "health"}) {
			t.Errorf("%s: health check %v", name, s.Healthcheck.Test)
		}
		ctx, cancel := context.WithTimeout(t.Context(), collectortest.Deadline)
		cmd := command(ctx, s)
		// The addresses of this machine, and no Redis, because the test is not about it.
		cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "SHOP_REDIS=") })
		record := here(s, s.Environment["SHOP_TRAIL"])
		if record != "" {
			cmd.Env = append(cmd.Env, "SHOP_TRAIL="+record)
		}
		cmd.Env = append(cmd.Env, "SHOP_LISTEN=127.0.0.1:0", "SHOP_SECRETS="+here(s, "/run/shop"), "OTEL_TRACES_EXPORTER=none",
			"OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
			t.Errorf("%s did not start: %v: %s%s", name, err, line, stderr.String())
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v: %s", name, err, stderr.String())
		}
		cancel()
		if record != "" {
			out, err := exec.CommandContext(t.Context(), program("/bin/otelauth"), "trail", "verify", "--public-key", record+".key.pub", record).CombinedOutput()
			if err != nil {
				t.Errorf("%s: its trail: %v: %s", name, err, out)
			}
		}
	}
	for name, s := range file.Services {
		switch {
		case len(s.Entrypoint) > 0 && s.Entrypoint[0] == "/bin/traffic":
			// The port is closed: status 1. Misuse would be 2.
			if out, status := run(name, "--target", "https://127.0.0.1:1", "--duration", "300ms", "--rate", "50"); status != 1 || !strings.Contains(out, "no answer") {
				t.Errorf("%s: exit status %d: %s", name, status, out)
			}
		case len(s.Entrypoint) > 1 && s.Entrypoint[1] == "returns":
			if out, status := run(name, "--target", "https://127.0.0.1:1", "--every", "0"); status != 1 {
				t.Errorf("%s: exit status %d: %s", name, status, out)
			}
		}
	}

	collector := file.Services["collector"]
	for _, backends := range [][]string{{}, {"jaeger"}, {"victoria"}, {"jaeger", "victoria"}} {
		if out, status := run("overlays"); status != 0 {
			t.Fatalf("overlays: %d: %s", status, out)
		}
		for _, b := range backends {
			if out, status := run("overlay-" + b); status != 0 {
				t.Fatalf("overlay-%s: %d: %s", b, status, out)
			}
			if got := file.Services["overlay-"+b].Profiles; !slices.Equal(got, []string{"backend-" + b}) {
				t.Errorf("overlay-%s: profiles %v", b, got)
			}
		}
		o := collectortest.Options{Env: map[string]string{}}
		for _, word := range collector.Command {
			path, ok := strings.CutPrefix(word, "--config=")
			if !ok {
				t.Fatalf("collector: command %q", word)
			}
			o.Configs = append(o.Configs, here(collector, path))
		}
		for key, value := range collector.Environment {
			if key != "OTELAUTH_COLLECTOR_BIND" {
				o.Env[key] = here(collector, value)
			}
		}
		c := collectortest.Start(t, o)
		started := c.Log()
		c.Kill()
		for _, b := range []string{"jaeger", "victoria"} {
			chosen := slices.Contains(backends, b)
			config, err := os.ReadFile(filepath.Join(volume("overlays"), b+".yaml"))
			if err != nil || strings.Contains(string(config), "otlp_http/"+b) != chosen {
				t.Errorf("backends %v: overlay of %s: %v, %.60s; the collector's output: %s", backends, b, err, config, started)
			}
		}
	}
}

// The health checks of images without a shell use the program in the volume tools.
func testComposeProbes(t *testing.T, program func(string) string) {
	t.Helper()
	file := readCompose(t)
	c := collectortest.Start(t, collectortest.Options{Configs: []string{"base.yaml"}})
	for name, s := range file.Services {
		if len(s.Healthcheck.Test) < 4 || s.Healthcheck.Test[1] != "/tools/demo" {
			continue
		}
		if !slices.Contains(s.Volumes, "tools:/tools:ro") {
			t.Errorf("%s probes with a program that it does not mount", name)
		}
		url := strings.Replace(s.Healthcheck.Test[3], "127.0.0.1", c.Address, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out, err := exec.CommandContext(ctx, program(s.Healthcheck.Test[1]), s.Healthcheck.Test[2], url).CombinedOutput()
		cancel()
		// Only the collector runs here.
		if (err == nil) != (name == "collector") {
			t.Errorf("%s: %v: %v %s", name, s.Healthcheck.Test, err, out)
		}
	}
}

// README.md of the demo names every image, because it lists those that the tests did not pull.
func TestComposeREADMENamesEveryImage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(projectRoot(), "examples", "demo", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	file := readCompose(t)
	images := map[string]bool{}
	for _, s := range file.Services {
		images[s.Image] = true
		for _, p := range s.Profiles {
			images[p] = true // and every profile
		}
	}
	for image := range images {
		if !strings.Contains(string(text), "`"+image+"`") {
			t.Errorf("examples/demo/README.md does not name `%s`", image)
		}
	}
}
