// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/semconvgen/recorded"
	"github.com/otelauth/otelauth-go/internal/semconvgen/registry"
	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// The gateway emits every signal that gateway.yaml in the registry declares. The sites of all
// tests check the reverse.
func TestRegistryIsEmitted(t *testing.T) {
	t.Parallel()
	m, down := &mutable{Accounts: accounts(t)}, new(atomic.Bool)
	s := newSite(t, gateway.Config{MaxStreamAge: 100 * time.Millisecond, Auth: otelauth.Config{Accounts: m}},
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if down.Load() {
				panic(http.ErrAbortHandler)
			}
			if r.URL.Path == "/stream" {
				endless(w, r)
			}
		}))
	emitted := func(s *site, event string, count int) {
		t.Helper()
		eventually(t, event, func() bool { return len(s.named(event)) >= count })
	}
	down.Store(true)
	s.get(t, "/x", "alice", "wonderland")
	down.Store(false)
	s.get(t, "/x", "alice", "wonderland")
	emitted(s, semconv.EventGatewayUpstream, 2)
	s.raw(t, "no request of HTTP\r\n\r\n")
	emitted(s, semconv.EventGatewayUnparsed, 1)
	_, _ = io.WriteString(s.dial(t), "GET /stream HTTP/1.1\r\nHost: h\r\n"+authorization("alice", "wonderland")+"\r\n")
	eventually(t, "the stream is upstream", func() bool { return len(s.reached()) == 3 })
	m.set(&verify.Static{Hashes: map[string]string{"dave": hash(t, "changed")}}, nil)
	emitted(s, semconv.EventGatewayStreamEnded, 1)

	certFile, keyFile, _ := newCertificate(t)
	withTLS := &site{Recorder: otelauthtest.NewRecorder(t)}
	upstream := httptest.NewServer(withTLS.remember(nil))
	t.Cleanup(upstream.Close)
	withTLS.start(t, gateway.Config{Upstream: upstream.URL, CertFile: certFile, KeyFile: keyFile})
	renewed := testkit.NewCertificate(t, "127.0.0.1")
	first := withTLS.served(t)
	write(t, certFile, renewed.CertPEM) // without its key
	eventually(t, "the event of a pair that does not match", func() bool {
		return withTLS.served(t) == first && len(withTLS.named(semconv.EventGatewayCertificate)) == 1
	})
	write(t, keyFile, renewed.KeyPEM)
	eventually(t, "the event of the new certificate", func() bool {
		return withTLS.served(t) != first && len(withTLS.named(semconv.EventGatewayCertificate)) == 2
	})

	r, all := recorded.Check(t, s.Recorder)
	all = append(all, recorded.Signals(withTLS.Recorder)...)
	for _, problem := range r.Unseen(all, func(g *registry.Group) bool { return g.File != "gateway.yaml" }) {
		t.Error(problem)
	}
}
