// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// spareHeap is how much garbage a small heap may hold before it is collected. A gateway at work keeps a few MiB alive and makes some 25 KiB
// of garbage with every request, so Go's own measure, as much garbage as there is alive, has it collect dozens of times a second.
const spareHeap = 64 << 20

// paceCollector has the collector run when the garbage is spareHeap or as much as what is alive, whichever is more. Then a heap that has grown,
// with idle connections for example, is collected as always. GOGC and GOMEMLIMIT are the operator's: with either it does nothing.
func paceCollector() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	go giveBack(time.Tick(restCheck))
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

// When a burst is over nothing is allocated, so nothing is collected either, and what it has left would stay for minutes.
const (
	restCheck = 2 * time.Second
	restBytes = 1 << 20  // allocated from one check to the next at most: nobody is served now
	restWorth = 16 << 20 // allocated since memory was given back: worth a collection
)

// giveBack collects, and gives memory back to the operating system, once after each burst. It never returns.
func giveBack(ticks <-chan time.Time) {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	var given, last uint64
	for range ticks {
		metrics.Read(sample)
		if sample[0].Value.Kind() != metrics.KindUint64 {
			return // a Go that has no such metric
		}
		allocated := sample[0].Value.Uint64()
		if allocated-last <= restBytes && allocated-given >= restWorth {
			debug.FreeOSMemory()
			given = allocated
		}
		last = allocated
	}
}
