// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

// proxy is one of the proxies in front of the upstream.
type proxy struct {
	name string
	// description for the report
	words string
	needs string // a required program; "" needs none
	// verifies reports whether a request without credentials is refused.
	verifies bool
	// hashes reports whether each request costs a password hash. Then a run of seconds is enough.
	hashes  bool
	signals bool // exports to the sink
	start   func(ctx context.Context, l *lab, dir, address, users string) ([]*process, error)
}

// Names that bounds refer to.
const (
	direct       = "upstream alone"
	bareName     = "bare net/http proxy"
	caddyNone    = "Caddy, no auth"
	caddyBasic   = "Caddy basicauth"
	nginxBasic   = "nginx auth_basic"
	gatewayOff   = "otelauth gateway, telemetry off"
	gatewayOn    = "otelauth gateway, all signals"
	gatewayLines = "otelauth gateway, no SDK, event lines"
	nginxForward = "nginx auth_request + otelauth"
	caddyForward = "Caddy forward_auth + otelauth"
)

func proxies() []proxy {
	return []proxy{
		{name: bareName, words: "`httputil.ReverseProxy` in `net/http`, nothing else", start: startBare},
		{name: "`proxy_pass` with kept connections", words: "`proxy_pass` with kept connections", needs: "nginx", start: nginx("")},
		{name: nginxBasic, words: "the same with `auth_basic`: it hashes on every request", needs: "nginx", verifies: true, hashes: true, start: nginx("auth_basic restricted; auth_basic_user_file %s;")},
		{name: caddyNone, words: "`reverse_proxy`", needs: "caddy", start: caddy("")},
		{name: caddyBasic, words: "the same with `basicauth`, its hash cache on", needs: "caddy", verifies: true, start: caddy("users")},
		{name: gatewayOff, words: "`OTEL_SDK_DISABLED=true`, `--successes first`: one event line a minute for each account and network", verifies: true, start: gateway("OTEL_SDK_DISABLED=true", "--successes=first")},
		{name: gatewayLines, words: "`OTEL_SDK_DISABLED=true`: an event of every request as a JSON line, written to a file", verifies: true, start: gateway("OTEL_SDK_DISABLED=true")},
		{name: gatewayOn, words: "three spans, all metrics and an event of every request, by OTLP to a process of its own", verifies: true, signals: true, start: gateway("")},
		{name: nginxForward, words: "`proxy_pass` with `auth_request` to `otelauth gateway --forward-auth nginx`, telemetry off; both processes", needs: "nginx", verifies: true, start: forwardNginx},
		{name: caddyForward, words: "`forward_auth`, the way of Traefik's ForwardAuth, to `otelauth gateway --forward-auth caddy`, telemetry off; both processes", needs: "caddy", verifies: true, start: forwardCaddy},
	}
}

// missing returns why p cannot run here, or "".
func (p *proxy) missing(ctx context.Context, l *lab) string {
	if p.needs != "" {
		if _, err := exec.LookPath(p.needs); err != nil {
			return "apt-get install " + p.needs
		}
	}
	if p.name == nginxForward || p.name == caddyForward {
		out, err := exec.CommandContext(ctx, l.plan.binary, "gateway", "--help").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--forward-auth") {
			return "this otelauth has no --forward-auth"
		}
	}
	return ""
}

func one(p *process, err error) ([]*process, error) {
	if err != nil {
		return nil, err
	}
	return []*process{p}, nil
}

func startBare(ctx context.Context, l *lab, dir, address, _ string) ([]*process, error) {
	// A copy, so that it shares no memory pages with the other processes of this program.
	own, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	program, err := os.ReadFile(own)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	bare := filepath.Join(dir, "bare")
	//nolint:gosec // G306: the file is a program
	if err := os.WriteFile(bare, program, 0o700); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return one(start(ctx, filepath.Join(dir, "log"), []string{childVariable + "=1"}, bare, "bare", address, l.upstreamURL()))
}

// connectionsOfNginx leaves room for the connections to the upstream.
const connectionsOfNginx = 16384

func nginx(auth string) func(context.Context, *lab, string, string, string) ([]*process, error) {
	return func(ctx context.Context, l *lab, dir, address, users string) ([]*process, error) {
		directives := auth
		if auth != "" {
			directives = fmt.Sprintf(auth, users)
		}
		return one(startNginx(ctx, l, dir, address, directives, ""))
	}
}

func startNginx(ctx context.Context, l *lab, dir, address, location, more string) (*process, error) {
	conf := fmt.Sprintf(`daemon off;
pid %[1]s/nginx.pid;
error_log stderr error;
worker_processes auto;
worker_rlimit_nofile %[2]d;
events { worker_connections %[2]d; }
http {
  access_log off;
  keepalive_timeout 600s;
  keepalive_requests 100000000;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  upstream service { server %[3]s; keepalive 256; keepalive_requests 100000000; }
  server {
    listen %[4]s;
    location / {
      %[5]s
      proxy_pass http://service;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
    }
    %[6]s
  }
}
`, dir, connectionsOfNginx, l.upstreamAddress, address, location, more)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	// nginx resolves all paths that the file does not name against the prefix.
	return start(ctx, filepath.Join(dir, "log"), nil, "nginx", "-p", dir, "-e", "stderr", "-c", file)
}

func caddy(auth string) func(context.Context, *lab, string, string, string) ([]*process, error) {
	return func(ctx context.Context, l *lab, dir, address, users string) ([]*process, error) {
		directives := ""
		if auth != "" {
			accounts, err := readAccounts(users)
			if err != nil {
				return nil, err
			}
			var b strings.Builder
			b.WriteString("basicauth bcrypt restricted {\n")
			for _, a := range accounts {
				fmt.Fprintf(&b, "    %s %s\n", a.name, base64.StdEncoding.EncodeToString([]byte(a.hash)))
			}
			b.WriteString("  }")
			directives = b.String()
		}
		return one(startCaddy(ctx, l, dir, address, directives))
	}
}

func startCaddy(ctx context.Context, l *lab, dir, address, directives string) (*process, error) {
	conf := fmt.Sprintf(`{
  admin off
  auto_https off
}
http://%s {
  bind 127.0.0.1
  %s
  reverse_proxy %s {
    transport http {
      keepalive_idle_conns_per_host 1024
    }
  }
}
`, address, directives, l.upstreamAddress)
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	env := []string{"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir}
	return start(ctx, filepath.Join(dir, "log"), env, "caddy", "run", "--adapter", "caddyfile", "--config", file)
}

// environment is that of every otelauth process, plus what a row adds, or the address of the sink.
// Everything else is the SDK's default.
func (l *lab) environment(more string) []string {
	if more != "" {
		return []string{more}
	}
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + l.sinkAddress, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}
}

func gateway(env string, flags ...string) func(context.Context, *lab, string, string, string) ([]*process, error) {
	return func(ctx context.Context, l *lab, dir, address, users string) ([]*process, error) {
		args := append([]string{"gateway", "--upstream", l.upstreamURL(), "--users", users, "--listen", address, "--idle-timeout=10m"}, flags...)
		return one(start(ctx, filepath.Join(dir, "log"), l.environment(env), l.plan.binary, args...))
	}
}

// forwardAuth starts the otelauth process that a proxy asks.
func forwardAuth(ctx context.Context, l *lab, dir, users, kind string) (*process, string, error) {
	address, err := testkit.FindAddress(ctx)
	if err != nil {
		return nil, "", err
	}
	p, err := start(ctx, filepath.Join(dir, "log-auth"), l.environment("OTEL_SDK_DISABLED=true"), l.plan.binary,
		"gateway", "--forward-auth", kind, "--users", users, "--listen", address, "--trusted-proxy=127.0.0.1", "--dangerously-allow-plaintext", "--successes=first")
	if err != nil {
		return nil, "", err
	}
	if err := answers(ctx, address, ""); err != nil {
		p.stop()
		return nil, "", err
	}
	return p, address, nil
}

func forwardNginx(ctx context.Context, l *lab, dir, address, users string) ([]*process, error) {
	auth, authAddress, err := forwardAuth(ctx, l, dir, users, "nginx")
	if err != nil {
		return nil, err
	}
	front, err := startNginx(ctx, l, dir, address, "auth_request /-/auth;", fmt.Sprintf(`location = /-/auth {
      internal;
      proxy_pass http://auth;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Original-Method $request_method;
      proxy_set_header X-Original-URI $request_uri;
      proxy_set_header X-Original-Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto https;
    }
  }
  upstream auth { server %s; keepalive 256; keepalive_requests 100000000; }
  server {
    listen unix:%s/unused;
    return 404;`, authAddress, dir))
	if err != nil {
		auth.stop()
		return nil, err
	}
	return []*process{front, auth}, nil
}

func forwardCaddy(ctx context.Context, l *lab, dir, address, users string) ([]*process, error) {
	auth, authAddress, err := forwardAuth(ctx, l, dir, users, "caddy")
	if err != nil {
		return nil, err
	}
	front, err := startCaddy(ctx, l, dir, address, fmt.Sprintf("forward_auth %s {\n    uri /\n    copy_headers Remote-User X-Forwarded-User X-Request-Id\n  }", authAddress))
	if err != nil {
		auth.stop()
		return nil, err
	}
	return []*process{front, auth}, nil
}
