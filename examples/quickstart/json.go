// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.opentelemetry.io/otel/exporters/stdout/stdoutlog"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdklog "go.opentelemetry.io/otel/sdk/log"
)

// writeJSON prints the telemetry of one attempt as the stdout exporters of OpenTelemetry write it.
func writeJSON(w io.Writer, s *story) {
	var spans, points, event bytes.Buffer
	traceExporter, errTraces := stdouttrace.New(stdouttrace.WithWriter(&spans))
	metricExporter, errMetrics := stdoutmetric.New(stdoutmetric.WithWriter(&points))
	logExporter, errLogs := stdoutlog.New(stdoutlog.WithWriter(&event))
	err := errors.Join(errTraces, errMetrics, errLogs)
	if err == nil {
		ctx := context.Background()
		err = errors.Join(traceExporter.ExportSpans(ctx, s.exported.spans),
			metricExporter.Export(ctx, &s.exported.points), logExporter.Export(ctx, []sdklog.Record{*s.exported.event}))
	}
	if err != nil {
		fmt.Fprintln(w, "quickstart:", err)
		return
	}
	fmt.Fprintln(w, "\nTrace:")
	layOut(w, spans.Bytes())
	fmt.Fprintf(w, "\nMetric points; their exemplars hold the trace id in base64, %s:\n", base64.StdEncoding.EncodeToString(s.trace[:]))
	layOut(w, points.Bytes())
	fmt.Fprintln(w, "\nEvent:")
	layOut(w, event.Bytes())
	fmt.Fprintln(w)
}

// width is the longest line of JSON that is not broken.
const width = 110

// layOut prints JSON documents and keeps short values on one line. json.Indent would put each
// bound of a histogram on its own line.
func layOut(w io.Writer, documents []byte) {
	for dec := json.NewDecoder(bytes.NewReader(documents)); dec.More(); {
		var doc json.RawMessage
		if err := dec.Decode(&doc); err != nil {
			fmt.Fprintln(w, "invalid JSON:", err)
			return
		}
		lay(w, doc, "")
		fmt.Fprintln(w)
	}
}

func lay(w io.Writer, value json.RawMessage, indent string) {
	if len(indent)+len(value) <= width || !nested(value) {
		_, _ = w.Write(value)
		return
	}
	dec := json.NewDecoder(bytes.NewReader(value))
	_, _ = dec.Token() // the document was decoded without an error
	fmt.Fprintf(w, "%c", value[0])
	deeper, separator := indent+"  ", ""
	for dec.More() {
		fmt.Fprintf(w, "%s\n%s", separator, deeper)
		separator = ","
		if value[0] == '{' {
			key, _ := dec.Token()
			fmt.Fprintf(w, "%q: ", key)
		}
		var element json.RawMessage
		_ = dec.Decode(&element)
		lay(w, element, deeper)
	}
	fmt.Fprintf(w, "\n%s%c", indent, value[0]+2) // '{'+2 is '}', '['+2 is ']'
}

// nested reports whether value is an object or a list of other values than numbers.
func nested(value json.RawMessage) bool {
	return value[0] == '{' || value[0] == '[' && bytes.ContainsAny(value[1:], "{[\"")
}
