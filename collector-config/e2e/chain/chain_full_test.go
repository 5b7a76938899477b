// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package chain

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
	"github.com/otelauth/otelauth-go/collector-config/e2e/service"
)

// stack is the collector with the shipped overlays for Jaeger, Prometheus 3 and Victoria, the real
// backends behind it, and a real Alertmanager. VictoriaMetrics and VictoriaTraces, to which
// victoria.yaml also sends, are a recording sink.
type stack struct {
	collector    *collectortest.Collector
	prometheus   *servers.PrometheusServer
	alertmanager *servers.AlertmanagerServer
	jaeger       *servers.JaegerServer
	logs         *servers.VictoriaLogsServer
	rest         *collectortest.Sink
}

func newStack(t *testing.T, env map[string]string) *stack {
	t.Helper()
	s := &stack{
		alertmanager: servers.StartAlertmanager(t, servers.AlertmanagerConfig{}),
		jaeger:       servers.StartJaeger(t, servers.JaegerConfig{Badger: true}),
		logs:         servers.StartVictoriaLogs(t),
		rest:         collectortest.NewSink(t),
	}
	// Prometheus scrapes the collector's own metrics, whose address is known only when the
	// collector runs, and its own metrics.
	address := servers.FreeAddrs(t, 1)[0]
	all := map[string]string{
		"JAEGER_ENDPOINT":           "http://" + s.jaeger.OTLPHTTP,
		"PROMETHEUS_ENDPOINT":       "http://" + address + "/api/v1/otlp",
		"VICTORIA_LOGS_ENDPOINT":    s.logs.OTLP,
		"VICTORIA_METRICS_ENDPOINT": s.rest.HTTP,
		"VICTORIA_TRACES_ENDPOINT":  s.rest.HTTP,
	}
	maps.Copy(all, env)
	s.collector = collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/jaeger.yaml", "backends/prometheus.yaml", "backends/victoria.yaml"}, Env: all,
	})
	s.prometheus = servers.StartPrometheus(t, servers.PrometheusConfig{
		Program: servers.Prometheus3, Addr: address,
		Scrape: []string{net.JoinHostPort(s.collector.Address, collectortest.PortMetrics)},
		Rules:  rules(), Alertmanagers: []string{s.alertmanager.Addr},
	})
	return s
}

func (s *stack) service(t *testing.T, cfg service.Config) *service.Service {
	t.Helper()
	cfg.Collector = "http://" + net.JoinHostPort(s.collector.Address, collectortest.PortHTTP)
	cfg.Token = s.collector.Token
	return service.Start(t, cfg)
}

// events returns the attempts by trace id that VictoriaLogs has events of.
func (s *stack) events() (map[string]bool, error) {
	rows, err := s.logs.Query(`event_name:="auth.attempt" | fields trace_id`, 0)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]bool, len(rows))
	for _, row := range rows {
		ids[row["trace_id"]] = true
	}
	return ids, nil
}

func (s *stack) haveEvents(ids []string) error {
	there, err := s.events()
	if err != nil {
		return err
	}
	missing := 0
	for _, id := range ids {
		if !there[id] {
			missing++
		}
	}
	if missing > 0 {
		return errors.New(fmt.Sprint(missing, " of ", len(ids), " events are missing; there are ", len(there)))
	}
	return nil
}

func TestFullOneAttemptIsFoundInPrometheusJaegerAndVictoriaLogs(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	orders := s.service(t, service.Config{Accounts: accounts()})
	answers := secretTour(t, orders)
	one := orders.MustGet(t, "/once", "alice", wrongPassword, "203.0.113.7")

	servers.Eventually(t, deadline, "the trace in Jaeger", func() error {
		spans, err := s.jaeger.Trace(one.TraceID)
		if err != nil {
			return err
		}
		for _, span := range spans {
			if span.Operation == "authenticate basic" && span.Tags["auth.outcome"] == "failure" && span.ParentID != "" {
				return nil
			}
		}
		return fmt.Errorf("spans are %v", spans)
	})
	servers.Eventually(t, deadline, "the event in VictoriaLogs", func() error {
		rows, err := s.logs.Query(fmt.Sprintf("trace_id:=%q", one.TraceID), 10)
		if err != nil {
			return err
		}
		if len(rows) != 1 || rows[0]["auth.outcome"] != "failure" || rows[0]["client.address"] != "203.0.113.7" || rows[0]["http.route"] != "/once" {
			return fmt.Errorf("rows are %v", rows)
		}
		return nil
	})
	servers.Eventually(t, deadline, "the exemplar in Prometheus", func() error {
		exemplars, err := s.prometheus.Exemplars(`auth_attempts_total{http_route="/once"}`)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(exemplars, func(e servers.Exemplar) bool { return e.Labels["trace_id"] == one.TraceID }) {
			return fmt.Errorf("exemplars are %v", exemplars)
		}
		return nil
	})

	// The attack and its alert.
	first := spray(t, orders)
	want := map[string]string{"alertname": "AuthDetectionHigh", "security_rule_name": "password_spray", "job": orders.Job, "severity": "critical"}
	waitAlert(t, s.prometheus, want)
	waitAlert(t, s.alertmanager, want)
	servers.Eventually(t, deadline, "the detection in VictoriaLogs", func() error {
		rows, err := s.logs.Query(`event_name:="auth.detection" security_rule.name:="password_spray"`, 10)
		if err == nil && len(rows) == 0 {
			err = errors.New("none")
		}
		return err
	})

	// No secret is in the answers of the backends or in what they store.
	if err := orders.Shutdown(); err != nil {
		t.Error(err)
	}
	servers.Eventually(t, deadline, "all events", func() error { return s.haveEvents(orders.Made()) })
	servers.Eventually(t, deadline, "the trace of the attack in Jaeger", func() error {
		_, err := s.jaeger.Trace(first.TraceID)
		return err
	})
	list := secrets(s.collector.Token)
	rows, err := s.logs.Query("*", 0)
	if err != nil {
		t.Fatal(err)
	}
	traces, err := s.jaeger.Search(orders.Name, "", nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	series, err := s.prometheus.Query(`{__name__=~".+"}`)
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := s.alertmanager.Alerts()
	if err != nil {
		t.Fatal(err)
	}
	noSecrets(t, "answers of VictoriaLogs", fmt.Appendf(nil, "%v", rows), []byte(one.TraceID), list...)
	noSecrets(t, "answers of Jaeger", fmt.Appendf(nil, "%v", traces), []byte(first.TraceID), list...)
	noSecrets(t, "answers of Prometheus", fmt.Appendf(nil, "%v", series), []byte("auth_attempts_total"), list...)
	noSecrets(t, "answers of Alertmanager", fmt.Appendf(nil, "%v", alerts), []byte("password_spray"), list...)
	for i, a := range answers {
		noSecrets(t, fmt.Sprintf("answer %d", i), fmt.Appendf(slices.Clone(a.Body), "%v", a.Header), nil, list...)
	}
	noSecrets(t, "the other signals of victoria.yaml", s.rest.Bytes(t), []byte("auth.attempts"), list...)
	for what, server := range map[string]struct {
		*servers.Process
		control string
	}{
		// These must be found, which shows that the search reads what the program writes.
		"VictoriaLogs": {s.logs.Process, one.TraceID},
		"Jaeger":       {s.jaeger.Process, "authenticate basic"},
		"Prometheus":   {s.prometheus.Process, one.TraceID},
		"Alertmanager": {s.alertmanager.Process, ""},
	} {
		server.Stop(t)
		noSecrets(t, "the data of "+what, bytesBelow(t, server.Dir), []byte(server.control), list...)
		noSecrets(t, "the output of "+what, []byte(server.Output()), nil, list...)
	}
	if err := s.collector.Shutdown(t); err != nil {
		t.Error(err)
	}
	noSecrets(t, "the queue", bytesBelow(t, s.collector.Dir+"/queue"), nil, list...)
	noSecrets(t, "the collector's output", []byte(s.collector.Log()), nil, list...)
}

// outage is the duration of each outage, of the backends and of the collector.
const outage = time.Minute

func TestFullAnOutageOfAMinuteLosesNoAcknowledgedEvent(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	orders := s.service(t, service.Config{Events: unfolded, GiveUp: 5 * time.Second})
	a := &attempts{t: t, s: orders}
	a.make(50)
	a.acknowledged(50)

	// All backends fail: one hangs, one is stopped by its operator, one is killed.
	s.jaeger.Freeze(t)
	s.logs.Stop(t)
	s.prometheus.Kill()
	for began := time.Now(); time.Since(began) < outage; {
		a.make(20)
		<-time.After(time.Second)
		if a.next == 310 { // in the middle of the outage, with all data in the queue
			s.collector.Kill()
			a.make(20)
			s.collector.Start(t)
		}
	}
	s.collector.Kill()
	s.collector.Start(t)
	s.jaeger.Thaw(t)
	s.logs.Restart(t)
	s.prometheus.Restart(t)
	a.make(50)
	if err := orders.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	acknowledged := orders.Acknowledged()
	servers.Eventually(t, deadline, "every acknowledged event in VictoriaLogs", func() error { return s.haveEvents(acknowledged) })
	t.Logf("%d attempts, %d events acknowledged, all of them in VictoriaLogs; %d given up while the collector was away",
		a.next, len(acknowledged), len(orders.GivenUp()))
	if len(acknowledged) < a.next/2 {
		t.Errorf("only %d of %d events were acknowledged", len(acknowledged), a.next)
	}
	// The events that were given up are counted, and the counters have outlived the outage.
	if lost := len(orders.Made()) - len(acknowledged); lost > 0 {
		counted(t, s.prometheus, `sum({__name__=~"otel_sdk_(processor_log_processed|exporter_log_exported)_total", error_type!=""})`, float64(lost))
		waitAlert(t, s.alertmanager, map[string]string{"alertname": "AuthTelemetryNotExported", "signal": "log", "job": orders.Job})
	}
	counted(t, s.prometheus, fmt.Sprintf(`sum(auth_attempts_total{job=%q})`, orders.Job), float64(a.next))
}

// These alerts wait before they fire: for a missing collector, and for a missing backend.
func TestFullACollectorThatStaysAwayRaisesAnAlert(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	orders := s.service(t, service.Config{})
	orders.MustGet(t, "/orders", "alice", wrongPassword, "203.0.113.7")
	counted(t, s.prometheus, `count(job:otelcol_reporting:instances)`, 1)
	counted(t, s.prometheus, `count(job:auth_reporting:instances)`, 1)
	s.collector.Kill()
	// Scraped series end at once, and pushed series end five minutes after their last sample. Both
	// alerts wait two more minutes.
	long := 12 * time.Minute
	for _, name := range []string{"AuthCollectorSilent", "AuthServiceSilent"} {
		servers.Eventually(t, long, name, func() error {
			alerts, err := s.alertmanager.Alerts()
			if err == nil && !slices.ContainsFunc(alerts, func(a servers.Alert) bool { return a.Labels["alertname"] == name }) {
				err = fmt.Errorf("there are %v", names(alerts))
			}
			return err
		})
	}
}
