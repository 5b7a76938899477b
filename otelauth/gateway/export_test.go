// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"net"
)

// DialUpstream makes the gateway reach its upstream through dial. It is called before the first
// request.
func (g *Gateway) DialUpstream(dial func(context.Context) (net.Conn, error)) {
	g.latest.Load().upstream.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }
}
