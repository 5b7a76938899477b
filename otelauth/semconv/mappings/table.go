// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import "github.com/otelauth/otelauth-go/otelauth/semconv"

// The versions that the tables were written for.
const (
	ECSVersion  = "9.4.0"
	OCSFVersion = "1.8.0"
)

// kind is the type of a counterpart. A value of another type keeps its own name.
type kind uint8

const (
	text    kind = 1
	number  kind = 2
	flag    kind = 3
	address kind = 4 // an IP address
	instant kind = 5 // RFC 3339; milliseconds since 1970 in OCSF
	list    kind = 6 // a list of texts; an attribute has one text or a list
	ips     kind = 7 // a list of IP addresses
)

// field is the counterpart of one attribute. An empty path means that the schema has none.
type field struct {
	attribute string
	kind      kind
	ecs       []string
	ocsf      string
}

// fields has a row for each attribute with a counterpart. An enumeration is in outcomes, schemes
// and events as well.
var fields = []field{
	{semconv.KeyClientAddress, text, []string{"client.address"}, ""},
	// Elastic's detection rules group by source.ip.
	{semconv.KeyClientAddress, address, []string{"client.ip", "source.ip"}, "src_endpoint.ip"},
	{semconv.KeyClientPort, number, []string{"client.port"}, "src_endpoint.port"},
	{semconv.KeyHTTPRequestMethod, text, []string{"http.request.method"}, "http_request.http_method"},
	{semconv.KeyHTTPResponseStatusCode, number, []string{"http.response.status_code"}, "http_response.code"},
	{semconv.KeyURLPath, text, []string{"url.path"}, "http_request.url.path"},
	{semconv.KeyURLScheme, text, []string{"url.scheme"}, ""},
	{semconv.KeyUserAgentOriginal, text, []string{"user_agent.original"}, "http_request.user_agent"},
	{semconv.KeyHTTPRequestHeader + ".x-request-id", text, []string{"http.request.id"}, "http_request.uid"},
	{semconv.KeyUserName, text, []string{"user.name"}, "user.name"},
	{semconv.KeyUserHash, text, []string{"user.hash"}, "user.uid"},
	{semconv.KeyErrorType, text, []string{"error.type"}, "status_code"},
	{semconv.KeyReason, text, []string{"event.reason"}, "status_detail"},
	{"body", text, []string{"message"}, "message"}, // of a line; no attribute
	{semconv.KeyExceptionMessage, text, []string{"error.message"}, "message"},
	{semconv.KeyServerAddress, text, []string{"server.address"}, ""},
	{semconv.KeyEventsSuppressedCount, number, nil, "count"},
	{semconv.KeyEventsSuppressedFirstTime, instant, []string{"event.start"}, "start_time"},
	{semconv.KeyEventsSuppressedLastTime, instant, []string{"event.end"}, "end_time"},
	{semconv.KeyCredentialsExposed, flag, nil, "is_cleartext"},
	{semconv.KeySecurityRuleName, text, []string{"rule.name"}, "finding_info.analytic.name"},
	{semconv.KeySecurityRuleUUID, text, []string{"rule.uuid"}, "finding_info.analytic.uid"},
	{semconv.KeySecurityRuleCategory, text, []string{"rule.category"}, "finding_info.analytic.category"},
	{semconv.KeySecurityRuleRulesetName, text, []string{"rule.ruleset"}, ""},
	{semconv.KeySecurityRuleDescription, text, []string{"rule.description"}, "finding_info.title"},
	{semconv.KeyDetectionTechnique, list, []string{"threat.technique.id"}, ""}, // OCSF: finding
	{semconv.KeyDetectionEpisode, text, nil, "finding_info.uid"},
	{semconv.KeyDetectionDedupeKey, text, nil, "finding_info.uid_alt"},
	{semconv.KeyDetectionRunbookURL, text, []string{"rule.reference"}, "finding_info.src_url"},
	{semconv.KeyDetectionThreshold, text, []string{"event.reason"}, "finding_info.analytic.desc"},
	{semconv.KeyDetectionNextStep, text, nil, "remediation.desc"},
	{semconv.KeyDetectionConfidence, text, nil, ""}, // OCSF: finding
	{semconv.KeyDetectionAttempts, number, nil, "count"},
	{semconv.KeyDetectionAddresses, ips, []string{"related.ip"}, ""}, // OCSF: finding
	{semconv.KeyDetectionAccounts, list, []string{"related.user"}, ""},
	{semconv.KeyDetectionFirstTime, instant, []string{"event.start"}, "start_time"},
	{semconv.KeyDetectionLastTime, instant, []string{"event.end"}, "end_time"},
}

// event is the counterpart of an event name.
type event struct {
	ecsKind     string
	ecsCategory string
	ecsType     string
	class       int // of OCSF
}

// events has a row for each event that is more than a notice.
var events = map[string]event{
	semconv.EventAttempt:          {"event", "authentication", "start", ocsfAuthentication},
	semconv.EventEventsSuppressed: {"event", "authentication", "start", ocsfAuthentication},
	semconv.EventPublicResponse:   {"event", "web", "access", 0},
	semconv.EventDetection:        {"alert", "intrusion_detection", "info", ocsfFinding},
	semconv.EventAccountReload:    {"event", "configuration", "change", 0},
	semconv.EventThrottleChanged:  {"event", "configuration", "change", 0},
}

// notice is the row of every other event.
var notice = event{ecsKind: "event", ecsType: "info"}

// outcome is the counterpart of a value of auth.outcome.
type outcome struct {
	ecs          string // event.outcome
	ocsf         string // status
	ocsfID       int    // status_id
	severity     string
	ocsfSeverity int // severity_id
}

var outcomes = map[string]outcome{
	"success":   {"success", "Success", 1, "Informational", 1},
	"missing":   {"failure", "Failure", 2, "Informational", 1},
	"malformed": {"failure", "Failure", 2, "Low", 2},
	"failure":   {"failure", "Failure", 2, "Low", 2},
	"throttled": {"failure", "Failure", 2, "Medium", 3},
	"error":     {"unknown", "Unknown", 0, "Medium", 3},
}

// level is the counterpart of a value of auth.detection.severity and auth.detection.confidence.
type level struct {
	name       string
	severity   int // severity_id
	confidence int // confidence_id
}

var levels = map[string]level{"low": {"Low", 2, 1}, "medium": {"Medium", 3, 2}, "high": {"High", 4, 3}}

// activity is the counterpart of a value of auth.detection.phase: activity_id and activity_name.
type activity struct {
	id   int
	name string
}

var activities = map[string]activity{"start": {1, "Create"}, "update": {2, "Update"}, "end": {3, "Close"}}

// scheme is the counterpart of a value of auth.scheme: auth_protocol and auth_protocol_id.
type scheme struct {
	ocsf   string
	ocsfID int
}

var schemes = map[string]scheme{
	"none":   {"Unknown", 0},
	"basic":  {"Basic Authentication", 11},
	"bearer": {"bearer", 99},
	"other":  {"Other", 99},
}

// The names and numbers of OCSF that every event has.
const (
	ocsfAuthentication = 3002 // class_uid
	ocsfFinding        = 2004 // class_uid: Detection Finding
	ocsfFindings       = 2    // category_uid
	ocsfRule           = 1    // type_id of an analytic
	ocsfIdentity       = 3    // category_uid
	ocsfLogon          = 1    // activity_id
	ocsfOther          = 99   // activity_id
	ocsfNetwork        = 3    // logon_type_id
	ocsfCleartext      = 8    // logon_type_id
)

// noUser is user.uid of an attempt without a name, because OCSF requires a user. No user.hash and
// no id of a service equals it: those hold a colon.
const noUser = "none"
