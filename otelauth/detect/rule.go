// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// This file is the table of rules. To add a rule, add here its name, its wire number, its row and
// the fields of Thresholds that the row declares; then its logic, and an attack in
// internal/simulate that it must detect. Everything else follows from the table, or a test names
// what is missing. "go generate ./otelauth/detect" rewrites the documents that list the rules.

// The names of the rules, for [Config].On, [Config].Off and [Rule].Name.
const (
	BruteForce           = "brute_force"
	PasswordSpray        = "password_spray"
	CredentialStuffing   = "credential_stuffing"
	SamePassword         = "same_password"
	DistributedGuessing  = "distributed_guessing"
	LowAndSlow           = "low_and_slow"
	ScheduledGuessing    = "scheduled_guessing"
	SuccessAfterFailures = "success_after_failures"
	NewNetwork           = "new_network"
	ImpossibleTravel     = "impossible_travel"
	ConcurrentNetworks   = "concurrent_networks"
	UnusualHour          = "unusual_hour"
	EndpointFailureRatio = "endpoint_failure_ratio"
	SensitiveOnlyDenied  = "sensitive_only_denied"
	UnusableAccount      = "unusable_account"
	ManyAccounts         = "many_accounts"
	DistributedStuffing  = "distributed_stuffing"
	StaleCredential      = "stale_credential"
	FailureBurst         = "failure_burst"
)

// ruleID is the wire number of a rule: one byte in the batches of a feed, and the index in rules.
// Processes of several versions share a feed, so a number is never changed and never reused.
type ruleID uint8

const (
	bruteForce           ruleID = 0
	passwordSpray        ruleID = 1
	credentialStuffing   ruleID = 2
	samePassword         ruleID = 3
	distributedGuessing  ruleID = 4
	lowAndSlow           ruleID = 5
	scheduledGuessing    ruleID = 6
	successAfterFailures ruleID = 7
	newNetwork           ruleID = 8
	impossibleTravel     ruleID = 9
	concurrentNetworks   ruleID = 10
	unusualHour          ruleID = 11
	endpointFailureRatio ruleID = 12
	sensitiveOnlyDenied  ruleID = 13
	unusableAccount      ruleID = 14
	manyAccounts         ruleID = 15
	distributedStuffing  ruleID = 16
	staleCredential      ruleID = 17
	failureBurst         ruleID = 18

	ruleCount = ruleID(len(rules))
)

const days = int64(24 * time.Hour)

// rules is the table, in the order of the documentation. A {Field} in Default is replaced by the
// default of that field of Thresholds.
var rules = [...]definition{
	bruteForce: {
		Rule: Rule{
			Name: BruteForce, UUID: "7909c5af-fbcf-5d6c-994a-2cbce6cb44c0",
			Severity: High, Technique: "T1110.001",
			Default: "{BruteForcePasswords} different wrong passwords for one account from one network within a day",
			Summary: "one network guesses the password of one account",
		},
		keys: byPair, recalls: true,
		thresholds: []threshold{{"BruteForcePasswords", 30, 2, distinctMax}},
	},
	passwordSpray: {
		Rule: Rule{
			Name: PasswordSpray, UUID: "d79f3428-1376-54b2-8df1-bb336e7bc32e",
			Severity: High, Technique: "T1110.003",
			Default: "wrong passwords, within 3 days, for {SprayAccounts} accounts that have never succeeded from the network, " +
				"and for at least {CrowdPercent} % as many as have; or the same from 5 networks or more of an IPv6 /32",
			Summary: "one network tries passwords on many accounts",
		},
		keys: byNetwork, recalls: true,
		thresholds: []threshold{{"SprayAccounts", 10, 2, distinctMax}, {"CrowdPercent", 20, 1, 100}},
	},
	credentialStuffing: {
		Rule: Rule{
			Name: CredentialStuffing, UUID: "590a2d96-5b2a-58b7-ab82-1bc14781964a",
			Severity: High, Technique: "T1110.004",
			Default: "{StuffingNames} names from one network within 3 days, half of them unknown, at most 2 attempts each, " +
				"and at least {CrowdPercent} % as many as accounts use the network; or the same from 5 networks or more of an IPv6 /32",
			Summary: "one network tries a list of leaked names and passwords",
		},
		keys: byNetwork, recalls: true,
		thresholds: []threshold{{"StuffingNames", 20, 2, distinctMax}},
	},
	samePassword: {
		Rule: Rule{
			Name: SamePassword, UUID: "420d86e7-7f72-5952-99e1-4cdf1ab32b98",
			Severity: High, Technique: "T1110.003",
			Default: "one wrong password for {SamePasswordAccounts} names, or for 3 names from {SamePasswordNetworks} networks, within 3 days",
			Summary: "one password is tried on many accounts, from any network",
		},
		keys: byPassword, recalls: true, local: true,
		thresholds: []threshold{{"SamePasswordAccounts", 10, 2, distinctMax}, {"SamePasswordNetworks", 20, 2, distinctMax}},
	},
	distributedGuessing: {
		Rule: Rule{
			Name: DistributedGuessing, UUID: "c2cb06f8-d727-504c-80fb-1d9e9e870769",
			Severity: High, Technique: "T1110.001",
			Default: "{DistributedNetworks} different wrong passwords for one account from {DistributedNetworks} unknown networks within 3 days, " +
				"or 4 from three times as many",
			Summary: "many networks guess the password of one account",
		},
		keys: byAccount, recalls: true,
		thresholds: []threshold{{"DistributedNetworks", 10, 2, distinctMax}},
	},
	lowAndSlow: {
		Rule: Rule{
			Name: LowAndSlow, UUID: "75fec55e-6290-5767-a969-8beccbf9dfb5",
			Severity: High, Technique: "T1110.001",
			Default: "new wrong passwords for one account from unknown networks in {SlowTenMinutes} ten-minute windows of one day, " +
				"{SlowHours} hours of two days, or on {SlowDays} days of fourteen, 22 hours apart",
			Summary: "guesses at one account are spread over hours or days",
		},
		keys: byAccount, recalls: true,
		thresholds: []threshold{{"SlowTenMinutes", 24, 2, 144}, {"SlowHours", 12, 2, 48}, {"SlowDays", 6, 2, 14}},
	},
	scheduledGuessing: {
		Rule: Rule{
			Name: ScheduledGuessing, UUID: "b7b56bc1-08d5-5f00-b5a6-7b2d1268d041",
			Severity: Medium, Technique: "T1110",
			Default: "{TickIntervals} intervals in a row between new wrong passwords, each 30 s or longer, that agree within a tenth",
			Summary: "guesses arrive at regular intervals",
		},
		keys: byPair, recalls: true,
		thresholds: []threshold{{"TickIntervals", 8, 3, 1000}},
	},
	successAfterFailures: {
		Rule: Rule{
			Name: SuccessAfterFailures, UUID: "36ad329c-b073-573d-b972-ca3aa17f9e0a",
			Severity: High, Technique: "T1110",
			Default: "a success after {RunBeforeSuccess} different wrong passwords from a network new to the account, " +
				"after {BruteForcePasswords} from any network, or from a new network during an attack on the account or an attack " +
				"that the network takes part in",
			Summary: "a success follows so many wrong passwords that it may be a guess",
		},
		keys: byAccount, recalls: true,
		thresholds: []threshold{{"RunBeforeSuccess", 20, 2, distinctMax}},
	},
	newNetwork: {
		Rule: Rule{
			Name: NewNetwork, UUID: "50f54706-3b2b-5f63-b172-781b384ebf31",
			Severity: Low, Technique: "T1078",
			Default: "a success from a network new to an account that is known for {NewNetworkAfter} and seldom changes networks; " +
				"fewer than 10 accounts used the network more than 7 days ago",
			Summary: "an account is used from a network it has never used",
		},
		keys:       byAccount,
		thresholds: []threshold{{"NewNetworkAfter", 7 * days, int64(time.Hour), 365 * days}},
	},
	impossibleTravel: {
		Rule: Rule{
			Name: ImpossibleTravel, UUID: "36ee898b-a601-5895-b016-4a56bfcd775d",
			Severity: Medium, Technique: "T1078",
			Default: "two successes {TravelKm} km apart at {TravelKmPerHour} km/h of an account that is known for {NewNetworkAfter} and seldom changes networks, one of them from a " +
				"network that is new to the account within 3 days and that fewer than 10 accounts used more than 7 days ago (needs a Locator)",
			Summary: "one credential is used in two places too far apart to travel between in that time",
		},
		keys:       byAccount,
		thresholds: []threshold{{"TravelKm", 500, 1, 20_000}, {"TravelKmPerHour", 1000, 1, 1_000_000}},
	},
	concurrentNetworks: {
		Rule: Rule{
			Name: ConcurrentNetworks, UUID: "d6a054ea-47f9-56a5-a400-db6a42805298",
			Severity: Low, Technique: "T1078",
			Default: "4 changes within 2 hours between a network known for less than a day and another one",
			Summary: "one credential is used from two networks at once, one of them new",
		},
		keys: byAccount,
	},
	unusualHour: {
		Rule: Rule{
			Name: UnusualHour, UUID: "778c1e10-b5d5-51e4-ad82-fba9e8dbf14b",
			Severity: Low, Technique: "T1078", Optional: true,
			Default: "a success from a known network at an hour of the day that is more than 2 hours from every hour at which the account was " +
				"used in the last four weeks; only for accounts with at least 6 hours of rest, after {LearnHours} and 10 days with use",
			Summary: "an account is used at an hour of the day it has never used",
		},
		keys:       byAccount,
		thresholds: []threshold{{"LearnHours", 14 * days, int64(time.Hour), 365 * days}},
	},
	endpointFailureRatio: {
		Rule: Rule{
			Name: EndpointFailureRatio, UUID: "125b74ae-531f-574b-a888-8ecc95bb5dca",
			Severity: Medium, Technique: "T1110",
			Default: "within one hour of the clock, {EndpointNames} failing names above twice the endpoint's usual ratio, " +
				"and six standard deviations above it; after 48 hours",
			Summary: "more names fail at an endpoint than usual",
		},
		keys: byRoute, recalls: true,
		thresholds: []threshold{{"EndpointNames", 20, 2, 1000}},
	},
	sensitiveOnlyDenied: {
		Rule: Rule{
			Name: SensitiveOnlyDenied, UUID: "a8cd9432-d82f-5548-b267-c34ec439b30b",
			Severity: Medium, Technique: "T1595",
			Default: "{SensitiveDenials} different wrong credentials or endpoints at sensitive endpoints, " +
				"from a network without a success, within 3 days",
			Summary: "a network without a success is refused at sensitive endpoints",
		},
		keys: byNetwork, recalls: true,
		thresholds: []threshold{{"SensitiveDenials", 5, 2, distinctMax}},
	},
	unusableAccount: {
		Rule: Rule{
			Name: UnusableAccount, UUID: "aecfcb24-e985-5304-8fc4-62653d06dba2",
			Severity: Low, Technique: "T1078",
			Default: "{UnusableTries} attempts at a disabled or expired account within 3 days",
			Summary: "an account that is disabled or expired is still tried",
		},
		keys:       byAccount,
		thresholds: []threshold{{"UnusableTries", 3, 1, 1000}},
	},
	manyAccounts: {
		Rule: Rule{
			Name: ManyAccounts, UUID: "e5157586-0b76-5291-ba13-a4ed11e92f08",
			Severity: High, Technique: "T1078",
			Default: "within 3 days, successes of {ManyAccounts} accounts from a network that none of them has used; each is known for " +
				"{NewNetworkAfter} and seldom changes networks; fewer than 10 accounts used the network more than 7 days ago, and neither " +
				"password_spray nor credential_stuffing has fired for it",
			Summary: "many accounts are used from one network that they have never used",
		},
		// Where a company moves to, its users arrive over days.
		keys: byNetwork, recalls: true, quiet: window,
		thresholds: []threshold{{"ManyAccounts", 7, 2, distinctMax}},
	},
	distributedStuffing: {
		Rule: Rule{
			Name: DistributedStuffing, UUID: "9e2bb240-412f-5e0f-af0c-7008f47a99dc",
			Severity: High, Technique: "T1110.004",
			Default: "within an hour, wrong passwords for {StrangeNetworks} names from {StrangeNetworks} networks without a success, and twice " +
				"as many networks as in any hour of the last days; after a day; or twice as many of both within a day; after 8 days",
			Summary: "many networks, each with few attempts, try a list of names and passwords",
		},
		keys: byEverything, recalls: true, quiet: day,
		thresholds: []threshold{{"StrangeNetworks", 50, 10, exactMax}},
	},
	staleCredential: {
		Rule: Rule{
			Name: StaleCredential, UUID: "6f3e025f-738a-5882-ac42-d04b211e5ebd",
			Severity: Low, Technique: "T1078",
			Default: "within an hour of the clock, {StaleRepeats} repetitions of one wrong password for one account, by clients that have sent it before; " +
				"the password is tried on no other account",
			Summary: "clients use an old password of an account: an outage, and not an attack",
		},
		keys: byAccount, recalls: true, local: true,
		thresholds: []threshold{{"StaleRepeats", 100, 2, 10_000}},
	},
	failureBurst: {
		Rule: Rule{
			Name: FailureBurst, UUID: "303f36b4-c93f-59cf-be16-2e987da5bbdb",
			Severity: Medium, Technique: "T1110",
			Default: "{BurstFailures} different wrong credentials within 10 minutes from one network without a success",
			Summary: "a network without a success tries wrong credentials quickly",
		},
		keys: byNetwork, recalls: true,
		thresholds: []threshold{{"BurstFailures", 5, 2, burstMax}},
	},
}

// Thresholds decide when the rules fire. A zero field means its default. A count of different
// things is at most 200; it is exact up to 64 and an estimate above. A window is at most a tenth
// shorter than stated.
type Thresholds struct {
	// BruteForcePasswords is the number of different wrong passwords within a day, for one account
	// from one network. Default: 30.
	BruteForcePasswords int
	// SprayAccounts is the number of accounts, within 3 days, that have never succeeded from the
	// network. Default: 10.
	SprayAccounts int
	// StuffingNames is the number of names from one network within 3 days. Default: 20.
	StuffingNames int
	// CrowdPercent raises SprayAccounts and StuffingNames to at least this percentage of the
	// accounts that succeed from the network, so that a shared address is not one attacker. In the
	// first day after a start without a memory, it is 100. Default: 20.
	CrowdPercent int
	// SamePasswordAccounts is the number of names that one wrong password is tried on within 3
	// days. Default: 10.
	SamePasswordAccounts int
	// SamePasswordNetworks is the number of networks that try one wrong password on at least 3
	// names within 3 days. Default: 20.
	SamePasswordNetworks int
	// DistributedNetworks is the number of networks, and of different wrong passwords, within 3
	// days. Of three times as many networks, 4 passwords suffice. Default: 10.
	DistributedNetworks int
	// SlowTenMinutes is the number of ten-minute windows of one day. Default: 24.
	SlowTenMinutes int
	// SlowHours is the number of hours of two days. Default: 12.
	SlowHours int
	// SlowDays is the number of times, 22 hours apart, within fourteen days. Default: 6.
	SlowDays int
	// TickIntervals is the number of equal intervals in a row. Default: 8.
	TickIntervals int
	// RunBeforeSuccess is the number of different wrong passwords before a success from a network
	// new to the account. At most BruteForcePasswords. Default: 20.
	RunBeforeSuccess int
	// NewNetworkAfter is how long an account must be known before a new network is reported.
	// Default: 7 days.
	NewNetworkAfter time.Duration
	// LearnHours is how long the usual hours of an account are learned. Default: 14 days.
	LearnHours time.Duration
	// TravelKm is the least distance of an impossible journey, in kilometres. Default: 500.
	TravelKm int
	// TravelKmPerHour is the least speed of an impossible journey, in km/h. Default: 1000.
	TravelKmPerHour int
	// EndpointNames is the number of failing names, within one hour of the clock, above twice the
	// usual number. Default: 20.
	EndpointNames int
	// SensitiveDenials is the number of different refusals at sensitive endpoints within 3 days.
	// Default: 5.
	SensitiveDenials int
	// UnusableTries is the number of attempts at a disabled or expired account within 3 days.
	// Default: 3.
	UnusableTries int
	// ManyAccounts is the number of accounts, within 3 days, that succeed from a network that they
	// have never used. Default: 7.
	ManyAccounts int
	// StrangeNetworks is the number of networks without a success, and of names that they fail
	// for, within an hour; twice as many within a day. At most 64. Default: 50.
	StrangeNetworks int
	// StaleRepeats is the number of times, within an hour of the clock, that one wrong password for
	// one account is repeated by clients that have sent it before. Default: 100.
	StaleRepeats int
	// BurstFailures is the number of different wrong credentials, within 10 minutes, from a network
	// without a success. At most 8. Default: 5.
	BurstFailures int
}

// Rule describes one attack pattern that a [Detector] detects. [Rules] returns all of them.
type Rule struct {
	// Name is the attribute security_rule.name of events, spans and metrics.
	Name string
	// UUID is the attribute security_rule.uuid. It changes only if the meaning of the rule
	// changes.
	UUID string
	// Severity is the attribute auth.detection.severity.
	Severity Severity
	// Technique is the MITRE ATT&CK technique, the attribute auth.detection.technique.
	Technique string
	// Default states when the rule fires with the zero [Thresholds].
	Default string
	// Summary is the attribute security_rule.description.
	Summary string
	// Optional means that the rule is off unless [Config].On has its name.
	Optional bool

	id ruleID
}

// Severity is the attribute auth.detection.severity. The zero Severity is [Low].
type Severity uint8

const (
	// Low detections matter together with other evidence. Their events are INFO.
	Low Severity = iota
	// Medium detections deserve a look. Their events are WARN.
	Medium
	// High detections are attacks, or the best evidence of one. Their events are ERROR.
	High
)

var severityNames = [...]string{Low: "low", Medium: "medium", High: "high"}

// String returns "low", "medium" or "high".
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return severityNames[High]
}

// definition is a row of the table.
type definition struct {
	Rule
	keys       keyKind     // what an episode of the rule is about
	quiet      uint32      // the least time without evidence that ends an episode, if not minQuiet
	recalls    bool        // an episode starts with the lists of earlier guesses
	local      bool        // its evidence never leaves a process, so each process detects it alone
	thresholds []threshold // that this row declares; other rows may use them too
}

// keyKind is the subject of an episode.
type keyKind uint8

const (
	byRule keyKind = iota // the subject that the row of the rule names
	byPair                // an account and a network
	byNetwork
	byAccount
	byPassword
	byRoute
	byGroup
	byEverything // one episode at a time
)

// threshold declares a field of Thresholds. Durations are in nanoseconds.
type threshold struct {
	field                  string
	byDefault, least, most int64
}

// in returns the field in t.
func (h threshold) in(t *Thresholds) reflect.Value {
	return reflect.ValueOf(t).Elem().FieldByName(h.field)
}

// text returns a value of the field as documentation shows it.
func (h threshold) text(t *Thresholds, v int64) string {
	if h.in(t).Type() != reflect.TypeFor[time.Duration]() {
		return fmt.Sprint(v)
	}
	if v%days == 0 {
		return fmt.Sprintf("%d days", v/days)
	}
	return time.Duration(v).String()
}

// described holds the Rule of each row, as [Rules] returns it.
var described = describe()

// filled returns a replacer of {Field} in a Default: by the field of t, or by its default.
func filled(t *Thresholds) *strings.Replacer {
	var fields []string
	for id := range rules {
		for _, h := range rules[id].thresholds {
			fields = append(fields, "{"+h.field+"}", h.text(t, cmp.Or(h.in(t).Int(), h.byDefault)))
		}
	}
	return strings.NewReplacer(fields...)
}

func describe() (all [ruleCount]Rule) {
	fill := filled(&Thresholds{})
	for id := range rules {
		r := rules[id].Rule
		r.id, r.Default = ruleID(id), fill.Replace(r.Default)
		all[id] = r
	}
	return all
}

// Rules returns every rule, in the order of the documentation.
func Rules() []Rule { return append([]Rule(nil), described[:]...) }

// complete sets the zero fields to their defaults and returns every error.
func (t *Thresholds) complete() (problems []error) {
	for id := range rules {
		for _, h := range rules[id].thresholds {
			v := h.in(t)
			if v.Int() == 0 {
				v.SetInt(h.byDefault)
			}
			if v.Int() < h.least || v.Int() > h.most {
				problems = append(problems, fmt.Errorf("detect: Thresholds.%s is %v; choose %s to %s, or 0 for %s",
					h.field, v, h.text(t, h.least), h.text(t, h.most), h.text(t, h.byDefault)))
			}
		}
	}
	if t.RunBeforeSuccess > t.BruteForcePasswords {
		problems = append(problems, fmt.Errorf("detect: Thresholds.RunBeforeSuccess is %d but Thresholds.BruteForcePasswords is %d: "+
			"a new network would be treated more mildly than a known one; lower Thresholds.RunBeforeSuccess",
			t.RunBeforeSuccess, t.BruteForcePasswords))
	}
	return problems
}
