// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package django

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

// python is Debian's interpreter, which has Django and gunicorn; another in the PATH may not.
const python = "/usr/bin/python3"

// run starts a process that ends with the test.
func run(t *testing.T, env []string, name string, args ...string) *testkit.Process {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.Env = env
	return testkit.Start(t, cmd)
}

// site is the Django site behind the gateway.
type site struct {
	dir       string
	url       string // of the gateway
	direct    string // of the site itself, which a deployment would not have
	metrics   string
	django    *testkit.Process
	gateway   *testkit.Process
	transport *http.Transport
}

// command returns a program of the PATH, or skips the test.
func command(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s: apt-get install python3-django python3-djangorestframework gunicorn", name)
	}
	return path
}

// start starts the site and the gateway in front of it.
func start(t *testing.T) *site {
	t.Helper()
	s := startDjango(t, "shop.wsgi", nil)
	s.startGateway(t)
	return s
}

// startDjango starts the site with its own tables and accounts on a unix socket, without the
// gateway. Its address on loopback, which the gateway does not use, is s.direct.
func startDjango(t *testing.T, application string, variables []string) *site {
	t.Helper()
	gunicorn := command(t, "gunicorn")
	needDjango(t)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "otelauth-django") //nolint:usetesting // the path of a unix socket has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &site{dir: dir, transport: &http.Transport{}}
	t.Cleanup(s.transport.CloseIdleConnections)
	database := filepath.Join(dir, "shop.sqlite3")
	if err := os.WriteFile(database, shopDatabase(t), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(environment(database), variables...)
	address := net.JoinHostPort("127.0.0.1", testkit.FreePort(t))
	s.direct = "http://" + address
	s.django = run(t, env, gunicorn, "--bind", "unix:"+s.socket(), "--bind", address, "--umask", "0077", "--chdir", here,
		"--worker-class", "gthread", "--threads", "4", "--worker-tmp-dir", dir, application)
	s.django.WaitLine(t, "Booting worker")
	return s
}

// importDjango is done once: Python takes half a second.
var importDjango = sync.OnceValues(func() ([]byte, error) {
	return exec.Command(python, "-c", "import django, rest_framework").CombinedOutput()
})

func needDjango(t *testing.T) {
	t.Helper()
	command(t, python)
	if out, err := importDjango(); err != nil {
		t.Skipf("no Django: apt-get install python3-django python3-djangorestframework gunicorn\n%s", out)
	}
}

// shop is the database file with its tables and accounts, which the first test creates.
var shop = struct {
	once sync.Once
	file []byte
}{}

// shopDatabase returns the content of a database with tables and accounts.
func shopDatabase(t *testing.T) []byte {
	t.Helper()
	shop.once.Do(func() {
		database := filepath.Join(t.TempDir(), "shop.sqlite3")
		for _, args := range [][]string{{"manage.py", "migrate", "--verbosity", "0"}, {"accounts.py"}} {
			cmd := exec.CommandContext(t.Context(), python, args...)
			cmd.Env = environment(database)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
			}
		}
		var err error
		if shop.file, err = os.ReadFile(database); err != nil {
			t.Fatal(err)
		}
	})
	if len(shop.file) == 0 {
		t.Fatal("another test could not create the database")
	}
	return shop.file
}

func environment(database string) []string {
	return append(os.Environ(), "SHOP_DATABASE="+database, "PYTHONDONTWRITEBYTECODE=1")
}

func (s *site) socket() string { return filepath.Join(s.dir, "shop.sock") }

// startGateway starts the gateway as the README says, with further flags.
func (s *site) startGateway(t *testing.T, more ...string) {
	t.Helper()
	port := testkit.FreePort(t)
	s.metrics = "http://" + net.JoinHostPort("127.0.0.1", port) + "/metrics"
	env := append(os.Environ(),
		"OTELAUTH_SQL_DSN=file:"+filepath.Join(s.dir, "shop.sqlite3")+"?mode=ro",
		"OTEL_METRICS_EXPORTER=prometheus", "OTEL_EXPORTER_PROMETHEUS_HOST=127.0.0.1", "OTEL_EXPORTER_PROMETHEUS_PORT="+port)
	s.gateway = run(t, env, testkit.Build(t, testkit.OTelAuth), append([]string{
		"gateway", "--upstream", "unix:" + s.socket(), "--listen", "127.0.0.1:0",
		"--sql-driver", "sqlite", "--django", "--public", "GET /health/",
		"--endpoint", "/orders/", "--endpoint", "/reports/", "--endpoint", "/staff/", "--endpoint", "/legacy/", "--endpoint", "/export/",
	}, more...)...)
	var listening struct{ Address string }
	if err := json.Unmarshal([]byte(s.gateway.WaitLine(t, "gateway.listening")), &listening); err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + listening.Address
}

// answer is the response to a client.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request to the gateway.
func (s *site) do(t *testing.T, method, path string, header http.Header) answer {
	t.Helper()
	return s.send(t, method, s.url+path, header)
}

func (s *site) send(t *testing.T, method, url string, header http.Header) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	res, err := (&http.Client{Transport: s.transport, Timeout: time.Minute}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// event is an auth.attempt event of the gateway.
type event struct {
	Msg       string   `json:"msg"`
	TraceID   string   `json:"trace_id"`
	Outcome   string   `json:"auth.outcome"`
	ErrorType string   `json:"error.type"`
	Reason    string   `json:"auth.reason"`
	User      string   `json:"user.name"`
	UserHash  string   `json:"user.hash"`
	Client    string   `json:"client.address"`
	Method    string   `json:"http.request.method"`
	Route     string   `json:"http.route"`
	Path      string   `json:"url.path"`
	Agent     string   `json:"user_agent.original"`
	Status    int      `json:"http.response.status_code"`
	RequestID []string `json:"http.request.header.x-request-id"`
}

// event waits for the only event of the request with this user agent.
func (s *site) event(t *testing.T, agent string) event {
	t.Helper()
	var e event
	line := s.gateway.WaitLine(t, `"msg":"auth.attempt"`, `"`+agent+`"`)
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if n := len(s.gateway.Lines(`"msg":"auth.attempt"`, `"`+agent+`"`)); n != 1 {
		t.Errorf("%s has %d events", agent, n)
	}
	return e
}

var sample = regexp.MustCompile(`^(\w+)\{(.*)\} (\S+)$`)

// series returns the points of a metric by the values of these labels, joined by spaces.
func (s *site) series(t *testing.T, metric string, labels ...string) map[string]int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.metrics, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	points := make(map[string]int)
	for line := range strings.SplitSeq(string(body), "\n") {
		m := sample.FindStringSubmatch(line)
		if m == nil || m[1] != metric {
			continue
		}
		values := make(map[string]string)
		for pair := range strings.SplitSeq(m[2], ",") {
			key, value, _ := strings.Cut(pair, "=")
			values[key] = strings.Trim(value, `"`)
		}
		var key []string
		for _, label := range labels {
			key = append(key, values[label])
		}
		n, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		points[strings.Join(key, " ")] += int(n)
	}
	return points
}

// python runs a line of Python in the site.
func (s *site) python(t *testing.T, code string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, "manage.py", "shell", "--command", code)
	cmd.Env = environment(filepath.Join(s.dir, "shop.sqlite3"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("manage.py shell: %v\n%s", err, out)
	}
}

func (s *site) await(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
		<-time.After(200 * time.Millisecond)
	}
}
