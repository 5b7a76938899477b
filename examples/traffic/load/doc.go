// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package load plays honest customers and an attack to the shop, within bounds: so many requests a
// second, for so long, so many at once, and to loopback and private addresses only.
//
//	client, err := load.NewClient(load.ClientConfig{Roots: ca})
//	summary, err := load.Run(ctx, load.Config{Client: client, Target: "https://127.0.0.2:8443", Attack: load.Spray})
//	summary.WriteTable(os.Stdout)
//
// It stands where a reverse proxy would: every visit names the address it comes from in
// X-Forwarded-For, which a service believes that has the generator's own address among its trusted
// proxies, and no other service does. The addresses are those that RFC 5737 and RFC 2544 reserve
// for documentation and benchmarks.
//
// It refuses to be a weapon: it is slow, says who it is in User-Agent, and dials no public address
// unless it is told so by a flag whose name says what that is.
package load
