// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"net"
	"os/user"
	"strconv"

	"github.com/otelauth/otelauth-go/otelauth"
)

type actorKey struct{}

// WithActor returns a context whose requests are those of actor. It is for services that
// authenticate operators in a way of their own; every client whose request has such a context can
// act.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// actorOf returns the name of the caller; "" without one.
func actorOf(ctx context.Context) string {
	if actor, ok := ctx.Value(actorKey{}).(string); ok {
		return shown(actor)
	}
	u, _ := otelauth.UserFromContext(ctx)
	return shown(u.Name)
}

// ConnContext names the other end of a unix socket. Set it as http.Server.ConnContext. The actor
// is "local:" and the name of the user who called, as the kernel reports it, or "local:uid=" and
// its number. Where the kernel does not report it, the actor is "local:unknown". Other connections
// get no actor.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	uid, ok := peerUID(u)
	if !ok {
		return WithActor(ctx, "local:unknown")
	}
	id := strconv.FormatUint(uint64(uid), 10)
	if who, err := user.LookupId(id); err == nil && who.Username != "" {
		return WithActor(ctx, "local:"+who.Username)
	}
	return WithActor(ctx, "local:uid="+id)
}
