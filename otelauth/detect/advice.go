// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// advice is what an analyst needs to know about the detections of a rule. The page
// docs/detections.md is generated from it.
type advice struct {
	benign  string // what looks the same without an attack
	next    string // what to do first
	command string // of the operator; {account}, {network} and {episode} are replaced
}

// The commands of the table.
const (
	denyNetwork = "otelauth budgets deny --network {network} --for 24h --reason {episode}"
	denyAccount = "otelauth budgets deny {account} --for 1h --reason {episode}"
	askAccount  = "otelauth budgets explain {account}"
	askNetwork  = "otelauth attempts --network {network}"
	listBudgets = "otelauth budgets list"
)

// advices has a row for each rule.
var advices = [ruleCount]advice{
	bruteForce: {
		benign:  "a script that tries several old passwords in turn",
		next:    "deny the network, if none of your users is in it",
		command: denyNetwork,
	},
	passwordSpray: {
		benign:  "an office or a VPN on the day on which passwords expire",
		next:    "look for successes from the network, then deny it",
		command: denyNetwork,
	},
	credentialStuffing: {
		benign:  "a job that checks a list of accounts, many of which were deleted",
		next:    "look for successes from the network, then deny it",
		command: denyNetwork,
	},
	samePassword: {
		benign:  "an initial password that was handed out to many users and has expired",
		next:    "reset the accounts that have this password; find them with the trace ids",
		command: listBudgets,
	},
	distributedGuessing: {
		benign:  "many hosts of one account with several old secrets",
		next:    "do not lock the account: its owner still logs in from known networks; check that its password is strong",
		command: askAccount,
	},
	lowAndSlow: {
		benign:  "a job that takes new wrong passwords from a broken source",
		next:    "ask the owner of the account; check that its password is strong",
		command: askAccount,
	},
	scheduledGuessing: {
		benign:  "a job that runs by the clock with generated passwords",
		next:    "find the job by its address and user agent",
		command: askNetwork,
	},
	successAfterFailures: {
		benign:  "an owner who remembered the password after many tries, from a new place",
		next:    "deny the account, change its password and ask its owner",
		command: denyAccount,
	},
	newNetwork: {
		benign:  "a user on a journey or with a new provider",
		next:    "do nothing for this alone; compare it with other detections about the account",
		command: askAccount,
	},
	impossibleTravel: {
		benign:  "a VPN, a proxy of a mobile carrier, or a wrong place in the database",
		next:    "ask the owner whether both places are theirs",
		command: askAccount,
	},
	concurrentNetworks: {
		benign:  "a phone that changes between WLAN and the mobile network",
		next:    "do nothing for this alone; compare it with other detections about the account",
		command: askAccount,
	},
	unusualHour: {
		benign:  "a night shift or a journey",
		next:    "do nothing for this alone; compare it with other detections about the account",
		command: askAccount,
	},
	endpointFailureRatio: {
		benign:  "a release that broke the login of its clients, or a change of your own accounts",
		next:    "compare the start with your last changes, then look at the clients of the endpoint",
		command: "otelauth attempts --outcome failure",
	},
	sensitiveOnlyDenied: {
		benign:  "a monitor that was never given credentials",
		next:    "deny the network, if none of your users is in it",
		command: denyNetwork,
	},
	unusableAccount: {
		benign:  "a client that still runs although its account was disabled",
		next:    "find the client by its address and user agent",
		command: askAccount,
	},
	manyAccounts: {
		benign:  "a company that has moved to a new network",
		next:    "ask two of the owners; if they do not know the network, deny it and change their passwords",
		command: denyNetwork,
	},
	failureBurst: {
		benign:  "somebody who tries several old passwords on a first visit",
		next:    "look whether it goes on; deny the network, if none of your users is in it",
		command: denyNetwork,
	},
	staleCredential: {
		benign:  "it is no attack: a password was changed and its clients were not",
		next:    "give the clients of the account the new password; find them by their addresses",
		command: askAccount,
	},
	distributedStuffing: {
		benign:  "a release of an app that sends wrong credentials, used by many",
		next:    "look for successes that are part of this episode, and change those passwords",
		command: listBudgets,
	},
}

// runbookPage has a section for each rule.
const runbookPage = "https://github.com/otelauth/otelauth-go/blob/main/docs/detections.md"

// Advice helps to judge a detection and to act on it.
type Advice struct {
	// Threshold states when the rule fires, with the configured numbers.
	Threshold string
	// Confidence is "low", "medium" or "high". Why states the reason.
	Confidence, Why string
	// FalsePositives states what looks the same without an attack.
	FalsePositives string
	// NextStep states what to do first. Command is the operator's command for it; it has no
	// placeholder that a client could fill with a command of its own.
	NextStep, Command string
	// Runbook is the address of a page about the rule.
	Runbook string
}

// grow is how many times the evidence of the first event must be there for more confidence.
const grow = 4

// confidence returns how sure the engine is of an episode, and why.
func (e *engine) confidence(rule ruleID, ep *episode) (Severity, string) {
	severity := described[rule].Severity
	switch {
	case ep.folded:
		return Low, fmt.Sprintf("it stands for all episodes of the rule beyond %d", MaxEpisodes)
	case ep.part != 0:
		return High, "the success completes an attack that was detected before"
	case len(ep.takeovers) > 0:
		return High, "at least one success completes it"
	case severity == Low:
		return Low, "honest users do this too"
	case !e.hasLearned():
		return severity - 1, "the process has not seen successes for 8 days, so it does not know which networks are usual"
	case ep.attempts >= grow*max(ep.began, 1):
		return severity, fmt.Sprintf("the evidence has grown to %d times that of the first event", ep.attempts/max(ep.began, 1))
	}
	return severity - 1, "the evidence has just reached the threshold"
}

// advise returns the advice about an episode.
func (e *engine) advise(rule ruleID, ep *episode) Advice {
	a := &advices[rule]
	level, why := e.confidence(rule, ep)
	return Advice{
		Threshold: e.thresholds[rule], Confidence: level.String(), Why: why,
		FalsePositives: a.benign, NextStep: a.next, Command: ep.command(a.command),
		Runbook: runbookPage + "#" + described[rule].Name,
	}
}

// command fills a command with the account and the network of the episode. It returns the list of
// budgets if the episode lacks what the command needs.
func (ep *episode) command(text string) string {
	var account, network string
	if len(ep.accounts) > 0 && isPlain(ep.accounts[0]) {
		account = ep.accounts[0]
	}
	if len(ep.networks) > 0 {
		network = ep.networks[0].String()
	}
	if ep.folded || account == "" && strings.Contains(text, "{account}") || network == "" && strings.Contains(text, "{network}") {
		return listBudgets
	}
	return strings.NewReplacer("{account}", account, "{network}", network, "{episode}", episodeText(ep.id)).Replace(text)
}

// isPlain reports whether a shell takes the name as one word, and a command as no option. A name
// may be a client's.
func isPlain(name string) bool {
	return name != "" && name[0] != '-' && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("@._:-", r)
	})
}

// subject returns what an episode is about, for [Detection.DedupeKey]; "" if it has no name.
func subject(keys keyKind, m *moment) string {
	network := "unknown"
	if m.site.IsValid() {
		network = m.site.String()
	}
	switch keys {
	case byPair:
		return m.name + "@" + network
	case byNetwork:
		return network
	case byGroup:
		return group(m.site).String()
	case byAccount:
		return m.name
	case byRoute:
		return m.sample.route
	}
	return ""
}

// maxBodyBytes bounds the sentence of a detection.
const maxBodyBytes = 512

// Message returns the detection as one sentence.
func (d *Detection) Message() string {
	var b strings.Builder
	switch d.Phase {
	case Start:
		fmt.Fprintf(&b, "%s: %s", d.Rule.Name, d.Rule.Summary)
	case Update:
		fmt.Fprintf(&b, "%s continues: %s", d.Rule.Name, d.Rule.Summary)
	case End:
		fmt.Fprintf(&b, "%s is over: %s", d.Rule.Name, d.Rule.Summary)
	}
	fmt.Fprintf(&b, "; %s since %s", plural(d.Attempts, "attempt"), d.First.UTC().Format(time.DateTime+" UTC"))
	var from []string
	for _, a := range d.Addresses[:min(len(d.Addresses), 2)] {
		from = append(from, a.Value.String())
	}
	addresses := d.AddressCount
	if len(from) == 0 {
		for _, n := range d.Networks[:min(len(d.Networks), 2)] {
			from = append(from, n.String())
		}
		addresses = d.NetworkCount
	}
	b.WriteString(named(" from ", from, addresses))
	var names []string
	for _, n := range d.Accounts[:min(len(d.Accounts), 2)] {
		names = append(names, attempt.Text(n, 64))
	}
	b.WriteString(named(" for ", names, d.AccountCount))
	fmt.Fprintf(&b, "; listed attempts were answered %s with 401, %s with 429, and %d succeeded.",
		plural(d.Refused, "time"), plural(d.Throttled, "time"), d.Succeeded)
	return attempt.Text(b.String(), maxBodyBytes)
}

func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// named returns a list with the number of those that are not in it.
func named(before string, list []string, all int) string {
	if len(list) == 0 {
		return ""
	}
	text := before + strings.Join(list, ", ")
	if more := all - len(list); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Owner names the owner of an address. A [Locator] may implement it too.
type Owner interface {
	// Owner returns the country (ISO 3166-1 alpha-2), the number of the autonomous system and its
	// organization; zero values if they are unknown.
	Owner(addr netip.Addr) (country string, system uint32, organization string)
}

// origins returns the countries and owners of the listed addresses, each once.
func (e *engine) origins(d *Detection) (all []string) {
	owner, ok := e.loc.(Owner)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for _, a := range d.Addresses[:min(len(d.Addresses), topListed+samplesListed)] {
		country, system, organization := owner.Owner(a.Value)
		var parts []string
		if system != 0 {
			parts = append(parts, strings.TrimSpace(fmt.Sprintf("AS%d %s", system, organization)))
		}
		if country != "" {
			parts = append(parts, country)
		}
		text := attempt.Text(strings.Join(parts, ", "), maxNameBytes)
		if text != "" && !seen[text] {
			seen[text] = true
			all = append(all, text)
		}
	}
	return all
}
