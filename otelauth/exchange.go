// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// exchange is one request and its answer: everything that a request needs, in one allocation. It
// is never reused, because handlers leak contexts and requests.
type exchange struct {
	verdict
	core                *core
	isAnonymous         bool   // no attempt: a public endpoint without credentials
	pattern             string // from Config.Endpoint
	isAnsweredElsewhere bool   // from Config.Endpoint

	ctx     userContext
	request http.Request
	writer  writer

	isRecorded atomic.Bool
	alarm      *alarm
}

// serve runs the pipeline for one request and answers it: stage 5.
func (c *core) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	x := &exchange{core: c}
	a := c.receive(r, &x.req)
	x.isAnsweredElsewhere = a.endpoint.AnsweredElsewhere
	public := c.isPublic(r, &a)
	if public && a.isAnonymous() {
		x.isAnonymous = true
		x.pattern = a.endpoint.Pattern
		x.pass(w, r, next)
		return
	}
	account := c.authenticate(&a, &x.req, &x.res)
	if account == nil && !public {
		if p := c.pattern(r, &a); p != "" {
			r.Pattern = p // for otelhttp: the route of a request that never reaches its mux
		}
		d := c.denial(&a, &x.req, &x.res)
		x.record(attempt.Response{Status: d.Status})
		d.write(w, r, c)
		return
	}
	x.ctx.user, x.ctx.account, x.ctx.isPrevious = userOf(account), account, x.res.PreviousCredential
	x.ctx.verifiedAt = x.res.VerifiedAt
	x.pattern = a.endpoint.Pattern
	x.pass(w, r, next)
}

// recordAfter is when an attempt is recorded whose response has no header yet: an attacker must
// not stay unseen behind an endless request.
const recordAfter = 5 * time.Second

// pass calls next and records the attempt, also when next panics.
func (x *exchange) pass(w http.ResponseWriter, r *http.Request, next http.Handler) {
	x.ctx.Context = x.req.Context
	x.request = *r.WithContext(&x.ctx)
	finished := false
	defer func() {
		x.restore(r)
		// Without recover, which would lose the stack trace of the panic.
		if finished {
			x.record(attempt.Response{Status: http.StatusOK, Handler: true})
		} else {
			x.record(attempt.Response{Status: http.StatusInternalServerError, Handler: true, Panicked: true})
		}
	}()
	if x.core.observer != nil {
		w = x.writer.wrap(w, x)
		if !x.isAnonymous {
			x.arm()
		}
	}
	next.ServeHTTP(w, &x.request)
	finished = true
}

// restore copies to r what net/http and otelhttp read from it: the route, and the multipart form,
// whose temporary files would remain otherwise.
func (x *exchange) restore(r *http.Request) {
	switch {
	case x.request.Pattern != "":
		r.Pattern = x.request.Pattern
	case r.Pattern == "" && x.pattern != "":
		r.Pattern = x.pattern
	case r.Pattern == "" && x.core.cfg.Routes != nil:
		r.Pattern = x.core.pattern(r, nil)
	}
	if x.request.MultipartForm != nil {
		r.MultipartForm = x.request.MultipartForm
	}
}

// record ends the attempt and reports it to the observer. Only the first call has an effect.
func (x *exchange) record(resp attempt.Response) {
	o := x.core.observer
	if o == nil || !x.isRecorded.CompareAndSwap(false, true) {
		return
	}
	if x.alarm != nil {
		x.alarm.disarm(x)
	}
	if x.isAnsweredElsewhere && resp.Handler && resp.Status/100 == 2 {
		resp = attempt.Response{Handler: true, Elsewhere: true}
	}
	if why := x.ctx.refusal.Load(); why != nil {
		resp.Reason, resp.Rule = why.reason, why.rule
	}
	x.resp = resp // &resp would allocate in every call
	x.cover()
	if !x.isAnonymous {
		o.End(x.req.Context, &x.req, &x.res, &x.resp)
	} else if o, ok := o.(attempt.AnonymousObserver); ok {
		o.Anonymous(x.req.Context, &x.req, &x.resp)
	}
}

// alarm records an exchange that takes long. Alarms are pooled with their timers: a new one costs
// two allocations.
type alarm struct {
	timer    *time.Timer
	exchange atomic.Pointer[exchange]
}

func (x *exchange) arm() {
	a, _ := x.core.shared.alarms.Get().(*alarm)
	if a == nil {
		a = new(alarm)
		a.exchange.Store(x)
		x.alarm = a
		a.timer = time.AfterFunc(recordAfter, a.ring)
		return
	}
	a.exchange.Store(x)
	x.alarm = a
	a.timer.Reset(recordAfter)
}

func (a *alarm) ring() {
	if x := a.exchange.Swap(nil); x != nil {
		x.record(attempt.Response{Handler: true})
	}
}

// disarm stops the alarm and returns it to the pool, unless it rings already.
func (a *alarm) disarm(x *exchange) {
	if a.exchange.CompareAndSwap(x, nil) && a.timer.Stop() {
		x.core.shared.alarms.Put(a)
	}
}
