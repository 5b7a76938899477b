// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// kind says who may see a part of the site. Every answer of every upstream carries
// "marker=<kind>".
type kind string

const (
	public     kind = "public"     // for all callers
	protected  kind = "protected"  // for every account
	restricted kind = "restricted" // for the group ops
)

// rules describe the site to the gateway.
func rules() []gateway.Rule {
	return []gateway.Rule{
		{Pattern: "GET /healthz", Access: gateway.Public},
		{Pattern: "/static/", Access: gateway.Public},
		{Pattern: "/u/{id}", Access: gateway.Public},
		{Pattern: "/u/me", Groups: []string{"ops"}},
		{Pattern: "/admin/", Groups: []string{"ops"}},
		{Pattern: "/access/", Groups: []string{"ops"}},
		{Pattern: "/files/private/", Groups: []string{"ops"}},
	}
}

// files are the site as a file tree, for servers of files. A path that no file has is protected.
var files = map[string]kind{
	"healthz": public, "static/a.css": public, "static/index.html": public, "static/x/y.js": public, "u/7": public, "u/bob": public,
	"u/me": restricted, "admin/index.html": restricted, "admin/x": restricted, "admin/secret.txt": restricted, "access/x": restricted,
	"files/private/index.html": restricted, "files/private/secret.txt": restricted,
	"index.html": protected, "orders": protected, "files/index.html": protected, "files/a": protected, "files/x/y": protected,
	"fallback.txt": protected, "x.php": protected,
}

// tree writes the site into dir.
func tree(t testing.TB, dir string) {
	t.Helper()
	for name, k := range files {
		write(t, dir, name, "marker="+string(k)+" "+name+"\n")
	}
}

// kindOf is the site as a function of a path whose spelling the caller has undone.
func kindOf(path string) kind {
	trimmed := strings.TrimSuffix(path, "/")
	segments := strings.Split(trimmed, "/")
	if len(segments) < 2 || segments[0] != "" {
		return protected
	}
	switch first := segments[1]; {
	case first == "admin", first == "access", trimmed == "/u/me", strings.HasPrefix(trimmed+"/", "/files/private/"):
		return restricted
	case trimmed == "/healthz", first == "static" && path != "/static", first == "u" && len(segments) == 3:
		return public
	}
	return protected
}

// mark returns a handler that answers with a marker.
func mark(k kind, route string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Marker", string(k))
		_, _ = w.Write([]byte("marker=" + string(k) + " " + route + "\n"))
	}
}

// account is who sends a request. The zero account is anonymous.
type account struct{ name, password string }

var (
	anonymous = account{}
	alice     = account{"alice", "wonderland"} // has no group
	root      = account{"root", "toor"}        // is in ops
)

func (a account) String() string {
	if a.name == "" {
		return "anonymous"
	}
	return a.name
}

// accounts returns the store of both accounts.
var accounts = sync.OnceValue(func() verify.Accounts {
	hashes := make(map[string]string)
	for _, a := range []account{alice, root} {
		hash, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte(a.password), nil)
		if err != nil {
			panic(err)
		}
		hashes[a.name] = hash
	}
	return &verify.Static{Hashes: hashes, Groups: map[string][]string{"ops": {root.name}}}
})
