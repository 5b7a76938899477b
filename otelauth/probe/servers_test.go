// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/probe"
)

var update = flag.Bool("update", false, "write the golden summaries")

// realServer is a server as operators install it.
type realServer struct {
	start     func(t *testing.T, dir, address string) *testkit.Process
	endpoints string
	config    func(*probe.Config)
}

// realServers are those whose summaries are kept in testdata/golden.
var realServers = map[string]realServer{
	"nginx": {startNginx, `
GET /index.html
GET /orders/list.txt
GET /reports/annual.txt
GET /orders/export.csv
GET /static/site.css public`, nil},
	"caddy": {startCaddy, `
GET /index.html
GET /orders/list.txt
GET /static/site.css public`, nil},
	"prometheus": {startPrometheus, `
GET /api/v1/query?query=vector%281%29
GET /api/v1/status/buildinfo
GET /metrics
GET /-/healthy`, nil},
	"django": {startDjango, `
GET /orders/
GET /staff/ groups=staff
GET /legacy/
GET /export/
GET /health/ public`, func(c *probe.Config) { c.Identities[0].Groups = []string{"staff"} }},
	"gateway": {startGateway, `
GET /index.html
GET /orders/list.txt
GET /reports/annual.txt
GET /static/site.css public`, nil},
	"quickstart": {startQuickstart, `
GET /orders
GET /orders/7 route=/orders/{id}
GET /admin groups=admin
GET / public`, func(c *probe.Config) {
		c.Identities[0].Password, c.Throwaway = "wonderland", "bob"
		c.Identities = append(c.Identities, probe.Identity{Username: "root", Password: "toor", Groups: []string{"admin"}})
	}},
}

// TestRealServers compares what the probe finds at real servers with summaries that were looked
// at. Run it with -update after a change, and look at the difference.
func TestRealServers(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	for name, server := range realServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("/tmp", "otelauth-probe") //nolint:usetesting // servers that drop root must reach it
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			address := testkit.FreeAddress(t)
			process := server.start(t, dir, address)
			process.WaitListening(t, "tcp", address)
			report, err := probe.Run(t.Context(), serverConfig(t, server, address))
			if err != nil {
				t.Fatalf("%v\n%s", err, process.Output())
			}
			golden := filepath.Join("testdata", "golden", name+".txt")
			got := summary(report)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func serverConfig(t *testing.T, server realServer, address string) probe.Config {
	t.Helper()
	endpoints, err := probe.ReadList(strings.NewReader(server.endpoints), "list")
	if err != nil {
		t.Fatal(err)
	}
	c := probe.Config{
		Target: "http://" + address, Endpoints: endpoints, Rate: -1, Workers: 1, Samples: -1, Throwaway: "mallory",
		Timeout:    testkit.Patience, // Caddy computes bcrypt with cost 14, also on a machine under load
		Identities: []probe.Identity{{Username: "alice", Password: "right-of-alice"}},
	}
	if server.config != nil {
		server.config(&c)
	}
	return c
}

// summary describes a report without what changes from run to run.
func summary(r *probe.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s: %s by %s\n", f.Severity, f.ID, strings.Join(f.Probes, " "))
	}
	if len(r.Findings) == 0 {
		b.WriteString("no finding\n")
	}
	slices.SortFunc(r.Rows, func(x, y probe.Row) int { return strings.Compare(x.Endpoint.String(), y.Endpoint.String()) })
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "\n%s (%s)\n", row.Endpoint, row.Endpoint.Access)
		by := make(map[string][]string)
		var order []string
		for _, a := range row.Attempts {
			key := fmt.Sprintf("%s %d", a.Verdict, a.Answer.Status)
			if by[key] == nil {
				order = append(order, key)
			}
			by[key] = append(by[key], a.Probe)
		}
		slices.Sort(order)
		for _, key := range order {
			fmt.Fprintf(&b, "  %s: %s\n", key, strings.Join(by[key], " "))
		}
	}
	return b.String()
}

// files writes the files that the file servers serve.
func files(t *testing.T, dir string) string {
	t.Helper()
	for name, text := range map[string]string{
		"site/index.html":         "<!doctype html><title>Shop</title><p>Start page of the shop, for its customers</p>",
		"site/orders/list.txt":    "four orders: tea, coffee, sugar, milk\n",
		"site/orders/export.csv":  "customer,order\nAda Lovelace,tea\nAlan Turing,coffee\nGrace Hopper,milk\n",
		"site/reports/annual.txt": "the annual report: revenue, costs, profit, outlook\n",
		"site/static/site.css":    "body { margin: 0 }\n",
		"htpasswd":                "alice:{PLAIN}right-of-alice\nmallory:{PLAIN}right-of-mallory\n",
	} {
		put(t, filepath.Join(dir, name), text)
	}
	return filepath.Join(dir, "site")
}

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// configured writes a file of testdata with its placeholders replaced.
func configured(t *testing.T, dir, name string, values ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(values); i += 2 {
		values[i] = "{{" + values[i] + "}}"
	}
	return put(t, filepath.Join(dir, name), strings.NewReplacer(values...).Replace(string(text)))
}

// run starts a program. variables are added to the environment.
func run(t *testing.T, variables []string, name string, args ...string) *testkit.Process {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("no %s: .ci/run installs it", name)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
	cmd.Env = append(os.Environ(), variables...)
	return testkit.Start(t, cmd)
}

// hash returns a hash of the right password of alice, which the throwaway account has too.
func hash(t *testing.T) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(accounts["alice"]), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func startNginx(t *testing.T, dir, address string) *testkit.Process {
	t.Helper()
	conf := configured(t, dir, "nginx.conf", "dir", dir, "addr", address, "site", files(t, dir))
	return run(t, nil, "nginx", "-p", dir, "-e", "stderr", "-c", conf)
}

func startCaddy(t *testing.T, dir, address string) *testkit.Process {
	t.Helper()
	_, port, _ := net.SplitHostPort(address)
	conf := configured(t, dir, "Caddyfile", "port", port, "site", files(t, dir), "hash", hash(t))
	return run(t, []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}, "caddy", "run", "--adapter", "caddyfile", "--config", conf)
}

// startPrometheus starts Prometheus, whose web server is that of exporter-toolkit.
func startPrometheus(t *testing.T, dir, address string) *testkit.Process {
	t.Helper()
	web := put(t, filepath.Join(dir, "web.yaml"), fmt.Sprintf("basic_auth_users:\n  alice: %s\n  mallory: %s\n", hash(t), hash(t)))
	conf := put(t, filepath.Join(dir, "prometheus.yaml"), "global: {scrape_interval: 1h}\n")
	p := run(t, nil, "prometheus", "--config.file", conf, "--web.config.file", web, "--web.listen-address", address, "--storage.tsdb.path", filepath.Join(dir, "data"))
	p.WaitLine(t, "Server is ready to receive web requests") // 503 before
	return p
}

func startDjango(t *testing.T, dir, address string) *testkit.Process {
	t.Helper()
	configured(t, dir, "djangosite.py")
	return run(t, []string{"SITE_DATABASE=" + filepath.Join(dir, "site.sqlite3"), "PYTHONDONTWRITEBYTECODE=1"},
		"gunicorn", "--bind", address, "--chdir", dir, "--worker-class", "gthread", "--threads", "4", "--worker-tmp-dir", dir, "djangosite:application")
}

// build builds a program of this module.
func build(t *testing.T, dir, pkg string) string {
	t.Helper()
	program := filepath.Join(dir, filepath.Base(pkg))
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/otelauth/otelauth-go/"+pkg).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// startGateway starts the gateway in front of a server without authentication.
func startGateway(t *testing.T, dir, address string) *testkit.Process {
	t.Helper()
	upstream := testkit.FreeAddress(t)
	site := files(t, dir)
	conf := put(t, filepath.Join(dir, "Caddyfile"), "{\n\tadmin off\n\tauto_https off\n}\nhttp://"+upstream+" {\n\troot * "+site+"\n\tfile_server\n}\n")
	run(t, []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}, "caddy", "run", "--adapter", "caddyfile", "--config", conf).WaitListening(t, "tcp", upstream)
	users := put(t, filepath.Join(dir, "users"), fmt.Sprintf("alice:%s\nmallory:%s\n", hash(t), hash(t)))
	return run(t, nil, build(t, dir, "otelauth/cmd/otelauth"), "gateway", "--upstream", "http://"+upstream, "--users", users, "--listen", address, "--public", "GET /static/")
}

func startQuickstart(t *testing.T, dir, address string) *testkit.Process {
	t.Helper()
	return run(t, nil, build(t, dir, "examples/quickstart"), "--addr", address)
}
