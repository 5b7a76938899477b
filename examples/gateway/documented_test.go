// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// Traefik and Envoy do not run here. otelauth/gateway tests their documented behaviour at the
// level of HTTP (TestForwardAuth and the tests after it). These tests check that the files match
// those assumptions.

// TestStripLists checks which headers they strip.

func TestTraefik(t *testing.T) {
	t.Parallel()
	type middleware struct {
		Chain struct {
			Middlewares []string `yaml:"middlewares"`
		} `yaml:"chain"`
		Headers struct {
			CustomRequestHeaders map[string]*string `yaml:"customRequestHeaders"`
		} `yaml:"headers"`
		ForwardAuth struct {
			Address                  string   `yaml:"address"`
			TrustForwardHeader       *bool    `yaml:"trustForwardHeader"`
			AuthResponseHeaders      []string `yaml:"authResponseHeaders"`
			AuthResponseHeadersRegex string   `yaml:"authResponseHeadersRegex"`
		} `yaml:"forwardAuth"`
	}
	var file struct {
		HTTP struct {
			Routers map[string]struct {
				Rule        string         `yaml:"rule"`
				EntryPoints []string       `yaml:"entryPoints"`
				Middlewares []string       `yaml:"middlewares"`
				Service     string         `yaml:"service"`
				TLS         map[string]any `yaml:"tls"`
			} `yaml:"routers"`
			Middlewares map[string]middleware `yaml:"middlewares"`
			Services    map[string]any        `yaml:"services"`
		} `yaml:"http"`
	}
	d := yaml.NewDecoder(bytes.NewReader([]byte(shipped(t, "traefik.yaml"))))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	all := file.HTTP.Middlewares
	for name, r := range file.HTTP.Routers {
		if !slices.Equal(r.Middlewares, []string{"otelauth"}) || r.TLS == nil || file.HTTP.Services[r.Service] == nil {
			t.Errorf("router %s: %+v", name, r)
		}
	}
	if got := all["otelauth"].Chain.Middlewares; !slices.Equal(got, []string{"otelauth-strip", "otelauth-ask", "otelauth-drop"}) {
		t.Errorf("the chain is %q", got)
	}
	ask := all["otelauth-ask"].ForwardAuth
	if ask.TrustForwardHeader == nil || *ask.TrustForwardHeader ||
		!slices.Equal(ask.AuthResponseHeaders, []string{"Remote-User", "X-Forwarded-User", "X-Request-Id", "Traceparent", "Tracestate"}) {
		t.Errorf("forwardAuth: %+v", ask)
	}
	odd := regexp.MustCompile(ask.AuthResponseHeadersRegex)
	for name, stripped := range map[string]bool{
		"Remote_User": true, "X_forwarded-User": true, "Remote.User": true, "Remote-Anything": true, "X-Consumer-Anything": true, "Sm-Anything": true,
		"X-Forwarded-For": false, "X-Forwarded-Host": false, "X-Forwarded-Proto": false, "X-Real-Ip": false, "Accept": false, "Cookie": false, "X-Api-Key": false,
	} {
		if odd.MatchString(name) != stripped {
			t.Errorf("authResponseHeadersRegex matches %s: %v", name, !stripped)
		}
	}
	// An empty value removes a header; anything else would set it.
	removes := func(name string) (names []string) {
		for header, value := range all[name].Headers.CustomRequestHeaders {
			if value == nil || *value != "" {
				t.Errorf("%s sets %s", name, header)
			}
			names = append(names, strings.ToLower(header))
		}
		return names
	}
	strip := removes("otelauth-strip")
	if len(strip) < 200 || slices.Contains(strip, "authorization") {
		t.Error("the gateway is asked without credentials")
	}
	if got := removes("otelauth-drop"); !slices.Equal(got, []string{"authorization"}) {
		t.Errorf("dropped: %q", got)
	}
}

func TestEnvoy(t *testing.T) {
	t.Parallel()
	type names []struct {
		Exact string `yaml:"exact"`
	}
	type patterns struct {
		Patterns names `yaml:"patterns"`
	}
	var file struct {
		StaticResources struct {
			Listeners []struct {
				FilterChains []struct {
					Filters []struct {
						TypedConfig struct {
							UseRemoteAddress  bool   `yaml:"use_remote_address"`
							NormalizePath     bool   `yaml:"normalize_path"`
							Escaped           string `yaml:"path_with_escaped_slashes_action"`
							CommonHTTPOptions struct {
								Underscores string `yaml:"headers_with_underscores_action"`
							} `yaml:"common_http_protocol_options"`
							HTTPFilters []struct {
								Name        string `yaml:"name"`
								TypedConfig struct {
									Type      string `yaml:"@type"`
									Mutations struct {
										Request []struct {
											Remove string `yaml:"remove"`
										} `yaml:"request_mutations"`
									} `yaml:"mutations"`
									FailureModeAllow *bool    `yaml:"failure_mode_allow"`
									AllowedHeaders   patterns `yaml:"allowed_headers"`
									HTTPService      struct {
										PathPrefix string `yaml:"path_prefix"`
										Response   struct {
											Upstream patterns `yaml:"allowed_upstream_headers"`
											Client   patterns `yaml:"allowed_client_headers"`
										} `yaml:"authorization_response"`
									} `yaml:"http_service"`
								} `yaml:"typed_config"`
							} `yaml:"http_filters"`
						} `yaml:"typed_config"`
					} `yaml:"filters"`
				} `yaml:"filter_chains"`
			} `yaml:"listeners"`
		} `yaml:"static_resources"`
	}
	if err := yaml.Unmarshal([]byte(shipped(t, "envoy.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	manager := file.StaticResources.Listeners[0].FilterChains[0].Filters[0].TypedConfig
	if !manager.UseRemoteAddress || !manager.NormalizePath || manager.Escaped != "REJECT_REQUEST" || manager.CommonHTTPOptions.Underscores != "REJECT_REQUEST" {
		t.Errorf("the connection manager: %+v", manager)
	}
	filters := manager.HTTPFilters
	var order []string
	for _, f := range filters {
		order = append(order, f.Name)
	}
	if !slices.Equal(order, []string{"otelauth-strip", "otelauth-ask", "otelauth-drop", "envoy.filters.http.router"}) {
		t.Fatalf("the filters are %q", order)
	}
	removes := func(i int) (all []string) {
		for _, m := range filters[i].TypedConfig.Mutations.Request {
			all = append(all, m.Remove)
		}
		return all
	}
	strip := removes(0)
	if len(strip) < 200 || slices.Contains(strip, "authorization") {
		t.Error("the gateway is asked without credentials, or with identity headers of the client")
	}
	if got := removes(2); !slices.Equal(got, []string{"authorization"}) {
		t.Errorf("dropped: %q", got)
	}
	ask := filters[1].TypedConfig
	if ask.FailureModeAllow == nil || *ask.FailureModeAllow || ask.HTTPService.PathPrefix != "/otelauth" {
		t.Errorf("ext_authz: %+v", ask)
	}
	exact := func(p patterns) (all []string) {
		for _, n := range p.Patterns {
			all = append(all, n.Exact)
		}
		return all
	}
	for what, set := range map[string]struct{ got, want []string }{
		"asked with":            {exact(ask.AllowedHeaders), []string{"authorization", "x-forwarded-for", "x-forwarded-proto", "origin", "sec-fetch-site", "sec-websocket-key", "traceparent"}},
		"to the application":    {exact(ask.HTTPService.Response.Upstream), []string{"remote-user", "x-forwarded-user", "x-request-id", "traceparent", "tracestate"}},
		"to the client, denied": {exact(ask.HTTPService.Response.Client), []string{"www-authenticate", "retry-after", "content-type"}},
	} {
		for _, name := range set.want {
			if !slices.Contains(set.got, name) {
				t.Errorf("%s: %s is missing", what, name)
			}
		}
	}
}
