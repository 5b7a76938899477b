// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package accountstores

import (
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/verifytest"
)

// static is the map of a verify.Static.
type static struct{ accounts []verifytest.Account }

func newStatic(testing.TB) Backing { return new(static) }

func (s *static) Write(_ testing.TB, accounts []verifytest.Account) { s.accounts = accounts }

func (s *static) Open(testing.TB, Options) (verify.Accounts, error) {
	out := &verify.Static{Hashes: make(map[string]string), Groups: make(map[string][]string)}
	for _, a := range s.accounts {
		out.Hashes[a.Name] = a.Hash
		for _, group := range a.Groups {
			out.Groups[group] = append(out.Groups[group], a.Name)
		}
	}
	return out, nil
}
