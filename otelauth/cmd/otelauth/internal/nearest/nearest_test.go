// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package nearest

import "testing"

func TestHint(t *testing.T) {
	t.Parallel()
	known := []string{"users", "groups", "OTELAUTH_USERS", "realm", "user-names"}
	for name, want := range map[string]string{
		"usrs": ": did you mean users?", "USERS": ": did you mean users?", "gruops": ": did you mean groups?",
		"OTELAUTH_USER": ": did you mean OTELAUTH_USERS?", "completely-else": "", "": "",
	} {
		if got := Hint(name, known); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
