// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

func holding(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParsePrevious(t *testing.T) {
	t.Parallel()
	a, err := parseAccount([]byte("alice:"+argon2Hash+":previous="+bcryptHash+" expires=2027-01-01T00:00:00Z previous-expires=2026-12-31T01:00:00+01:00"), password.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Password.Scheme() != "argon2id" || !a.Password.Verify([]byte("wonderland")).Previous ||
		!a.PreviousExpires.Equal(time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)) || a.Expires.Year() != 2027 {
		t.Errorf("the scheme is %s and the previous password is right until %v", a.Password.Scheme(), a.PreviousExpires)
	}
	const settings, together = "the text after the hash must be at most one each", "belong together"
	const until = " previous-expires=2026-12-31T00:00:00Z"
	for in, want := range map[string]string{
		"previous=" + bcryptHash: together,
		until[1:]:                together,
		"previous=" + bcryptHash + " previous=" + bcryptNew + until: settings,
		"previous=" + bcryptHash + until + until:                    settings,
		"previous=secret" + until:                                   "previous: password: not a hash of a known scheme",
		"previous=" + until:                                         "previous: password: not a hash of a known scheme",
		"previous={SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=" + until:        "too weak",
		"previous=" + bcryptHash + " previous-expires=tomorrow":     "previous-expires is not an RFC 3339 time",
		"Previous=" + bcryptHash + until:                            settings,
		"disabled=" + until:                                         settings,
	} {
		_, err := parseAccount([]byte("alice:"+argon2Hash+":"+in), password.Policy{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), bcryptHash) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

// TestPreviousReload: a new expiry of a previous password is a change of the account, so a reload
// serves it.
func TestPreviousReload(t *testing.T) {
	t.Parallel()
	path := holding(t, "alice:"+bcryptNew+":previous="+bcryptHash+" previous-expires=2027-01-01T00:00:00Z\n")
	f, err := Open(Config{Path: path, Unwatched: true})
	if err != nil {
		t.Fatal(err)
	}
	before := lookup(t, f, "alice")
	for _, next := range []string{
		"alice:" + bcryptNew + ":previous=" + bcryptHash + " previous-expires=2026-01-01T00:00:00Z\n",
		"alice:" + bcryptNew + "\n",
	} {
		if err := os.WriteFile(path, []byte(next), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := f.Reload(); err != nil {
			t.Fatal(err)
		}
		after := lookup(t, f, "alice")
		if after == before || after.PreviousExpires.Equal(before.PreviousExpires) {
			t.Errorf("%v is still served", before.PreviousExpires)
		}
		before = after
	}
}

// TestEditKeeps: other lines keep every byte, and a changed line keeps the settings that the edit
// does not change.
func TestEditKeeps(t *testing.T) {
	t.Parallel()
	const comments = "\xef\xbb\xbf# staff\r\n\r\n  # indented\t\r\n"
	bob := "bob:" + argon2Hash + ":expires=2027-01-01T00:00:00Z\r\n"
	path := holding(t, comments+"alice:"+bcryptHash+"  \r\n"+bob+"carol:"+cryptHash)
	edit := func(change func(*Content) error) {
		t.Helper()
		if err := Edit(t.Context(), path, change); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		if d := cmp.Diff(want, content(t, path)); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
	}
	edit(func(c *Content) error { return c.Add(Line{Name: "dave", Hash: bcryptHash}) })
	rest := "carol:" + cryptHash + "\r\ndave:" + bcryptHash + "\r\n"
	expect(comments + "alice:" + bcryptHash + "  \r\n" + bob + rest)
	edit(func(c *Content) error {
		l, err := c.Get("alice")
		if err != nil {
			return err
		}
		l.Previous, l.PreviousExpires, l.Hash = l.Hash, time.Date(2026, 12, 31, 1, 0, 0, 5, time.FixedZone("", 3600)), bcryptNew
		return c.Replace(l)
	})
	alice := "alice:" + bcryptNew + ":previous=" + bcryptHash + " previous-expires=2026-12-31T00:00:00Z\r\n"
	expect(comments + alice + bob + rest)
	edit(func(c *Content) error {
		l, err := c.Get("bob")
		if err != nil {
			return err
		}
		l.Disabled = true
		return c.Replace(l)
	})
	bob = "bob:" + argon2Hash + ":disabled expires=2027-01-01T00:00:00Z\r\n"
	expect(comments + alice + bob + rest)
	edit(func(c *Content) error { return c.Remove("carol") })
	expect(comments + alice + bob + "dave:" + bcryptHash + "\r\n")

	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(left) != 2 {
		t.Errorf("%v is beside it, want the lock only", left)
	}
}

func TestEditRefuses(t *testing.T) {
	t.Parallel()
	const text = one + "twin:" + bcryptHash + "\ntwin:" + bcryptNew + "\n"
	path := holding(t, text)
	for name, test := range map[string]struct {
		change func(*Content) error
		want   error
		text   string
	}{
		"add existing name": {func(c *Content) error { return c.Add(Line{Name: "alice", Hash: bcryptNew}) }, ErrExists, path + ":1: "},
		"replace unknown":   {func(c *Content) error { return c.Replace(Line{Name: "dave", Hash: bcryptNew}) }, ErrUnknown, path + ": "},
		"remove unknown":    {func(c *Content) error { return c.Remove("dave") }, ErrUnknown, path + ": "},
		"get unknown":       {func(c *Content) error { _, err := c.Get(""); return err }, ErrUnknown, path + ": "},
		"a twin":            {func(c *Content) error { return c.Remove("twin") }, nil, path + ":3: the same name as line 2"},
		"a name to forge":   {func(c *Content) error { return c.Add(Line{Name: "x\nroot", Hash: bcryptNew}) }, nil, "control character"},
		"a comment's name":  {func(c *Content) error { return c.Add(Line{Name: "#x", Hash: bcryptNew}) }, nil, "begins with #"},
		"a hash to forge":   {func(c *Content) error { return c.Add(Line{Name: "x", Hash: bcryptNew + "\nroot:y"}) }, nil, "a hash contains"},
		"settings in it":    {func(c *Content) error { return c.Add(Line{Name: "x", Hash: bcryptNew + ":disabled"}) }, nil, "a hash contains"},
		"no hash":           {func(c *Content) error { return c.Add(Line{Name: "x"}) }, nil, "the hash is empty"},
		"half a previous":   {func(c *Content) error { return c.Add(Line{Name: "x", Hash: bcryptNew, Previous: bcryptHash}) }, nil, "belong together"},
		"an over-long line": {func(c *Content) error { return c.Add(Line{Name: strings.Repeat("x", maxLineBytes), Hash: bcryptNew}) }, nil, "longer than"},
	} {
		err := Edit(t.Context(), path, test.change)
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) || !strings.HasPrefix(err.Error(), "htpasswd: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if content(t, path) != text {
		t.Error("a refused edit has changed the file")
	}

	last := holding(t, "# staff\n"+one)
	if err := Edit(t.Context(), last, func(c *Content) error { return c.Remove("alice") }); !errors.Is(err, ErrLastAccount) {
		t.Errorf("removing the last account: %v", err)
	}
	for name, path := range map[string]string{
		"a directory":       t.TempDir(),
		"no directory":      filepath.Join(t.TempDir(), "none", "users"),
		"UTF-16":            holding(t, "\xff\xfea\x00"),
		"a dangling link":   link(t, filepath.Join(t.TempDir(), "gone")),
		"a link as a lock":  lockLink(t),
		"an over-long file": holding(t, strings.Repeat("#", maxFileBytes+1)),
	} {
		if err := Edit(t.Context(), path, func(c *Content) error { return c.Add(Line{Name: "x", Hash: bcryptNew}) }); err == nil || !strings.HasPrefix(err.Error(), "htpasswd: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEditRefusesForeignFiles: a file of another program is not changed, whatever path leads to
// it, and no lock file is left beside it.
func TestEditRefusesForeignFiles(t *testing.T) {
	t.Parallel()
	add := func(c *Content) error { return c.Add(Line{Name: "mallory", Hash: bcryptHash}) }
	for name, text := range map[string]string{
		"passwd":              "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n",
		"shadow":              "root:" + cryptHash + ":19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n",
		"group":               "root:x:0:\nsudo:x:27:alice\n",
		"YAML":                "# settings\nuser: alice\nlisten: 127.0.0.1\n",
		"cron":                "@hourly: /usr/bin/true\n",
		"authorized keys":     "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA alice\n",
		"binary":              "\x7fELF\x02\x01\x01\x00",
		"plaintext passwords": "alice:wonderland\n",
		"a bad last line":     one + "bob\n",
		"a bad setting":       one + "bob:" + bcryptHash + ":expires=never\n",
		"a cut hash":          one + "bob:" + bcryptHash[:40] + "\n",
	} {
		path := holding(t, text)
		for way, p := range map[string]string{"itself": path, "link": link(t, path), "link to link": link(t, link(t, path))} {
			for act, change := range map[string]func(*Content) error{
				"add":     add,
				"replace": func(c *Content) error { return c.Replace(Line{Name: "root", Hash: bcryptHash}) },
				"remove":  func(c *Content) error { return c.Remove("root") },
			} {
				err := Edit(t.Context(), p, change)
				if !errors.Is(err, ErrForeign) || !strings.HasPrefix(err.Error(), "htpasswd: "+path+":") || strings.Contains(err.Error(), "$") {
					t.Errorf("%s, %s, %s: %v", name, way, act, err)
				}
			}
		}
		if got := content(t, path); got != text {
			t.Errorf("%s is changed to %q", name, got)
		}
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(left) != 1 {
			t.Errorf("%s: %v is there, want the file only", name, left)
		}
	}
	for name, text := range map[string]string{"empty": "", "comments": "# nothing yet\n"} {
		path := holding(t, text)
		if err := Edit(t.Context(), link(t, path), add); !errors.Is(err, ErrForeign) || content(t, path) != text {
			t.Errorf("%s, through a link: %v", name, err)
		}
		if err := Edit(t.Context(), path, add); err != nil {
			t.Errorf("%s, by its own name: %v", name, err)
		}
	}
}

// TestEditReplacesLegacyHashes: accounts whose hash is no longer accepted can be edited, to get a
// better hash.
func TestEditReplacesLegacyHashes(t *testing.T) {
	t.Parallel()
	path := holding(t, "alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\nbob:$2y$04$"+bcryptHash[7:]+"\n")
	for _, name := range []string{"alice", "bob"} {
		if err := Edit(t.Context(), path, func(c *Content) error { return c.Replace(Line{Name: name, Hash: bcryptHash}) }); err != nil {
			t.Error(err)
		}
	}
	if got, want := content(t, path), "alice:"+bcryptHash+"\nbob:"+bcryptHash+"\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func link(t *testing.T, target string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// lockLink is a file whose lock path is a symbolic link. Another user who may write in the
// directory could make one.
func lockLink(t *testing.T) string {
	t.Helper()
	path := holding(t, one)
	if err := os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), path+".lock"); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEditNewFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	if err := Edit(t.Context(), path, func(*Content) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an edit of nothing makes the file: %v", err)
	}
	if err := Edit(t.Context(), path, func(c *Content) error { return c.Add(Line{Name: "alice", Hash: bcryptHash}) }); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".lock"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if got := content(t, path); got != one {
		t.Errorf("%q", got)
	}
}

func TestEditThroughLink(t *testing.T) {
	t.Parallel()
	path := holding(t, one)
	l := link(t, path)
	if err := Edit(t.Context(), l, func(c *Content) error { return c.Add(Line{Name: "bob", Hash: argon2Hash}) }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(l); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v %v", info.Mode(), err)
	}
	if got := content(t, path); got != two {
		t.Errorf("%q", got)
	}
}

func TestEditLocked(t *testing.T) {
	t.Parallel()
	path := holding(t, one)
	err := Edit(t.Context(), path, func(*Content) error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return Edit(ctx, link(t, path), func(*Content) error { return nil })
	})
	if !errors.Is(err, ErrLocked) || !errors.Is(err, context.Canceled) {
		t.Errorf("an edit within an edit: %v", err)
	}
}

const editorVariable = "OTELAUTH_TEST_EDITOR"

// TestEditByProcesses: eight processes add and change accounts of one file at once. No edit is
// lost, and every reader sees a whole file.
func TestEditByProcesses(t *testing.T) {
	const processes, edits = 4, 8
	if spec := os.Getenv(editorVariable); spec != "" {
		id, path, _ := strings.Cut(spec, " ")
		for i := range edits {
			name := fmt.Sprintf("p%s-%d", id, i)
			if err := Edit(t.Context(), path, func(c *Content) error { return c.Add(Line{Name: name, Hash: bcryptHash}) }); err != nil {
				t.Fatal(err)
			}
			if err := Edit(t.Context(), path, func(c *Content) error { return c.Replace(Line{Name: name, Hash: bcryptNew}) }); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	t.Parallel()
	path := holding(t, one)
	f, err := Open(Config{Path: path, Unwatched: true})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for id := range processes {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEditByProcesses$")
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", editorVariable, id, path))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for last := false; !last; {
		select {
		case <-done:
			last = true
		default:
		}
		if err := f.Reload(); err != nil {
			t.Fatalf("a reader sees a broken file: %v", err)
		}
	}
	if f.Len() != 1+processes*edits {
		t.Errorf("%d accounts, want %d: an edit was lost", f.Len(), 1+processes*edits)
	}
	c, err := ReadContent(path)
	if err != nil {
		t.Fatal(err)
	}
	names := c.Names()
	slices.Sort(names)
	for _, name := range names[1:] {
		if l, err := c.Get(name); err != nil || l.Hash != bcryptNew {
			t.Errorf("%s: its second edit was lost: %v", name, err)
		}
	}
}

func TestLineHidesHashes(t *testing.T) {
	t.Parallel()
	l := Line{Name: "alice", Hash: bcryptHash, Previous: bcryptNew}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, l); strings.Contains(text, "$2y$") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}
