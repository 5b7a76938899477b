// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package accountstores

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/verifytest"
)

// htpasswdFiles are the two files of a htpasswd.File.
type htpasswdFiles struct{ users, groups string }

func newHtpasswd(t testing.TB) Backing {
	t.Helper()
	dir := t.TempDir()
	return htpasswdFiles{filepath.Join(dir, "users.htpasswd"), filepath.Join(dir, "users.groups")}
}

func (f htpasswdFiles) Write(t testing.TB, accounts []verifytest.Account) {
	t.Helper()
	var users, groups strings.Builder
	for _, a := range accounts {
		var settings []string
		if a.Disabled {
			settings = append(settings, "disabled")
		}
		if !a.Expires.IsZero() {
			settings = append(settings, "expires="+a.Expires.Format(time.RFC3339))
		}
		if a.Previous != "" {
			settings = append(settings, "previous="+a.Previous, "previous-expires="+a.PreviousExpires.Format(time.RFC3339))
		}
		line := a.Name + ":" + a.Hash
		if len(settings) > 0 {
			line += ":" + strings.Join(settings, " ")
		}
		fmt.Fprintln(&users, line)
		for _, group := range a.Groups {
			fmt.Fprintf(&groups, "%s: %s\n", group, a.Name)
		}
	}
	for path, content := range map[string]string{f.users: users.String(), f.groups: groups.String()} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Open returns a file that is not watched, so that it can be used in a synctest bubble.
func (f htpasswdFiles) Open(t testing.TB, o Options) (verify.Accounts, error) {
	t.Helper()
	file, err := htpasswd.Open(htpasswd.Config{Path: f.users, Groups: f.groups, Unwatched: true, Now: o.Now})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = file.Close() })
	return file, nil
}
