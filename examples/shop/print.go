// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/examples/shop/otlpview"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// print prints the story. Its layout is the same each time; ids, times and estimates differ.
func (t *story) print(w io.Writer) {
	fmt.Fprintf(w, "Customers visited (%s). A sprayer at 198.51.100.66 tried one password on every name (%s) and found victor's. As victor\n"+
		"the intruder bought a lamp and requested a refund. Inventory refused it: the account that orders uses for returns, %s, is disabled.\n",
		statuses(t.honest), statuses(t.guesses), returnsDesk)

	fmt.Fprintf(w, "\nThe denial, one trace through three services: %s\n\n", t.denial.ID)
	printTree(w, t.denial)

	fmt.Fprint(w, "\nIts events:\n\n")
	fmt.Fprintf(w, rowFormat, "service", "event", "severity", "status", "outcome", "reason", "user", "client")
	for _, e := range t.denial.Events {
		a := e.Attributes
		fmt.Fprintf(w, rowFormat, e.Service, e.Name, e.Severity, cell(a["http.response.status_code"]), cell(a[semconv.KeyOutcome]),
			cell(a[semconv.KeyReason]), cell(a["user.name"]), cell(a["client.address"]))
	}

	fmt.Fprint(w, "\nThe series of auth.attempts and of the requests whose exemplars lead to it:\n\n")
	for _, e := range t.denial.Exemplars {
		if e.Metric == "auth.attempts" || e.Metric == "http.server.request.duration" {
			fmt.Fprintf(w, "  %-10s  %-28s %3.0f  {%s}\n", e.Service, e.Metric, e.Total, brief(e.Attributes))
		}
	}

	fmt.Fprint(w, "\nWhat detection found:\n\n")
	for _, d := range t.detections {
		printDetection(w, d)
	}

	if len(t.names) > 0 {
		e := t.names[0]
		fmt.Fprintf(w, "\n%s reported an unknown name as user.hash=%s.\nInventory reports the same hash for %s, because the services share a key: the sprayer knows the name of that account.\n",
			e.Service, e.Attributes["user.hash"], returnsDesk)
	}
}

const rowFormat = "  %-10s  %-12s  %-8s  %-6s  %-9s  %-16s  %-12s  %s\n"

func printTree(w io.Writer, t otlpview.Trace) {
	children := make(map[trace.SpanID][]otlpview.Span)
	there := make(map[trace.SpanID]bool)
	for _, s := range t.Spans {
		there[s.ID] = true
	}
	for _, s := range t.Spans {
		parent := s.Parent
		if !there[parent] {
			parent = trace.SpanID{} // the root, or a parent that an outsider has named
		}
		children[parent] = append(children[parent], s)
	}
	var branch func(parent trace.SpanID, depth int)
	branch = func(parent trace.SpanID, depth int) {
		for _, s := range children[parent] {
			name := strings.Repeat("  ", depth) + s.Name
			fmt.Fprintf(w, "  %-10s  %-62s %-8s %8s  %s\n", s.Service, name, s.Kind, took(s), facts(s))
			branch(s.ID, depth+1)
		}
	}
	branch(trace.SpanID{}, 0)
}

func took(s otlpview.Span) string {
	return fmt.Sprintf("%.1f ms", float64(s.End.Sub(s.Start))/float64(time.Millisecond))
}

// facts returns the attributes that explain the span.
func facts(s otlpview.Span) string {
	var all []string
	for _, key := range []string{"http.response.status_code", semconv.KeyOutcome, semconv.KeyReason, "user.name", "client.address"} {
		if v := s.Attributes[key]; v != "" {
			all = append(all, v)
		}
	}
	return strings.Join(all, " ")
}

// brief omits the attributes that are the same in all series.
func brief(a otlpview.Attributes) string {
	a = maps.Clone(a)
	maps.DeleteFunc(a, func(key, _ string) bool {
		return strings.HasPrefix(key, "network.") || strings.HasPrefix(key, "server.") || strings.HasPrefix(key, "url.")
	})
	return a.String()
}

func printDetection(w io.Writer, d otlpview.Event) {
	a := d.Attributes
	fmt.Fprintf(w, "  %-10s  %-22s  %-6s  %-6s  %s attempts, %s accounts, %s networks (%s), %s\n", d.Service, a["security_rule.name"],
		a[semconv.KeyDetectionSeverity], a[semconv.KeyDetectionPhase], cmp.Or(a[semconv.KeyDetectionAttempts], "0"), cmp.Or(a[semconv.KeyDetectionAccountCount], "0"),
		cmp.Or(a[semconv.KeyDetectionNetworkCount], "0"), cell(a[semconv.KeyDetectionNetworks]), cell(a[semconv.KeyDetectionTechnique]))
}

// printEvent prints what happens after the story: every denial, every detection, and every success
// that does not come from the traffic generator.
func printEvent(w io.Writer, ours string, e otlpview.Event) {
	a := e.Attributes
	switch {
	case e.Name == semconv.EventDetection:
		printDetection(w, e)
	case e.Name != semconv.EventAttempt,
		a[semconv.KeyOutcome] == attempt.Success.String() && (a["user_agent.original"] == ours || e.Service != storefrontName):
	default:
		fmt.Fprintf(w, "  %-10s  %-6s  %-9s  %-16s  %-12s  %-15s  %-24s  %s\n", e.Service, cell(a["http.response.status_code"]), cell(a[semconv.KeyOutcome]),
			cell(a[semconv.KeyReason]), cell(a["user.name"]), cell(a["client.address"]), cell(a["http.route"]), e.TraceID)
	}
}

func cell(value string) string { return cmp.Or(value, "-") }

// statuses returns "9 × 200, 1 × 401".
func statuses(counts map[int]int) string {
	var all []string
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%d × %d", counts[status], status))
	}
	return strings.Join(all, ", ")
}
