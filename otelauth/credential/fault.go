// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package credential

import "github.com/otelauth/otelauth-go/otelauth/attempt"

// Fault says which rule a field breaks. It is a number and holds nothing of what was sent, so it
// may stand in logs and errors. The zero Fault is [NoFault].
type Fault uint8

const (
	// NoFault: no rule is broken. Also for a request without credentials and for other schemes.
	NoFault Fault = iota
	// DuplicateField: more than one Authorization field (RFC 9110, section 5.3 allows one).
	DuplicateField
	// MultipleSchemes: a comma after "Basic": several credentials, or parameters, in one field.
	MultipleSchemes
	// TooLong: the field is longer than the bound, whatever its scheme.
	TooLong
	// Empty: a field without value, or "Basic" with nothing after it.
	Empty
	// NotBase64: what follows "Basic" is not the canonical padded base64 of RFC 4648, section 4.
	NotBase64
	// NoColon: nothing separates name and password.
	NoColon
	// ControlCharacter: a control character in the name or the password (RFC 7617, section 2).
	ControlCharacter
)

var faultReasons = [...]attempt.Reason{
	NoFault:          "",
	DuplicateField:   attempt.ReasonDuplicateHeader,
	MultipleSchemes:  attempt.ReasonMultipleSchemes,
	TooLong:          attempt.ReasonHeaderTooLong,
	Empty:            attempt.ReasonEmptyCredentials,
	NotBase64:        attempt.ReasonInvalidBase64,
	NoColon:          attempt.ReasonNoColon,
	ControlCharacter: attempt.ReasonControlCharacter,
}

// Reason returns the attribute auth.reason of the fault; "" for [NoFault] and for a value outside the constants.
func (f Fault) Reason() attempt.Reason {
	if int(f) < len(faultReasons) {
		return faultReasons[f]
	}
	return ""
}

// String returns the reason, or "no_fault" where there is none.
func (f Fault) String() string {
	if r := f.Reason(); r != "" {
		return string(r)
	}
	return "no_fault"
}
