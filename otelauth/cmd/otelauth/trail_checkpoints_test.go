// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// notes returns n signed checkpoints of a trail, and its public key.
func notes(t *testing.T, origin string, n int) (signed []string, public string) {
	t.Helper()
	key, err := trail.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(key.Private())
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		text, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", origin, i)}, signer)
		if err != nil {
			t.Fatal(err)
		}
		signed = append(signed, string(text))
	}
	return signed, key.Public()
}

func quotedJSON(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Checkpoints are found in what backends answer, and those of other trails are left out.
func TestCheckpointSources(t *testing.T) {
	t.Parallel()
	mine, public := notes(t, "host.example/orders", 3)
	others, _ := notes(t, "host.example/stock", 1)
	event := func(n string) string {
		return `{"time":"2026-11-29T09:30:00Z","level":"INFO","msg":"auth.trail.checkpoint","auth.trail.size":1,"auth.trail.note":` + quotedJSON(n) + `}`
	}
	otlp := func(n string) string {
		return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"auth.trail.checkpoint","attributes":[{"key":"auth.trail.size","value":{"intValue":"1"}},` +
			`{"key":"auth.trail.note","value":{"stringValue":` + quotedJSON(n) + `}}]}]}]}]}`
	}
	flat := func(n string) string { return strings.Join(strings.Fields(n), " ") + " " }
	for name, tc := range map[string]struct {
		text string
		want int
	}{
		"one note":                   {mine[0], 1},
		"notes":                      {mine[0] + mine[1] + mine[2], 3},
		"notes, spaced":              {"\n\n" + mine[0] + "\n\n" + mine[1] + "\n", 2},
		"the same twice":             {mine[0] + mine[0], 1},
		"text around":                {"Checkpoint of Monday:\n" + mine[0] + "-- end\n", 0},
		"another trail's too":        {others[0] + mine[1] + others[0], 1},
		"log lines":                  {event(mine[0]) + "\n" + event(others[0]) + "\n" + event(mine[1]) + "\n", 2},
		"log lines behind text":      {"listening\n" + event(mine[0]) + "\nwarning\n" + event(mine[1]) + "\n", 2},
		"OTLP":                       {otlp(mine[0]) + "\n" + otlp(mine[2]) + "\n", 2},
		"OTLP, indented":             {strings.ReplaceAll(otlp(mine[0]), ",", ",\n  "), 1},
		"OTLP, line breaks replaced": {otlp(flat(mine[0])) + "\n" + otlp(flat(others[0])) + "\n" + otlp("a b c") + "\n", 1},
		"OTLP, once with and once without line breaks": {otlp(flat(mine[0])) + "\n" + otlp(mine[0]) + "\n", 1},
		"Loki, labels": {`{"status":"success","data":{"resultType":"streams","result":[{"stream":{"service_name":"orders","auth_trail_origin":"x","auth_trail_note":` +
			quotedJSON(mine[0]) + `},"values":[["1795944600123000000","auth.trail.checkpoint"]]}]}}`, 1},
		"Loki, structured metadata": {`{"data":{"result":[{"stream":{},"values":[["1","",{"structuredMetadata":{"auth_trail_note":` + quotedJSON(mine[1]) + `}}]]}]}}`, 1},
		"Loki, JSON lines":          {`{"data":{"result":[{"stream":{},"values":[["1",` + quotedJSON(event(mine[2])) + `]]}]}}`, 1},
		"VictoriaLogs": {`{"_time":"2026-11-29T09:30:00Z","event_name":"auth.trail.checkpoint","auth.trail.note":` + quotedJSON(mine[0]) + "}\n" +
			`{"_time":"2026-11-29T09:30:10Z","event_name":"auth.trail.checkpoint","auth.trail.note":` + quotedJSON(mine[1]) + "}\n", 2},
		"an array":  {"[" + event(mine[0]) + "," + event(mine[1]) + "]", 2},
		"nothing":   {"", 0},
		"only text": {"nothing here\n", 0},
		"no string": {`{"auth.trail.note":7}`, 0},
		"deep":      {strings.Repeat("[", 100) + strings.Repeat("]", 100), 0},
	} {
		file := filepath.Join(t.TempDir(), "checkpoints")
		if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := trailVerify{Checkpoints: []string{file}}
		got, err := c.checkpoints(&terminal{}, []string{public})
		if len(got) != tc.want || (err == nil) != (tc.want > 0) {
			t.Errorf("%s: %d checkpoints, want %d; error %v", name, len(got), tc.want, err)
		}
		for _, signed := range got {
			if _, err := trail.ParseCheckpoint(signed, public); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestCheckpointsOfOtherTrailsAreNamed(t *testing.T) {
	t.Parallel()
	_, public := notes(t, "host.example/orders", 0)
	others, _ := notes(t, "host.example/stock", 1)
	file := filepath.Join(t.TempDir(), "checkpoints")
	if err := os.WriteFile(file, []byte(others[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	c := trailVerify{Checkpoints: []string{file}}
	_, err := c.checkpoints(&terminal{}, []string{public})
	if err == nil || !strings.Contains(err.Error(), `"host.example/stock"`) || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v", err)
	}
}

func FuzzCheckpoints(f *testing.F) {
	f.Add("a\n1\nAAAA\n\n— a BBBB\n")
	f.Add(`{"auth.trail.note":"a\n1\n"}`)
	f.Add(`[{"key":"auth_trail_note","value":{"stringValue":"a\n"}}]`)
	f.Add("text\n{\"x\":")
	f.Fuzz(func(t *testing.T, text string) {
		set := checkpointSet{origins: map[string]bool{"a": true}, seen: map[string]bool{}, others: map[string]bool{}}
		if err := set.read(strings.NewReader(text)); err == nil {
			for _, signed := range set.all {
				if !strings.HasPrefix(string(signed), "a\n") && string(signed) != "a" {
					t.Errorf("%q is not of this trail", signed)
				}
			}
		}
	})
}
