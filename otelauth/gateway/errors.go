// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

// ConfigError is one problem of a [Config]. [New] and [Gateway.Reconfigure] join all of them.
// Problems of Config.Auth are reported by package otelauth.
type ConfigError struct {
	// Field is the path of the field, such as "Rules[2].Pattern".
	Field string
	// Err is what is wrong and what to write instead.
	Err error
}

// Error returns one line.
func (e *ConfigError) Error() string {
	return "otelauth/gateway: Config." + e.Field + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *ConfigError) Unwrap() error { return e.Err }
