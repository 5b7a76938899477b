// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package legible_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/otelauth/otelauth-go/otelauth/internal/legible"
)

func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                        "",
		"alice":                   "alice",
		"Zoë 李 👩":                 "Zoë 李 👩",
		"<b>alice</b>":            "<b>alice</b>",
		"bo\u202eb":               `bo\u202eb`,
		"a\x1b[31m\r\nb":          `a\u001b[31m\u000d\u000ab`,
		"zero\u200bwidth":         `zero\u200bwidth`,
		`back\slash`:              `back\\slash`,
		"bad\xff":                 `bad\xff`,
		"real\ufffd":              "real\ufffd",
		"no\u00a0break":           `no\u00a0break`,
		"tag\U000e0041":           `tag\U000e0041`,
		"\u2028line\u2029 \u0085": `\u2028line\u2029 \u0085`,
	} {
		if got := legible.Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzText checks that no two texts look alike, and that nothing hidden remains.
func FuzzText(f *testing.F) {
	f.Add("a\u202e", `a\u202e`)
	f.Add("\xff", `\xff`)
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := legible.Text(a), legible.Text(b)
		if a != b && x == y {
			t.Errorf("%q and %q both look like %q", a, b, x)
		}
		if !utf8.ValidString(x) || strings.ContainsAny(x, "\r\n\t\x1b\u202e\u200b\u2028") {
			t.Errorf("Text(%q) = %q", a, x)
		}
	})
}
