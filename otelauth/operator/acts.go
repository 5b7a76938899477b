// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/internal/legible"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

const (
	// maxActs bounds the acts in memory, of at most 1 KiB each, and 4 KiB for a clear.
	maxActs = 256
	// maxBodyBytes bounds the body of an act.
	maxBodyBytes = 16 << 10
	// maxReasonBytes bounds a reason, as in package throttle.
	maxReasonBytes = 256
	// maxRule bounds the duration of a rule.
	maxRule = 10 * 365 * 24 * time.Hour
	// freshFor is how long ago the password of an operator may have been hashed.
	freshFor = 5 * time.Minute
)

// acts holds the recent acts, the oldest first.
type acts struct {
	doing sync.Mutex // one act at a time, so that an undo restores what the act has replaced
	mu    sync.Mutex
	list  []*done
}

// done is an act with what its undo needs.
type done struct {
	Act
	Subject  throttle.Subject
	Name     string         // the account as the store spells it
	Began    time.Time      // of its rule, on the clock of its process
	Replaced *throttle.Rule // the rule that an allow or deny has replaced
	Cleared  []cleared      // what a clear gave back
}

// maxCleared bounds the budgets of one clear that its undo charges again.
const maxCleared = 32

// cleared is what a clear gave back to one budget.
type cleared struct {
	Subject throttle.Subject
	Guesses int
	Every   time.Duration // after which one guess would have come back without the clear
}

// left returns the guesses that the budget would still lack without the clear.
func (c *cleared) left(age time.Duration) int {
	if c.Every <= 0 {
		return 0
	}
	return max(c.Guesses-int(max(age, 0)/c.Every), 0)
}

func (a *acts) add(d *done) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) >= maxActs {
		a.list = slices.Delete(a.list, 0, len(a.list)-maxActs+1)
	}
	a.list = append(a.list, d)
}

// find returns a copy of the act with an id.
func (a *acts) find(id string) (d done, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, have := range a.list {
		if have.ID == id {
			return *have, true
		}
	}
	return d, false
}

// undone records that an act has no effect any more.
func (a *acts) undone(id, by string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, have := range a.list {
		if have.ID == id {
			have.UndoneBy = by
		}
	}
}

// serveActs answers GET v1/acts.
func (o *Operator) serveActs(r *http.Request) (any, error) {
	q := queryOf(r, "limit")
	limit := q.number("limit", defaultLimit, maxLimit)
	if q.err != nil {
		return nil, q.err
	}
	m, _ := o.shared(r.Context(), nil, []string{partActs})
	list := ActList{Meta: m, Acts: []Act{}}
	o.acts.mu.Lock()
	defer o.acts.mu.Unlock()
	for _, d := range slices.Backward(o.acts.list) {
		if len(list.Acts) == limit {
			break
		}
		act := d.Act
		act.Undoable = o.isInForce(d)
		list.Acts = append(list.Acts, act)
	}
	return list, nil
}

// isInForce reports whether an act has an effect that can end: its rule is the one in force about
// its subject, or a budget that it has cleared would not be full yet without it.
func (o *Operator) isInForce(d *done) bool {
	budgets := o.budgets()
	switch {
	case budgets == nil || d.UndoneBy != "":
		return false
	case d.Verb == VerbClear:
		age := o.sharedNow().Sub(d.Time)
		return slices.ContainsFunc(d.Cleared, func(c cleared) bool { return c.left(age) > 0 })
	case d.Verb != VerbAllow && d.Verb != VerbDeny:
		return false
	}
	return slices.ContainsFunc(budgets.Rules(), func(r throttle.Rule) bool { return isOf(&r, d) })
}

// isOf reports whether a rule is that of an act.
func isOf(r *throttle.Rule, d *done) bool {
	return r.Subject == d.Subject && r.Denied == (d.Verb == VerbDeny) && r.By == d.Actor && r.Why == d.Reason &&
		r.Since.Sub(d.Began).Abs() < time.Second
}

// mayAct returns why the caller of r may not act, or nil.
func (o *Operator) mayAct(r *http.Request) error {
	if !o.cfg.Acts {
		return refuse(http.StatusForbidden, CodeActsDisabled,
			"This process is read-only. Start it with --operator-acts, or set operator.Config.Acts, to let operators act.")
	}
	if r.Header.Get(ActHeader) == "" {
		return refuse(http.StatusForbidden, CodeForeignOrigin, "The header %s is missing. Send it with any value.", ActHeader)
	}
	if seen := r.Header.Get(InstanceHeader); seen != "" && seen != o.instance {
		return refuse(http.StatusConflict, CodeInstanceChanged,
			"The process was restarted since this page or list was read. Read it again before you act.")
	}
	if at, ok := otelauth.VerifiedAt(r.Context()); ok && o.cfg.Now().Sub(at) > freshFor {
		u, _ := otelauth.UserFromContext(r.Context())
		if m := o.verifier.Load(); m != nil {
			if id, err := m.Identify(r.Context(), u.Name); err == nil || id.Canonical != "" {
				m.Forget(id.Canonical) // so that the next request is hashed
			}
		}
		return refuse(http.StatusUnauthorized, CodeReauthenticate, "Your password was checked more than %v ago. Send it again.", freshFor)
	}
	return nil
}

// readBody decodes the body of an act.
func readBody(w http.ResponseWriter, r *http.Request, into any) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return invalid("The Content-Type is not application/json.")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return invalid("The body is not valid: %s.", shown(strings.TrimPrefix(err.Error(), "json: ")))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("The body continues after the JSON object.")
	}
	return nil
}

func checkReason(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" {
		return "", invalid("The reason is missing. Write why, such as a ticket; it is recorded with your name.")
	}
	if len(reason) > maxReasonBytes {
		return "", invalid("The reason has %d bytes. Use at most %d.", len(reason), maxReasonBytes)
	}
	return shown(reason), nil
}

// serveAct answers POST v1/acts.
func (o *Operator) serveAct(w http.ResponseWriter, r *http.Request) error {
	if err := o.mayAct(r); err != nil {
		return err
	}
	var req ActRequest
	if err := readBody(w, r, &req); err != nil {
		return err
	}
	var err error
	if req.Reason, err = checkReason(req.Reason); err != nil {
		return err
	}
	switch req.Verb {
	case VerbClear, VerbForget:
		if req.ForSeconds != 0 {
			return invalid("%s has no duration. Remove for_seconds.", req.Verb)
		}
	case VerbAllow, VerbDeny:
		if req.ForSeconds < 0 || req.ForSeconds > int64(maxRule/time.Second) {
			return invalid("for_seconds is %d. Use 1 to %d, or 0 for a rule without an end.", req.ForSeconds, int64(maxRule/time.Second))
		}
	default:
		return invalid("There is no verb %q. Use clear, allow, deny or forget.", shown(req.Verb))
	}
	s, err := o.subjectOf(r.Context(), req.Account, req.Network)
	if err != nil {
		return err
	}
	if s.exists != nil && !*s.exists && !req.UnknownAccount {
		return refuse(http.StatusNotFound, CodeUnknownAccount,
			"There is no account \"%s\". Check the spelling; to act on a name that is not an account, say so.", legible.Text(req.Account))
	}
	o.acts.doing.Lock()
	defer o.acts.doing.Unlock()
	d, sentence, err := o.act(context.WithoutCancel(r.Context()), &s, &req, actorOf(r.Context()))
	if err != nil {
		return err
	}
	o.conclude(d, &s)
	act := d.Act
	act.Undoable = o.isInForce(d)
	var local []string
	if d.Verb == VerbForget {
		local = []string{partForgotten} // the other replicas do the same and do not count it here
	}
	m, _ := o.shared(r.Context(), local, o.localActs(d.Verb))
	return writeJSON(w, ActResult{Meta: m, Act: act, Sentence: sentence})
}

// act does what a request says.
func (o *Operator) act(ctx context.Context, s *subject, req *ActRequest, actor string) (*done, string, error) {
	d := &done{Subject: s.Subject, Name: s.Name, Began: o.cfg.Now(), Act: Act{
		ID: o.newID(), Time: o.sharedNow(), Verb: req.Verb, Account: s.typed, Network: textOf(s.Network), Actor: actor,
		Reason: req.Reason, Instance: o.instance,
	}}
	who := subjectText(d.Account, d.Network)
	if req.Verb == VerbForget {
		return o.forget(d, s)
	}
	budgets := o.budgets()
	if budgets == nil {
		return nil, "", refuse(http.StatusConflict, CodeInvalid, "This service does not limit guesses with budgets.")
	}
	how := throttle.Act{By: actor, Why: req.Reason, For: time.Duration(req.ForSeconds) * time.Second}
	if req.Verb == VerbClear {
		return o.clear(ctx, d, s, how)
	}
	for _, r := range budgets.Rules() {
		if r.Subject == s.Subject {
			d.Replaced = &r
		}
	}
	set, effect := budgets.Allow, "may try passwords without any limit"
	if req.Verb == VerbDeny {
		set, effect = budgets.Deny, "is blocked, even with the right password"
	}
	if err := set(ctx, s.Subject, how); err != nil {
		return nil, "", err
	}
	end := " until this is undone"
	if how.For > 0 {
		until := d.Time.Add(how.For)
		d.Until = &until
		end = fmt.Sprintf(" until %s (in %s)", clockText(until), inWords(how.For))
	}
	return d, fmt.Sprintf("%s %s%s.", who, effect, end), nil
}

// forget makes every client of an account send its password again.
func (o *Operator) forget(d *done, s *subject) (*done, string, error) {
	if s.typed == "" || s.Network.IsValid() {
		return nil, "", invalid("forget takes an account and no network: credentials are remembered for an account.")
	}
	d.Credentials, d.Streams = o.forgetHere(s.Account, s.Name)
	return d, fmt.Sprintf("%d remembered credentials of %s are forgotten and %d open streams are closed. The right password still works.",
		d.Credentials, legible.Text(d.Account), d.Streams), nil
}

// forgetHere forgets an account in this process.
func (o *Operator) forgetHere(canonical, name string) (credentials, streams int) {
	if m := o.verifier.Load(); m != nil {
		credentials = m.Forget(canonical)
	}
	if o.cfg.CloseStreams != nil && name != "" {
		streams = o.cfg.CloseStreams(name)
	}
	return credentials, streams
}

// clear fills every budget that refuses the subject: with an account and a network that of the
// pair in any case, with an account alone also those of its pairs that have refused attempts.
func (o *Operator) clear(ctx context.Context, d *done, s *subject, how throttle.Act) (*done, string, error) {
	budgets := o.budgets()
	x, err := budgets.Explain(ctx, s.Subject)
	if err != nil {
		return nil, "", err
	}
	subjects := []throttle.Subject{s.Subject}
	names := []string{subjectText(d.Account, d.Network)}
	for _, b := range x.Budgets {
		if b.Left > 0 {
			continue
		}
		sub, name := o.subjectOfBudget(b.Budget, s)
		if sub != (throttle.Subject{}) && !slices.Contains(subjects, sub) {
			subjects, names = append(subjects, sub), append(names, name)
		}
	}
	if s.typed != "" && !s.Network.IsValid() {
		_, others := o.shared(ctx, nil, nil)
		for _, b := range joinBudgets(o.blockedHere(), others) {
			p, err := parseNetwork(b.Network)
			if sub := (throttle.Subject{Account: s.Account, Network: p}); err == nil && b.Kind == "pair" && b.Hash == s.Hash {
				subjects, names = append(subjects, sub), append(names, subjectText(d.Account, textOf(p)))
			}
		}
	}
	isHere := false
	for _, sub := range subjects {
		if len(d.Cleared) < maxCleared {
			if err := o.remember(ctx, d, sub); err != nil {
				return nil, "", err
			}
		}
		switch err := budgets.Clear(ctx, sub, how); {
		case errors.Is(err, throttle.ErrClearedHere):
			isHere = true
		case err != nil:
			return nil, "", err
		}
	}
	after, err := budgets.Explain(ctx, s.Subject)
	if err != nil {
		return nil, "", err
	}
	sentence := "The budget of " + names[0] + " is full again."
	if last := len(names) - 1; last > 0 {
		sentence = "The budgets of " + strings.Join(names[:last], ", of ") + " and of " + names[last] + " are full again."
	}
	if isHere {
		sentence += " That is so in this process only, because the shared store does not answer. Clear again when it does."
	}
	if after.Refused && after.Rule != nil {
		sentence += fmt.Sprintf(" A rule of %s still blocks: %s. Undo it.", shown(after.Rule.By), full(shown(after.Rule.Why)))
	}
	return d, sentence, nil
}

// remember notes what the clear of a subject is about to give back.
func (o *Operator) remember(ctx context.Context, d *done, s throttle.Subject) error {
	x, err := o.budgets().Explain(ctx, s)
	if err != nil {
		return err
	}
	kind := "site"
	switch {
	case s.Account != "" && s.Network.IsValid():
		kind = "pair"
	case s.Account != "":
		kind = "account"
	case s.Network == clientip.Network(s.Network.Addr()):
		kind = "network"
	}
	for _, b := range x.Budgets {
		if b.Budget.String() == kind && b.Left < b.Limit.Burst {
			d.Cleared = append(d.Cleared, cleared{s, b.Limit.Burst - b.Left, b.Limit.Every})
		}
	}
	return nil
}

// subjectOfBudget returns the subject whose clearing fills a budget that s draws on.
func (o *Operator) subjectOfBudget(kind throttle.Budget, s *subject) (sub throttle.Subject, name string) {
	switch kind.String() {
	case "account":
		return throttle.Subject{Account: s.Account}, legible.Text(s.typed)
	case "network", "requests":
		return throttle.Subject{Network: s.Network}, textOf(s.Network)
	case "site":
		site := siteOf(s.Network)
		return throttle.Subject{Network: site}, textOf(site)
	}
	return throttle.Subject{}, ""
}

func (o *Operator) newID() string {
	var b [8]byte
	if _, err := io.ReadFull(o.cfg.Rand, b[:]); err != nil {
		return fmt.Sprintf("%016x", o.cfg.Now().UnixNano())
	}
	return hex.EncodeToString(b[:])
}

// conclude records an act and reports it.
func (o *Operator) conclude(d *done, s *subject) {
	o.acts.add(d)
	o.publishAct(d)
	o.shareActs(context.Background())
	n := attempt.Notice{
		Kind: attempt.OperatorAct, Time: d.Time, Actor: d.Actor, Why: d.Reason, Network: s.Network, UserHash: s.Hash,
		Act: attempt.Act{ID: d.ID, Verb: d.Verb, Undoes: d.Undoes}, Message: "operator: " + d.Actor + " " + verbText(d) + ": " + d.Reason,
	}
	if d.Until != nil {
		n.Act.Until = *d.Until
	}
	if m := o.verifier.Load(); m != nil {
		m.Notice(n)
	}
}

// publishAct reports a new act on the live view.
func (o *Operator) publishAct(d *done) {
	act := d.Act
	// At another replica, the rule of the act may arrive after the act.
	act.Undoable = d.UndoneBy == "" && (d.Verb == VerbAllow || d.Verb == VerbDeny) || o.isInForce(d)
	o.publish(EventAct, act)
}

// verbText returns an act in words without the name of an account, which may be a password.
func verbText(d *done) string {
	text := d.Verb
	if d.Undoes != "" {
		text += " of act " + d.Undoes
	}
	if d.Account != "" {
		text += " of an account"
	}
	if d.Network != "" {
		text += " from " + d.Network
	}
	return text
}

// serveUndo answers POST v1/acts/{id}/undo.
func (o *Operator) serveUndo(w http.ResponseWriter, r *http.Request) error {
	if err := o.mayAct(r); err != nil {
		return err
	}
	var req UndoRequest
	if err := readBody(w, r, &req); err != nil {
		return err
	}
	reason, err := checkReason(req.Reason)
	if err != nil {
		return err
	}
	o.acts.doing.Lock()
	defer o.acts.doing.Unlock()
	old, ok := o.acts.find(r.PathValue("id"))
	if !ok {
		return refuse(http.StatusNotFound, CodeNotFound, "There is no act %q in memory. GET /v1/acts lists them.", shown(r.PathValue("id")))
	}
	switch {
	case old.Verb == VerbForget:
		return refuse(http.StatusConflict, CodeNotUndoable, "Forgotten credentials come back when their owner sends them again.")
	case !o.isInForce(&old):
		return refuse(http.StatusConflict, CodeNotUndoable, "The act has no effect any more: it was undone or replaced, it has ended, or what it cleared would be full again by now.")
	}
	d, sentence, err := o.undo(context.WithoutCancel(r.Context()), &old, actorOf(r.Context()), reason)
	if err != nil {
		return err
	}
	s := subject{Subject: old.Subject}
	if m := o.verifier.Load(); m != nil && old.Subject.Account != "" {
		s.Identity, _ = m.Identify(r.Context(), old.Subject.Account) // the hash is set in any case
	}
	o.acts.undone(old.ID, d.ID)
	o.conclude(d, &s)
	m, _ := o.shared(r.Context(), nil, o.localActs(VerbUndo))
	return writeJSON(w, ActResult{Meta: m, Act: d.Act, Sentence: sentence})
}

// undo ends a rule, and puts the rule that it has replaced in force again. It charges what a clear
// gave back, except for the guesses that would have come back since.
func (o *Operator) undo(ctx context.Context, old *done, actor, reason string) (*done, string, error) {
	d := &done{Subject: old.Subject, Began: o.cfg.Now(), Act: Act{
		ID: o.newID(), Time: o.sharedNow(), Verb: VerbUndo, Undoes: old.ID, Account: old.Account, Network: old.Network,
		Actor: actor, Reason: reason, Instance: o.instance,
	}}
	who := subjectText(old.Account, old.Network)
	budgets := o.budgets()
	if old.Verb == VerbClear {
		age := d.Time.Sub(old.Time)
		for i := range old.Cleared {
			c := &old.Cleared[i]
			if n := c.left(age); n > 0 {
				if err := budgets.Charge(ctx, c.Subject, n, throttle.Act{By: actor, Why: reason}); err != nil {
					return nil, "", err
				}
			}
		}
		return d, fmt.Sprintf("The guesses that the clear gave back to %s are charged again.", who), nil
	}
	before := old.Replaced
	left := time.Duration(0)
	if before != nil && !before.Until.IsZero() {
		if left = before.Until.Sub(d.Began); left <= 0 {
			before = nil
		}
	}
	if before == nil {
		err := budgets.Revoke(ctx, old.Subject, throttle.Act{By: actor, Why: reason})
		return d, fmt.Sprintf("No rule applies to %s any more.", who), err
	}
	set := budgets.Allow
	if before.Denied {
		set = budgets.Deny
	}
	err := set(ctx, old.Subject, throttle.Act{By: before.By, Why: before.Why, For: left})
	return d, fmt.Sprintf("The rule of %s about %s is in force again.", shown(before.By), who), err
}

// localActs names what an act has changed in this process only, while nothing is shared.
func (o *Operator) localActs(verb string) []string {
	switch verb {
	case VerbClear:
		return []string{partActs, partBudgets}
	case VerbUndo:
		return []string{partActs, partBudgets, partRules}
	case VerbForget:
		return []string{partActs}
	}
	return []string{partActs, partRules}
}

// siteOf returns the site of a network.
func siteOf(p netip.Prefix) netip.Prefix { return clientip.Site(p.Addr()) }
