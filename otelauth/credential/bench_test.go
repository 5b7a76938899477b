// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// browserRequest returns a request with the fields of a browser, because a lookup in a map of one
// field is too fast to compare.
func browserRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	r.Header.Set("Accept-Encoding", "gzip, deflate, br")
	r.Header.Set("Accept-Language", "en-GB,en;q=0.5")
	r.Header.Set("Cookie", "theme=dark")
	r.Header.Set("Referer", "https://shop.example/")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	r.Header.Set("User-Agent", "Mozilla/5.0")
	r.SetBasicAuth("alice", "wonderland")
	return r
}

func BenchmarkSplit(b *testing.B) {
	r := browserRequest()
	b.ReportAllocs()
	for b.Loop() {
		if _, defect := credential.Split(r.Header, 0); defect != credential.NoDefect {
			b.Fatal(defect)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	field, _ := credential.Split(browserRequest().Header, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, defect := field.Decode(); defect != credential.NoDefect {
			b.Fatal(defect)
		}
	}
}

// BenchmarkSplitDecode does the same work as BenchmarkBasicAuth.
func BenchmarkSplitDecode(b *testing.B) {
	r := browserRequest()
	b.ReportAllocs()
	for b.Loop() {
		field, _ := credential.Split(r.Header, 0)
		if _, defect := field.Decode(); defect != credential.NoDefect {
			b.Fatal(defect)
		}
	}
}

func BenchmarkBasicAuth(b *testing.B) {
	r := browserRequest()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := r.BasicAuth(); !ok {
			b.Fatal("refused")
		}
	}
}
