// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// checker runs the command lines of the shipped files with --check, in a directory with the
// files that they name.
type checker struct {
	dir   string
	paths *strings.Replacer
}

func newChecker(t *testing.T) *checker {
	t.Helper()
	dir := directory(t)
	encoded, err := password.Params{MemoryKiB: 64, Passes: 1}.Hash([]byte("canary-wonderland"), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{}
	cert, key := s.certificate(t, dir)
	users := write(t, dir, "users.htpasswd", "alice:"+encoded+"\n")
	groups := write(t, dir, "groups", "ops: alice\n")
	identity := write(t, dir, "identity.key", "k1:"+strings.Repeat("0f", 32)+"\n")
	return &checker{dir, strings.NewReplacer(
		"/etc/otelauth/users.htpasswd", users, "/etc/otelauth/accounts/users.htpasswd", users, "${CREDENTIALS_DIRECTORY}/users", users,
		"/etc/otelauth/groups", groups,
		"/etc/otelauth/accounts/identity.key", identity, "${CREDENTIALS_DIRECTORY}/identity", identity,
		"/etc/otelauth/tls/tls.crt", cert, "/etc/otelauth/tls.crt", cert, "${CREDENTIALS_DIRECTORY}/cert", cert,
		"/etc/otelauth/tls/tls.key", key, "/etc/otelauth/tls.key", key, "${CREDENTIALS_DIRECTORY}/key", key,
	)}
}

// check fails the test unless the command accepts these arguments of "otelauth".
func (c *checker) check(t *testing.T, where string, args []string) string {
	t.Helper()
	for i := range args {
		args[i] = c.paths.Replace(args[i])
	}
	cmd := exec.CommandContext(t.Context(), otelauth(t), append(args, "--check")...)
	cmd.Dir = c.dir
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: otelauth %s: %v\n%s", where, strings.Join(args, " "), err, said.String())
	}
	return out.String()
}

// continued is the end of a line that the next one continues, in a comment or not.
var continued = regexp.MustCompile(`\\\n#?\s*`)

// commandLine matches "otelauth gateway …" at the begin of a line, after a comment sign or a path.
var commandLine = regexp.MustCompile(`(?m)^(?:#?\s*|ExecStart=/usr/local/bin/)otelauth (gateway .*)$`)

// The command accepts every command line of these files.
func TestCommandLines(t *testing.T) {
	t.Parallel()
	c := newChecker(t)
	for _, name := range []string{"nginx.conf", "Caddyfile", "traefik.yaml", "envoy.yaml", "otelauth-gateway.service", "README.md"} {
		found := commandLine.FindAllStringSubmatch(continued.ReplaceAllString(shipped(t, name), ""), -1)
		if len(found) == 0 {
			t.Errorf("%s has no command line", name)
		}
		for _, line := range found {
			c.check(t, name, words(line[1]))
		}
	}
	// An unknown flag is not accepted.
	cmd := exec.CommandContext(t.Context(), otelauth(t), "gateway", "--check", "--upstreams", "http://127.0.0.1:1")
	if err := cmd.Run(); err == nil {
		t.Error("--check accepts every flag")
	}
}

// words splits as a shell does, for lines with simple quotes.
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

// commented returns the lines of a comment that begin with indent and follow the first line that
// holds after.
func commented(text, after, indent string) string {
	_, text, _ = strings.Cut(text, after)
	var b strings.Builder
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, indent); found {
			b.WriteString(rest)
		} else if b.Len() > 0 {
			break
		}
	}
	return b.String()
}

// The image has no base, an unprivileged user and a static binary. --check accepts its command
// with the file in its comment.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	text := shipped(t, "Dockerfile")
	if strings.Contains(text, "syntax=") {
		t.Error("a syntax line would be fetched")
	}
	stages := strings.Split(text, "\nFROM ")
	last := stages[len(stages)-1]
	if !strings.HasPrefix(last, "scratch\n") || !strings.Contains(last, "\nUSER 65532:65532\n") || strings.Contains(last, "\nRUN ") {
		t.Errorf("the last stage is\n%s", last)
	}
	c := newChecker(t)
	var entry, args []string
	for _, line := range strings.Split(last, "\n") {
		for instruction, into := range map[string]*[]string{"ENTRYPOINT ": &entry, "CMD ": &args} {
			if rest, found := strings.CutPrefix(line, instruction); found {
				if err := json.Unmarshal([]byte(rest), into); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
			}
		}
	}
	if !slices.Equal(entry, []string{"/otelauth"}) {
		t.Errorf("ENTRYPOINT %q", entry)
	}
	config := write(t, c.dir, "gateway.yaml", c.paths.Replace(commented(text, "such as:", "#   ")))
	c.check(t, "Dockerfile", replaced(args, "/etc/otelauth/gateway.yaml", config))

	// TestStaticBinary builds the same way.
	if !regexp.MustCompile(`(?m)^RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /otelauth \./otelauth/cmd/otelauth$`).MatchString(text) {
		t.Error("the binary is built in another way")
	}
}

func replaced(args []string, from, to string) []string {
	all := slices.Clone(args)
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], from, to)
	}
	return all
}

// systemd accepts the unit and rates its exposure as low.
func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze: apt-get install systemd")
	}
	// systemd checks that the program exists.
	unit := write(t, directory(t), "otelauth-gateway.service", shipped(t, "otelauth-gateway.service", "/usr/local/bin/otelauth", otelauth(t)))
	for _, args := range [][]string{
		{"verify", "--man=no", unit},
		// an exposure of 2.0 of 10; a unit without settings has 9.6
		{"security", "--no-pager", "--offline=true", "--threshold=20", unit},
	} {
		out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

// The parts of a manifest that this one uses. Decoding is strict, so a misspelt field is an error.
type (
	object struct {
		APIVersion string            `yaml:"apiVersion"`
		Kind       string            `yaml:"kind"`
		Metadata   metadata          `yaml:"metadata"`
		Data       map[string]string `yaml:"data"`
		Spec       yaml.Node         `yaml:"spec"`
	}
	metadata struct {
		Name   string            `yaml:"name"`
		Labels map[string]string `yaml:"labels"`
	}
	labels     map[string]string
	deployment struct {
		Replicas int `yaml:"replicas"`
		Selector struct {
			MatchLabels labels `yaml:"matchLabels"`
		} `yaml:"selector"`
		Template struct {
			Metadata metadata `yaml:"metadata"`
			Spec     pod      `yaml:"spec"`
		} `yaml:"template"`
	}
	pod struct {
		AutomountServiceAccountToken  *bool `yaml:"automountServiceAccountToken"`
		TerminationGracePeriodSeconds int   `yaml:"terminationGracePeriodSeconds"`
		SecurityContext               struct {
			RunAsNonRoot   bool              `yaml:"runAsNonRoot"`
			RunAsUser      int               `yaml:"runAsUser"`
			RunAsGroup     int               `yaml:"runAsGroup"`
			FSGroup        int               `yaml:"fsGroup"`
			SeccompProfile map[string]string `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		InitContainers []container `yaml:"initContainers"`
		Containers     []container `yaml:"containers"`
		Volumes        []struct {
			Name      string `yaml:"name"`
			ConfigMap struct {
				Name string `yaml:"name"`
			} `yaml:"configMap"`
			Secret struct {
				SecretName  string `yaml:"secretName"`
				DefaultMode int    `yaml:"defaultMode"`
			} `yaml:"secret"`
		} `yaml:"volumes"`
	}
	container struct {
		Name            string   `yaml:"name"`
		Image           string   `yaml:"image"`
		ImagePullPolicy string   `yaml:"imagePullPolicy"`
		RestartPolicy   string   `yaml:"restartPolicy"`
		Args            []string `yaml:"args"`
		Env             []struct {
			Name  string `yaml:"name"`
			Value string `yaml:"value"`
		} `yaml:"env"`
		Ports []struct {
			Name          string `yaml:"name"`
			ContainerPort int    `yaml:"containerPort"`
		} `yaml:"ports"`
		StartupProbe   probe `yaml:"startupProbe"`
		LivenessProbe  probe `yaml:"livenessProbe"`
		ReadinessProbe probe `yaml:"readinessProbe"`
		Resources      struct {
			Requests map[string]string `yaml:"requests"`
			Limits   map[string]string `yaml:"limits"`
		} `yaml:"resources"`
		SecurityContext struct {
			AllowPrivilegeEscalation *bool               `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRootFilesystem   bool                `yaml:"readOnlyRootFilesystem"`
			Capabilities             map[string][]string `yaml:"capabilities"`
		} `yaml:"securityContext"`
		VolumeMounts []struct {
			Name      string `yaml:"name"`
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	probe struct {
		HTTPGet struct {
			Path string `yaml:"path"`
			Port string `yaml:"port"`
		} `yaml:"httpGet"`
		PeriodSeconds    int `yaml:"periodSeconds"`
		TimeoutSeconds   int `yaml:"timeoutSeconds"`
		FailureThreshold int `yaml:"failureThreshold"`
	}
	service struct {
		Selector labels `yaml:"selector"`
		Ports    []struct {
			Name       string `yaml:"name"`
			Port       int    `yaml:"port"`
			TargetPort string `yaml:"targetPort"`
		} `yaml:"ports"`
	}
)

// strict decodes a node and refuses unknown fields.
func strict(t *testing.T, n *yaml.Node, into any) {
	t.Helper()
	text, err := yaml.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatal(err)
	}
}

// The manifest is consistent: ports, probes, mounts, labels, and a configuration that the
// command accepts.
func TestKubernetesSidecar(t *testing.T) {
	t.Parallel()
	objects := make(map[string]object)
	d := yaml.NewDecoder(strings.NewReader(shipped(t, "kubernetes-sidecar.yaml")))
	d.KnownFields(true)
	for {
		var o object
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		objects[o.APIVersion+" "+o.Kind] = o
	}
	var dep deployment
	var svc service
	a, b := objects["apps/v1 Deployment"], objects["v1 Service"]
	strict(t, &a.Spec, &dep)
	strict(t, &b.Spec, &svc)

	own := fmt.Sprint(dep.Template.Metadata.Labels)
	if fmt.Sprint(dep.Selector.MatchLabels) != own || fmt.Sprint(svc.Selector) != own {
		t.Error("the selectors select other pods")
	}
	spec := dep.Template.Spec
	if sc := spec.SecurityContext; !sc.RunAsNonRoot || sc.RunAsUser == 0 || sc.RunAsGroup == 0 || sc.FSGroup != sc.RunAsGroup || sc.SeccompProfile["type"] != "RuntimeDefault" {
		t.Errorf("pod: securityContext %+v", sc)
	}
	if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
		t.Error("the pod has a token that it does not need")
	}
	for _, c := range append(spec.InitContainers, spec.Containers...) {
		sc := c.SecurityContext
		if sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation || !sc.ReadOnlyRootFilesystem || !slices.Equal(sc.Capabilities["drop"], []string{"ALL"}) {
			t.Errorf("%s: securityContext %+v", c.Name, sc)
		}
	}
	gw := spec.InitContainers[0]
	if gw.RestartPolicy != "Always" {
		t.Error("an init container that ends is not a sidecar")
	}
	ports := make(map[string]int)
	for _, p := range gw.Ports {
		ports[p.Name] = p.ContainerPort
	}
	for kind, p := range map[string]probe{"startup": gw.StartupProbe, "liveness": gw.LivenessProbe, "readiness": gw.ReadinessProbe} {
		want := "/-/healthz"
		if kind == "readiness" {
			want = "/-/readyz"
		}
		if p.HTTPGet.Path != want || p.HTTPGet.Port != "admin" {
			t.Errorf("%s probe: %+v", kind, p.HTTPGet)
		}
	}
	for _, p := range svc.Ports {
		if ports[p.TargetPort] == 0 || p.TargetPort == "admin" {
			t.Errorf("the service's port %s goes to %s", p.Name, p.TargetPort)
		}
	}
	mounted := make(map[string]string)
	for _, m := range gw.VolumeMounts {
		mounted[m.Name] = m.MountPath
		if !m.ReadOnly {
			t.Errorf("%s is not read only", m.Name)
		}
	}
	for _, v := range spec.Volumes {
		if mounted[v.Name] == "" {
			t.Errorf("volume %s is not mounted", v.Name)
		}
		if v.Secret.SecretName != "" && v.Secret.DefaultMode&0o007 != 0 {
			t.Errorf("every user can read secret %s: %o", v.Name, v.Secret.DefaultMode)
		}
		delete(mounted, v.Name)
	}
	if len(mounted) > 0 {
		t.Errorf("mounts without a volume: %v", mounted)
	}

	c := newChecker(t)
	config := write(t, c.dir, "gateway.yaml", c.paths.Replace(objects["v1 ConfigMap"].Data["gateway.yaml"]))
	effective := c.check(t, "kubernetes-sidecar.yaml", replaced(gw.Args, "/etc/otelauth/config/gateway.yaml", config))
	for _, want := range []string{fmt.Sprintf("- :%d\n", ports["https"]), fmt.Sprintf("admin-listen: :%d ", ports["admin"]), "drain-timeout: 20s"} {
		if !strings.Contains(effective, want) {
			t.Errorf("the gateway's settings have no %s:\n%s", want, effective)
		}
	}
	if spec.TerminationGracePeriodSeconds <= 20+5 {
		t.Error("the pod ends before the drain")
	}
}

// The command in the comments creates the accounts.
func TestUsersAdd(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`(?m)^#   otelauth (users add .*)$`).FindStringSubmatch(shipped(t, "kubernetes-sidecar.yaml"))
	if line == nil {
		t.Fatal("no line adds an account")
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), otelauth(t), words(line[1])...)
	cmd.Dir, cmd.Stdin = directory(t), strings.NewReader("canary-wonderland\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
