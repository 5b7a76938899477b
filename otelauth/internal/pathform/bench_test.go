// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package pathform_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/internal/pathform"
)

func BenchmarkRead(b *testing.B) {
	for _, tc := range []struct{ name, path string }{
		{"20 bytes", "/reports/2026/summary"},
		{"200 bytes", "/reports" + strings.Repeat("/segment", 24)},
		{"4 KB ASCII", "/static/" + strings.Repeat("abcdefghi/", 250)[:2500] + strings.Repeat("x", 1600)},
		{"4 KB one letter segments", "/static/" + strings.Repeat("a/", 200) + strings.Repeat("b", 3700)},
		{"4 KB escapes", "/static/" + strings.Repeat("%20x", 1000)},
		{"4 KB ideographs", "/static/" + strings.Repeat("%E4%BD%A0", 450)},
		{"4 KB full-width percent", "/static/x" + strings.Repeat("%EF%BC%85", 450)},
		{"4 KB accents", "/static/x" + strings.Repeat("%C3%A9", 680)},
		{"4 KB raw accents", "/static/x" + strings.Repeat("é", 2000)},
		{"4 KB raw greek", "/static/x" + strings.Repeat("ᾳ", 1360)},
		{"4 KB raw fullwidth", "/static/x" + strings.Repeat("％", 1360)},
		{"4 KB raw stroked", "/static/x" + strings.Repeat("ⱥ", 1360)},
		{"4 KB raw marks", "/static/x" + strings.Repeat("\u0301", 2000)},
		{"4 KB raw latin1", "/static/x" + strings.Repeat("\xe9", 4000)},
		{"4 KB raw parens", "/static/x" + strings.Repeat("㌀", 1360)},
		{"4 KB nested percent", "/static/" + strings.Repeat("%25", 1360)},
	} {
		u, err := url.ParseRequestURI(tc.path)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(tc.name, func(b *testing.B) {
			var p pathform.Path
			b.ReportAllocs()
			b.SetBytes(int64(len(tc.path)))
			for b.Loop() {
				p.Read(u)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(tc.path)), "ns/byte")
		})
	}
}
