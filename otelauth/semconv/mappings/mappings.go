// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// Event is an event of otelauth. The zero Event has no name and no time.
type Event struct {
	// Name is the name of the event, such as "auth.attempt".
	Name string
	// Time is when it happened.
	Time time.Time
	// TraceID and SpanID are the ids of its span in hexadecimal; "" if there is none.
	TraceID, SpanID string
	// Sequence is the position in the log; negative: the log has no positions.
	Sequence int64
	// Service is the name of the service. Default: "otelauth".
	Service string
	// Attributes has the attributes by their keys. A value is a string, a bool, a number
	// ([json.Number], int, int64 or float64), or a list of these.
	Attributes map[string]any
}

const defaultService = "otelauth"

func (e *Event) service() string {
	if e.Service == "" {
		return defaultService
	}
	return e.Service
}

func (e *Event) kind() event {
	if known, ok := events[e.Name]; ok {
		return known
	}
	return notice
}

// text returns a string attribute; "" if it is missing or of another type.
func (e *Event) text(key string) string {
	s, _ := e.Attributes[key].(string)
	return s
}

// ECS returns the event as a document of the Elastic Common Schema.
func ECS(e Event) map[string]any {
	kind := e.kind()
	doc := document{
		"@timestamp": e.Time.UTC().Format(time.RFC3339Nano),
		"ecs":        document{"version": ECSVersion},
		"event": document{
			"kind": kind.ecsKind, "type": []string{kind.ecsType}, "action": e.Name, "provider": defaultService,
		},
		"service": document{"name": e.service()},
	}
	if kind.ecsCategory != "" {
		doc.set("event.category", []string{kind.ecsCategory})
	}
	if o, ok := outcomes[e.text(semconv.KeyOutcome)]; ok {
		doc.set("event.outcome", o.ecs)
	}
	if e.Sequence >= 0 {
		doc.set("event.sequence", e.Sequence)
	}
	if e.TraceID != "" {
		doc.set("trace.id", e.TraceID)
	}
	if e.SpanID != "" {
		doc.set("span.id", e.SpanID)
	}
	rest := e.place(func(f *field, value any) bool {
		for _, path := range f.ecs {
			if doc.has(path) {
				return false
			}
			doc.set(path, value)
		}
		return len(f.ecs) > 0
	})
	// In order, so that a name that begins with another one gets the same place each time.
	for _, key := range slices.Sorted(maps.Keys(rest)) {
		doc.set("otelauth."+strings.TrimPrefix(key, "auth."), rest[key])
	}
	return doc
}

// OCSF returns the event as an event of the Open Cybersecurity Schema Framework: Authentication
// (3002) for attempts, Detection Finding (2004) for detections, Base Event (0) for everything else.
func OCSF(e Event) map[string]any {
	at := e.Time.UnixMilli()
	doc := document{
		"time": at,
		"metadata": document{
			"version": OCSFVersion, "event_code": e.Name, "log_provider": defaultService,
			"original_time": e.Time.UTC().Format(time.RFC3339Nano),
			"product":       document{"name": "otelauth", "vendor_name": "otelauth"},
		},
	}
	if e.Sequence >= 0 {
		doc.set("metadata.sequence", e.Sequence)
	}
	if e.TraceID != "" {
		doc.set("trace.uid", e.TraceID)
		doc.set("metadata.profiles", []string{"trace"})
	}
	rest := e.place(func(f *field, value any) bool {
		if f.ocsf == "" || doc.has(f.ocsf) {
			return false
		}
		if f.kind == instant {
			value = milliseconds(value)
		}
		doc.set(f.ocsf, value)
		return true
	})
	switch e.kind().class {
	case ocsfAuthentication:
		e.authentication(doc)
	case ocsfFinding:
		e.finding(doc, rest)
	default:
		doc.merge(document{
			"activity_id": ocsfOther, "activity_name": e.Name, "category_uid": 0, "category_name": "Uncategorized",
			"class_uid": 0, "class_name": "Base Event", "type_uid": ocsfOther, "type_name": "Base Event: Other",
		})
	}
	if e.kind().class != ocsfFinding {
		e.status(doc)
	}
	if e.SpanID != "" {
		rest["span_id"] = e.SpanID // the object span of OCSF needs the times of the span
	}
	if len(rest) > 0 {
		doc["unmapped"] = rest
	}
	return doc
}

// authentication adds what class 3002 has.
func (e *Event) authentication(doc document) {
	doc.merge(document{
		"activity_id": ocsfLogon, "activity_name": "Logon", "category_uid": ocsfIdentity, "category_name": "Identity & Access Management",
		"class_uid": ocsfAuthentication, "class_name": "Authentication",
		"type_uid": ocsfAuthentication*100 + ocsfLogon, "type_name": "Authentication: Logon",
		"is_remote": true, "logon_type_id": ocsfNetwork, "logon_type": "Network",
	})
	if doc["is_cleartext"] == true {
		doc["logon_type_id"], doc["logon_type"] = ocsfCleartext, "Network Cleartext"
	}
	doc.set("service.name", e.service())
	if s, ok := schemes[e.text(semconv.KeyScheme)]; ok {
		doc["auth_protocol"], doc["auth_protocol_id"] = s.ocsf, s.ocsfID
	} else if s := e.text(semconv.KeyScheme); s != "" {
		doc["auth_protocol"], doc["auth_protocol_id"] = s, ocsfOther
	}
	user, known := doc["user"].(document)
	if !known {
		doc.set("user.uid", noUser)
		user = doc["user"].(document)
	}
	user["type_id"], user["type"] = 0, "Unknown"
	if user["name"] != nil {
		user["type_id"], user["type"] = 1, "User"
	}
	if start, ok := doc["start_time"]; ok {
		doc["time"] = start // as OCSF asks of an event that represents several
	}
}

// finding adds what class 2004 has, and removes from rest what it takes from there.
func (e *Event) finding(doc, rest document) {
	phase, ok := activities[e.text(semconv.KeyDetectionPhase)]
	if !ok {
		phase = activity{ocsfOther, e.Name}
	}
	doc.merge(document{
		"activity_id": phase.id, "activity_name": phase.name, "category_uid": ocsfFindings, "category_name": "Findings",
		"class_uid": ocsfFinding, "class_name": "Detection Finding",
		"type_uid": ocsfFinding*100 + phase.id, "type_name": "Detection Finding: " + phase.name, "is_alert": phase.id != activities["end"].id,
	})
	severity, ok := levels[e.text(semconv.KeyDetectionSeverity)]
	if !ok {
		severity.name = "Unknown"
	}
	doc["severity_id"], doc["severity"] = severity.severity, severity.name
	if confidence, ok := levels[e.text(semconv.KeyDetectionConfidence)]; ok {
		doc["confidence_id"], doc["confidence"] = confidence.confidence, confidence.name
		delete(rest, semconv.KeyDetectionConfidence)
	}
	if !doc.has("finding_info.uid") {
		doc.set("finding_info.uid", noUser)
	}
	if doc.has("finding_info.analytic") {
		doc.set("finding_info.analytic.type_id", ocsfRule)
		doc.set("finding_info.analytic.type", "Rule")
	}
	if id := e.text(semconv.KeyDetectionTechnique); id != "" {
		attack := document{"technique": document{"uid": id}}
		if technique, _, isSub := strings.Cut(id, "."); isSub {
			attack = document{"technique": document{"uid": technique}, "sub_technique": document{"uid": id}}
		}
		doc.set("finding_info.attacks", []document{attack})
		delete(rest, semconv.KeyDetectionTechnique)
	}
	if addresses, ok := ips.value(e.Attributes[semconv.KeyDetectionAddresses]); ok {
		var evidences []document
		for _, address := range addresses.([]string) {
			evidences = append(evidences, document{"name": "address", "src_endpoint": document{"ip": address}})
		}
		doc["evidences"] = evidences
		delete(rest, semconv.KeyDetectionAddresses)
	}
}

// status adds the status and the severity.
func (e *Event) status(doc document) {
	o, ok := outcomes[e.text(semconv.KeyOutcome)]
	if !ok {
		doc["severity_id"], doc["severity"] = 1, "Informational"
		return
	}
	doc["status"], doc["status_id"] = o.ocsf, o.ocsfID
	doc["severity"], doc["severity_id"] = o.severity, o.ocsfSeverity
}

// place calls put with each row of the table whose attribute the event has. It returns the
// attributes that put accepted in no row.
func (e *Event) place(put func(f *field, value any) bool) document {
	placed := make(map[string]bool, len(e.Attributes))
	for i := range fields {
		f := &fields[i]
		value, ok := f.kind.value(e.Attributes[f.attribute])
		if ok && put(f, value) {
			placed[f.attribute] = true
		}
	}
	rest := document{}
	for key, value := range e.Attributes {
		if !placed[key] {
			rest[key] = value
		}
	}
	return rest
}

// value returns v in the type of the counterpart. ok is false if it has another type.
func (k kind) value(v any) (converted any, ok bool) {
	if k == list || k == ips {
		return k.values(v)
	}
	if list, isList := v.([]any); isList && k == text && len(list) == 1 {
		v = list[0] // a header has a list
	}
	switch v := v.(type) {
	case string:
		switch k {
		case text:
			return v, true
		case address:
			_, err := netip.ParseAddr(v)
			return v, err == nil
		case instant:
			_, err := time.Parse(time.RFC3339Nano, v)
			return v, err == nil
		}
	case bool:
		return v, k == flag
	case json.Number, int, int64, float64:
		return v, k == number
	}
	return nil, false
}

// values is value for a list.
func (k kind) values(v any) (converted any, ok bool) {
	var all []string
	switch v := v.(type) {
	case string:
		all = []string{v}
	case []string:
		all = v
	case []any:
		for _, one := range v {
			s, isText := one.(string)
			if !isText {
				return nil, false
			}
			all = append(all, s)
		}
	}
	for _, s := range all {
		if _, err := netip.ParseAddr(s); k == ips && err != nil {
			return nil, false
		}
	}
	return all, len(all) > 0
}

// milliseconds returns a time that kind.value has accepted as OCSF has it.
func milliseconds(value any) any {
	t, err := time.Parse(time.RFC3339Nano, value.(string))
	if err != nil {
		return value
	}
	return t.UnixMilli()
}

// document is a JSON object.
type document map[string]any

// set sets the value at a path of keys with dots between them. It creates the objects on the way.
// What stands in the way is kept under its own key with the full path.
func (d document) set(path string, value any) {
	at := d
	for rest := path; ; {
		key, more, nested := strings.Cut(rest, ".")
		if !nested {
			at[key] = value
			return
		}
		next, ok := at[key].(document)
		if !ok {
			if _, taken := at[key]; taken {
				at[rest] = value
				return
			}
			next = document{}
			at[key] = next
		}
		at, rest = next, more
	}
}

// has reports whether there is a value at a path.
func (d document) has(path string) bool {
	key, more, nested := strings.Cut(path, ".")
	if !nested {
		_, ok := d[key]
		return ok
	}
	next, ok := d[key].(document)
	return ok && next.has(more)
}

func (d document) merge(other document) {
	for key, value := range other {
		d[key] = value
	}
}
