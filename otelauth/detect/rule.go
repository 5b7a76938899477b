// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

// Rule is one thing that attempts can add up to. The set is closed: see [Rules].
type Rule struct {
	// Name is the attribute security_rule.name, on events and on auth.detections.
	Name string
	// UUID is the attribute security_rule.uuid: the same in every version that means the same by the rule.
	UUID string
	// Severity is how much a finding deserves attention.
	Severity Severity
	// Technique is the MITRE ATT&CK technique, the attribute auth.detection.technique.
	Technique string
	// Default says when the rule speaks with the zero [Thresholds].
	Default string
	// Summary is the attribute security_rule.description.
	Summary string

	id   ruleID
	keys keyKind
}

// Severity is the attribute auth.detection.severity. The zero Severity is [Low].
type Severity uint8

const (
	// Low findings are worth knowing when something else happened too. Events are INFO.
	Low Severity = iota
	// Medium findings deserve a look. Events are WARN.
	Medium
	// High findings are attacks, or the best guess that there is. Events are ERROR.
	High
)

var severityNames = [...]string{"low", "medium", "high"}

// String returns "low", "medium" or "high".
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return severityNames[High]
}

// The names of the rules.
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
)

type ruleID uint8

const (
	bruteForce ruleID = iota
	passwordSpray
	credentialStuffing
	samePassword
	distributedGuessing
	lowAndSlow
	scheduledGuessing
	successAfterFailures
	newNetwork
	impossibleTravel
	concurrentNetworks
	unusualHour
	endpointFailureRatio
	sensitiveOnlyDenied
	unusableAccount
	ruleCount
)

// keyKind says what an episode of a rule is about.
type keyKind uint8

const (
	byPair keyKind = iota
	byNetwork
	byAccount
	byPassword
	byRoute
)

var rules = [ruleCount]Rule{
	bruteForce: {
		Name: BruteForce, UUID: "7909c5af-fbcf-5d6c-994a-2cbce6cb44c0", Severity: High, Technique: "T1110.001", keys: byPair,
		Default: "30 different wrong passwords for one account from one network within a day",
		Summary: "one network guesses the password of one account",
	},
	passwordSpray: {
		Name: PasswordSpray, UUID: "d79f3428-1376-54b2-8df1-bb336e7bc32e", Severity: High, Technique: "T1110.003", keys: byNetwork,
		Default: "wrong passwords for 10 accounts that never came from that network, and for a fifth as many as do, within 3 days",
		Summary: "one network tries passwords on many accounts",
	},
	credentialStuffing: {
		Name: CredentialStuffing, UUID: "590a2d96-5b2a-58b7-ab82-1bc14781964a", Severity: High, Technique: "T1110.004", keys: byNetwork,
		Default: "20 names from one network, half of them no accounts, at most 2 tries each, and a fifth as many as its users, within 3 days",
		Summary: "one network tries a list of names and passwords from elsewhere",
	},
	samePassword: {
		Name: SamePassword, UUID: "420d86e7-7f72-5952-99e1-4cdf1ab32b98", Severity: High, Technique: "T1110.003", keys: byPassword,
		Default: "one wrong password on 10 names, or on 3 names from 20 networks, within 3 days",
		Summary: "one password is tried on many accounts, from wherever",
	},
	distributedGuessing: {
		Name: DistributedGuessing, UUID: "c2cb06f8-d727-504c-80fb-1d9e9e870769", Severity: High, Technique: "T1110.001", keys: byAccount,
		Default: "10 different wrong passwords for one account from 10 networks that it never came from, within 3 days",
		Summary: "many networks guess the password of one account",
	},
	lowAndSlow: {
		Name: LowAndSlow, UUID: "75fec55e-6290-5767-a969-8beccbf9dfb5", Severity: High, Technique: "T1110.001", keys: byAccount,
		Default: "new wrong passwords for one account from strange networks in 24 ten-minute windows of a day, 12 hours of two days, or 6 days of fourteen",
		Summary: "somebody has patience with one account",
	},
	scheduledGuessing: {
		Name: ScheduledGuessing, UUID: "b7b56bc1-08d5-5f00-b5a6-7b2d1268d041", Severity: Medium, Technique: "T1110", keys: byPair,
		Default: "9 new wrong passwords in a row at intervals of 30 s or more that agree within a tenth",
		Summary: "guesses come at a machine's regular tick",
	},
	successAfterFailures: {
		Name: SuccessAfterFailures, UUID: "36ad329c-b073-573d-b972-ca3aa17f9e0a", Severity: High, Technique: "T1110", keys: byAccount,
		Default: "a success after 20 different wrong passwords from a network new to a known account, after 30 from any, or from a new network while its guessing goes on",
		Summary: "a guess seems to have been right",
	},
	newNetwork: {
		Name: NewNetwork, UUID: "50f54706-3b2b-5f63-b172-781b384ebf31", Severity: Low, Technique: "T1078", keys: byAccount,
		Default: "a success from a network new to an account that is known for 7 days and changes networks seldom; fewer than 10 accounts use it",
		Summary: "an account is used from a network where it never was",
	},
	impossibleTravel: {
		Name: ImpossibleTravel, UUID: "36ee898b-a601-5895-b016-4a56bfcd775d", Severity: Medium, Technique: "T1078", keys: byAccount,
		Default: "two successes 500 km apart at 1000 km/h, one of them from a network new to the account within 3 days that fewer than 10 accounts use (needs a Locator)",
		Summary: "one credential is used in two places that nobody travels between in that time",
	},
	concurrentNetworks: {
		Name: ConcurrentNetworks, UUID: "d6a054ea-47f9-56a5-a400-db6a42805298", Severity: Low, Technique: "T1078", keys: byAccount,
		Default: "4 changes within 2 hours between a network known for less than a day and another",
		Summary: "one credential is used from two networks at once, one of them new",
	},
	unusualHour: {
		Name: UnusualHour, UUID: "778c1e10-b5d5-51e4-ad82-fba9e8dbf14b", Severity: Low, Technique: "T1078", keys: byAccount,
		Default: "a success at an hour of the day (UTC) of which the account never used it or its neighbours, after 14 days and 10 days of use",
		Summary: "an account is used at an hour when it never was",
	},
	endpointFailureRatio: {
		Name: EndpointFailureRatio, UUID: "125b74ae-531f-574b-a888-8ecc95bb5dca", Severity: Medium, Technique: "T1110", keys: byRoute,
		Default: "within an hour 20 failing names more than twice the endpoint's own ratio and six standard deviations of it, after 48 hours",
		Summary: "an endpoint sees more names fail than it used to",
	},
	sensitiveOnlyDenied: {
		Name: SensitiveOnlyDenied, UUID: "a8cd9432-d82f-5548-b267-c34ec439b30b", Severity: Medium, Technique: "T1595", keys: byNetwork,
		Default: "5 different wrong credentials or endpoints on sensitive endpoints from a network without a success, within 3 days",
		Summary: "a network knocks at sensitive endpoints and is never let in",
	},
	unusableAccount: {
		Name: UnusableAccount, UUID: "aecfcb24-e985-5304-8fc4-62653d06dba2", Severity: Low, Technique: "T1078", keys: byAccount,
		Default: "3 tries of a disabled or expired account",
		Summary: "an account that is disabled or expired is still tried",
	},
}

// Rules returns every rule, in the order of the documentation.
func Rules() []Rule {
	all := make([]Rule, 0, ruleCount)
	for id := range rules {
		r := rules[id]
		r.id = ruleID(id)
		all = append(all, r)
	}
	return all
}
