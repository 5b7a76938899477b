// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package customers holds the invented customers of the shop, whose visits the traffic generator
// plays. Their passwords are public, so they must not be accounts of anything else.
package customers

import _ "embed"

// Htpasswd is the storefront's accounts file: the customers, with bcrypt hashes of cost 10.
//
//go:embed customers.htpasswd
var Htpasswd []byte

// Customer is one account and the address that its owner calls from.
type Customer struct {
	Name, Password string
	Home           string // within 192.0.2.0/24, which RFC 5737 reserves for documentation
}

// Weak is the customer whose password is on every sprayer's list.
const Weak = "victor"

// All lists the customers.
var All = []Customer{
	{"alice", "wonderland", "192.0.2.10"},
	{"bob", "builder-of-1999", "192.0.2.11"},
	{"carol", "christmas-carol", "192.0.2.12"},
	{"dave", "two-thousand-one", "192.0.2.13"},
	{"erin", "go-bragh-4711", "192.0.2.14"},
	{"frank", "n-furter-1975", "192.0.2.15"},
	{"grace", "hopper-cobol", "192.0.2.16"},
	{"heidi", "peter-and-the-goats", "192.0.2.17"},
	{"ivan", "the-not-so-terrible", "192.0.2.18"},
	{"judy", "garland-over-rainbow", "192.0.2.19"},
	{"mike", "microphone-check", "192.0.2.20"},
	{"niaj", "nine-a-javelin", "192.0.2.21"},
	{"olivia", "olive-branch-77", "192.0.2.22"},
	{"peggy", "prover-of-things", "192.0.2.23"},
	{"rupert", "bear-in-checks", "192.0.2.24"},
	{"sybil", "fawlty-towers-12", "192.0.2.25"},
	{"trent", "trusted-arbiter", "192.0.2.26"},
	{Weak, "Winter2026!", "192.0.2.27"},
}
