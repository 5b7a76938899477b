// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package probe finds the endpoints of an HTTP service that answer without the right password. The
// service may be written in any language. "otelauth probe" is this package as a command.
//
//	report, err := probe.Run(ctx, probe.Config{
//		Target:     "http://127.0.0.1:8080",
//		Endpoints:  []probe.Endpoint{{Method: "GET", Path: "/orders/"}},
//		Identities: []probe.Identity{{Name: "alice", Username: "alice", Password: secret}},
//	})
//
// # What is sent
//
// [Probes] lists the matrix: each [Probe] is one way to ask for an endpoint without the right to
// it. For each [Endpoint], [Run] first sends the request with the right credentials, which is the
// control. It also asks for a sibling path that does not exist, which shows the error page of the
// endpoint. Then it sends each probe once. A request goes over the wire byte for byte as [Request]
// describes it, on connections of this package, because net/http would correct what is malformed.
// No request goes to another host than the target, and no redirect is followed.
//
// # What protects the target
//
// Wrong passwords go to the account that [Config.Throwaway] names, or to unknown names that are
// unique to the run. A right [Identity] is used with its right password only, so that no account is
// locked. Endpoints with an unsafe method (RFC 9110, section 9.2.1) are skipped unless
// [Config.UnsafeMethods] is set. [Config.Rate] and [Config.MaxRequests] bound the load. When the
// target throttles, Run waits as long as Retry-After says.
//
// # How an answer is judged
//
// A status of 200 alone is not a finding, because many services answer a login page or an error
// with it. Run compares the answer with the control and with the error page of the endpoint. An
// answer is a finding if it has the content of the control that the error page does not have.
// [Verdict] lists the other results. An answer that cannot be judged is [Unknown] and never a
// finding. [Report.NotTested] says what was not tested and why.
//
// # Memory
//
// With [Config.Each], memory depends on the largest endpoint, not on the length of the run: the
// attempts of an endpoint are handed over and forgotten. A body is read up to
// [Config.MaxBodyBytes]; no more than the first [ExcerptBytes] of it are kept.
package probe
