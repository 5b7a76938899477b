// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"fmt"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/legible"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// subjectText returns the subject for a sentence: "alice", "alice from 192.0.2.7" or "192.0.2.7".
func (e *Explanation) subjectText() string { return subjectText(e.Account, e.Network) }

func subjectText(account, network string) string {
	account = legible.Text(account)
	switch {
	case account == "":
		return network
	case network == "":
		return account
	}
	return account + " from " + network
}

// sentence explains in words that can be read to the user on the phone.
func (e *Explanation) sentence() string {
	var s []string
	add := func(format string, args ...any) { s = append(s, fmt.Sprintf(format, args...)) }
	if e.AccountExists != nil && !*e.AccountExists {
		add("There is no account \"%s\"; guesses at any name are limited alike.", legible.Text(e.Account))
	}
	who := e.subjectText()
	switch {
	case e.Rule != nil && e.Refused:
		add("%s is blocked%s, even with the right password.", who, e.end())
		add("%s decided that at %s: %s.", e.Rule.Actor, clockText(e.Rule.Since), full(e.Rule.Reason))
	case e.Rule != nil:
		add("%s may try passwords without any limit%s.", who, e.end())
		add("%s decided that at %s: %s.", e.Rule.Actor, clockText(e.Rule.Since), full(e.Rule.Reason))
	case e.Refused && e.Known && e.Reserve != nil && e.Reserve.Left > 0:
		add("Too many wrong passwords were tried%s, so further wrong ones are refused unseen%s.", e.where(), e.end())
		add("%s has logged in from %s lately, so the right password works now.", legible.Text(e.Account), e.Network)
	case e.Refused:
		add("%s cannot log in%s, because too many wrong passwords were tried%s.", who, e.end(), e.where())
		add("%s", e.limits())
	default:
		add("Nothing blocks %s.", who)
		if b := e.tightest(); b != nil {
			add("%d of %d tries are left.", b.Left, b.Burst)
		}
	}
	if text := e.lastAttempt(); text != "" {
		s = append(s, text)
	}
	return strings.Join(s, " ")
}

// end returns until when the state lasts: " until 15:04:05 UTC (in 58 seconds)", or "".
func (e *Explanation) end() string {
	if e.Until == nil {
		return ""
	}
	return fmt.Sprintf(" until %s (in %s)", clockText(*e.Until), inWords(e.Until.Sub(e.Now)))
}

// where returns for whom the guesses were that emptied the budget.
func (e *Explanation) where() string {
	switch e.RefusedBy {
	case throttle.Budget(0).String(): // pair
		return " for " + legible.Text(e.Account) + " from " + e.Network
	case "account":
		return " for " + legible.Text(e.Account) + " from all networks together"
	case "network":
		return " from " + e.Network + " for all accounts together"
	case "site":
		return " from the networks around " + e.Network + " together"
	}
	return " from " + e.Network
}

// limits returns the limit of the budget that refuses.
func (e *Explanation) limits() string {
	for _, b := range e.Budgets {
		if b.Kind == e.RefusedBy {
			return fmt.Sprintf("After %d wrong passwords there is one more try each %s.", b.Burst, perText(time.Duration(b.EverySeconds*float64(time.Second))))
		}
	}
	return ""
}

// tightest returns the budget with the fewest guesses left, or nil.
func (e *Explanation) tightest() *Standing {
	var least *Standing
	for i := range e.Budgets {
		if b := &e.Budgets[i]; least == nil || b.Left < least.Left {
			least = b
		}
	}
	return least
}

// causes are the reasons of a failure in words.
var causes = map[string]string{
	string(attempt.ReasonUnknownUser):        "no account has that name",
	string(attempt.ReasonWrongPassword):      "the password was wrong",
	string(attempt.ReasonAccountDisabled):    "the account is disabled",
	string(attempt.ReasonCredentialsExpired): "the account or its password has expired",
	string(attempt.ReasonPasswordTooLong):    "the password was too long",
	string(attempt.ReasonPlaintextRefused):   "it came without TLS",
	string(attempt.ReasonBudgetEmpty):        "there were too many before it",
}

// lastAttempt returns a sentence about the newest attempt, "" without one.
func (e *Explanation) lastAttempt() string {
	if len(e.Attempts) == 0 {
		return ""
	}
	a := e.Attempts[0]
	text := "The last refused attempt came at " + clockText(a.Time)
	if a.Client != "" {
		text += " from " + a.Client
	}
	if cause := causes[a.Reason]; cause != "" {
		text += "; " + cause
	}
	return text + "."
}

// clockText returns a time for a sentence: the hour, in UTC.
func clockText(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }

// full ends a reason like a sentence that continues: without a full stop.
func full(reason string) string { return strings.TrimRight(reason, ". ") }

// perText returns an interval behind "each": "minute", "90 seconds".
func perText(d time.Duration) string {
	switch d {
	case time.Second:
		return "second"
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	}
	if d < time.Second {
		return fmt.Sprintf("%d milliseconds", d.Milliseconds())
	}
	return inWords(d)
}

// inWords returns a duration in words, rounded up: "58 seconds", "12 minutes", "3 hours", "2 days".
func inWords(d time.Duration) string {
	const day = 24 * time.Hour
	unit, name := time.Second, "second"
	switch {
	case d > 2*day:
		unit, name = day, "day"
	case d > 2*time.Hour:
		unit, name = time.Hour, "hour"
	case d > 2*time.Minute:
		unit, name = time.Minute, "minute"
	}
	n := max((d+unit-1)/unit, 1)
	if n > 1 {
		name += "s"
	}
	return fmt.Sprintf("%d %s", n, name)
}
