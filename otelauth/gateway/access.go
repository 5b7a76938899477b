// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import "fmt"

// Access is whether an endpoint requires credentials. The zero Access is [Required].
type Access uint8

const (
	// Required endpoints need the credentials of an account.
	Required Access = iota
	// Public endpoints need no credentials. Credentials that are sent to them are verified and
	// recorded; wrong credentials make the caller anonymous.
	Public
)

var accessNames = [...]string{"required", "public"}

// String returns "required" or "public".
func (a Access) String() string {
	if int(a) < len(accessNames) {
		return accessNames[a]
	}
	return fmt.Sprintf("Access(%d)", uint8(a))
}

// MarshalText returns the text that [Access.UnmarshalText] reads.
func (a Access) MarshalText() ([]byte, error) {
	if int(a) >= len(accessNames) {
		return nil, fmt.Errorf("otelauth/gateway: %v is not an Access; use Required or Public", a)
	}
	return []byte(a.String()), nil
}

// UnmarshalText reads "required" and "public".
func (a *Access) UnmarshalText(text []byte) error {
	for i, name := range accessNames {
		if name == string(text) {
			*a = Access(i)
			return nil
		}
	}
	return fmt.Errorf("otelauth/gateway: access %q is unknown; write \"required\" or \"public\"", text)
}
