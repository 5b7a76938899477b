// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt

import "slices"

// Reason is the cause of a denial, finer than [ErrorType]: the attribute auth.reason. It
// separates an unknown user from a wrong password, so spans and events carry it, and never a
// metric or a response. "" leaves the attribute out.
type Reason string

// The reasons that otelauth itself gives. docs/signals.md explains each.
const (
	ReasonUnknownUser        Reason = "unknown_user"
	ReasonWrongPassword      Reason = "wrong_password"
	ReasonAccountDisabled    Reason = "account_disabled"
	ReasonCredentialsExpired Reason = "credentials_expired"
	ReasonPasswordTooLong    Reason = "password_too_long"

	ReasonDuplicateHeader  Reason = "duplicate_header"
	ReasonMultipleSchemes  Reason = "multiple_schemes"
	ReasonHeaderTooLong    Reason = "header_too_long"
	ReasonEmptyCredentials Reason = "empty_credentials" //nolint:gosec // not a credential
	ReasonInvalidBase64    Reason = "invalid_base64"
	ReasonNoColon          Reason = "no_colon"
	ReasonControlCharacter Reason = "control_character"

	ReasonRawPath       Reason = "raw_path"
	ReasonMethodRefused Reason = "method_refused"
	ReasonInvalidHost   Reason = "invalid_host"

	ReasonUntrustedProxy   Reason = "untrusted_proxy"
	ReasonForwardedRequest Reason = "forwarded_request"

	ReasonNotPermitted  Reason = "not_permitted"
	ReasonForeignOrigin Reason = "foreign_origin"
	ReasonUnsafeName    Reason = "unsafe_name"

	ReasonPlaintextRefused Reason = "plaintext_refused"
	ReasonQueueFull        Reason = "queue_full"
	ReasonQueueTimeout     Reason = "queue_timeout"
	ReasonBudgetEmpty      Reason = "budget_empty"
	ReasonVerifierFailed   Reason = "verifier_failed"
)

// reasons has each of them, the most frequent first.
var reasons = [...]Reason{
	ReasonWrongPassword, ReasonUnknownUser, ReasonBudgetEmpty, ReasonQueueFull, ReasonQueueTimeout, ReasonPlaintextRefused,
	ReasonVerifierFailed, ReasonAccountDisabled, ReasonCredentialsExpired, ReasonPasswordTooLong, ReasonDuplicateHeader,
	ReasonMultipleSchemes, ReasonHeaderTooLong, ReasonEmptyCredentials, ReasonInvalidBase64, ReasonNoColon,
	ReasonControlCharacter, ReasonRawPath, ReasonMethodRefused, ReasonUntrustedProxy, ReasonForwardedRequest,
	ReasonInvalidHost, ReasonNotPermitted, ReasonForeignOrigin, ReasonUnsafeName,
}

// ReasonCount is the number of Reasons.
const ReasonCount = len(reasons)

// Reasons returns every Reason that otelauth itself gives, the most frequent first.
func Reasons() []Reason { return slices.Clone(reasons[:]) }
