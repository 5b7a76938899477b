// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// exchange is one request and its answer: all that a request needs, in one allocation. It is never
// reused, because handlers leak contexts and requests.
type exchange struct {
	judged
	core      *core
	anonymous bool   // no attempt: a public endpoint without credentials
	pattern   string // what Config.Endpoint said
	elsewhere bool   // as well

	ctx     userContext
	request http.Request
	writer  writer

	told  atomic.Bool
	alarm *alarm
}

// serve is stage 5.
func (c *core) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	x := &exchange{core: c}
	a := c.receive(r, &x.req)
	x.elsewhere = a.endpoint.AnsweredElsewhere
	public := c.isPublic(r, &a)
	if public && a.anonymous() {
		x.anonymous = true
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
		x.tell(attempt.Response{Status: d.Status})
		d.write(w, r, c)
		return
	}
	x.ctx.user, x.ctx.account, x.ctx.former = userOf(account), account, x.res.PreviousCredential
	x.pattern = a.endpoint.Pattern
	x.pass(w, r, next)
}

// toldAfter is when an attempt is told whose response has no header yet: an intruder on an endless request must not
// stay unseen.
const toldAfter = 5 * time.Second

// pass lets the request through and sees to it that the attempt is told, whatever becomes of the handler.
func (x *exchange) pass(w http.ResponseWriter, r *http.Request, next http.Handler) {
	x.ctx.Context = x.req.Context
	x.request = *r.WithContext(&x.ctx)
	finished := false
	defer func() {
		x.restore(r)
		// No recover: it would cost the panic its stack trace.
		if finished {
			x.tell(attempt.Response{Status: http.StatusOK, Handler: true})
		} else {
			x.tell(attempt.Response{Status: http.StatusInternalServerError, Handler: true, Panicked: true})
		}
	}()
	if x.core.observer != nil {
		w = x.writer.wrap(w, x)
		if !x.anonymous {
			x.arm()
		}
	}
	next.ServeHTTP(w, &x.request)
	finished = true
}

// restore copies back what net/http and otelhttp look for on the request that they hold: the route, and the multipart
// form, whose temporary files would stay otherwise.
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

// tell ends the attempt, once.
func (x *exchange) tell(resp attempt.Response) {
	o := x.core.observer
	if o == nil || !x.told.CompareAndSwap(false, true) {
		return
	}
	if x.alarm != nil {
		x.alarm.disarm(x)
	}
	if x.elsewhere && resp.Handler && resp.Status/100 == 2 {
		resp = attempt.Response{Handler: true, Elsewhere: true}
	}
	x.resp = resp // &resp would be an allocation, also for those who come second
	if !x.anonymous {
		o.End(x.req.Context, &x.req, &x.res, &x.resp)
	} else if o, ok := o.(attempt.AnonymousObserver); ok {
		o.Anonymous(x.req.Context, &x.req, &x.resp)
	}
}

// alarm tells an exchange that takes long. Its timer is used again and again: a new one for each
// request would be two allocations.
type alarm struct {
	timer    *time.Timer
	exchange atomic.Pointer[exchange]
}

func (x *exchange) arm() {
	a, _ := x.core.m.alarms.Get().(*alarm)
	if a == nil {
		a = new(alarm)
		a.exchange.Store(x)
		x.alarm = a
		a.timer = time.AfterFunc(toldAfter, a.ring)
		return
	}
	a.exchange.Store(x)
	x.alarm = a
	a.timer.Reset(toldAfter)
}

func (a *alarm) ring() {
	if x := a.exchange.Swap(nil); x != nil {
		x.tell(attempt.Response{Handler: true})
	}
}

// disarm stops the alarm and keeps it for another exchange. One that rings already is left to the garbage collector.
func (a *alarm) disarm(x *exchange) {
	if a.exchange.CompareAndSwap(x, nil) && a.timer.Stop() {
		x.core.m.alarms.Put(a)
	}
}
