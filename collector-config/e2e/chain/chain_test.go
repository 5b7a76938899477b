// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
	"github.com/otelauth/otelauth-go/collector-config/e2e/service"
)

func header(key, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(key, value) }
}

// sprayed is the number of accounts that a spray tries. Detection counts them approximately, and
// fires at ten.
const sprayed = 40

// accounts are alice and others whose passwords are never guessed.
func accounts() map[string]string {
	all := map[string]string{"alice": rightPassword}
	for i := range sprayed {
		all[fmt.Sprintf("user%02d", i)] = fmt.Sprintf("unguessed-%02d-%s", i, rightPassword)
	}
	return all
}

// spray tries one password on many accounts, and returns the answer to the first guess.
func spray(t *testing.T, s *service.Service) service.Answer {
	t.Helper()
	var first service.Answer
	for i := range sprayed {
		answer := s.MustGet(t, "/invoices", fmt.Sprintf("user%02d", i), wrongPassword, "198.51.100.66")
		if answer.Status != http.StatusUnauthorized {
			t.Fatalf("guess %d is answered %d", i, answer.Status)
		}
		if i == 0 {
			first = answer
		}
	}
	return first
}

func TestOneAttemptIsFoundByItsTraceIDInEverySignal(t *testing.T) {
	t.Parallel()
	r := newRig(t, collectortest.Options{})
	s := r.service(t, service.Config{Accounts: accounts()})
	s.MustGet(t, "/orders", "alice", rightPassword, "192.0.2.1")
	one := s.MustGet(t, "/once", "alice", wrongPassword, "203.0.113.7")
	if one.Status != http.StatusUnauthorized {
		t.Fatalf("a wrong password is answered with %d", one.Status)
	}

	servers.Eventually(t, deadline, "the spans of the attempt", func() error {
		seen := map[string]bool{}
		for _, span := range r.backend.Spans() {
			if span.TraceID().String() == one.TraceID {
				seen[span.Name()] = true
			}
		}
		for _, name := range []string{"authenticate basic", "verify password"} {
			if !seen[name] {
				return fmt.Errorf("no span %q among %v", name, seen)
			}
		}
		if len(seen) < 3 {
			return fmt.Errorf("no server span among %v", seen)
		}
		return nil
	})
	for name, sink := range map[string]*collectortest.Sink{"backend": r.backend, "SIEM": r.siem} {
		servers.Eventually(t, deadline, "the event at the "+name, func() error {
			for _, record := range sink.LogRecords() {
				if record.TraceID().String() == one.TraceID && record.EventName() == "auth.attempt" {
					return nil
				}
			}
			return fmt.Errorf("%d other records", len(sink.LogRecords()))
		})
	}
	servers.Eventually(t, deadline, "the exemplar", func() error {
		exemplars, err := r.prometheus.Exemplars(`auth_attempts_total{http_route="/once"}`)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(exemplars, func(e servers.Exemplar) bool { return e.Labels["trace_id"] == one.TraceID }) {
			return fmt.Errorf("exemplars are %v", exemplars)
		}
		return nil
	})
	for _, record := range r.siem.LogRecords() {
		if !strings.HasPrefix(record.EventName(), "auth.") {
			t.Errorf("the SIEM was sent %q", record.EventName())
		}
	}
}

func TestAnAttackRaisesTheShippedAlert(t *testing.T) {
	t.Parallel()
	r := newRig(t, collectortest.Options{})
	s := r.service(t, service.Config{Accounts: accounts()})
	s.MustGet(t, "/orders", "alice", rightPassword, "192.0.2.1")
	spray(t, s)

	// high severity
	want := map[string]string{"alertname": "AuthDetectionHigh", "security_rule_name": "password_spray", "job": s.Job, "severity": "critical"}
	fired := waitAlert(t, r.prometheus, want)
	if fired.Annotations["runbook_url"] == "" || !strings.Contains(fired.Annotations["summary"], s.Job) {
		t.Errorf("annotations are %v", fired.Annotations)
	}
	waitAlert(t, r.alertmanager, want)
	if errs, n, err := r.prometheus.RuleHealth(); err != nil || n == 0 || anyRun(errs) != nil {
		t.Errorf("%d rules, errors %v, %v", n, errs, err)
	}
}

// anyRun returns the errors of rules that were evaluated: some groups have longer intervals than
// this test.
func anyRun(errs map[string]string) error {
	var all error
	for name, text := range errs {
		if !strings.HasPrefix(text, "unknown") {
			all = errors.Join(all, fmt.Errorf("%s: %s", name, text))
		}
	}
	return all
}

func TestNothingSecretIsExportedOrStored(t *testing.T) {
	t.Parallel()
	r := newRig(t, collectortest.Options{})
	s := r.service(t, service.Config{Accounts: accounts()})
	answers := secretTour(t, s)
	id, err := hex.DecodeString(answers[1].TraceID)
	if err != nil {
		t.Fatal(err)
	}
	spray(t, s)
	alert := map[string]string{"alertname": "AuthDetectionHigh", "job": s.Job}
	waitAlert(t, r.prometheus, alert)
	waitAlert(t, r.alertmanager, alert)
	if err := s.Shutdown(); err != nil {
		t.Fatal(err)
	}
	servers.Eventually(t, deadline, "all events", func() error {
		for _, sink := range []*collectortest.Sink{r.backend, r.siem} {
			if err := arrived(s.Made(), sink); err != nil {
				return err
			}
		}
		if len(r.backend.Spans()) < len(answers)*2 {
			return fmt.Errorf("%d spans", len(r.backend.Spans()))
		}
		return nil
	})

	list := secrets(r.collector.Token)
	noSecrets(t, "what the backend was sent", r.backend.Bytes(t), id, list...)
	noSecrets(t, "what the SIEM was sent", r.siem.Bytes(t), id, list...)
	for i, a := range answers {
		noSecrets(t, fmt.Sprintf("answer %d", i), fmt.Appendf(slices.Clone(a.Body), "%v", a.Header), nil, list...)
	}
	noSecrets(t, "the collector's output", []byte(r.collector.Log()), nil, list...)
	r.prometheus.Stop(t)
	r.alertmanager.Stop(t)
	noSecrets(t, "Prometheus' data", bytesBelow(t, r.prometheus.Dir), []byte("password_spray"), list...)
	noSecrets(t, "Prometheus' output", []byte(r.prometheus.Output()), nil, list...)
	noSecrets(t, "Alertmanager's data", bytesBelow(t, r.alertmanager.Dir), nil, list...)
	// The directory of the collector's queue; the tokens are beside it.
	if err := r.collector.Shutdown(t); err != nil {
		t.Error(err)
	}
	noSecrets(t, "the queue", bytesBelow(t, r.collector.Dir+"/queue"), nil, list...)
}

// arrived returns the attempts whose event a sink does not have.
func arrived(ids []string, sink *collectortest.Sink) error {
	there := map[string]bool{}
	for _, record := range sink.LogRecords() {
		if record.EventName() == "auth.attempt" {
			there[record.TraceID().String()] = true
		}
	}
	missing := 0
	for _, id := range ids {
		if !there[id] {
			missing++
		}
	}
	if missing > 0 {
		return missingError{missing, len(ids)}
	}
	return nil
}

// missingError counts the events that have not arrived.
type missingError [2]int

func (e missingError) Error() string { return fmt.Sprintf("%d of %d events are missing", e[0], e[1]) }
