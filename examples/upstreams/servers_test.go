// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

// server is a real upstream. start returns its address.
type server struct {
	name  string
	start func(t testing.TB) string
}

// servers are all upstreams with a network in between.
var servers = []server{
	{"nginx", startNginxSite},
	{"apache", startApacheSite},
	{"caddy", startCaddy},
	{"lighttpd", startLighttpd},
	{"haproxy", startHAProxy},
	{"express", startExpress},
	{"node-url", startNodeURL},
	{"django", startDjango},
	{"php-fpm", startPHP},
	{"tomcat", startTomcat},
	{"go", startMirrors},
}

// site returns a directory with the file tree.
func site(t testing.TB) string {
	t.Helper()
	dir := directory(t)
	tree(t, dir)
	return dir
}

// configured writes a file of testdata into dir, with its placeholders replaced.
func configured(t testing.TB, dir, name string, values ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(values); i += 2 {
		values[i] = "{{" + values[i] + "}}"
	}
	return write(t, dir, name, strings.NewReplacer(values...).Replace(string(text)))
}

func startNginxSite(t testing.TB) string {
	t.Helper()
	return startNginx(t, site(t), false)
}

func startApacheSite(t testing.TB) string {
	t.Helper()
	return startApache(t, site(t), false)
}

func startExpress(t testing.TB) string {
	t.Helper()
	return startNode(t, "express.js")
}

func startNodeURL(t testing.TB) string {
	t.Helper()
	return startNode(t, "url.js")
}

func startNginx(t testing.TB, site string, dav bool) string {
	t.Helper()
	methods := "off"
	if dav {
		methods = "PUT DELETE MKCOL COPY MOVE"
	}
	bin, dir := program(t, "nginx", "nginx"), directory(t)
	return serve(t, func(addr string) *process {
		conf := configured(t, dir, "nginx.conf", "dir", dir, "addr", addr, "site", site, "methods", methods)
		return start(t, command{path: bin, args: []string{"-p", dir, "-e", "stderr", "-c", conf}})
	})
}

func startApache(t testing.TB, site string, dav bool) string {
	t.Helper()
	bin, dir := program(t, "apache2", "apache2"), directory(t)
	args := []string{"-DFOREGROUND"}
	if dav {
		args = append(args, "-DWebDAV")
	}
	return serve(t, func(addr string) *process {
		conf := configured(t, dir, "httpd.conf", "dir", dir, "addr", addr, "site", site, "modules", "/usr/lib/apache2/modules")
		return start(t, command{path: bin, args: append(args, "-f", conf)})
	})
}

func startCaddy(t testing.TB) string {
	t.Helper()
	bin, dir, root := program(t, "caddy", "caddy"), directory(t), site(t)
	return serve(t, func(addr string) *process {
		_, port, _ := net.SplitHostPort(addr)
		conf := configured(t, dir, "Caddyfile", "port", port, "site", root)
		return start(t, command{
			path: bin, args: []string{"run", "--adapter", "caddyfile", "--config", conf},
			env: []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir},
		})
	})
}

func startLighttpd(t testing.TB) string {
	t.Helper()
	bin, dir, root := program(t, "lighttpd", "lighttpd"), directory(t), site(t)
	return serve(t, func(addr string) *process {
		host, port, _ := net.SplitHostPort(addr)
		conf := configured(t, dir, "lighttpd.conf", "site", root, "host", host, "port", port)
		return start(t, command{path: bin, args: []string{"-D", "-f", conf}})
	})
}

func startHAProxy(t testing.TB) string {
	t.Helper()
	bin, dir := program(t, "haproxy", "haproxy"), directory(t)
	return serve(t, func(addr string) *process {
		return start(t, command{path: bin, args: []string{"-db", "-f", configured(t, dir, "haproxy.cfg", "addr", addr)}})
	})
}

func startDjango(t testing.TB) string {
	t.Helper()
	bin, dir := program(t, "gunicorn", "gunicorn"), directory(t)
	if _, err := os.Stat("/usr/lib/python3/dist-packages/django/__init__.py"); err != nil {
		t.Skip("Django is missing: apt-get install python3-django")
	}
	configured(t, dir, "djangosite.py")
	return serve(t, func(addr string) *process {
		return start(t, command{
			path: bin, dir: dir, env: []string{"PYTHONDONTWRITEBYTECODE=1"},
			args: []string{
				"--bind", addr, "--worker-class", "gthread", "--threads", "4", "--keep-alive", "60", "--worker-tmp-dir", dir,
				"--limit-request-line", "8190", "--log-level", "critical", "djangosite:application",
			},
		})
	})
}

func startPHP(t testing.TB) string {
	t.Helper()
	nginx, dir := program(t, "nginx", "nginx"), directory(t)
	found, err := filepath.Glob("/usr/sbin/php-fpm[0-9]*")
	if err != nil || len(found) == 0 {
		t.Skip("php-fpm is missing: apt-get install php-fpm")
	}
	configured(t, dir, "index.php")
	pool := start(t, command{path: found[len(found)-1], args: []string{"-F", "-n", "-y", configured(t, dir, "php-fpm.conf", "dir", dir)}})
	if !pool.accepts(t, "unix", dir+"/php.sock") {
		t.Fatalf("php-fpm exited:\n%s", pool.text())
	}
	return serve(t, func(addr string) *process {
		conf := configured(t, dir, "php.conf", "dir", dir, "addr", addr, "site", dir)
		return start(t, command{path: nginx, args: []string{"-p", dir, "-e", "stderr", "-c", conf}})
	})
}

func startTomcat(t testing.TB) string {
	t.Helper()
	java, dir, root := program(t, "java", "default-jre-headless"), directory(t), site(t)
	const home = "/usr/share/tomcat10"
	if _, err := os.Stat(home + "/bin/bootstrap.jar"); err != nil {
		t.Skip("Tomcat is missing: apt-get install tomcat10")
	}
	text, err := os.ReadFile("testdata/web.xml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "conf/web.xml", string(text))
	write(t, dir, "temp/none", "")
	return serve(t, func(addr string) *process {
		host, port, _ := net.SplitHostPort(addr)
		text, err := os.ReadFile(configured(t, dir, "server.xml", "host", host, "port", port, "site", root))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "conf/server.xml", string(text))
		return start(t, command{path: java, args: []string{
			"-Xmx192m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.apache.catalina.connector.CoyoteAdapter.ALLOW_BACKSLASH=true",
			"-Dcatalina.home=" + home, "-Dcatalina.base=" + dir, "-Djava.io.tmpdir=" + dir + "/temp",
			"-cp", home + "/bin/bootstrap.jar:" + home + "/bin/tomcat-juli.jar", "org.apache.catalina.startup.Bootstrap", "start",
		}})
	})
}

func startMirrors(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(newMirrors())
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// startNode runs a script of testdata/express, with the packages that its lock file names.
func startNode(t testing.TB, script string) string {
	t.Helper()
	node := program(t, "node", "nodejs")
	program(t, "npm", "npm")
	dir := testkit.NodeModules(t, os.DirFS(filepath.Join("testdata", "express")))
	text, err := os.ReadFile(filepath.Join("testdata", "express", script))
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, directory(t), script, string(text))
	return serve(t, func(addr string) *process {
		// The cache may be private to the user, so the user stays.
		return start(t, command{path: node, args: []string{path, addr}, env: []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}, asIs: true})
	})
}
