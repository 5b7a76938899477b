// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package oracle asks whether a verifier tells by its time which names are accounts.
//
// Known and unknown names, equally long and made by the same generator, take turns with wrong
// passwords, so that a drift of the machine meets both. What is compared is the CPU time of the
// process for each request, which a stopwatch outside would see through the noise of a network
// given enough tries, at the quantiles: equal means with different tails are an oracle too.
//
// It refuses to call anything equal: it prints by how much the quantiles differ.
//
//	r, err := oracle.Probe(ctx, oracle.Scenario{Peer: p, Costs: []int{10}, Names: 1000})
//	for _, c := range r.Comparisons { fmt.Println(c.What, c.Worst()) }
package oracle
