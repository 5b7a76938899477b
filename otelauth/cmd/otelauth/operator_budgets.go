// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/operator"
)

// maxSentence bounds a sentence of the API, in bytes.
const maxSentence = 4096

// budgetsCommands show and change who is blocked.
type budgetsCommands struct {
	List    budgetsList    `cmd:"" help:"List who is blocked, and the rules of operators."`
	Explain budgetsExplain `cmd:"" help:"Explain in a sentence whether and why an account or a network is blocked."`
	Clear   budgetsClear   `cmd:"" help:"Let a blocked account or network try again now."`
	Allow   budgetsAllow   `cmd:"" help:"Never block an account or a network, such as one that runs tests."`
	Deny    budgetsDeny    `cmd:"" help:"Block an account or a network, even with the right password."`
	Forget  budgetsForget  `cmd:"" help:"Forget the remembered credentials of an account, and close its streams."`
	Acts    budgetsActs    `cmd:"" help:"List what operators did, with the ids for undo."`
	Undo    budgetsUndo    `cmd:"" help:"End the effect of an allow or a deny, or take a clear back."`
}

// subjectArgs name an account, a network or both.
type subjectArgs struct {
	Account string     `arg:"" optional:"" help:"The name of the account."`
	Network networkArg `placeholder:"NETWORK" help:"An address or a network: with an account, only that account from there."`
}

func (a *subjectArgs) check() error {
	if a.Account == "" && a.Network == "" {
		return usageError{errors.New("name an account, a network with --network, or both")}
	}
	return nil
}

// actFlags are why an operator acts.
type actFlags struct {
	Reason         string `required:"" placeholder:"TEXT" help:"Why, such as a ticket. It is recorded with your name."`
	UnknownAccount bool   `help:"Act although no account has the name."`
}

type budgetsList struct {
	apiFlags
	Account string     `placeholder:"NAME" help:"Only budgets of this account."`
	Network networkArg `placeholder:"NETWORK" help:"Only budgets of this address or network."`
	Limit   int        `placeholder:"NUMBER" default:"50" help:"How many budgets are printed, 1 to 1000. Default: 50."`
}

// Run prints the budgets that refuse attempts, and the rules.
func (c *budgetsList) Run(t *terminal) error {
	q := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	set(q, "account", c.Account)
	set(q, "network", string(c.Network))
	return call(t, &c.apiFlags, func(ctx context.Context, api *operator.Client) (operator.BudgetList, error) {
		return api.Budgets(ctx, q)
	}, func(l operator.BudgetList) {
		if len(l.Budgets) == 0 {
			t.print("No client is blocked by a budget.")
		}
		tab := newTable(t, "BUDGET", "ACCOUNT", "NETWORK", "REFUSED", "SINCE", "FREE IN")
		for _, b := range l.Budgets {
			tab.row(b.Kind, nameOr(b.Account, b.Hash), b.Network, b.Refused, clockOf(b.First), in(l.Now, b.Until))
		}
		fmt.Fprint(t.out, tab)
		if l.More {
			t.print("(more are blocked: set --limit, or name an account or a network)")
		}
		if len(l.Rules) > 0 {
			rules := newTable(t, "RULE", "ACCOUNT", "NETWORK", "BY", "SINCE", "ENDS IN", "REASON")
			for _, r := range l.Rules {
				end := "never"
				if r.Until != nil {
					end = in(l.Now, *r.Until)
				}
				effect := cell{text: r.Effect, colour: green}
				if r.Effect == operator.VerbDeny {
					effect.colour = red
				}
				rules.row(effect, r.Account, r.Network, r.Actor, clockOf(r.Since), end, r.Reason)
			}
			t.print("\n%s", strings.TrimSuffix(rules.String(), "\n"))
		}
		t.printScope(&l.Meta)
	})
}

type budgetsExplain struct {
	subjectArgs
	apiFlags
}

// Run prints a sentence that can be read to the user on the phone, and the budgets.
func (c *budgetsExplain) Run(t *terminal) error {
	if err := c.subjectArgs.check(); err != nil {
		return err
	}
	return call(t, &c.apiFlags, func(ctx context.Context, api *operator.Client) (operator.Explanation, error) {
		return api.Explain(ctx, c.Account, string(c.Network))
	}, func(e operator.Explanation) {
		t.print("%s", attempt.Text(e.Sentence, maxSentence))
		tab := newTable(t, "BUDGET", "LEFT", "OF", "THEN ONE EACH", "FREE IN")
		for _, b := range e.Budgets {
			left := cell{text: strconv.Itoa(b.Left), right: true}
			if b.Left == 0 {
				left.colour = red
			}
			free := "now"
			if b.WaitSeconds > 0 {
				free = short(time.Duration(b.WaitSeconds*float64(time.Second)) + time.Second - 1)
			}
			tab.row(b.Kind, left, b.Burst, time.Duration(b.EverySeconds*float64(time.Second)).String(), free)
		}
		t.print("\n%s", strings.TrimSuffix(tab.String(), "\n"))
		t.printScope(&e.Meta)
	})
}

// act sends an act and prints what it did.
func act(t *terminal, f *apiFlags, r operator.ActRequest) error {
	return call(t, f, func(ctx context.Context, api *operator.Client) (operator.ActResult, error) {
		return api.Act(ctx, r)
	}, func(r operator.ActResult) { t.printAct(&r) })
}

func (t *terminal) printAct(r *operator.ActResult) {
	t.print("%s", attempt.Text(r.Sentence, maxSentence))
	if r.Act.Undoable {
		t.print("To undo it: otelauth budgets undo %s --reason …", r.Act.ID)
	}
	t.printScope(&r.Meta)
}

type budgetsClear struct {
	subjectArgs
	actFlags
	apiFlags
}

// Run clears budgets.
func (c *budgetsClear) Run(t *terminal) error {
	if err := c.subjectArgs.check(); err != nil {
		return err
	}
	return act(t, &c.apiFlags, operator.ActRequest{
		Verb: operator.VerbClear, Account: c.Account, Network: string(c.Network), Reason: c.Reason, UnknownAccount: c.UnknownAccount,
	})
}

// ruleFlags are how long a rule lasts.
type ruleFlags struct {
	For span `placeholder:"TIME" help:"How long, such as 30m, 12h or 7d. Default: until it is undone."`
}

type budgetsAllow struct {
	subjectArgs
	ruleFlags
	actFlags
	apiFlags
}

// Run puts a rule in force.
func (c *budgetsAllow) Run(t *terminal) error {
	if err := c.subjectArgs.check(); err != nil {
		return err
	}
	return act(t, &c.apiFlags, operator.ActRequest{
		Verb: operator.VerbAllow, Account: c.Account, Network: string(c.Network), Reason: c.Reason, UnknownAccount: c.UnknownAccount,
		ForSeconds: int64(time.Duration(c.For) / time.Second),
	})
}

type budgetsDeny struct {
	subjectArgs
	ruleFlags
	actFlags
	apiFlags
}

// Run puts a rule in force.
func (c *budgetsDeny) Run(t *terminal) error {
	if err := c.subjectArgs.check(); err != nil {
		return err
	}
	return act(t, &c.apiFlags, operator.ActRequest{
		Verb: operator.VerbDeny, Account: c.Account, Network: string(c.Network), Reason: c.Reason, UnknownAccount: c.UnknownAccount,
		ForSeconds: int64(time.Duration(c.For) / time.Second),
	})
}

type budgetsForget struct {
	Account string `arg:"" help:"The name of the account."`
	actFlags
	apiFlags
}

// Run makes every client of an account send its password again.
func (c *budgetsForget) Run(t *terminal) error {
	return act(t, &c.apiFlags, operator.ActRequest{
		Verb: operator.VerbForget, Account: c.Account, Reason: c.Reason, UnknownAccount: c.UnknownAccount,
	})
}

type budgetsActs struct {
	apiFlags
	Limit int `placeholder:"NUMBER" default:"50" help:"How many acts are printed, 1 to 256. Default: 50."`
}

// Run prints the acts.
func (c *budgetsActs) Run(t *terminal) error {
	return call(t, &c.apiFlags, func(ctx context.Context, api *operator.Client) (operator.ActList, error) {
		return api.Acts(ctx, url.Values{"limit": {strconv.Itoa(c.Limit)}})
	}, func(l operator.ActList) {
		if len(l.Acts) == 0 {
			t.print("No operator has acted.")
		}
		tab := newTable(t, "ID", "TIME", "VERB", "ACCOUNT", "NETWORK", "BY", "REASON", "STATE")
		for _, a := range l.Acts {
			state := ""
			switch {
			case a.UndoneBy != "":
				state = "undone by " + a.UndoneBy
			case a.Undoes != "":
				state = "undoes " + a.Undoes
			case a.Undoable && a.Verb == operator.VerbClear:
				state = "can be undone"
			case a.Undoable:
				state = "in force"
			}
			tab.row(a.ID, clockOf(a.Time), a.Verb, a.Account, a.Network, a.Actor, a.Reason, state)
		}
		fmt.Fprint(t.out, tab)
		t.printScope(&l.Meta)
	})
}

type budgetsUndo struct {
	ID     string `arg:"" help:"The id of the act, from otelauth budgets acts."`
	Reason string `required:"" placeholder:"TEXT" help:"Why. It is recorded with your name."`
	apiFlags
}

// Run undoes an act.
func (c *budgetsUndo) Run(t *terminal) error {
	return call(t, &c.apiFlags, func(ctx context.Context, api *operator.Client) (operator.ActResult, error) {
		return api.Undo(ctx, c.ID, c.Reason)
	}, func(r operator.ActResult) { t.printAct(&r) })
}
