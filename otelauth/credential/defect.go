// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package credential

import "github.com/otelauth/otelauth-go/otelauth/attempt"

// Defect is the rule that a field breaks. It holds nothing of the field, so logs and errors may
// contain it. The zero Defect is [NoDefect].
type Defect uint8

const (
	// NoDefect means that no rule is broken, also without credentials and for other schemes.
	NoDefect Defect = iota
	// DuplicateField is more than one Authorization field (RFC 9110, section 5.3 allows one).
	DuplicateField
	// MultipleSchemes is a comma after "Basic": several credentials, or parameters, in one field.
	MultipleSchemes
	// TooLong is a field of any scheme that is longer than the bound.
	TooLong
	// Empty is a field without a value, or "Basic" with nothing after it.
	Empty
	// NotBase64 is a token that is not the canonical padded base64 of RFC 4648, section 4.
	NotBase64
	// NoColon is a token without a colon between name and password.
	NoColon
	// ControlCharacter is a control character in the name or the password (RFC 7617, section 2).
	ControlCharacter
)

var defectReasons = [...]attempt.Reason{
	NoDefect:         "",
	DuplicateField:   attempt.ReasonDuplicateHeader,
	MultipleSchemes:  attempt.ReasonMultipleSchemes,
	TooLong:          attempt.ReasonHeaderTooLong,
	Empty:            attempt.ReasonEmptyCredentials,
	NotBase64:        attempt.ReasonInvalidBase64,
	NoColon:          attempt.ReasonNoColon,
	ControlCharacter: attempt.ReasonControlCharacter,
}

// Reason returns the attribute auth.reason of the defect; "" for [NoDefect] and for a value that
// is not one of the constants.
func (f Defect) Reason() attempt.Reason {
	if int(f) < len(defectReasons) {
		return defectReasons[f]
	}
	return ""
}

// String returns the reason, or "no_defect" when Reason is "".
func (f Defect) String() string {
	if r := f.Reason(); r != "" {
		return string(r)
	}
	return "no_defect"
}
