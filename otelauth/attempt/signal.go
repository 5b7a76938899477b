// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt

// Prefix begins every name that OpenTelemetry's semantic conventions do not define.
const Prefix = "auth."

// The attribute keys of our own. What the semantic conventions name (user.name, client.address,
// http.route, error.type, …) is taken from them.
const (
	KeyScheme             = Prefix + "scheme"
	KeyOutcome            = Prefix + "outcome"
	KeyReason             = Prefix + "reason"
	KeyCacheResult        = Prefix + "cache.result"
	KeyPasswordScheme     = Prefix + "password.scheme"
	KeyRehashNeeded       = Prefix + "password.rehash_needed"
	KeyCredentialsExposed = Prefix + "credentials.exposed"
	KeyCredentialsFormer  = Prefix + "credentials.former"
	KeyResponseElsewhere  = Prefix + "response.elsewhere"
	KeyAccountSource      = Prefix + "account.source"
	KeyAccountCount       = Prefix + "account.count"
	KeyThrottleActor      = Prefix + "throttle.actor"
	KeyThrottleReason     = Prefix + "throttle.reason"
	KeyThrottleNetwork    = Prefix + "throttle.network"
)

// The names of the events that are told of requests; those of a [Notice] are its kinds.
const (
	EventAttempt        = Prefix + "attempt"
	EventPublicResponse = Prefix + "public.response"
)
