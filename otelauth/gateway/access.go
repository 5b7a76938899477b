// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import "fmt"

var accessNames = [...]string{"required", "public"}

// String returns "required" or "public".
func (a Access) String() string {
	if int(a) < len(accessNames) {
		return accessNames[a]
	}
	return fmt.Sprintf("Access(%d)", uint8(a))
}

// MarshalText returns what [Access.UnmarshalText] reads.
func (a Access) MarshalText() ([]byte, error) {
	if int(a) >= len(accessNames) {
		return nil, fmt.Errorf("otelauth/gateway: %v is no Access; use Required or Public", a)
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
	return fmt.Errorf("otelauth/gateway: access %q is neither \"required\" nor \"public\"", text)
}
