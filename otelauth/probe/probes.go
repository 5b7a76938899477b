// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

// The groups of probes.
const (
	groupControl     = "control"
	groupCredentials = "credentials"
	groupIdentity    = "identity"
	groupPath        = "path"
	groupMethod      = "method"
	groupHeader      = "header"
	groupProtocol    = "protocol"
)

// Probe is a column of the matrix: one way to ask for an endpoint.
type Probe struct {
	Name  string `json:"name"`
	Group string `json:"group"`
	Title string `json:"title"`
	// Rule is that of the finding if the answer has the content of the control.
	Rule Rule `json:"rule"`
	// Outcome is what telemetry should record.
	Outcome Outcome `json:"outcome,omitempty"`
	// make returns the request, or says why there is none. "" without a request: the probe does not
	// apply, which is no gap.
	make func(*cell) (m *message, why string)
}

// Probes returns the matrix, in the order in which the probes are sent.
func Probes() []Probe { return append([]Probe(nil), probes...) }

var probes = []Probe{
	{"control", groupControl, "the right credentials", RuleRefusedIdentity, OutcomeSuccess, makeControl},
	{"error-page", groupControl, "a path that does not exist, with the right credentials", "", OutcomeAny, makeErrorPage},
	{"denied-page", groupControl, "a path that does not exist, without credentials", "", OutcomeAny, makeDeniedPage},

	{"none", groupCredentials, "no credentials", RuleOpen, OutcomeMissing, makeAnonymous},
	{"unknown-user", groupCredentials, "an unknown user", RuleCredentials, OutcomeFailure, makeUnknown},
	{"wrong-password", groupCredentials, "a wrong password of the throwaway account", RuleCredentials, OutcomeFailure, makeWrong},
	{"empty-user", groupCredentials, "an empty user name", RuleCredentials, OutcomeAny, makeEmptyUser},
	{"empty-password", groupCredentials, "an empty password", RuleCredentials, OutcomeFailure, makeEmptyPassword},
	{"empty-both", groupCredentials, "an empty user name and password", RuleCredentials, OutcomeAny, makeEmptyBoth},
	{"empty-basic", groupCredentials, "the scheme Basic without credentials", RuleCredentials, OutcomeMalformed, authorization("Basic", "the scheme alone")},
	{"bearer", groupCredentials, "an invented Bearer token", RuleCredentials, OutcomeAny, makeBearer},
	{"bad-base64", groupCredentials, "credentials that are not base64", RuleCredentials, OutcomeMalformed, authorization("Basic !!!not-base64!!!", "not base64")},
	{"no-colon", groupCredentials, "a user name without a colon", RuleCredentials, OutcomeMalformed, makeNoColon},
	{"scheme-case", groupCredentials, "an unknown user with the scheme bAsIc", RuleCredentials, OutcomeFailure, makeSchemeCase},
	{"two-wrong", groupCredentials, "two Authorization fields, both wrong", RuleCredentials, OutcomeMalformed, makeTwoWrong},
	{"oversized", groupCredentials, "an Authorization field of 64 KiB", RuleCredentials, OutcomeAny, makeOversized},
	{"control-character", groupCredentials, "a control character in the user name", RuleCredentials, OutcomeMalformed, makeControlCharacter},
	{"raw-control", groupCredentials, "a control character in the field", RuleCredentials, OutcomeAny, makeRawControl},
	{"two-headers", groupCredentials, "two Authorization fields: wrong, then right", RuleAmbiguous, OutcomeMalformed, makeTwoHeaders},
	{"joined-header", groupCredentials, "wrong and right credentials in one field", RuleAmbiguous, OutcomeMalformed, makeJoined},
	{"scheme-case-right", groupCredentials, "the right credentials with the scheme bAsIc", RuleScheme, OutcomeSuccess, makeSchemeCaseRight},

	{"another-identity", groupIdentity, "each other account", RuleGroup, OutcomeSuccess, nil},

	{"encoded-letter", groupPath, "a letter of the path encoded", RulePath, OutcomeAny, path(encodedLetter)},
	{"encoded-letters", groupPath, "each letter of the path encoded", RulePath, OutcomeAny, path(encodedLetters)},
	{"double-encoded", groupPath, "a letter encoded twice", RulePath, OutcomeAny, path(doubleEncoded)},
	{"encoded-slash", groupPath, "a slash encoded", RulePath, OutcomeAny, path(encodedSlash)},
	{"dot-segment", groupPath, "/./ in front", RulePath, OutcomeAny, path(prefixed("/."))},
	{"dot-dot", groupPath, "/x/.. in front", RulePath, OutcomeAny, path(prefixed("/x/.."))},
	{"encoded-dots", groupPath, "/x/%2e%2e in front", RulePath, OutcomeAny, path(prefixed("/x/%2e%2e"))},
	{"public-dots", groupPath, "out of a public path by /..", RulePath, OutcomeAny, makePublicDots},
	{"public-semicolon", groupPath, "out of a public path by /..;", RulePath, OutcomeAny, makePublicSemicolon},
	{"semicolon", groupPath, ";x=1 behind the path", RulePath, OutcomeAny, path(suffixed(";x=1"))},
	{"semicolon-segment", groupPath, "/;x in front", RulePath, OutcomeAny, path(prefixed("/;x"))},
	{"double-slash", groupPath, "// in front", RulePath, OutcomeAny, path(prefixed("/"))},
	{"inner-slash", groupPath, "// inside of the path", RulePath, OutcomeAny, path(innerSlash)},
	{"backslash", groupPath, "a backslash for a slash", RulePath, OutcomeAny, path(backslash)},
	{"trailing-slash", groupPath, "a slash more or less at the end", RulePath, OutcomeAny, path(trailingSlash)},
	{"upper-case", groupPath, "upper case", RulePath, OutcomeAny, path(upperCase)},
	{"suffix-json", groupPath, ".json behind the path", RulePath, OutcomeAny, path(suffixed(".json"))},
	{"suffix-css", groupPath, "/x.css behind the path", RulePath, OutcomeAny, path(suffixed("/x.css"))},
	{"encoded-space", groupPath, "%20 behind the path", RulePath, OutcomeAny, path(suffixed("%20"))},
	{"encoded-query", groupPath, "%3F behind the path", RulePath, OutcomeAny, path(suffixed("%3Fx"))},
	{"nul", groupPath, "%00 behind the path", RulePath, OutcomeAny, path(suffixed("%00"))},
	{"absolute-form", groupPath, "the whole URL in the request line", RulePath, OutcomeMissing, makeAbsolute},

	{"head", groupMethod, "HEAD", RuleMethod, OutcomeMissing, method("HEAD")},
	{"options", groupMethod, "OPTIONS", RuleMethod, OutcomeAny, method("OPTIONS")},
	{"invented-method", groupMethod, "the method PROBE", RuleMethod, OutcomeAny, method("PROBE")},
	{"lower-method", groupMethod, "the method in lower case", RuleMethod, OutcomeAny, makeLowerMethod},
	{"trace", groupMethod, "TRACE", RuleTrace, OutcomeAny, method("TRACE")},
	{"post", groupMethod, "POST", RuleMethod, OutcomeMissing, makePost},
	{"method-override", groupMethod, "OPTIONS with X-HTTP-Method-Override", RuleMethod, OutcomeAny, makeOverride},

	{"forwarded", groupHeader, "forwarding headers that name this machine", RuleHeader, OutcomeMissing, extra(forwardingHeaders)},
	{"identity-headers", groupHeader, "headers by which proxies name the user", RuleHeader, OutcomeMissing, makeIdentityHeaders},
	{"original-url", groupHeader, "a public path with X-Original-URL", RuleHeader, OutcomeAny, makeOriginalURL},
	{"host-localhost", groupHeader, "Host: localhost", RuleHeader, OutcomeAny, makeHostLocalhost},
	{"internal-request", groupHeader, "headers of internal requests", RuleHeader, OutcomeMissing, extra(internalHeaders)},

	{"http10", groupProtocol, "HTTP/1.0 without Host", RuleProtocol, OutcomeAny, makeHTTP10},
	{"space-colon", groupProtocol, "a space before the colon of Authorization", RuleProtocol, OutcomeAny, makeSpaceColon},
	{"folded-header", groupProtocol, "an Authorization field over two lines", RuleProtocol, OutcomeAny, makeFolded},
	{"plaintext", groupProtocol, "the target without TLS", RulePlaintext, OutcomeAny, nil},
}
