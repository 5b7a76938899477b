// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package pathform_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/pathform"
)

// hostile are pieces of expensive paths.
var hostile = []string{
	"a", "a/", "//", "%20", "%25", "%25a", "%2525", "%252525252525", "%2541", "25", "%2e", "%2f", "%5c", "%3f", "%3b", "%0d", "%E4%BD%A0", "%EF%BC%85",
	"%EF%BC%854", "%EF%BC%8F", "%EF%B7%BA", "%E2%80%8B", "%CC%81", "%e9", "%F0%9D%94%B8", "%F3%A0%84%80", "%EA%B0%81", "é", "％", "ﷺ", "㌀", "\xff", ";", "|", `\`, "a.",
	".php/", ".php", ".phpa", ".action", "~", ":a", "%25u0041", "%25u", "A", "ß", "ᾳ", ", ",
}

// readTime returns the shortest time of many readings of a path of about n bytes.
func readTime(t *testing.T, piece string, n int) time.Duration {
	t.Helper()
	u, err := url.ParseRequestURI("/x" + strings.Repeat(piece, n/len(piece)))
	if err != nil {
		t.Fatal(err)
	}
	var p pathform.Path
	least := time.Hour
	for range 12 {
		began := time.Now()
		for range 2 {
			p.Read(u)
		}
		least = min(least, time.Since(began))
	}
	return least
}

// Reading takes linear time: with eight times the length a byte takes at most three times as long.
func TestReadIsLinear(t *testing.T) {
	for _, piece := range hostile {
		for _, n := range []int{128, 1 << 10} {
			ratio := 0.0
			for range 5 { // other load on the machine can only make it look worse
				ratio = float64(readTime(t, piece, 8*n-8)) / float64(readTime(t, piece, n))
				if ratio <= 3*8 {
					break
				}
			}
			if ratio > 3*8 {
				t.Errorf("%q: %d bytes take %.0f times as long as %d", piece, 8*n, ratio, n)
			}
		}
	}
}

// The limits of a path.
func TestBounds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		piece string
		most  int // how often the piece may occur in a path
		want  string
	}{
		{"/a", 256, "too many segments"},
		{`a%2Fa`, 255, "too many segments"},
		{"%2541", 256, "percent-encoded more than once"},
		{"é", 512, "512 characters beyond ASCII"},
		{"%F3%A0%84%80", 512, "512 characters beyond ASCII"},
		{"\xff", 128, "128 bytes that are not UTF-8"},
		{"/x.php", 3, "too many segments"},
	} {
		path := strings.Repeat(tc.piece, tc.most)
		if path[0] != '/' {
			path = "/name" + path
		}
		if p := read(t, path); p.Refusal != "" {
			t.Errorf("%d times %q: %s", tc.most, tc.piece, p.Refusal)
		}
		if p := read(t, path+strings.Repeat(tc.piece, 2)); !strings.Contains(p.Refusal, tc.want) {
			t.Errorf("%d times %q: %q, want %q", tc.most+2, tc.piece, p.Refusal, tc.want)
		}
	}
}
