// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package mappings_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/otelauth/semconv/mappings"
)

var update = flag.Bool("update", false, "write the golden files anew")

var at = time.Date(2026, 11, 29, 9, 30, 0, 123456789, time.UTC)

// examples has an event of each form.
func examples() map[string]mappings.Event {
	caller := func(more map[string]any) map[string]any {
		all := map[string]any{
			semconv.KeyClientAddress: "192.0.2.7", semconv.KeyClientPort: json.Number("51000"),
			semconv.KeyNetworkPeerAddress: "10.0.0.2", semconv.KeyHTTPRequestMethod: "GET", semconv.KeyHTTPRoute: "/orders/{id}",
			semconv.KeyURLPath: "/orders/7", semconv.KeyUserAgentOriginal: "curl/8.5", semconv.KeyScheme: "basic",
			semconv.KeyHTTPRequestHeader + ".x-request-id": []any{"r-1"},
		}
		for key, value := range more {
			all[key] = value
		}
		return all
	}
	return map[string]mappings.Event{
		"success": {Name: semconv.EventAttempt, Time: at, Sequence: 0, TraceID: strings.Repeat("a1", 16), SpanID: strings.Repeat("b2", 8), Attributes: caller(map[string]any{
			semconv.KeyOutcome: "success", semconv.KeyUserName: "alice", semconv.KeyUserHash: "k1:" + strings.Repeat("0", 32),
			semconv.KeyCacheResult: "hit", semconv.KeyHTTPResponseStatusCode: json.Number("200"),
		})},
		"failure": {Name: semconv.EventAttempt, Time: at, Sequence: 41, TraceID: strings.Repeat("a1", 16), Attributes: caller(map[string]any{
			semconv.KeyOutcome: "failure", semconv.KeyErrorType: "invalid_credentials", semconv.KeyReason: "unknown_user",
			semconv.KeyUserHash: "k1:" + strings.Repeat("1", 32), semconv.KeyCredentialsExposed: true, semconv.KeyHTTPResponseStatusCode: json.Number("401"),
		})},
		"missing": {Name: semconv.EventAttempt, Time: at, Sequence: -1, Service: "shop", Attributes: map[string]any{
			semconv.KeyOutcome: "missing", semconv.KeyScheme: "none",
		}},
		"error": {Name: semconv.EventAttempt, Time: at, Sequence: 42, Attributes: caller(map[string]any{
			semconv.KeyOutcome: "error", semconv.KeyErrorType: "accounts_unavailable", semconv.KeyExceptionMessage: "sqlstore: no answer",
			semconv.KeyScheme: "digest",
		})},
		"folded": {Name: semconv.EventEventsSuppressed, Time: at, Sequence: 43, Attributes: map[string]any{
			semconv.KeyOutcome: "throttled", semconv.KeyErrorType: "rate_limited", semconv.KeyEventsSuppressedEvent: semconv.EventAttempt,
			semconv.KeyEventsSuppressedCount: json.Number("900"), semconv.KeyEventsSuppressedNetwork: "192.0.2.0/24",
			semconv.KeyEventsSuppressedFirstTime: "2026-11-29T09:29:50.000Z", semconv.KeyEventsSuppressedLastTime: "2026-11-29T09:29:59.900Z",
			semconv.KeyEventsSuppressedRoutes: []any{"/", "/orders/{id}"},
		}},
		"notice": {Name: semconv.EventAccountReload, Time: at, Sequence: 44, Attributes: map[string]any{
			semconv.KeyAccountCount: json.Number("3"), semconv.KeyAccountSource: "/etc/otelauth/users", "body": "line 7 is not valid", semconv.KeyExceptionMessage: "bad hash",
		}},
		"detection": {Name: semconv.EventDetection, Time: at, Sequence: -1, Attributes: map[string]any{
			semconv.KeySecurityRuleName: "password_spray", semconv.KeySecurityRuleUUID: "d79f3428-1376-54b2-8df1-bb336e7bc32e",
			semconv.KeySecurityRuleDescription: "one network tries passwords on many accounts", semconv.KeySecurityRuleCategory: "authentication",
			semconv.KeyDetectionTechnique: "T1110.003", semconv.KeyDetectionSeverity: "high", semconv.KeyDetectionPhase: "update",
			semconv.KeyDetectionEpisode: "0af7651916cd43dd", semconv.KeyDetectionAttempts: json.Number("128"),
			semconv.KeyDetectionFirstTime: "2026-11-29T09:00:00Z", semconv.KeyDetectionLastTime: "2026-11-29T09:29:00Z",
			semconv.KeyDetectionAddresses: []any{"192.0.2.7", "2001:db8::1"}, semconv.KeyDetectionAddressAttempts: []any{json.Number("120"), json.Number("8")},
			semconv.KeyDetectionAccounts: []any{"alice", "k1:00"}, semconv.KeyDetectionConfidence: "medium",
			semconv.KeyDetectionThreshold: "wrong passwords for 10 accounts", semconv.KeyDetectionDedupeKey: "password_spray:192.0.2.0/24",
			semconv.KeyDetectionNextStep: "deny the network", semconv.KeyDetectionCommand: "otelauth budgets deny --network 192.0.2.0/24",
			semconv.KeyDetectionRunbookURL: "https://github.com/otelauth/otelauth-go/blob/main/docs/detections.md#password_spray",
			"body":                         "password_spray: one network tries passwords on many accounts",
		}},
		"odd detection": {Name: semconv.EventDetection, Time: at, Sequence: -1, Attributes: map[string]any{
			semconv.KeyDetectionTechnique: "T1078", semconv.KeyDetectionAddresses: []any{"nowhere"}, semconv.KeyDetectionPhase: "later",
		}},
		// Values of another type than the counterpart keep their names.
		"odd": {Name: semconv.EventAttempt, Time: at, Sequence: 45, Attributes: map[string]any{
			semconv.KeyOutcome: "failure", semconv.KeyClientAddress: "not an address", semconv.KeyClientPort: "http", semconv.KeyUserName: json.Number("7"),
			semconv.KeyHTTPRequestHeader + ".x-request-id": []any{"a", "b"}, semconv.KeyEventsSuppressedFirstTime: "yesterday",
			"user.name.nested": "x",
		}},
	}
}

func formats() map[string]func(mappings.Event) map[string]any {
	return map[string]func(mappings.Event) map[string]any{"ecs": mappings.ECS, "ocsf": mappings.OCSF}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for format, convert := range formats() {
		for name, event := range examples() {
			file := "testdata/" + name + "." + format + ".json"
			got, err := json.MarshalIndent(convert(event), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			if *update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if want, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %v\n got %s\nwant %s\nif the change is wanted: go test ./otelauth/semconv/mappings -update", file, err, got, want)
			}
		}
	}
}

// class is a class or an object of OCSF.
type class struct {
	Constraints struct {
		AtLeastOne []string `json:"at_least_one"`
	} `json:"constraints"`
	Attributes map[string]struct {
		Type     string            `json:"type"`
		Required bool              `json:"required"`
		Array    bool              `json:"array"`
		Enum     map[string]string `json:"enum"`
	} `json:"attributes"`
}

func decode(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// asJSON returns a document as a reader of its JSON sees it.
func asJSON(t *testing.T, doc map[string]any) map[string]any {
	t.Helper()
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var read map[string]any
	if err := json.Unmarshal(b, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// testdata/ocsf-1.8.0.json has the attributes of the classes Authentication, Detection Finding and
// Base Event and of the objects that they refer to, from the schema's release 1.8.0.
func TestOCSFSchema(t *testing.T) {
	t.Parallel()
	var schema map[string]json.RawMessage
	decode(t, "testdata/ocsf-"+mappings.OCSFVersion+".json", &schema)
	classes := map[string]class{}
	for name, raw := range schema {
		var c class
		if json.Unmarshal(raw, &c) == nil {
			classes[name] = c
		}
	}
	for name, event := range examples() {
		doc := asJSON(t, mappings.OCSF(event))
		kind := "base_event"
		switch doc["class_uid"] {
		case float64(3002):
			kind = "authentication"
		case float64(2004):
			kind = "detection_finding"
		}
		for _, problem := range violations(classes, kind, doc, kind) {
			t.Errorf("%s: %s", name, problem)
		}
		if doc["type_uid"] != doc["class_uid"].(float64)*100+doc["activity_id"].(float64) {
			t.Errorf("%s: type_uid %v", name, doc["type_uid"])
		}
	}
	for _, o := range attempt.Outcomes() {
		for _, s := range []attempt.Scheme{attempt.SchemeNone, attempt.SchemeBasic, attempt.SchemeBearer, attempt.SchemeOther} {
			doc := asJSON(t, mappings.OCSF(mappings.Event{Name: semconv.EventAttempt, Time: at, Attributes: map[string]any{
				semconv.KeyOutcome: o.String(), semconv.KeyScheme: s.String(),
			}}))
			if problems := violations(classes, "authentication", doc, "authentication"); problems != nil || doc["status_id"] == nil {
				t.Errorf("outcome %s, scheme %s: %q", o, s, problems)
			}
		}
	}
	delete(classes["authentication"].Attributes, "logon_type")
	if len(violations(classes, "authentication", asJSON(t, mappings.OCSF(examples()["success"])), "")) == 0 {
		t.Error("the check found nothing in an event that does not fit the schema")
	}
}

// violations returns where an object does not fit its class.
func violations(classes map[string]class, name string, doc map[string]any, path string) (problems []string) {
	c, ok := classes[name]
	if !ok {
		return []string{path + ": the schema has no object " + name}
	}
	for key, a := range c.Attributes {
		if _, has := doc[key]; a.Required && !has {
			problems = append(problems, path+"."+key+" is required")
		}
	}
	if one := c.Constraints.AtLeastOne; one != nil && !slices.ContainsFunc(one, func(key string) bool { return doc[key] != nil }) {
		problems = append(problems, fmt.Sprintf("%s needs one of %s", path, one))
	}
	for key, value := range doc {
		a, ok := c.Attributes[key]
		if !ok {
			problems = append(problems, path+"."+key+" is not an attribute of "+name)
			continue
		}
		if id, isNumber := value.(float64); isNumber && a.Enum != nil {
			caption, known := a.Enum[fmt.Sprint(int(id))]
			if !known {
				problems = append(problems, fmt.Sprintf("%s.%s: %v is not in its enumeration", path, key, id))
			}
			sibling, _ := doc[strings.TrimSuffix(key, "_id")].(string)
			if key != strings.TrimSuffix(key, "_id") && id != 99 && sibling != caption && sibling != "" {
				problems = append(problems, fmt.Sprintf("%s.%s is %v, %q, but its name is %q", path, key, id, caption, sibling))
			}
		}
		if list, isList := value.([]any); isList && a.Array && classes[a.Type].Attributes != nil {
			for i, one := range list {
				nested, _ := one.(map[string]any)
				problems = append(problems, violations(classes, a.Type, nested, fmt.Sprintf("%s.%s[%d]", path, key, i))...)
			}
		}
		if nested, isObject := value.(map[string]any); isObject && key != "unmapped" {
			problems = append(problems, violations(classes, a.Type, nested, path+"."+key)...)
		} else if !isObject && !a.Array && !hasType(value, a.Type) {
			problems = append(problems, fmt.Sprintf("%s.%s: %v is not of the type %s", path, key, value, a.Type))
		}
	}
	return problems
}

func hasType(value any, name string) bool {
	n, isNumber := value.(float64)
	_, isText := value.(string)
	_, isBool := value.(bool)
	switch name {
	case "integer_t", "long_t", "timestamp_t", "port_t":
		return isNumber && n == math.Trunc(n)
	case "boolean_t":
		return isBool
	case "ip_t":
		return isText && isAddress(value)
	}
	return isText && strings.HasSuffix(name, "_t")
}

func isAddress(value any) bool {
	_, err := netip.ParseAddr(fmt.Sprint(value))
	return err == nil
}

// testdata/ecs-9.4.0.json has the fields that the table uses, from the schema's release 9.4.0.
func TestECSFields(t *testing.T) {
	t.Parallel()
	var fields map[string]struct {
		Type  string
		Array bool
	}
	decode(t, "testdata/ecs-"+mappings.ECSVersion+".json", &fields)
	for name, event := range examples() {
		for path, value := range flat("", asJSON(t, mappings.ECS(event))) {
			f, ok := fields[path]
			list, isList := value.([]any)
			switch {
			case strings.HasPrefix(path, "otelauth."):
			case !ok:
				t.Errorf("%s: ECS has no field %s", name, path)
			case isList != f.Array:
				t.Errorf("%s: %s is a list: %v; ECS: %v", name, path, isList, f.Array)
			case isList && len(list) == 0:
				t.Errorf("%s: %s is empty", name, path)
			case f.Type == "ip" && isList && slices.ContainsFunc(list, func(one any) bool { return !isAddress(one) }),
				f.Type == "ip" && !isList && !isAddress(value):
				t.Errorf("%s: %s is %v", name, path, value)
			case f.Type == "long" && fmt.Sprintf("%T", value) != "float64":
				t.Errorf("%s: %s is %v", name, path, value)
			case f.Type == "date":
				if _, err := time.Parse(time.RFC3339Nano, value.(string)); err != nil {
					t.Errorf("%s: %s: %v", name, path, err)
				}
			}
		}
	}
}

// flat returns the leaves of a document by their paths.
func flat(prefix string, doc map[string]any) map[string]any {
	leaves := map[string]any{}
	for key, value := range doc {
		if nested, ok := value.(map[string]any); ok {
			for path, leaf := range flat(prefix+key+".", nested) {
				leaves[path] = leaf
			}
			continue
		}
		leaves[prefix+key] = value
	}
	return leaves
}

var constant = regexp.MustCompile(`(?m)^\tKey\w+ += "([^"]+)"$`)

// Every attribute of the registry, with a value of each type, is somewhere in the result: a row
// of the table does not overwrite another, and what has no row keeps its name.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../attributes.go")
	if err != nil {
		t.Fatal(err)
	}
	all := constant.FindAllSubmatch(source, -1)
	if len(all) < 50 {
		t.Fatalf("found %d attributes", len(all))
	}
	for format, convert := range formats() {
		for _, event := range []string{semconv.EventAttempt, semconv.EventDetection} {
			attributes := map[string]any{}
			for i, match := range all {
				// Two attributes are times of two different events.
				if key := string(match[1]); event == semconv.EventAttempt != strings.HasPrefix(key, "auth.detection.") {
					attributes[key] = fmt.Sprintf("value-%03d.", i)
				}
			}
			attributes[semconv.KeyClientAddress] = "192.0.2.213"
			b, err := json.Marshal(convert(mappings.Event{Name: event, Time: at, Attributes: attributes}))
			if err != nil {
				t.Fatal(err)
			}
			for key, value := range attributes {
				if !bytes.Contains(b, []byte(value.(string))) {
					t.Errorf("%s of %s: %s is lost", format, event, key)
				}
			}
		}
	}
}

func TestConversionLeavesTheEventAlone(t *testing.T) {
	t.Parallel()
	for name, event := range examples() {
		before := fmt.Sprint(event)
		mappings.ECS(event)
		mappings.OCSF(event)
		if after := fmt.Sprint(event); after != before {
			t.Errorf("%s changed: %s", name, after)
		}
	}
}
