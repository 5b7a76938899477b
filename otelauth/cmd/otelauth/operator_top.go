// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/otelauth/otelauth-go/otelauth/internal/legible"
	"github.com/otelauth/otelauth-go/otelauth/operator"
)

// topCommand shows a gateway live.
type topCommand struct {
	apiFlags
	Every span `default:"1s" placeholder:"TIME" help:"How often the screen is drawn. Default: 1s."`
	Once  bool `help:"Print one screen and exit, as when the output is not a terminal."`
}

// topRows is the number of rows of each table.
const topRows = 5

// Run draws until an interrupt. With JSON it prints the events of the live view, one a line.
func (c *topCommand) Run(t *terminal) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	if c.Output == "json" {
		return explainAPI(t.printEvents(ctx, api))
	}
	out, isFile := t.out.(*os.File)
	if c.Once || !isFile || !term.IsTerminal(int(out.Fd())) {
		text, err := t.screen(ctx, api, 0)
		if err != nil {
			return interrupted(ctx, explainAPI(err))
		}
		fmt.Fprint(t.out, text)
		return nil
	}
	return t.draw(ctx, api, out, max(time.Duration(c.Every), 100*time.Millisecond))
}

// printEvents prints the events of the live view as lines of JSON.
func (t *terminal) printEvents(ctx context.Context, api *operator.Client) error {
	return api.Live(ctx, func(e operator.Event) error {
		line, err := json.Marshal(struct {
			Event string          `json:"event"`
			Data  json.RawMessage `json:"data"`
		}{e.Name, e.Data})
		if err == nil {
			_, err = fmt.Fprintf(t.out, "%s\n", line)
		}
		return err
	})
}

// draw draws the screen again and again. A gateway that does not answer is shown as such, and
// called again.
func (t *terminal) draw(ctx context.Context, api *operator.Client, out *os.File, every time.Duration) error {
	w := bufio.NewWriter(out)
	const enter, leave = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
	_, _ = w.WriteString(enter)
	defer func() {
		_, _ = w.WriteString(leave)
		_ = w.Flush() // the terminal may be gone
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for first := true; ; first = false {
		width, height, err := term.GetSize(int(out.Fd()))
		if err != nil {
			width, height = 80, 24
		}
		text, err := t.screen(ctx, api, height)
		var refused *operator.Refusal
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && (first || errors.As(err, &refused)):
			return explainAPI(err)
		case err != nil:
			text = "\n" + coloured(err.Error(), red, t.isTerminal()) + "\n\nTrying again. Ctrl-C ends this.\n"
		}
		_, _ = w.WriteString("\x1b[H\x1b[J" + fit(text, width, height))
		if err := w.Flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// fit cuts a text to a screen. Sequences of colour take no width.
func fit(text string, width, height int) string {
	var b strings.Builder
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines[:min(len(lines), max(height-1, 1))] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		column, inSequence := 0, false
		for _, r := range line {
			switch {
			case r == '\x1b':
				inSequence = true
			case inSequence:
				inSequence = r != 'm'
			case column >= width:
				continue
			default:
				column++
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// screen returns what top shows. height is that of the terminal, 0 for no limit.
func (t *terminal) screen(ctx context.Context, api *operator.Client, height int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := api.Status(ctx)
	if err != nil {
		return "", err
	}
	traffic, err := api.Traffic(ctx, url.Values{"top": {"5"}})
	if err != nil {
		return "", err
	}
	episodes, err := api.Episodes(ctx, url.Values{"state": {"running"}, "limit": {"5"}})
	if err != nil {
		return "", err
	}
	blocked, err := api.Budgets(ctx, url.Values{"limit": {"5"}})
	if err != nil {
		return "", err
	}
	attempts, err := api.Attempts(ctx, url.Values{"limit": {"50"}})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	health := coloured("healthy", green, t.isTerminal())
	if !s.Healthy {
		health = coloured(fmt.Sprintf("%d problems: otelauth status", len(s.Problems)), red, t.isTerminal())
	}
	fmt.Fprintf(&b, "otelauth %s on %s, up %s, %s UTC: %s\n", legible.Text(s.Version), legible.Text(s.Host), ago(s.Now, s.Started), s.Now.Format("15:04:05"), health)
	var rates []string
	for _, o := range s.Outcomes {
		c := ofOutcome(o.Outcome)
		if o.LastMinute == 0 {
			c.colour = dim
		}
		rates = append(rates, coloured(fmt.Sprintf("%s %d", o.Outcome, o.LastMinute), c.colour, t.isTerminal()))
	}
	fmt.Fprintf(&b, "last minute: %s\n", strings.Join(rates, ", "))
	fmt.Fprintf(&b, "hashing: %d of %d slots, %d wait\n\n", s.Hashing.Running, s.Hashing.Slots, s.Hashing.Queued)
	t.topAttacks(&b, &episodes, &blocked)
	t.topSources(&b, &traffic)
	used := strings.Count(b.String(), "\n")
	t.topAttempts(&b, &attempts, cmp.Or(max(height-used-3, 0), 10))
	return b.String(), nil
}

// topAttacks adds the running episodes and who is blocked.
func (t *terminal) topAttacks(b *strings.Builder, episodes *operator.EpisodeList, blocked *operator.BudgetList) {
	if len(episodes.Episodes) == 0 {
		fmt.Fprintln(b, "No attack is running.")
	}
	tab := newTable(t, "ATTACK", "SEVERITY", "ATTEMPTS", "ACCOUNTS", "NETWORKS", "FIRST NETWORK", "LAST")
	for _, e := range episodes.Episodes {
		colour := map[string]string{"high": red, "medium": yellow}[e.Severity]
		network := ""
		if len(e.Networks) > 0 {
			network = e.Networks[0]
		}
		tab.row(e.Rule, cell{text: e.Severity, colour: colour}, e.Attempts, e.AccountCount, e.NetworkCount, network, ago(episodes.Now, e.Last)+" ago")
	}
	fmt.Fprintf(b, "%s\n", tab)
	if len(blocked.Budgets) == 0 {
		fmt.Fprint(b, "No client is blocked by a budget.\n\n")
		return
	}
	tab = newTable(t, "BLOCKED", "ACCOUNT", "NETWORK", "REFUSED", "FREE IN")
	for _, one := range blocked.Budgets {
		tab.row(one.Kind, nameOr(one.Account, one.Hash), one.Network, one.Refused, in(blocked.Now, one.Until))
	}
	fmt.Fprintf(b, "%s\n", tab)
}

// topSources adds the networks and accounts with the most denials.
func (t *terminal) topSources(b *strings.Builder, traffic *operator.Traffic) {
	add := func(head string, counts []operator.Count) {
		tab := newTable(t, head, "DENIED", "SUCCESS", "FAILURE", "THROTTLED")
		for _, one := range counts {
			if one.Denied > 0 && len(tab.rows) < topRows {
				tab.row(nameOr(one.Name, one.Hash), one.Denied, one.Outcomes["success"], one.Outcomes["failure"], one.Outcomes["throttled"])
			}
		}
		if len(tab.rows) > 0 {
			fmt.Fprintf(b, "%s\n", tab)
		}
	}
	add("NETWORK, 5 MINUTES", traffic.Networks)
	add("ACCOUNT, 5 MINUTES", traffic.Accounts)
}

// topAttempts adds the newest attempts.
func (t *terminal) topAttempts(b *strings.Builder, l *operator.AttemptList, rows int) {
	tab := newTable(t, "TIME", "OUTCOME", "ACCOUNT", "CLIENT", "ROUTE", "STATUS", "REASON")
	for _, a := range slices.Backward(l.Attempts[:min(len(l.Attempts), rows)]) {
		tab.row(a.Time.UTC().Format("15:04:05"), ofOutcome(a.Outcome), nameOr(a.Account, a.Hash), a.Client, a.Route, a.Status, cmp.Or(a.Reason, a.ErrorType))
	}
	fmt.Fprint(b, tab)
}
