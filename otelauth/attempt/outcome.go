// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt

// Outcome is the verdict on an attempt, the attribute auth.outcome.
//
// The zero Outcome is [Error]: whoever forgets to decide has denied.
type Outcome uint8

const (
	// Error: the attempt could not be judged; see Result.ErrorType.
	Error Outcome = iota
	// Success: the credentials are right. The only Outcome that lets a request pass.
	Success
	// Missing: no credentials of a scheme that the verifier speaks.
	Missing
	// Malformed: credentials that no conforming client sends.
	Malformed
	// Failure: credentials that were understood and are not accepted.
	Failure
	// Throttled: refused unjudged, because the caller's guesses are used up.
	Throttled
)

var outcomeNames = [...]string{"error", "success", "missing", "malformed", "failure", "throttled"}

// String returns the value of auth.outcome; a value outside the constants is "error".
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return outcomeNames[Error]
}

// Outcomes returns every Outcome, for those who prepare one instrument or attribute set for each.
func Outcomes() []Outcome {
	return []Outcome{Error, Success, Missing, Malformed, Failure, Throttled}
}

// ErrorType is the class of a denial, the attribute error.type of the OpenTelemetry
// semantic conventions. The set is closed, so it may stand on metrics.
//
// The zero ErrorType is [NoError]: the attribute is then left out.
type ErrorType uint8

const (
	// NoError leaves error.type out: a success, or a plain first request without credentials.
	NoError ErrorType = iota
	// UnsupportedScheme: an Authorization field with a scheme that the verifier does not speak.
	UnsupportedScheme
	// MalformedCredentials: the Authorization field breaks RFC 7617 or RFC 9110.
	MalformedCredentials
	// InvalidCredentials: no such account, or the password is wrong, or the account may not be used.
	InvalidCredentials
	// InsecureTransport: the request came in plaintext.
	InsecureTransport
	// RateLimited: the caller has used up a guess budget.
	RateLimited
	// Overloaded: the hash queue is full or the wait in it too long.
	Overloaded
	// AccountsUnavailable: the store of accounts does not answer.
	AccountsUnavailable
	// TrailUnavailable: a required record could not be written, so the attempt was refused.
	TrailUnavailable
	// Timeout: the request's deadline passed before the verdict.
	Timeout
	// Canceled: the caller went away before the verdict.
	Canceled
	// MalformedRequest: the request itself was refused before its credentials were looked at; see Result.Reason.
	MalformedRequest
	// Other: anything else, "_OTHER".
	Other
)

var errorTypeNames = [...]string{
	"", "unsupported_scheme", "malformed_credentials", "invalid_credentials",
	"insecure_transport", "rate_limited", "overloaded", "accounts_unavailable",
	"trail_unavailable", "timeout", "canceled", "malformed_request", "_OTHER",
}

// String returns the value of error.type; "" for [NoError], "_OTHER" for a value outside the constants.
func (e ErrorType) String() string {
	if int(e) < len(errorTypeNames) {
		return errorTypeNames[e]
	}
	return errorTypeNames[Other]
}

// ErrorTypes returns every ErrorType, [NoError] included.
func ErrorTypes() []ErrorType {
	all := make([]ErrorType, len(errorTypeNames))
	for i := range all {
		all[i] = ErrorType(i)
	}
	return all
}

// Reason says more finely than [ErrorType] why an attempt was denied, the attribute
// auth.reason. It tells an unknown user from a wrong password, so it stands on spans
// and events and never on a metric or in a response. "" leaves the attribute out.
type Reason string

// The reasons that otelauth itself gives.
const (
	ReasonUnknownUser        Reason = "unknown_user"
	ReasonWrongPassword      Reason = "wrong_password"
	ReasonAccountDisabled    Reason = "account_disabled"
	ReasonCredentialsExpired Reason = "credentials_expired"
	ReasonPasswordTooLong    Reason = "password_too_long"

	ReasonDuplicateHeader  Reason = "duplicate_header"
	ReasonMultipleSchemes  Reason = "multiple_schemes"
	ReasonHeaderTooLong    Reason = "header_too_long"
	ReasonEmptyCredentials Reason = "empty_credentials"
	ReasonInvalidBase64    Reason = "invalid_base64"
	ReasonNoColon          Reason = "no_colon"
	ReasonControlCharacter Reason = "control_character"

	ReasonRawPath       Reason = "raw_path"
	ReasonMethodRefused Reason = "method_refused"
	ReasonInvalidHost   Reason = "invalid_host"

	ReasonUntrustedProxy   Reason = "untrusted_proxy"
	ReasonForwardedRequest Reason = "forwarded_request"

	ReasonPlaintextRefused Reason = "plaintext_refused"
	ReasonQueueFull        Reason = "queue_full"
	ReasonQueueTimeout     Reason = "queue_timeout"
	ReasonBudgetEmpty      Reason = "budget_empty"
	ReasonVerifierFailed   Reason = "verifier_failed"
)

// Scheme is the authentication scheme of an attempt, the attribute auth.scheme. It
// stands on metrics: code chooses it, a client never does. The zero Scheme means [SchemeNone].
type Scheme string

const (
	// SchemeNone: no Authorization field was sent.
	SchemeNone Scheme = "none"
	// SchemeBasic: RFC 7617.
	SchemeBasic Scheme = "basic"
	// SchemeBearer: RFC 6750; for services that verify tokens by themselves.
	SchemeBearer Scheme = "bearer"
	// SchemeOther: any scheme that the verifier does not speak.
	SchemeOther Scheme = "other"
)

// String returns the value of auth.scheme.
func (s Scheme) String() string {
	if s == "" {
		return string(SchemeNone)
	}
	return string(s)
}

// CacheResult says what the cache of verified credentials knew, the attribute
// auth.cache.result. The zero CacheResult is [NotLooked]: the attribute is left out.
type CacheResult uint8

const (
	// NotLooked: the attempt ended before the cache was asked.
	NotLooked CacheResult = iota
	// Hit: the credential was recognised, nothing was hashed.
	Hit
	// Miss: a hash ran for this attempt, or would have.
	Miss
	// Coalesced: another attempt with the same credential was being hashed, and its verdict was shared.
	Coalesced
)

var cacheResultNames = [...]string{"", "hit", "miss", "coalesced"}

// String returns the value of auth.cache.result, "" for [NotLooked].
func (c CacheResult) String() string {
	if int(c) < len(cacheResultNames) {
		return cacheResultNames[c]
	}
	return ""
}

// CacheResults returns every CacheResult, [NotLooked] included.
func CacheResults() []CacheResult { return []CacheResult{NotLooked, Hit, Miss, Coalesced} }
