// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
	"github.com/otelauth/otelauth-go/collector-config/e2e/service"
	"github.com/otelauth/otelauth-go/otelauth/audit"
)

// unfolded emits each denial as an event of its own, so that events can be counted.
var unfolded = audit.Events{DangerouslyUnfolded: true}

// attempts makes n attempts with wrong passwords, each from a new address.
type attempts struct {
	t    *testing.T
	s    *service.Service
	next int
}

func (a *attempts) make(n int) {
	a.t.Helper()
	for range n {
		a.s.MustGet(a.t, "/orders", "alice", wrongPassword, client(a.next))
		a.next++
	}
}

// acknowledged waits until the collector has acknowledged this many more events.
func (a *attempts) acknowledged(n int) {
	a.t.Helper()
	want := n
	servers.Eventually(a.t, deadline, "acknowledgements", func() error {
		if got := len(a.s.Acknowledged()); got < want {
			return shortError{got, want}
		}
		return nil
	})
}

func TestNoAcknowledgedEventIsLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, collectortest.Options{})
	s := r.service(t, service.Config{Events: unfolded, GiveUp: time.Minute})
	a := &attempts{t: t, s: s}

	a.make(40)
	a.acknowledged(40)
	// Both backends fail. The collector acknowledges events into its queue from now on.
	r.backend.Stop()
	r.siem.Stop()
	a.make(100)
	a.acknowledged(140)
	// kill -9 directly after an acknowledgement, three times, and under traffic.
	for range 3 {
		var traffic sync.WaitGroup
		before := len(s.Acknowledged())
		traffic.Go(func() { a.make(60) })
		a.acknowledged(before + 1)
		r.collector.Kill()
		traffic.Wait()
		r.collector.Start(t)
	}
	// A restart by the operator.
	if err := r.collector.Shutdown(t); err != nil {
		t.Error(err)
	}
	a.make(40)
	r.collector.Start(t)
	a.make(40)
	// One backend is back. It answers with an error, then hangs, and then accepts.
	r.backend.Start(t)
	r.backend.Set(collectortest.Refuse)
	r.backend.WaitTried(t, r.backend.Tried()+1)
	r.collector.Kill()
	r.backend.Set(collectortest.Accept)
	r.siem.Start(t)
	r.collector.Start(t)
	if err := s.Shutdown(); err != nil {
		t.Error(err)
	}

	acknowledged := s.Acknowledged()
	servers.Eventually(t, deadline, "every acknowledged event at the backend", func() error { return arrived(acknowledged, r.backend) })
	servers.Eventually(t, deadline, "every acknowledged event at the SIEM", func() error { return arrived(acknowledged, r.siem) })
	// Events that were made while the collector was away are not acknowledged. The sender knows
	// each of them, and counts them.
	known := make(map[string]bool)
	for _, id := range append(acknowledged, s.GivenUp()...) {
		known[id] = true
	}
	made := s.Made()
	for _, id := range made {
		if !known[id] {
			t.Errorf("the event of %s was neither acknowledged nor given up", id)
		}
	}
	if len(made) != a.next {
		t.Errorf("%d attempts, %d events", a.next, len(made))
	}
}
