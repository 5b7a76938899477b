// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

// listen serves a gateway on loopback until the test ends.
func listen(t testing.TB, gw *gateway.Gateway) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = gw.Serve(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return l.Addr().String()
}

// behindGateway puts a gateway in front of an upstream.
func behindGateway(t testing.TB, upstream string, cfg gateway.Config) front {
	t.Helper()
	cfg.Upstream, cfg.DrainTimeout = "http://"+upstream, time.Second
	name := "gateway"
	if len(cfg.AllowRawPaths) > 0 {
		name += " --allow-raw-path " + strings.Join(cfg.AllowRawPaths, ",")
	}
	return front{name: name, addr: listen(t, newGateway(t, cfg)), host: "h"}
}

// proxies are the configurations of examples/gateway, with other addresses and certificates. Each
// asks a gateway whether a request may pass to the upstream.
var proxies = map[string]func(t testing.TB, upstream string, cfg gateway.Config) front{
	"nginx": behindNginx, "caddy": behindCaddy,
}

func behindNginx(t testing.TB, upstream string, cfg gateway.Config) front {
	t.Helper()
	bin, dir := program(t, "nginx", "nginx"), directory(t)
	cert, key, client := certificate(t, dir)
	cfg.ForwardAuth, cfg.DrainTimeout = gateway.Nginx, time.Second
	asked := listen(t, newGateway(t, cfg))
	addr := serve(t, func(addr string) *process {
		temporary := ""
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			temporary += "    " + kind + "_temp_path " + dir + "/" + kind + ";\n"
		}
		conf := shipped(t, "nginx.conf",
			"pid /run/nginx.pid;", "pid "+dir+"/nginx.pid; daemon off;", "worker_processes auto;", "worker_processes 1;",
			"http {\n", "http {\n    keepalive_requests 1000000;\n"+temporary, "error_log stderr warn;", "error_log stderr crit;",
			"listen 443 ssl http2;", "listen "+addr+" ssl http2;",
			"/etc/nginx/shop.example.pem", cert, "/etc/nginx/shop.example.key", key,
			"server 127.0.0.1:9180;", "server "+asked+";", "server 127.0.0.1:8000;", "server "+upstream+";",
		)
		return start(t, command{path: bin, args: []string{"-p", dir, "-e", "stderr", "-c", write(t, dir, "nginx.conf", conf)}})
	})
	return front{name: "nginx.conf", addr: addr, host: "shop.example", tls: client}
}

func behindCaddy(t testing.TB, upstream string, cfg gateway.Config) front {
	t.Helper()
	bin, dir := program(t, "caddy", "caddy"), directory(t)
	cert, key, client := certificate(t, dir)
	cfg.ForwardAuth, cfg.DrainTimeout = gateway.Caddy, time.Second
	asked := listen(t, newGateway(t, cfg))
	addr := serve(t, func(addr string) *process {
		_, port, _ := net.SplitHostPort(addr)
		conf := shipped(t, "Caddyfile",
			"\tadmin off\n", "\tadmin off\n\thttps_port "+port+"\n\tdefault_bind 127.0.0.1\n\tauto_https disable_redirects\n\tlog {\n\t\tlevel ERROR\n\t}\n",
			"shop.example {\n", "shop.example {\n\ttls "+cert+" "+key+"\n",
			"forward_auth 127.0.0.1:9180", "forward_auth "+asked, "reverse_proxy 127.0.0.1:8000", "reverse_proxy "+upstream,
		)
		return start(t, command{
			path: bin, args: []string{"run", "--adapter", "caddyfile", "--config", write(t, dir, "Caddyfile", conf)},
			env: []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir},
		})
	})
	_, port, _ := net.SplitHostPort(addr)
	return front{name: "Caddyfile", addr: addr, host: "shop.example:" + port, tls: client}
}

// shipped returns a file of examples/gateway with replacements, each of which must apply.
func shipped(t testing.TB, name string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile("../gateway/" + name)
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(changed, replace[i]) {
			t.Fatalf("examples/gateway/%s does not hold %q", name, replace[i])
		}
		changed = strings.ReplaceAll(changed, replace[i], replace[i+1])
	}
	return changed
}

// certificate writes a certificate of shop.example and returns what a client needs to trust it.
func certificate(t testing.TB, dir string) (cert, key string, client *tls.Config) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop.example"}, DNSNames: []string{"shop.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert = write(t, dir, "shop.example.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	key = write(t, dir, "shop.example.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	return cert, key, &tls.Config{RootCAs: roots, ServerName: "shop.example", MinVersion: tls.VersionTLS12}
}
