// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelauth/otelauth-go/otelauth/client"
	"github.com/otelauth/otelauth-go/otelauth/credential"
)

func TestConfigProblems(t *testing.T) {
	t.Parallel()
	secret := credential.NewSecret(password)
	dir := t.TempDir()
	file := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	prefixes := func(s ...string) (p []netip.Prefix) {
		for _, s := range s {
			p = append(p, netip.MustParsePrefix(s))
		}
		return p
	}
	opaque := roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil })
	good := func(origins ...string) client.Config {
		return client.Config{Origins: origins, Name: name, Password: secret}
	}
	with := func(cfg client.Config, f func(*client.Config)) client.Config { f(&cfg); return cfg }
	const https = "https://orders.example"
	for what, tt := range map[string]struct {
		cfg  client.Config
		want []string // a part of each line, in order; nil for no error
	}{
		"good": {cfg: good(https, "http://localhost:8080", "http://127.0.0.2", "http://[::1]:1", "http://[::ffff:127.0.0.1]")},
		"zero": {client.Config{}, []string{"Config.Origins: is empty", "Config: 0 of Name"}},
		"every problem at once": {
			client.Config{
				Origins: []string{https, "ftp://orders.example", "http://orders.example", "https://a:" + password + "@orders.example"},
				Name:    "a:b", Password: secret,
				DangerouslyAllowPlaintextFrom: []netip.Prefix{{}},
				Base:                          otelhttp.NewTransport(nil),
			},
			[]string{
				"Config.Base: is instrumented already", "Config.DangerouslyAllowPlaintextFrom[0]: is not a network",
				`Config.Origins[1]: is invalid`, "Config.Origins[2]: is plaintext", "Config.Origins[3]: has user information",
				"Config.Name, Config.Password: credential: the user name has a colon",
			},
		},
		"no scheme":          {good("orders.example"), []string{"Config.Origins[0]: has no host"}},
		"no host":            {good("https://"), []string{"Config.Origins[0]: has no host"}},
		"port only":          {good("https://:443"), []string{"Config.Origins[0]: is invalid"}},
		"a path":             {good(https + "/v1"), []string{"Config.Origins[0]: has a path, query or fragment"}},
		"a query":            {good(https + "?a"), []string{"Config.Origins[0]: has a path, query or fragment"}},
		"a bare query":       {good(https + "?"), []string{"Config.Origins[0]: has a path, query or fragment"}},
		"port 0":             {good(https + ":0"), []string{"Config.Origins[0]: is invalid"}},
		"port 65536":         {good(https + ":65536"), []string{"Config.Origins[0]: is invalid"}},
		"not ASCII":          {good("https://b\u00fccher.example"), []string{"Config.Origins[0]: is invalid"}},
		"not a URL, secret":  {good("https://a:" + password + "@orders.example:x"), []string{"Config.Origins[0]: is not a URL"}},
		"plaintext address":  {good("http://10.0.0.1"), []string{"Config.Origins[0]: is plaintext to an address"}},
		"looks like a name":  {good("http://127.0.0.1.example"), []string{"Config.Origins[0]: is plaintext to a host"}},
		"looks like local":   {good("http://localhost.example"), []string{"Config.Origins[0]: is plaintext to a host"}},
		"octal":              {good("http://0177.0.0.1"), []string{"Config.Origins[0]: is plaintext to a host"}},
		"another network":    {with(good("http://10.1.0.1"), func(c *client.Config) { c.DangerouslyAllowPlaintextFrom = prefixes("10.0.0.0/16") }), []string{"Config.Origins[0]: is plaintext to an address"}},
		"named network":      {cfg: with(good("http://10.0.0.1", "http://[::ffff:10.0.0.2]", "http://orders.internal"), func(c *client.Config) { c.DangerouslyAllowPlaintextFrom = prefixes("10.0.0.0/16") })},
		"name, opaque Base":  {with(good("http://10.0.0.1", "http://orders.internal"), func(c *client.Config) { c.Base, c.DangerouslyAllowPlaintextFrom = opaque, prefixes("10.0.0.0/16") }), []string{"Config.Origins[1]: is plaintext to a host name, and Base"}},
		"mapped network":     {with(good(https), func(c *client.Config) { c.DangerouslyAllowPlaintextFrom = prefixes("::ffff:10.0.0.0/104") }), []string{"DangerouslyAllowPlaintextFrom[0]"}},
		"two ways":           {with(good(https), func(c *client.Config) { c.File = "/nowhere" }), []string{"Config: 2 of Name"}},
		"password only":      {cfg: client.Config{Origins: []string{https}, Password: secret}},
		"all four":           {with(good(https), func(c *client.Config) { c.File, c.Directory, c.Source = "/nowhere", "/nowhere", noSource }), []string{"Config: 4 of Name"}},
		"no file":            {client.Config{Origins: []string{https}, File: dir + "/gone"}, []string{"Config.File: otelauth/client: open " + dir + "/gone"}},
		"empty file":         {client.Config{Origins: []string{https}, File: file("empty", "\n")}, []string{"empty: is empty"}},
		"two lines":          {client.Config{Origins: []string{https}, File: file("two", "alice:"+password+"\nbob:"+password)}, []string{"two: has more than one line"}},
		"long file":          {client.Config{Origins: []string{https}, File: file("long", "alice:"+strings.Repeat(password, 1000))}, []string{"long: is longer than 8192 bytes"}},
		"byte order mark":    {client.Config{Origins: []string{https}, File: file("bom", "\ufeffalice:"+password)}, []string{"bom: begins with a byte order mark"}},
		"no colon":           {client.Config{Origins: []string{https}, File: file("colon", password)}, []string{"colon: no colon"}},
		"NUL":                {client.Config{Origins: []string{https}, File: file("nul", "alice:"+password+"\x00")}, []string{"nul: credential: the password has a control character"}},
		"a directory":        {client.Config{Origins: []string{https}, File: dir}, []string{"Config.File: otelauth/client: read " + dir}},
		"directory is empty": {client.Config{Origins: []string{https}, Directory: dir}, []string{"Config.Directory: otelauth/client: open " + dir + "/username"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			_, err := client.New(tt.cfg)
			if len(tt.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("%d problems, want %d:\n%v", len(lines), len(tt.want), err)
			}
			for i, line := range lines {
				if !strings.HasPrefix(line, "otelauth/client: Config") || !strings.Contains(line, tt.want[i]) {
					t.Errorf("line %d is %q, want %q in it", i, line, tt.want[i])
				}
			}
			noSecret(t, "error", err.Error())
		})
	}
}

func noSource(context.Context) (string, credential.Secret, error) {
	return "", credential.Secret{}, nil
}

func TestDefaultTransportIsCopied(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, nil)
	own := newTransport(t, client.Config{Origins: []string{"https://orders.example"}})
	get(t, own, s.URL)
	if own.Shares(http.DefaultTransport) {
		t.Error("Base is http.DefaultTransport itself: CloseIdleConnections would close those of the whole program")
	}
}
