// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"fmt"
	"net/url"
	"slices"
)

// plaintext asks the target without TLS, once. The password that it sends is a wrong one.
func (p *Prober) plaintext(ctx context.Context) {
	probe := probeNamed("plaintext")
	i := slices.IndexFunc(p.config.Endpoints, func(e Endpoint) bool {
		return e.Access == Protected && e.Skip == "" && isSafe(e.Method)
	})
	switch {
	case !slices.ContainsFunc(p.selected, func(q Probe) bool { return q.Name == probe.Name }), i < 0, p.stopped != "", p.config.Handler != nil:
		return
	case p.target.Scheme == "http" && !loopback(p.target.Hostname()):
		p.findings = append(p.findings, *newFinding(RulePlaintext, Endpoint{}, "the target is probed over http, and other machines can read the passwords"))
		return
	case p.target.Scheme == "http":
		p.gap(Gap{Probe: probe.Name, Why: "the target is on this machine and has no TLS"})
		return
	case p.config.Plaintext == "":
		p.gap(Gap{Probe: probe.Name, Why: "no address without TLS is known: name one with --plaintext"})
		return
	}
	c := p.cell(p.config.Endpoints[i])
	c.scheme, c.host = "http", p.config.Plaintext
	s := newWire(&url.URL{Scheme: "http", Host: p.config.Plaintext}, &p.config)
	defer s.close()
	m, _ := makeUnknown(c)
	a, res := p.attempt(ctx, s, c, probe, m)
	switch {
	case res == nil:
		return // nothing listens there, which is right
	case res.status >= 300 && res.status < 400, res.status == 400, res.status == 403, res.status == 404, res.status == 421, res.status == 426:
		return
	}
	f := newFinding(RulePlaintext, Endpoint{}, fmt.Sprintf("http://%s answers %d to credentials that were sent without TLS", p.config.Plaintext, res.status))
	f.Probes, f.Attempts = []string{probe.Name}, []Attempt{a}
	p.findings = append(p.findings, *f)
}
