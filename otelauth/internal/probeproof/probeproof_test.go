// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probeproof_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/probeproof"
	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
)

// TestLastingIDs: a baseline accepts a finding in each run, so its ID has neither the number of a
// line nor a trace id. Each secret is named, in the order of the canaries.
func TestLastingIDs(t *testing.T) {
	t.Parallel()
	var ids []string
	for run := range 2 {
		config := probe.Config{
			Endpoints: []probe.Endpoint{{Path: "/a"}}, Only: []string{"wrong-password"}, Throwaway: "mallory", Rate: -1, Samples: -1,
			Identities: []probe.Identity{{Username: "alice", Password: "right-of-alice"}, {Username: "bob", Password: "right-of-bob"}},
		}
		proof := probeproof.New(&config)
		var ledger *evidence.Ledger
		line := int64(7 * run)
		record := func(attributes map[string]string, raw string) {
			line++
			ledger.Add(evidence.Record{
				IsAttempt: true, Line: line, Time: time.Now(), Arrived: time.Now(), TraceID: fmt.Sprintf("%032x", 1000*run+int(line)),
				Attributes: attributes, Raw: []byte(raw),
			})
		}
		config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			status := http.StatusUnauthorized
			if password == "right-of-"+user {
				status = http.StatusOK
			}
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(status)
			attributes := map[string]string{
				"auth.outcome": map[bool]string{true: "success", false: "failure"}[status == 200], "user.name": user,
				"http.response.status_code": fmt.Sprint(status), "user_agent.original": r.UserAgent(), "url.path": r.URL.Path,
			}
			record(attributes, "the password was "+password)
		})
		prober, err := probe.New(config)
		if err != nil {
			t.Fatal(err)
		}
		ledger, err = evidence.New(evidence.Config{
			Require: []evidence.Requirement{evidence.NoSecrets, evidence.NoOthers}, Secrets: prober.Canaries(), SecretNames: proof.SecretNames(),
		})
		if err != nil {
			t.Fatal(err)
		}
		proof.Use(ledger)
		report, err := prober.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		record(map[string]string{"auth.outcome": "failure", "url.path": "/b"}, "")
		if _, err := proof.Apply(report, ledger.Judge()); err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, f := range report.Findings {
			if f.Rule == probe.RuleSecret || f.Rule == probe.RuleTelemetry {
				found = append(found, f.ID)
			}
			if f.Rule == probe.RuleSecret && f.Endpoint.Path == "/a" &&
				!strings.Contains(f.Detail, "a wrong password, as plain") && !strings.Contains(f.Detail, "the password of alice, as plain") {
				t.Errorf("the secret is not named: %s", f.Detail)
			}
		}
		slices.Sort(found)
		if run == 0 {
			ids = found
		}
		if !slices.Equal(ids, found) || !slices.Contains(found, "telemetry-secret secret-leaked/line GET /a") || !slices.Contains(found, "telemetry unexpected/line") {
			t.Errorf("run %d: %q, before %q", run, found, ids)
		}
	}
}
