// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/cmd/otelauth/internal/nearest"
)

// otelVariable is a variable of OpenTelemetry that the gateway reads. The SDK reports some bad
// values once for each signal, others only when it exports, and many not at all.
type otelVariable struct {
	name string
	// problem returns what is wrong with a value, with what to write, or "".
	problem func(value string) string
	// secret values are not shown.
	secret bool
}

// otelVariables returns all variables whose values are checked.
func otelVariables() []otelVariable {
	onOff := oneOf("true", "false")
	all := []otelVariable{
		{name: "OTEL_SDK_DISABLED", problem: onOff},
		{name: "OTEL_PROPAGATORS", problem: listOf("tracecontext", "baggage", "none")},
		{name: "OTEL_TRACES_EXPORTER", problem: oneOf("otlp", "console", "none")},
		{name: "OTEL_METRICS_EXPORTER", problem: oneOf("otlp", "prometheus", "console", "none")},
		{name: "OTEL_LOGS_EXPORTER", problem: oneOf("otlp", "console", "none")},
		{name: "OTEL_EXPORTER_PROMETHEUS_PORT", problem: number(0, 65535)},
		{name: "OTEL_TRACES_SAMPLER", problem: oneOf("always_on", "always_off", "traceidratio",
			"parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio")},
		{name: "OTEL_TRACES_SAMPLER_ARG", problem: ratio},
		{name: "OTEL_METRICS_EXEMPLAR_FILTER", problem: oneOf("always_on", "always_off", "trace_based")},
		{name: "OTEL_METRIC_EXPORT_INTERVAL", problem: milliseconds},
		{name: "OTEL_METRIC_EXPORT_TIMEOUT", problem: milliseconds},
		{name: "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", problem: oneOf("cumulative", "delta", "lowmemory")},
		{name: "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
			problem: oneOf("explicit_bucket_histogram", "base2_exponential_bucket_histogram")},
	}
	for _, signal := range []string{"", "TRACES_", "METRICS_", "LOGS_"} {
		prefix := "OTEL_EXPORTER_OTLP_" + signal
		all = append(all,
			otelVariable{name: prefix + "HEADERS", problem: otlpHeaders, secret: true},
			otelVariable{name: prefix + "ENDPOINT", problem: otlpEndpoint, secret: true},
			otelVariable{name: prefix + "PROTOCOL", problem: oneOf("grpc", "http/protobuf")},
			otelVariable{name: prefix + "COMPRESSION", problem: oneOf("gzip", "none")},
			otelVariable{name: prefix + "TIMEOUT", problem: milliseconds},
			otelVariable{name: prefix + "INSECURE", problem: onOff},
			otelVariable{name: prefix + "CERTIFICATE", problem: readable},
			otelVariable{name: prefix + "CLIENT_CERTIFICATE", problem: readable},
			otelVariable{name: prefix + "CLIENT_KEY", problem: readable})
	}
	for _, processor := range []string{"OTEL_BSP_", "OTEL_BLRP_"} {
		all = append(all,
			otelVariable{name: processor + "SCHEDULE_DELAY", problem: milliseconds},
			otelVariable{name: processor + "EXPORT_TIMEOUT", problem: milliseconds},
			otelVariable{name: processor + "MAX_QUEUE_SIZE", problem: number(1, 1<<31-1)},
			otelVariable{name: processor + "MAX_EXPORT_BATCH_SIZE", problem: number(1, 1<<31-1)})
	}
	for _, bound := range []string{
		"ATTRIBUTE_VALUE_LENGTH", "SPAN_ATTRIBUTE_VALUE_LENGTH", "SPAN_ATTRIBUTE_COUNT", "SPAN_EVENT_COUNT", "SPAN_LINK_COUNT",
		"EVENT_ATTRIBUTE_COUNT", "LINK_ATTRIBUTE_COUNT", "LOGRECORD_ATTRIBUTE_VALUE_LENGTH", "LOGRECORD_ATTRIBUTE_COUNT",
	} {
		all = append(all, otelVariable{name: "OTEL_" + bound + "_LIMIT", problem: number(-1, 1<<31-1)})
	}
	return all
}

// checkTelemetryVariables returns one error for each variable whose value is bad.
func checkTelemetryVariables(getenv func(string) string) error {
	var problems []error
	for _, v := range otelVariables() {
		value := getenv(v.name)
		if value == "" {
			continue
		}
		if problem := v.problem(value); problem != "" {
			text := quoted(shown(value))
			if v.secret {
				text = "(not shown)"
			}
			problems = append(problems, fmt.Errorf("%s: %s %s", v.name, text, problem))
		}
	}
	return errors.Join(problems...)
}

func oneOf(values ...string) func(string) string {
	return func(value string) string {
		if slices.Contains(values, value) {
			return ""
		}
		return "is not valid: use " + alternatives(values)
	}
}

func listOf(values ...string) func(string) string {
	return func(value string) string {
		for item := range strings.SplitSeq(value, ",") {
			if item = strings.TrimSpace(item); item != "" && !slices.Contains(values, item) {
				return "is not valid: use " + alternatives(values) + "; others are not supported"
			}
		}
		return ""
	}
}

// alternatives returns "a, b or c".
func alternatives(values []string) string {
	last := len(values) - 1
	return strings.Join(values[:last], ", ") + " or " + values[last]
}

func number(least, most int) func(string) string {
	return func(value string) string {
		if n, err := strconv.Atoi(value); err != nil || n < least || n > most {
			return fmt.Sprintf("is not valid: use a number from %d to %d", least, most)
		}
		return ""
	}
}

func milliseconds(value string) string {
	if n, err := strconv.Atoi(value); err != nil || n < 1 {
		return "is not valid: use a number of milliseconds without a unit, such as 10000"
	}
	return ""
}

func ratio(value string) string {
	if f, err := strconv.ParseFloat(value, 64); err != nil || !(f >= 0 && f <= 1) {
		return "is not valid: use a number from 0 to 1, such as 0.1"
	}
	return ""
}

func readable(value string) string {
	f, err := openRegular(value)
	if err != nil {
		return "cannot be read: name an existing file (PEM) that the gateway may read"
	}
	_ = f.Close() // only opened
	return ""
}

// otlpHeaders checks the form; headers hold keys of backends.
func otlpHeaders(value string) string {
	for i, item := range strings.Split(value, ",") {
		key, text, found := strings.Cut(item, "=")
		_, err := url.PathUnescape(text)
		if !found || err != nil || !headerName.MatchString(strings.TrimSpace(key)) {
			return fmt.Sprintf("item %d is not of the form name=value with a percent-encoded value", i+1)
		}
	}
	return ""
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func otlpEndpoint(value string) string {
	u, err := url.Parse(value)
	switch {
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		return "is not a URL: use one such as http://127.0.0.1:4318"
	case u.User != nil:
		return "has a password: put it into OTEL_EXPORTER_OTLP_HEADERS"
	}
	return ""
}

// kubernetesVariable matches variables that Kubernetes sets for a service named otelauth.
var kubernetesVariable = regexp.MustCompile(`^OTELAUTH(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// unknownVariables returns an error for each variable with the prefix of the gateway that it does
// not read. Those of the collector configuration and of Kubernetes are not its own.
func unknownVariables(environ []string, s *settings) error {
	known := []string{dsnVariable, operatorVariable, variable("config")}
	for _, flag := range s.flags {
		if !isOnlyFlag(flag.Name) {
			known = append(known, variable(flag.Name))
		}
	}
	var problems []error
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, variablePrefix) || slices.Contains(known, name) ||
			strings.HasPrefix(name, "OTELAUTH_COLLECTOR_") || kubernetesVariable.MatchString(name) {
			continue
		}
		problems = append(problems, fmt.Errorf("%s is not a variable of the gateway%s; unset it, or see otelauth help --all gateway for all names",
			shown(name), nearest.Hint(name, known)))
	}
	return errors.Join(problems...)
}
