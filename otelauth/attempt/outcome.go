// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt

// Outcome is the verdict on an attempt, the attribute auth.outcome. Its numbers never change.
//
// The zero Outcome is [Error]: a verdict that was not set denies.
type Outcome uint8

const (
	// Error means that the attempt could not be judged; see Result.ErrorType.
	Error Outcome = 0
	// Success means that the credentials are right. It is the only Outcome that lets a request
	// pass.
	Success Outcome = 1
	// Missing means that the request has no credentials of a supported scheme.
	Missing Outcome = 2
	// Malformed means that a conforming client does not send this request.
	Malformed Outcome = 3
	// Failure means that the credentials are well-formed and not accepted.
	Failure Outcome = 4
	// Throttled means that the attempt was refused without a check, because a guess budget is
	// empty.
	Throttled Outcome = 5
)

var outcomeNames = [...]string{
	Error: "error", Success: "success", Missing: "missing", Malformed: "malformed", Failure: "failure", Throttled: "throttled",
}

// OutcomeCount is the number of Outcomes. An array of this length has an element for each.
const OutcomeCount = len(outcomeNames)

// String returns the value of auth.outcome; "error" for a value outside the constants.
func (o Outcome) String() string { return outcomeNames[o.Known()] }

// Known returns o, or [Error] for a value outside the constants.
func (o Outcome) Known() Outcome {
	if int(o) < OutcomeCount {
		return o
	}
	return Error
}

// Outcomes returns every Outcome, in the order of their numbers.
func Outcomes() []Outcome { return upTo[Outcome](OutcomeCount) }

// ErrorType is the class of a denial, the attribute error.type of the OpenTelemetry semantic
// conventions. The set is closed, so metrics carry it. Its numbers never change.
//
// The zero ErrorType is [NoError], which leaves the attribute out.
type ErrorType uint8

const (
	// NoError leaves error.type out: a success, or a first request without credentials.
	NoError ErrorType = 0
	// UnsupportedScheme means that the verifier does not support the scheme of the Authorization
	// field.
	UnsupportedScheme ErrorType = 1
	// MalformedCredentials means that the Authorization field violates RFC 7617 or RFC 9110.
	MalformedCredentials ErrorType = 2
	// InvalidCredentials means an unknown account, a wrong password or an account that cannot be
	// used.
	InvalidCredentials ErrorType = 3
	// InsecureTransport means that the request came in plaintext.
	InsecureTransport ErrorType = 4
	// RateLimited means that a guess budget of the caller is empty.
	RateLimited ErrorType = 5
	// Overloaded means that the hash queue is full or the wait in it too long.
	Overloaded ErrorType = 6
	// AccountsUnavailable means that the account store does not answer.
	AccountsUnavailable ErrorType = 7
	// TrailUnavailable means that a required record could not be written, so the attempt was
	// refused.
	TrailUnavailable ErrorType = 8
	// Timeout means that the deadline of the request passed before the verdict.
	Timeout ErrorType = 9
	// Canceled means that the caller disconnected before the verdict.
	Canceled ErrorType = 10
	// MalformedRequest means that the request was refused before its credentials were read; see
	// Result.Reason.
	MalformedRequest ErrorType = 11
	// Other is any other error, "_OTHER".
	Other ErrorType = 12
)

var errorTypeNames = [...]string{
	NoError: "", UnsupportedScheme: "unsupported_scheme", MalformedCredentials: "malformed_credentials",
	InvalidCredentials: "invalid_credentials", InsecureTransport: "insecure_transport", RateLimited: "rate_limited",
	Overloaded: "overloaded", AccountsUnavailable: "accounts_unavailable", TrailUnavailable: "trail_unavailable",
	Timeout: "timeout", Canceled: "canceled", MalformedRequest: "malformed_request", Other: "_OTHER",
}

// ErrorTypeCount is the number of ErrorTypes, [NoError] included. An array of this length has an
// element for each.
const ErrorTypeCount = len(errorTypeNames)

// String returns the value of error.type; "" for [NoError], "_OTHER" for a value outside the
// constants.
func (e ErrorType) String() string { return errorTypeNames[e.Known()] }

// Known returns e, or [Other] for a value outside the constants.
func (e ErrorType) Known() ErrorType {
	if int(e) < ErrorTypeCount {
		return e
	}
	return Other
}

// ErrorTypes returns every ErrorType, [NoError] included, in the order of their numbers.
func ErrorTypes() []ErrorType { return upTo[ErrorType](ErrorTypeCount) }

// CacheResult is what the cache of verified credentials knew, the attribute auth.cache.result.
// Its numbers never change.
//
// The zero CacheResult is [NotLooked], which leaves the attribute out.
type CacheResult uint8

const (
	// NotLooked means that the attempt ended before the lookup.
	NotLooked CacheResult = 0
	// Hit means that the credential was recognised. No hash ran.
	Hit CacheResult = 1
	// Miss means that a hash ran for this attempt or would have run.
	Miss CacheResult = 2
	// Coalesced means that the attempt shared the hash of another attempt with the same
	// credential.
	Coalesced CacheResult = 3
)

var cacheResultNames = [...]string{NotLooked: "", Hit: "hit", Miss: "miss", Coalesced: "coalesced"}

// CacheResultCount is the number of CacheResults, [NotLooked] included. An array of this length
// has an element for each.
const CacheResultCount = len(cacheResultNames)

// String returns the value of auth.cache.result; "" for [NotLooked] and for a value outside the
// constants.
func (c CacheResult) String() string { return cacheResultNames[c.Known()] }

// Known returns c, or [NotLooked] for a value outside the constants.
func (c CacheResult) Known() CacheResult {
	if int(c) < CacheResultCount {
		return c
	}
	return NotLooked
}

// CacheResults returns every CacheResult, [NotLooked] included, in the order of their numbers.
func CacheResults() []CacheResult { return upTo[CacheResult](CacheResultCount) }

// upTo returns the numbers below count.
func upTo[E ~uint8](count int) []E {
	all := make([]E, count)
	for i := range all {
		all[i] = E(i)
	}
	return all
}

// Scheme is the authentication scheme of an attempt, the attribute auth.scheme. Metrics carry it,
// because the service chooses it and clients do not. The zero Scheme means [SchemeNone].
type Scheme string

const (
	// SchemeNone means that the request has no Authorization field.
	SchemeNone Scheme = "none"
	// SchemeBasic is HTTP Basic Auth, RFC 7617.
	SchemeBasic Scheme = "basic"
	// SchemeBearer is a bearer token, RFC 6750, for services that verify tokens themselves.
	SchemeBearer Scheme = "bearer"
	// SchemeOther is any scheme that the verifier does not support.
	SchemeOther Scheme = "other"
)

// String returns the value of auth.scheme.
func (s Scheme) String() string {
	if s == "" {
		return string(SchemeNone)
	}
	return string(s)
}
