// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauthtest_test

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
)

const canary = `Wönder+L4nd "quoted"`

// hides returns the canary in every form that Leaks must find.
func hides() map[string]string {
	sum1, sum2, sum5, sumM := sha1.Sum([]byte(canary)), sha256.Sum256([]byte(canary)), sha512.Sum512([]byte(canary)), md5.Sum([]byte(canary))
	quoted, _ := json.Marshal(canary)
	rev := []rune(canary)
	for i, j := 0, len(rev)-1; i < j; i, j = i+1, j-1 {
		rev[i], rev[j] = rev[j], rev[i]
	}
	return map[string]string{
		"plain":                 "x" + canary + "y",
		"reversed":              string(rev),
		"base64 at 0":           base64.StdEncoding.EncodeToString([]byte(canary)),
		"base64 at 1":           base64.StdEncoding.EncodeToString([]byte("u:ab" + canary + "tail")),
		"base64 at 2":           base64.StdEncoding.EncodeToString([]byte("u:" + canary + "tail")),
		"base64 of basic":       "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+canary)),
		"base64url":             base64.RawURLEncoding.EncodeToString([]byte("alice:" + canary)),
		"base32":                base32.StdEncoding.EncodeToString([]byte(canary)),
		"hex":                   hex.EncodeToString([]byte(canary)),
		"HEX":                   strings.ToUpper(hex.EncodeToString([]byte(canary))),
		"query":                 "https://h/?p=" + url.QueryEscape(canary),
		"path":                  "/" + url.PathEscape(canary),
		"path, lower case":      "/" + strings.ToLower(url.PathEscape(canary)),
		"Go literal":            fmt.Sprintf("%q", canary),
		"Go literal in ASCII":   strconv.QuoteToASCII(canary),
		"JSON":                  string(quoted),
		"bytes":                 fmt.Sprint([]byte(canary)),
		"MD5 hex":               hex.EncodeToString(sumM[:]),
		"SHA-1 hex":             hex.EncodeToString(sum1[:]),
		"SHA-1 of {SHA}":        "{SHA}" + base64.StdEncoding.EncodeToString(sum1[:]),
		"SHA-256 hex":           fmt.Sprintf("%X", sum2),
		"SHA-256 base64url":     base64.URLEncoding.EncodeToString(sum2[:]),
		"SHA-256 within base64": base64.StdEncoding.EncodeToString(append([]byte{9}, sum2[:]...)),
		"SHA-512 base64":        base64.StdEncoding.EncodeToString(sum5[:]),
	}
}

// failures is a testing.TB that records failures.
type failures struct {
	testing.TB
	lines []string
}

func (f *failures) Helper()           {}
func (f *failures) Error(args ...any) { f.lines = append(f.lines, fmt.Sprint(args...)) }
func (f *failures) Errorf(format string, args ...any) {
	f.lines = append(f.lines, fmt.Sprintf(format, args...))
}

// TestNoSecretsFindsEveryForm checks that the scan can fail.
func TestNoSecretsFindsEveryForm(t *testing.T) {
	t.Parallel()
	for name, hidden := range hides() {
		for where, put := range places() {
			t.Run(name+" in "+where, func(t *testing.T) {
				t.Parallel()
				rec := otelauthtest.NewRecorder(t)
				put(rec, hidden)
				f := &failures{TB: t}
				otelauthtest.NoSecrets(f, rec, "never-sent-anywhere", canary)
				if len(f.lines) == 0 {
					t.Fatalf("not found: %s", hidden)
				}
				for _, l := range f.lines {
					if strings.Contains(l, canary) || strings.Contains(l, hidden) {
						t.Errorf("the failure prints the secret: %s", l)
					}
					if !strings.Contains(l, "secret 1") {
						t.Errorf("the wrong secret: %s", l)
					}
				}
			})
		}
	}
}

func places() map[string]func(*otelauthtest.Recorder, string) {
	ctx := context.Background()
	span := func(rec *otelauthtest.Recorder, name string, do func(trace.Span)) {
		_, s := rec.TracerProvider().Tracer("test").Start(ctx, name)
		do(s)
		s.End()
	}
	return map[string]func(*otelauthtest.Recorder, string){
		"span name": func(r *otelauthtest.Recorder, s string) { span(r, s, func(trace.Span) {}) },
		"span attribute": func(r *otelauthtest.Recorder, s string) {
			span(r, "a", func(sp trace.Span) { sp.SetAttributes(attribute.String("k", s)) })
		},
		"span status": func(r *otelauthtest.Recorder, s string) {
			span(r, "a", func(sp trace.Span) { sp.SetStatus(codes.Error, s) })
		},
		"span event": func(r *otelauthtest.Recorder, s string) {
			span(r, "a", func(sp trace.Span) { sp.RecordError(fmt.Errorf("%s", s)) })
		},
		"metric attribute": func(r *otelauthtest.Recorder, s string) {
			c, _ := r.MeterProvider().Meter("test").Int64Counter("c")
			c.Add(ctx, 1, metric.WithAttributes(attribute.String("k", s)))
		},
		"log attribute": func(r *otelauthtest.Recorder, s string) {
			var rec log.Record
			rec.AddAttributes(attribute.StringSlice("k", []string{"a", s}))
			r.LoggerProvider().Logger("test").Emit(ctx, rec)
		},
		"log body": func(r *otelauthtest.Recorder, s string) {
			var rec log.Record
			rec.SetBody(attribute.StringValue(s))
			r.LoggerProvider().Logger("test").Emit(ctx, rec)
		},
	}
}

func TestNoSecretsPassesWhatIsClean(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	for _, put := range places() {
		put(rec, "wonder, land, and a keyed hash k1:0123456789abcdef")
	}
	otelauthtest.NoSecrets(t, rec, canary, "toor", "wonderland", "builder")
	if data, err := rec.OTLP(); err != nil || len(data) == 0 {
		t.Fatalf("OTLP() = %d bytes, %v: the scan had no data", len(data), err)
	}
}

// A string that is not UTF-8 makes an exporter drop the batch, and a scan without data would pass.
func TestNoSecretsFailsOnWhatCannotBeExported(t *testing.T) {
	t.Parallel()
	for where, put := range places() {
		rec := otelauthtest.NewRecorder(t)
		put(rec, "\xff")
		f := &failures{TB: t}
		otelauthtest.NoSecrets(f, rec, canary)
		if len(f.lines) == 0 {
			t.Errorf("%s: no failure", where)
		}
	}
}

func TestLeaksInBinary(t *testing.T) {
	t.Parallel()
	var utf16 []byte
	for _, c := range []byte("hunter2-hunter2") {
		utf16 = append(utf16, c, 0)
	}
	sum := sha256.Sum256([]byte("hunter2-hunter2"))
	for form, data := range map[string][]byte{
		"UTF-16":           append([]byte("\xff\xfe"), utf16...),
		"SHA-256 as bytes": append([]byte{1, 2, 3}, sum[:]...),
		"hexadecimal":      append([]byte("\xff\xff"), "68756E746572322D68756E74657232"...),
	} {
		leaks, err := otelauthtest.Leaks(data, "hunter2-hunter2")
		if err != nil || len(leaks) != 1 || leaks[0].Form != form || leaks[0].Offset < 2 || leaks[0].Offset > 3 {
			t.Errorf("%s: Leaks = %v, %v", form, leaks, err)
		}
	}
	leaks, err := otelauthtest.Leaks([]byte("user=gar\xe7on-gar\xe7on"), "garçon-garçon")
	if err != nil || len(leaks) != 1 || leaks[0].Form != "Latin-1" {
		t.Errorf("Latin-1: Leaks = %v, %v", leaks, err)
	}
	if _, err := otelauthtest.Leaks(nil, "abc"); err == nil {
		t.Error("a secret of 3 bytes passed")
	}
}

func FuzzLeaks(f *testing.F) {
	f.Add("wonderland", "x", "y")
	f.Add("pass", "", "")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		if len(secret) < 4 {
			return
		}
		for name, hidden := range map[string]string{
			"plain":  before + secret + after,
			"base64": base64.StdEncoding.EncodeToString([]byte(before + secret + after)),
			"hex":    hex.EncodeToString([]byte(before + secret + after)),
		} {
			leaks, err := otelauthtest.Leaks([]byte(hidden), secret)
			if err != nil || len(leaks) == 0 {
				t.Fatalf("%s: %q not found in %q: %v", name, secret, hidden, err)
			}
		}
	})
}
