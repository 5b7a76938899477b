// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package detect detects attacks that show only across attempts: guessing that is spread over
// time, networks or accounts, and credentials that are probably stolen.
//
// A [Detector] is an [attempt.Observer]. It queues each verdict without blocking the request, and
// evaluates the queue in another goroutine, in bounded memory. It reports each detection as an
// episode: an event "auth.detection" at the start, one each time the evidence has doubled, and one
// at the end. A Detector denies no request; that is the work of package throttle.
//
// Requests without credentials are not guesses: browsers and curl send one first. Nor is a wrong
// password that was sent before: a client may have kept an old one.
//
//	d, err := detect.New(detect.Config{})
//	go d.Run(ctx)
//	observers := []attempt.Observer{spans, metrics, events, d}
//	mw, err := otelauth.New(otelauth.Config{Accounts: users, Observers: observers})
//
// # Rules
//
// A network is a /24 of IPv4 or a /48 of IPv6. A network is unknown to an account that has not
// succeeded from it within 30 days. Except for brute_force and endpoint_failure_ratio, rules count
// guesses from unknown networks only. Counts are exact up to 64; the same attempts cause the same
// detections in every process. A window is at most a tenth shorter than stated, and never longer.
// An account counts among those that use a network if it is known for 7 days; in the first 8 days
// after a start without a memory, every account does. On the first of these days, password_spray
// and credential_stuffing need as many names as accounts use the network, and not 20 % as many.
// A rule that is off by default fires if Config.On has its name. What it needs is learned while it
// is off too, and kept by Config.Snapshot or Config.Feed: after the restart that turns it on, it
// fires at once. unusual_hour is off because it accuses about 4 honest users of 1,000 a day.
// The numbers are the defaults of [Thresholds]:
//
//	brute_force             high    T1110.001
//	    30 different wrong passwords for one account from one network within a day
//	password_spray          high    T1110.003
//	    wrong passwords, within 3 days, for 10 accounts that have never succeeded from the
//	    network, and for at least 20 % as many as have; or the same from 5 networks or more of
//	    an IPv6 /32
//	credential_stuffing     high    T1110.004
//	    20 names from one network within 3 days, half of them unknown, at most 2 attempts each,
//	    and at least 20 % as many as accounts use the network; or the same from 5 networks or
//	    more of an IPv6 /32
//	same_password           high    T1110.003
//	    one wrong password for 10 names, or for 3 names from 20 networks, within 3 days
//	distributed_guessing    high    T1110.001
//	    10 different wrong passwords for one account from 10 unknown networks within 3 days, or
//	    4 from three times as many
//	low_and_slow            high    T1110.001
//	    new wrong passwords for one account from unknown networks in 24 ten-minute windows of
//	    one day, 12 hours of two days, or on 6 days of fourteen, 22 hours apart
//	scheduled_guessing      medium  T1110
//	    8 intervals in a row between new wrong passwords, each 30 s or longer, that agree
//	    within a tenth
//	success_after_failures  high    T1110
//	    a success after 20 different wrong passwords from a network new to the account, after
//	    30 from any network, or from a new network during an attack on the account or an attack
//	    that the network takes part in
//	new_network             low     T1078
//	    a success from a network new to an account that is known for 7 days and seldom changes
//	    networks; fewer than 10 accounts used the network more than 7 days ago
//	impossible_travel       medium  T1078
//	    two successes 500 km apart at 1000 km/h of an account that is known for 7 days and
//	    seldom changes networks, one of them from a network that is new to the account within 3
//	    days and that fewer than 10 accounts used more than 7 days ago (needs a Locator)
//	concurrent_networks     low     T1078
//	    4 changes within 2 hours between a network known for less than a day and another one
//	unusual_hour            low     T1078
//	    off by default; turn it on with Config.On
//	    a success from a known network at an hour of the day that is more than 2 hours from
//	    every hour at which the account was used in the last four weeks; only for accounts with
//	    at least 6 hours of rest, after 14 days and 10 days with use
//	endpoint_failure_ratio  medium  T1110
//	    within one hour of the clock, 20 failing names above twice the endpoint's usual ratio,
//	    and six standard deviations above it; after 48 hours
//	sensitive_only_denied   medium  T1595
//	    5 different wrong credentials or endpoints at sensitive endpoints, from a network
//	    without a success, within 3 days
//	unusable_account        low     T1078
//	    3 attempts at a disabled or expired account within 3 days
//	many_accounts           high    T1078
//	    within 3 days, successes of 7 accounts from a network that none of them has used; each
//	    is known for 7 days and seldom changes networks; fewer than 10 accounts used the
//	    network more than 7 days ago, and neither password_spray nor credential_stuffing has
//	    fired for it
//	distributed_stuffing    high    T1110.004
//	    within an hour, wrong passwords for 50 names from 50 networks without a success, and
//	    twice as many networks as in any hour of the last days; after a day; or twice as many
//	    of both within a day; after 8 days
//	stale_credential        low     T1078
//	    within an hour of the clock, 100 repetitions of one wrong password for one account, by
//	    clients that have sent it before; the password is tried on no other account
//	failure_burst           medium  T1110
//	    5 different wrong credentials within 10 minutes from one network without a success
//
// # What is not detected
//
//   - A guesser in a network that the account uses, below 30 passwords a day. docs/detection.md
//     states how many honest users a lower threshold would accuse.
//   - A right guess at the first try, from a network that other accounts use.
//   - One guess for each name and network, too slow to change the failure ratio of an endpoint, and
//     from fewer than 50 new networks an hour and 100 a day.
//   - Without a Snapshot or a Feed, attempts before the process started.
//   - Without a Feed, attempts at other processes. Each process behind a load balancer then
//     evaluates its own attempts, and thresholds apply to each.
//
// Without attempt.Result.PasswordFingerprint each wrong password counts as a new one, and
// same_password does not fire.
//
// # Memory
//
// All memory is bounded, in proportion to Config.Entries: about 20 MiB at the defaults, and at most
// 64 MiB while attacks fill the tables. A process that shares attempts takes more; see Sharing.
// Successes and guesses write to separate tables. A flood of guesses therefore cannot erase which
// networks and hours are usual for an account.
//
// In a full table of guesses, the entry with the least evidence is evicted, and evidence about
// accounts that exist outlasts evidence about names that do not. So a flood of invented names
// evicts itself. A guess that was refused without a check adds to evidence, but creates none.
//
// Where a table of successes is full, rules that need what was lost are silent: an account or a
// network whose history was lost is never taken for an intruder. A notice says so, and an earlier
// one that a table is half full. Config.Entries suffices for as many accounts, with three networks
// each. The metrics auth.detection.entry.count, .limit and .evicted show the tables.
//
// Config.Snapshot keeps the tables and the open episodes over a restart. Fingerprints of wrong
// passwords change with each start: same_password then begins anew, and the first wrong password
// of each account and network after a restart is no evidence, because it may be an old one.
//
// A [CustomRule] continues after a restart and after [Detector.Use] if its Name, Match, Except,
// Count, Per and Within are the same. Otherwise it begins anew; after a restart its episodes are
// then gone without an end. A rule that counts passwords keeps its episodes over a restart, but not
// its counts. The counts of all rules of the operator take at most 3 MiB of a snapshot; those of a
// rule that would exceed it are left out.
//
// A rule has at most [MaxEpisodes] episodes at a time. Further ones are folded into one. An episode
// with twice the evidence of the weakest one takes its place, and the weaker one ends. An attack
// that a success has completed is the last to end. success_after_failures is never folded: its
// oldest episode ends instead. Config.Entries is also the number of folded networks and accounts
// that are remembered as attackers and victims, those of severe rules with much evidence longest.
//
// # Sharing
//
// With Config.Feed, for example of package redisfeed, every process evaluates the attempts of all
// processes in one order, and detects the same. One process at a time is the leader and reports. A
// new leader has the same evidence, and continues where the previous one ended. The leader stores
// what was learned in the feed, every Config.Snapshot.Every and at its end. A process that starts
// continues from there with the attempts that the feed has kept, so a restart of any process, or of
// all, loses nothing that is older. The value has user.hash and networks, and no more than the
// attempts below have. It takes at most 10 MiB; full tables of the default size take 6. If it would
// take more, a notice says so and it is not stored. Evidence about accounts is kept by user.hash,
// so only services that share an IdentityKey share it.
//
// For a [CustomRule], each process counts its own attempts, and the leader stores its own counts
// and open episodes. A process that starts continues with those of the rules that are the same.
// If the leader still runs, both then report the updates and the end of such an episode, with the
// same auth.detection.episode. The counts of other processes are lost when they restart.
//
// A process sends of each attempt: the time, user.hash, the network (/24 or /48), the route, the
// trace id, whether it succeeded, whether the account exists and is usable, and whether the
// endpoint is sensitive. With a Locator it sends the place of a success to a tenth of a degree. It
// sends no name, so episodes list user.hash. It sends nothing computed from a password: a random
// number identifies each of the last four wrong passwords of an account at a process. The cost:
//
//   - Each process detects same_password in its own attempts only, and reports it.
//   - One stale password counts once for each process. So brute_force, distributed_guessing,
//     success_after_failures and failure_burst (at most 8) require one more password for each other
//     process that sent something within the hour. low_and_slow does not: a stale client from an
//     unknown network that reaches one process after another, over hours, can start it.
//   - An episode that one process reported without the feed has empty lists at the others.
//
// The time of an attempt is the sender's, limited to the minute before the feed's time.
//
// While the feed is down, each process evaluates and reports its own attempts, on top of all that
// it has received. These attempts stay with the process. It announces its episodes when the feed
// is up again, and the others do not report them again.
//
// Each episode is reported at least once, and normally once. It is reported twice with the same
// auth.detection.episode if the leader or the feed fails between the report and its confirmation,
// or if the lead changes within ten seconds of the end of the episode. It is reported under
// different values if several processes without a feed detect it, if guesses arrive before the
// announcement after an outage, or if the leader started after the feed had dropped the evidence.
// If no leader reports a detection for 30 s, every process that has it does.
//
// Each process does the work of all: 1 or 2 µs for each attempt of the fleet, and at most 7 MiB
// beyond the memory above.
//
// # Events
//
// auth.detection has the attributes security_rule.name, .uuid, .category, .description and
// .ruleset.name of the semantic conventions, further attributes auth.detection.*, and http.route
// for endpoint_failure_ratio. Its severity is ERROR for high, WARN for medium, and INFO for low
// and for each end. auth.detections counts the starts by security_rule.name, from 0 for each
// enabled rule.
//
// # Spans
//
// To a sampler of traces, a success that completes an attack looks like any other. A detection
// therefore adds a span auth.detection to the trace of its attempt: INTERNAL, a child of the
// server span, from the verdict to the detection. It has security_rule.name,
// auth.detection.severity and auth.detection.episode, but no name and no address. The attempt that
// starts an episode gets one, and each success for which a rule fires. The process that saw the
// attempt makes the span, even if another process reports the episode.
//
// If the server span is not sampled, the sampler drops the child too, unless it ignores both
// parents and trace ids. Traces of earlier attempts, such as the first half of an impossible
// journey, get none.
package detect

//go:generate go test -count=1 -run ^Test(Generated|GoldenWire)$ -update
