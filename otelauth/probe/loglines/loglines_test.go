// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package loglines_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
	"github.com/otelauth/otelauth-go/otelauth/probe/loglines"
	"github.com/otelauth/otelauth-go/otelauth/semconv/mappings"
)

func ExampleReader() {
	fields, err := loglines.Shipped("django") // one of loglines.Names
	if err != nil {
		fmt.Println(err)
		return
	}
	log := `INFO {"time": "2026-11-29T11:10:05.231Z", "event": "auth_failure", "method": "GET", "source_ip": "192.0.2.7", "username_attempted": "bob"}
level=info event=auth_missing path=/orders/ source_ip=192.0.2.7
a line about something else
`
	r := loglines.NewReader(strings.NewReader(log), fields, nil)
	for {
		rec, err := r.Next()
		if err != nil {
			break
		}
		fmt.Println(rec.Line, rec.IsAttempt, rec.Attributes["auth.outcome"], rec.Attributes["user.name"]+rec.Attributes["url.path"])
	}
	// Output:
	// 1 true failure,throttled bob
	// 2 true missing /orders/
	// 3 false
}

// A service with log lines of its own needs a mapping.
func ExampleParse() {
	fields, err := loglines.Parse(strings.NewReader("name: [kind]\nattempts: [{name: login}]\nattributes:\n  user.name: [who]\n"))
	fmt.Println(fields != nil, err)
	fmt.Println(loglines.Names())
	// Output:
	// true <nil>
	// [django ecs ocsf otelauth]
}

func shipped(t testing.TB, name string) *loglines.Fields {
	t.Helper()
	f, err := loglines.Shipped(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// full is an event with every attribute that the mappings know.
func full() mappings.Event {
	return mappings.Event{
		Name: "auth.attempt", Time: time.Date(2026, 11, 29, 9, 30, 0, 123456000, time.UTC), Sequence: -1,
		TraceID: strings.Repeat("a1", 16), SpanID: strings.Repeat("b2", 8),
		Attributes: map[string]any{
			"auth.outcome": "failure", "auth.scheme": "basic", "error.type": "invalid_credentials", "auth.reason": "wrong_password",
			"user.name": "alice", "user.hash": "k1:11", "client.address": "192.0.2.7", "http.request.method": "GET",
			"http.route": "/orders/{id}", "url.path": "/orders/7", "http.response.status_code": 401, "user_agent.original": "curl/8.5",
			"http.request.header.x-request-id": []any{"r-1"},
		},
	}
}

// TestOneTable reads back what the mappings of the trail and of the SIEMs write: a field that is
// changed there must be changed here.
func TestOneTable(t *testing.T) {
	t.Parallel()
	e := full()
	own := map[string]any{"msg": e.Name, "time": e.Time, "trace_id": e.TraceID, "span_id": e.SpanID, "trace_flags": "01"}
	for key, value := range e.Attributes {
		own[key] = value
	}
	want := map[string]string{}
	for key, value := range e.Attributes {
		want[key] = strings.Trim(fmt.Sprint(value), "[]")
	}
	for name, doc := range map[string]map[string]any{"ecs": mappings.ECS(e), "ocsf": mappings.OCSF(e), "otelauth": own} {
		line, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		rec := shipped(t, name).Record(line)
		if !rec.IsAttempt || rec.Name != e.Name || rec.TraceID != e.TraceID || rec.SpanID != e.SpanID || !rec.Time.Equal(e.Time) {
			t.Errorf("%s: %+v\nof %s", name, rec, line)
		}
		if rec.Sampled != (name == "otelauth") {
			t.Errorf("%s: sampled is %v", name, rec.Sampled)
		}
		if diff := cmp.Diff(want, rec.Attributes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestOtherPrograms reads events that have ECS's and OCSF's own words only.
func TestOtherPrograms(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"ecs":  `{"@timestamp":"2026-11-29T09:30:00Z","event":{"category":["web","authentication"],"outcome":"failure"},"source":{"ip":"192.0.2.7"},"url.path":"/a"}`,
		"ocsf": `{"class_uid":3002,"time":1795944600123,"status":"Failure","src_endpoint":{"ip":"192.0.2.7"},"user":{"uid":"none"},"http_request":{"url":{"path":"/a"}}}`,
	} {
		rec := shipped(t, name).Record([]byte(line))
		want := map[string]string{"auth.outcome": "failure,missing,malformed,throttled", "client.address": "192.0.2.7", "url.path": "/a"}
		if diff := cmp.Diff(want, rec.Attributes); diff != "" || !rec.IsAttempt || rec.Time.IsZero() {
			t.Errorf("%s: %+v (-want +got):\n%s", name, rec, diff)
		}
	}
	if rec := shipped(t, "ecs").Record([]byte(`{"event":{"category":["web"]}}`)); rec.IsAttempt {
		t.Errorf("%+v is not about authentication", rec)
	}
}

// TestSlog reads what log/slog writes, in both of its formats.
func TestSlog(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&b, nil), slog.NewTextHandler(&b, nil)} {
		slog.New(h).Info("auth.attempt", "auth.outcome", "missing", "user_agent.original", "a \"quoted\" agent=1", "http.response.status_code", 401)
	}
	r := loglines.NewReader(&b, shipped(t, "otelauth"), nil)
	for range 2 {
		rec, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"auth.outcome": "missing", "user_agent.original": "a \"quoted\" agent=1", "http.response.status_code": "401"}
		if diff := cmp.Diff(want, rec.Attributes); diff != "" || time.Since(rec.Time) > time.Minute {
			t.Errorf("%+v (-want +got):\n%s", rec, diff)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 29, 9, 30, 5, 0, time.UTC)
	local := at.In(time.Local)
	f := shipped(t, "django")
	for text, want := range map[string]struct {
		time       time.Time
		resolution time.Duration
	}{
		`"2026-11-29T09:30:05Z"`:                            {at, time.Second},
		`"2026-11-29T10:30:05.123+01:00"`:                   {at.Add(123 * time.Millisecond), time.Millisecond},
		`"` + local.Format("2006-01-02 15:04:05") + `"`:     {at, time.Second},
		`"` + local.Format("2006-01-02 15:04:05") + `,123"`: {at.Add(123 * time.Millisecond), time.Millisecond},
		`"29/Nov/2026:09:30:05 +0000"`:                      {at, time.Second},
		fmt.Sprint(at.Unix()):                               {at, time.Second},
		fmt.Sprintf("%d.250", at.Unix()):                    {at.Add(250 * time.Millisecond), time.Millisecond},
		fmt.Sprint(at.UnixMilli()):                          {at, time.Millisecond},
		fmt.Sprint(at.UnixMicro()):                          {at, time.Microsecond},
		`"yesterday"`:                                       {time.Time{}, 0},
		`-1`:                                                {time.Time{}, 0},
	} {
		rec := f.Record([]byte(`{"event":"auth_missing","time":` + text + `}`))
		if !rec.Time.Equal(want.time) || rec.Resolution != want.resolution {
			t.Errorf("%s is %v ± %v, want %v ± %v", text, rec.Time, rec.Resolution, want.time, want.resolution)
		}
	}
}

func TestHostileLines(t *testing.T) {
	t.Parallel()
	f := shipped(t, "django")
	log := strings.Join([]string{
		`{"event":"auth_missing","path":"` + strings.Repeat("x", 3<<20) + `"}`,
		strings.Repeat("[", 1<<19),
		`{"event":` + strings.Repeat(`{"event":`, 20_000) + `1` + strings.Repeat("}", 20_001),
		`{"event":{"event":7},"message":"auth_missing"}`,
		`{"event":"auth_missing"} trailing`,
		"\x00\xff = =\"",
		`event=auth_missing path="unclosed`,
		`event=auth_missing`,
	}, "\n")
	r := loglines.NewReader(strings.NewReader(log), f, nil)
	var attempts []int64
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(rec.Raw) > loglines.MaxLineBytes {
			t.Errorf("line %d has %d bytes", rec.Line, len(rec.Raw))
		}
		if rec.IsAttempt {
			attempts = append(attempts, rec.Line)
		}
	}
	if r.Long() != 1 || !slices.Equal(attempts, []int64{7, 8}) {
		t.Errorf("%d long lines, attempts in lines %v", r.Long(), attempts)
	}
}

func TestMappings(t *testing.T) {
	t.Parallel()
	if got := loglines.Names(); !slices.Equal(got, []string{"django", "ecs", "ocsf", "otelauth"}) {
		t.Errorf("%v", got)
	}
	for text, says := range map[string]string{
		"attempts: [{name: x}]":                                     "which field is the name",
		"name: [event]":                                             "has no attempts",
		"attempts: [{outcome: success}]":                            "matches every line",
		"name: [e]\nattempts: [{name: x, outcome: ok}]":             `"ok" is not an outcome`,
		"name: [e]\nattempts: [{name: x}]\nattributes: {user: [u]}": `"user" is not compared`,
		"nome: [e]":                        "docs/probe-telemetry.md",
		"name: {":                          "docs/probe-telemetry.md",
		"# " + strings.Repeat("x", 70_000): "more than",
	} {
		if _, err := loglines.Parse(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60q: %v, want %q", text, err, says)
		}
	}
	if _, err := loglines.Shipped("rails"); err == nil || !strings.Contains(err.Error(), "django, ecs, ocsf, otelauth") {
		t.Errorf("%v", err)
	}
}

// TestFollow appends to a log, truncates it and replaces it, as programs and logrotate do.
func TestFollow(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "site.log")
	write := func(flag int, text string) {
		t.Helper()
		f, err := os.OpenFile(path, flag|os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.WriteString(text)
		_ = f.Close()
	}
	write(0, "event=auth_missing path=/before\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready, done, got := make(chan struct{}), make(chan error, 1), make(chan evidence.Record, 10)
	go func() {
		done <- loglines.Follow(ctx, path, shipped(t, "django"), func() { close(ready) }, func(r evidence.Record) { got <- r })
	}()
	<-ready
	expect := func(want string) {
		t.Helper()
		if rec := <-got; rec.Attributes["url.path"] != want || rec.Arrived.IsZero() {
			t.Errorf("%+v, want %s", rec, want)
		}
	}
	write(os.O_APPEND, "event=auth_missing path=/ha")
	write(os.O_APPEND, "lf\nevent=auth_missing path=/second\n")
	expect("/half")
	expect("/second")
	write(os.O_TRUNC, "event=auth_missing path=/truncated\n")
	expect("/truncated")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(0, "event=auth_missing path=/rotated\nevent=auth_missing path=/last")
	expect("/rotated")
	cancel()
	expect("/last")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := loglines.Follow(t.Context(), filepath.Join(path, "below"), shipped(t, "django"), func() {}, nil); err == nil {
		t.Error("a path below a file can be followed")
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(`{"event":"auth_missing","path":"/"}`)
	f.Add(`INFO event=auth_failure path="/a b" source_ip=::1`)
	f.Add(`{"@timestamp":1e300,"event":{"category":["authentication"]}}`)
	all := map[string]*loglines.Fields{}
	for _, name := range loglines.Names() {
		all[name] = shipped(f, name)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for name, fields := range all {
			rec := fields.Record([]byte(line))
			if !rec.IsAttempt && rec.Attributes != nil || string(rec.Raw) != line {
				t.Errorf("%s: %+v", name, rec)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("name: [e]\nattempts: [{name: x, match: {a: b}}]\nattributes: {user.name: [u, {field: v, values: {a: b}}]}")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = loglines.Parse(strings.NewReader(text)) })
}
