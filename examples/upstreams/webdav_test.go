// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

// davRules make two folders writable for every account, except for one part.
func davRules() []gateway.Rule {
	return []gateway.Rule{{Pattern: "/files/private/", Groups: []string{"ops"}}, {Pattern: "/admin/", Groups: []string{"ops"}}, {Pattern: "/u/me", Groups: []string{"ops"}}}
}

// folder is a file tree that a WebDAV server shows.
type folder struct {
	dir  string
	want map[string]string
}

func newFolder(t testing.TB) *folder {
	t.Helper()
	f := &folder{dir: directory(t)}
	f.reset(t)
	f.want = f.list(t)
	return f
}

func (f *folder) reset(t testing.TB) {
	t.Helper()
	old, err := filepath.Glob(f.dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range old {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	tree(t, f.dir)
	write(t, f.dir, "copy/empty/note", "marker=protected note\n")
}

// list returns the text of each file.
func (f *folder) list(t testing.TB) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, f.dir+"/")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// harm returns what an account outside of ops has done to the restricted part, and puts it right.
func (f *folder) harm(t testing.TB) string {
	t.Helper()
	now := f.list(t)
	if maps.Equal(now, f.want) {
		return ""
	}
	f.reset(t)
	for path, text := range now {
		isRestricted := strings.HasPrefix(path, "admin/") || strings.HasPrefix(path, "files/private/") || path == "u/me"
		switch {
		case strings.HasPrefix(text, "marker=restricted") && !isRestricted && !strings.HasPrefix(path, "access/"):
			return "restricted content is at " + path
		case isRestricted && f.want[path] != text:
			return path + " is written"
		}
	}
	for path, text := range f.want {
		if strings.HasPrefix(text, "marker=restricted") && now[path] != text && !strings.HasPrefix(path, "access/") {
			return path + " is gone"
		}
	}
	return ""
}

var davServers = map[string]func(t testing.TB, dir string, dav bool) string{"nginx": startNginx, "apache": startApache}

// COPY, MOVE and DELETE of a folder need what every rule beneath it asks for, at both ends.
func TestWebDAVOfFolderNeedsRulesBeneath(t *testing.T) {
	t.Parallel()
	for name, begin := range davServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newFolder(t)
			c := &client{front: behindGateway(t, begin(t, dir.dir, true), gateway.Config{Rules: davRules()})}
			defer c.close()
			do := func(who account, method, target, destination string) int {
				t.Helper()
				got, err := c.do(dav(method, target, destination), who)
				if err != nil {
					t.Fatal(err)
				}
				return got.status
			}
			for _, tt := range []struct{ method, target, destination string }{
				{"COPY", "/files/", "/copy/all/"},
				{"COPY", "/files", "/copy/all"},
				{"COPY", "/files/?x", "/copy/all/"},
				{"COPY", "/%66iles/", "/copy/all/"},
				{"MOVE", "/files/", "/copy/all/"},
				{"MOVE", "/files/private/", "/copy/all/"},
				{"DELETE", "/files/", ""},
				{"DELETE", "/files", ""},
				{"COPY", "/copy/empty/", "/files/"},
				{"MOVE", "/copy/empty/", "/files/"},
				{"COPY", "/copy/empty/", "/"},
				{"COPY", "/copy/empty/", "/files/private/"},
				{"COPY", "/", "/copy/all/"},
				{"DELETE", "/", ""},
			} {
				if status := do(alice, tt.method, tt.target, tt.destination); status != 403 && status != 400 {
					t.Errorf("alice: %s %s to %q: %d, want 403", tt.method, tt.target, tt.destination, status)
				}
				if harm := dir.harm(t); harm != "" {
					t.Errorf("alice: %s %s to %q: %s", tt.method, tt.target, tt.destination, harm)
				}
			}
			// What has nothing restricted beneath it is still allowed, and the group may do all
			// of it.
			for _, tt := range []struct {
				who                         account
				method, target, destination string
			}{
				{alice, "COPY", "/files/a", "/copy/a"},
				{alice, "COPY", "/copy/empty/", "/copy/other/"},
				{alice, "DELETE", "/files/a", ""},
				{root, "COPY", "/files/", "/copy/all/"},
				{root, "DELETE", "/files/private/", ""},
			} {
				if status := do(tt.who, tt.method, tt.target, tt.destination); status/100 != 2 {
					t.Errorf("%s: %s %s to %q: %d, want 2xx", tt.who, tt.method, tt.target, tt.destination, status)
				}
				dir.reset(t)
			}
		})
	}
}

func dav(method, target, destination string) input {
	in := input{method: method, target: target, host: "h"}
	if destination != "" {
		in.header = []string{"Destination: http://h" + destination, "Overwrite: T", "Depth: infinity"}
	}
	return in
}

// No spelling of source and destination harms what is restricted.
func TestPathsOfWebDAV(t *testing.T) {
	t.Parallel()
	for name, begin := range davServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newFolder(t)
			upstream := begin(t, dir.dir, true)
			c := &client{front: behindGateway(t, upstream, gateway.Config{Rules: davRules()})}
			defer c.close()
			raw := &client{front: behindGateway(t, upstream, gateway.Config{Rules: davRules(), AllowRawPaths: []string{"/"}})}
			defer raw.close()
			var l ledger
			began := time.Now()
			for n := range uint64(max(100, *perServer/25)) {
				in := generateDAV(*seed, n)
				for _, c := range []*client{c, raw} {
					got, err := c.do(in, alice)
					if err != nil {
						t.Fatal(err)
					}
					if got.status/100 == 2 {
						l.passed++
					}
					if harm := dir.harm(t); harm != "" {
						l.add(defect{c.name + ", " + harm, alice, restricted, in}, func(input) bool { return false })
					}
				}
				l.inputs++
			}
			l.row("WebDAV on "+name, time.Since(began))
			l.report(t)
		})
	}
}

// generateDAV returns a request that touches two places.
func generateDAV(seed, number uint64) input {
	g := generator{rand.New(rand.NewPCG(seed, number))}
	place := func(list ...string) string {
		path := g.one(list)
		for range min(g.IntN(3), g.IntN(3)) {
			path = g.mutate(path)
		}
		return "/" + strings.TrimPrefix(path, "/")
	}
	source := place("/files/", "/files", "/files/x/", "/files/a", "/files/private/", "/files/private/secret.txt", "/copy/empty/", "/", "/admin/", "/u/me")
	destination := place("/copy/", "/copy/all/", "/copy/all", "/files/", "/files/private/", "/files/a", "/admin/", "/u/me", "/", "/static/")
	if len(source) > 1 && strings.HasPrefix(destination, source[:2]) {
		destination = "/static/all/" // nginx copies a folder into itself until the name is too long
	}
	return dav(g.one([]string{"COPY", "COPY", "MOVE", "MOVE", "DELETE", "PUT", "MKCOL"}), source, destination)
}
