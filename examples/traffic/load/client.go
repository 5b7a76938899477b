// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// ErrPublicTarget is the error, for errors.Is, of a visit to a target that is neither loopback nor
// private.
var ErrPublicTarget = errors.New("load: the target is neither a loopback nor a private address; " +
	"--dangerously-target-anything sends guesses to machines that you may not own")

// ClientConfig configures how targets are reached. Its zero value is usable.
type ClientConfig struct {
	// Roots are the authorities of the target's certificate. nil: the system's.
	Roots *x509.CertPool
	// From is the local address of connections. Default: the system's choice.
	From netip.Addr
	// DangerouslyTargetAnything lets the client dial public addresses.
	DangerouslyTargetAnything bool
}

// timeout bounds a visit, because a throttled service may make an attacker wait.
const timeout = 10 * time.Second

// NewClient returns a client that dials loopback and private addresses only. It checks the address
// of the connection, after the name was resolved. It follows no redirect and uses no proxy,
// because both could lead to another target.
func NewClient(cfg ClientConfig) *http.Client {
	dialer := &net.Dialer{Timeout: timeout}
	if cfg.From.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(cfg.From, 0))
	}
	if !cfg.DangerouslyTargetAnything {
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			if to, err := netip.ParseAddrPort(address); err != nil || !local(to.Addr()) {
				return fmt.Errorf("%w: %s", ErrPublicTarget, address)
			}
			return nil
		}
	}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:         dialer.DialContext,
			TLSClientConfig:     &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: MaxInFlight,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func local(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate()
}
