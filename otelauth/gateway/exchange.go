// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/gateway/internal/policy"
)

// exchange is one request and its answer. It is also the request's context, and it is never
// reused.
type exchange struct {
	context.Context //nolint:containedctx // it is one
	cancel          context.CancelFunc

	state    *state // set when otelauth asks for the endpoint
	decision policy.Decision
	refused  otelauth.Refusal // set before the rules are applied
	trace    trace.TraceID    // of the server span
	id       string           // X-Request-Id
	ids      [1]string
	writer   http.ResponseWriter // net/http's own
	server   *http.Server        // nil: the handler runs in a server that Serve did not start
	values   [maxIdentityHeaders + 4]string
	body     body

	// Node of a streamList.
	next, previous *exchange
	removed        bool
	multiplexed    bool // one of several on its connection
	list           *streamList
	watched        watched
	conn           *conn // nil: not accepted by Serve
	cut            atomic.Bool
}

// newExchange returns the exchange of r. The caller cancels it.
func newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{writer: w, multiplexed: r.ProtoMajor >= 2}
	x.Context, x.cancel = context.WithCancel(r.Context())
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		c.unparsed.Store(false)
		x.conn = c
	}
	x.server, _ = r.Context().Value(http.ServerContextKey).(*http.Server)
	x.id = requestID(r.Header)
	x.ids[0] = x.id
	w.Header()["X-Request-Id"] = x.ids[:1:1]
	return x
}

type exchangeKey struct{}

func (x *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return x
	}
	return x.Context.Value(key)
}

// exchangeOf returns the exchange of a request's context, or nil.
func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// isPermitted reports whether the request may pass. If the account or the origin may not make
// it, isPermitted answers 403.
func (x *exchange) isPermitted(w http.ResponseWriter, r *http.Request) bool {
	user, _ := otelauth.UserFromContext(r.Context())
	var reason attempt.Reason
	var detail string
	switch {
	case !x.decision.Allows(user):
		reason, detail = attempt.ReasonNotPermitted, "This account may not do this."
	case !isHeaderSafe(user.Name):
		reason = attempt.ReasonUnsafeName
		detail = "The name of this account cannot be sent to the service in a header: " +
			"it begins or ends with a space, or holds a control character."
	case !x.state.origins.permit(r):
		reason = attempt.ReasonForeignOrigin
		detail = "A page of another origin made the browser send this request. The operator can add that origin to the trusted origins."
	default:
		return true
	}
	otelauth.RecordRefusal(r.Context(), reason, x.decision.RefusedBy(user))
	answer(w, r, http.StatusForbidden, detail)
	return false
}

// abort ends an exchange, whatever it waits for. While the lock is held it cannot end by itself,
// so its writer is valid.
func (x *exchange) abort() {
	x.cut.Store(true)
	x.cancel()
	l := x.list
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case x.removed:
	case x.conn != nil && !x.multiplexed:
		_ = x.conn.Conn.Close() // it carries nothing else, and its client may have stopped reading
	default:
		_ = http.NewResponseController(x.writer).SetWriteDeadline(time.Now())
	}
}
