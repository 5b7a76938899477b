// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// spareHeap is how much garbage a small heap may hold before it is collected. A gateway at work keeps a few MiB alive and makes some 25 KiB
// of garbage with every request, so Go's own measure, as much garbage as there is alive, has it collect dozens of times a second.
const spareHeap = 32 << 20

// paceCollector has the collector run when the garbage is spareHeap or as much as what is alive, whichever is more. Then a heap that has grown,
// with idle connections for example, is collected as always. GOGC and GOMEMLIMIT are the operator's: with either it does nothing.
func paceCollector() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	p := &pacer{sample: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}, percent: fullPercent}
	p.adjust()
	p.next()
}

// fullPercent is Go's default, and the least.
const fullPercent = 100

type pacer struct {
	sample  []metrics.Sample
	percent int
}

// next calls adjust after the next collection, by an object that does not survive it.
func (p *pacer) next() {
	// With a pointer: small objects without one share a block, and its fate.
	runtime.AddCleanup(&struct{ p *pacer }{p}, func(p *pacer) {
		p.adjust()
		p.next()
	}, p)
}

func (p *pacer) adjust() {
	metrics.Read(p.sample)
	if p.sample[0].Value.Kind() != metrics.KindUint64 {
		return // a Go that has no such metric
	}
	percent := percentFor(p.sample[0].Value.Uint64())
	// Setting it stops all goroutines for a moment.
	if difference := percent - p.percent; difference > p.percent/8 || difference < -p.percent/8 {
		debug.SetGCPercent(percent)
		p.percent = percent
	}
}

// percentFor is the GOGC that leaves room for spareHeap above what is alive.
func percentFor(live uint64) int {
	const least = spareHeap / 16 // what has not been collected yet is not known to be alive
	return max(fullPercent, int(spareHeap*fullPercent/max(live, least)))
}
