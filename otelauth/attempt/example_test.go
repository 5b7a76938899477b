// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"fmt"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// The values of every attribute are closed sets, which checks of dashboards and alerts can list. A
// value of a newer version becomes one that is known.
func ExampleOutcomes() {
	fmt.Println(attempt.Outcomes())
	fmt.Println(attempt.ErrorTypes()[1:4])
	fmt.Println(attempt.CacheResults()[1:])
	fmt.Println(attempt.Reasons()[:2], attempt.NoticeKinds()[:2], attempt.CoverageFindings()[0] == attempt.AnonymousAccess)
	fmt.Println(attempt.Outcome(99).Known(), attempt.ErrorType(99).Known(), attempt.CacheResult(99).Known() == attempt.NotLooked)
	// Output:
	// [error success missing malformed failure throttled]
	// [unsupported_scheme malformed_credentials invalid_credentials]
	// [hit miss coalesced]
	// [wrong_password unknown_user] [auth.account.reload auth.identity_key.random] true
	// error _OTHER true
}
