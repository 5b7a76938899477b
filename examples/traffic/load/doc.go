// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package load simulates honest customers and an attack on the shop. It is bounded: requests a
// second, duration, requests in flight, and loopback or private targets only.
//
//	client, err := load.NewClient(load.ClientConfig{Roots: ca})
//	summary, err := load.Run(ctx, load.Config{Client: client, Target: "https://127.0.0.2:8443", Attack: load.Spray})
//	summary.WriteTable(os.Stdout)
//
// It acts as a reverse proxy: every visit names its client address in X-Forwarded-For. A service
// believes it only if the generator's own address is one of its trusted proxies. The client
// addresses are those that RFC 5737 and RFC 2544 reserve for documentation and benchmarks.
//
// It is not usable as a weapon: it is slow, names itself in User-Agent, and dials no public
// address without a flag whose name states the danger.
package load
