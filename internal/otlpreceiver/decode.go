// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otlpreceiver

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// decode reads the body. The messages TracesData, MetricsData and LogsData have the same fields as
// the requests of the three services, whose package would add gRPC to every program.
func (e *Export) decode(contentType string, limits Limits) error {
	var m proto.Message
	switch e.Signal {
	case Traces:
		e.Traces = &tracepb.TracesData{}
		m = e.Traces
	case Metrics:
		e.Metrics = &metricspb.MetricsData{}
		m = e.Metrics
	case Logs:
		e.Logs = &logspb.LogsData{}
		m = e.Logs
	default:
		return refuse(http.StatusNotFound, "%q is not a signal", e.Signal)
	}
	wire := e.Body
	if contentType == jsonType {
		// A message in JSON is an object.
		if n := bytes.Count(wire, []byte("{")); n > limits.Messages {
			return refuse(http.StatusRequestEntityTooLarge, "the request has more than %d objects; export smaller batches", limits.Messages)
		}
		canonical, err := withBase64IDs(wire)
		if err != nil {
			return err
		}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(canonical, m); err != nil {
			return refuse(http.StatusBadRequest, "the request is not OTLP in JSON: %v", err)
		}
		if wire, err = proto.Marshal(m); err != nil {
			return refuse(http.StatusBadRequest, "the request is not OTLP in JSON: %v", err)
		}
	}
	c := counter{limits: limits}
	if err := c.count(m.ProtoReflect().Descriptor(), wire, 0); err != nil {
		return err
	}
	if contentType == jsonType {
		return nil
	}
	if err := proto.Unmarshal(wire, m); err != nil {
		return refuse(http.StatusBadRequest, "the request is not OTLP in protobuf: %v", err)
	}
	return nil
}

// withBase64IDs returns a message of OTLP/JSON as protojson reads it: OTLP writes trace and span
// ids in hexadecimal, protojson reads bytes in base64.
func withBase64IDs(body []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var root any
	if err := d.Decode(&root); err != nil {
		return nil, refuse(http.StatusBadRequest, "the request is not JSON: %v", err)
	}
	if d.More() {
		return nil, refuse(http.StatusBadRequest, "the request has text after the JSON value")
	}
	if err := convertIDs(root); err != nil {
		return nil, err
	}
	canonical, err := json.Marshal(root)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the request is not JSON: %v", err)
	}
	return canonical, nil
}

// convertIDs converts the ids below v. Attributes are lists of objects with the names key and
// value, so a member of one of these names is always an id.
func convertIDs(v any) error {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := convertIDs(e); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, member := range v {
			text, isText := member.(string)
			if isText && (name == "traceId" || name == "spanId" || name == "parentSpanId") {
				raw, err := hex.DecodeString(text)
				if err != nil {
					return refuse(http.StatusBadRequest, "%s is not hexadecimal", name)
				}
				v[name] = base64.StdEncoding.EncodeToString(raw)
			} else if err := convertIDs(member); err != nil {
				return err
			}
		}
	}
	return nil
}

// counter counts what a message will take in memory before it is unmarshalled: two bytes can be a
// message of two hundred.
type counter struct {
	limits            Limits
	messages, records int
}

// maxDepth bounds messages in messages. Attributes that are nested deeper are not telemetry.
const maxDepth = 64

var records = map[protoreflect.FullName]bool{
	"opentelemetry.proto.trace.v1.Span":                            true,
	"opentelemetry.proto.logs.v1.LogRecord":                        true,
	"opentelemetry.proto.metrics.v1.NumberDataPoint":               true,
	"opentelemetry.proto.metrics.v1.HistogramDataPoint":            true,
	"opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint": true,
	"opentelemetry.proto.metrics.v1.SummaryDataPoint":              true,
}

func (c *counter) count(message protoreflect.MessageDescriptor, wire []byte, depth int) error {
	if depth > maxDepth {
		return refuse(http.StatusBadRequest, "the request nests values more than %d times", maxDepth)
	}
	fields := message.Fields()
	for len(wire) > 0 {
		number, kind, n := protowire.ConsumeTag(wire)
		if n < 0 {
			return refuse(http.StatusBadRequest, "the request is not OTLP in protobuf: %v", protowire.ParseError(n))
		}
		wire = wire[n:]
		n = protowire.ConsumeFieldValue(number, kind, wire)
		if n < 0 {
			return refuse(http.StatusBadRequest, "the request is not OTLP in protobuf: %v", protowire.ParseError(n))
		}
		value := wire[:n]
		wire = wire[n:]
		field := fields.ByNumber(number)
		if field == nil {
			continue
		}
		if field.IsList() {
			c.messages++
			if field.IsPacked() {
				c.messages += len(value) / 16
			}
		}
		if of := field.Message(); of != nil && kind == protowire.BytesType {
			if !field.IsList() {
				c.messages++
			}
			if records[of.FullName()] {
				c.records++
			}
			inner, _ := protowire.ConsumeBytes(value)
			if err := c.count(of, inner, depth+1); err != nil {
				return err
			}
		}
		if c.messages > c.limits.Messages || c.records > c.limits.Records {
			return refuse(http.StatusRequestEntityTooLarge, "the request has more than %d records or %d values; export smaller batches",
				c.limits.Records, c.limits.Messages)
		}
	}
	return nil
}
