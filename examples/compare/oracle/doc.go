// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package oracle measures whether the time of an answer reveals which names are accounts.
//
// Known and unknown names have the same length and come from the same generator. They alternate,
// with wrong passwords, so that a drift of the machine affects both. The package compares the CPU
// time of the process for each request. An attacker who measures often enough can see it through
// the noise of a network. It compares quantiles, because equal means with different tails are an
// oracle too.
//
// It never calls results equal: it prints by how much the quantiles differ.
//
//	r, err := oracle.Probe(ctx, oracle.Scenario{Peer: p, Costs: []int{10}, Names: 1000})
//	for _, c := range r.Comparisons { fmt.Println(c.What, c.Worst()) }
package oracle
