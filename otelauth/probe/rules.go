// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

// Rule names a kind of finding. [Rules] describes each.
type Rule string

// The rules.
const (
	RuleOpen            Rule = "open"
	RuleCredentials     Rule = "wrong-credentials" //nolint:gosec // the name of a rule
	RulePath            Rule = "path"
	RuleMethod          Rule = "method"
	RuleHeader          Rule = "header"
	RuleProtocol        Rule = "protocol"
	RuleGroup           Rule = "group"
	RuleRefusedIdentity Rule = "refused-identity"
	RuleAmbiguous       Rule = "ambiguous-credentials"
	RuleEcho            Rule = "echo"
	RuleEnumeration     Rule = "enumeration"
	RuleTiming          Rule = "timing"
	RuleCache           Rule = "cache"
	RuleChallenge       Rule = "challenge"
	RuleError           Rule = "error"
	RuleTrace           Rule = "trace"
	RulePlaintext       Rule = "plaintext"
	RuleOptional        Rule = "optional"
	RulePublic          Rule = "not-public"
	RuleScheme          Rule = "scheme-case"
	// RuleTelemetry is for findings of the proof of telemetry, and RuleSecret for secrets in it.
	RuleTelemetry Rule = "telemetry"
	RuleSecret    Rule = "telemetry-secret"
)

// RuleText describes a rule.
type RuleText struct {
	Rule     Rule     `json:"rule"`
	Title    string   `json:"title"`
	Severity Severity `json:"severity"`
	// CWE is the number of the weakness, ASVS the requirement of OWASP ASVS 5.0.
	CWE  int    `json:"cwe"`
	ASVS string `json:"asvs"`
	// Mend says how to mend it.
	Mend string `json:"mend"`
}

// Rules returns the description of each rule, in the order of the documentation.
func Rules() []RuleText { return append([]RuleText(nil), ruleTexts...) }

// Text returns the description of the rule.
func (r Rule) Text() RuleText {
	for _, t := range ruleTexts {
		if t.Rule == r {
			return t
		}
	}
	return RuleText{Rule: r, Title: string(r), Severity: Info}
}

var ruleTexts = []RuleText{
	{RuleOpen, "Answers without credentials", Critical, 306, "8.2.1", "Put the endpoint behind authentication, best by a rule that denies every path by default. If it is meant to be public, list it as public."},
	{RuleCredentials, "Accepts wrong credentials", Critical, 287, "8.3.1", "Deny every request whose credentials were not verified: an error in parsing or a branch for another scheme must end in 401."},
	{RulePath, "Another spelling of the path answers without credentials", Critical, 436, "8.3.1", "Authenticate by default and open single paths by exact comparison, in the component that also routes. Refuse paths with more than one reading."},
	{RuleMethod, "Another method answers without credentials", High, 650, "4.1.4", "Authenticate every method of the path. Do not limit the rule to a list of methods."},
	{RuleHeader, "A header of the client replaces authentication", Critical, 290, "4.1.3", "Remove the header from requests of clients in the first proxy, and read it only from addresses of that proxy."},
	{RuleProtocol, "A malformed or unusual request answers without credentials", Critical, 444, "4.2.1", "Let the component that authenticates refuse what it cannot parse with 400, and let no request reach the service by another way."},
	{RuleGroup, "An account without the group gets the content", High, 863, "8.2.1", "Check the group of the account at this endpoint."},
	{RuleRefusedIdentity, "An account with the right to the endpoint is refused", Low, 863, "8.1.1", "Correct the group of the account or the expectation in the list of endpoints."},
	{RuleAmbiguous, "Chooses between several credentials in one request", Low, 436, "4.2.1", "Refuse requests with more than one Authorization field or more than one value in it: a proxy in front may choose another one."},
	{RuleEcho, "The answer shows the credentials of the request", High, 209, "16.5.1", "Remove the Authorization field and the password from error pages and debug output."},
	{RuleEnumeration, "The answer distinguishes existing accounts from unknown names", Medium, 204, "6.3.8", "Answer unknown names and wrong passwords with the same status, header fields and body."},
	{RuleTiming, "The time of the answer distinguishes existing accounts from unknown names", Medium, 208, "6.3.8", "Compute a hash of the same cost for unknown names."},
	{RuleCache, "Shared caches may store a protected answer", Medium, 525, "14.2.2", "Send Cache-Control: private or no-store. Without public, s-maxage and must-revalidate, a shared cache does not store an answer to a request with Authorization (RFC 9111, section 3.5)."},
	{RuleChallenge, "401 without a challenge", Low, 287, "6.3.3", "Send WWW-Authenticate: Basic realm=\"…\", charset=\"UTF-8\" with each 401 (RFC 9110, section 15.5.2). Clients do not send credentials without it."},
	{RuleError, "Malformed credentials cause an internal error", Low, 755, "16.5.3", "Answer credentials that cannot be decoded with 401 or 400, and let no exception leave the code that parses them."},
	{RuleTrace, "TRACE returns the fields of the request", Low, 693, "4.1.4", "Switch the method TRACE off: it shows credentials that a proxy has added."},
	{RulePlaintext, "Asks for or accepts credentials without TLS", Medium, 319, "12.2.1", "Listen for TLS only, or answer plain HTTP with an error before the client has sent credentials."},
	{RuleOptional, "Authentication is optional", Info, 306, "8.1.1", "If this is intended, list the endpoint as optional. Otherwise deny requests without credentials."},
	{RulePublic, "A public endpoint denies anonymous callers", Low, 863, "8.1.1", "Correct the rule of the service or the expectation in the list of endpoints."},
	{RuleScheme, "The name of the scheme is compared with its case", Info, 178, "6.3.3", "Compare the scheme without regard to case (RFC 9110, section 11.1)."},
	{RuleTelemetry, "An attempt is not recorded as it was made", Medium, 778, "16.3.1", "Record each attempt once, with its outcome, user, client, route and status."},
	{RuleSecret, "Telemetry holds a secret of the request", High, 532, "16.2.5", "Remove the Authorization field and passwords from spans, events and logs where they are made."},
}
