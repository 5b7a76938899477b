// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package detect says what attempts add up to: guessing that is spread over time, networks or accounts so that no single
// attempt shows it, and credentials that seem to be in the wrong hands.
//
// A [Detector] is an [attempt.Observer] that notes each verdict without waiting, and adds them up elsewhere, in bounded
// memory. Each finding is an episode, told as events "auth.detection": one at its start, one each time its evidence has
// doubled, one at its end. It refuses to decide: nobody is denied for what it finds, which is the work of a throttle. And
// it refuses to count what is nobody's guess: requests without credentials, such as the first of every browser and curl, and
// the same wrong password again, such as a client sends that has not heard of the new one.
//
//	d, err := detect.New(detect.Config{})
//	go d.Run(ctx)
//	mw, err := otelauth.New(otelauth.Config{Accounts: users, Observers: []attempt.Observer{spans, metrics, events, d}})
//
// # Rules
//
// A network is a /24 of IPv4 or a /48 of IPv6. A network is strange to an account that has not succeeded from it within 30
// days; guesses are counted of strangers only, except for brute_force and endpoint_failure_ratio. Numbers are
// the defaults of [Thresholds], where they can be changed; counts of different things are estimates: a few per cent off, and near ten now and then two or three short.
//
//	brute_force             high    T1110.001
//	    30 different wrong passwords for one account from one network within a day
//	password_spray          high    T1110.003
//	    wrong passwords for 10 accounts that never came from that network, and for a fifth as many as
//	    do, within 3 days
//	credential_stuffing     high    T1110.004
//	    20 names from one network, half of them no accounts, at most 2 tries each, and a fifth as many
//	    as its users, within 3 days
//	same_password           high    T1110.003
//	    one wrong password on 10 names, or on 3 names from 20 networks, within 3 days
//	distributed_guessing    high    T1110.001
//	    10 different wrong passwords for one account from 10 networks that it never came from, within 3
//	    days
//	low_and_slow            high    T1110.001
//	    new wrong passwords for one account from strange networks in 24 ten-minute windows of a day, 12
//	    hours of two days, or 6 days of fourteen
//	scheduled_guessing      medium  T1110
//	    9 new wrong passwords in a row at intervals of 30 s or more that agree within a tenth
//	success_after_failures  high    T1110
//	    a success after 20 different wrong passwords from a network new to a known account, after 30
//	    from any, or from a new network while its guessing goes on
//	new_network             low     T1078
//	    a success from a network new to an account that is known for 7 days and changes networks seldom;
//	    fewer than 10 accounts use it
//	impossible_travel       medium  T1078
//	    two successes 500 km apart at 1000 km/h, one of them from a network new to the account within 3
//	    days that fewer than 10 accounts use (needs a Locator)
//	concurrent_networks     low     T1078
//	    4 changes within 2 hours between a network known for less than a day and another
//	unusual_hour            low     T1078
//	    a success at an hour of the day (UTC) of which the account never used it or its neighbours,
//	    after 14 days and 10 days of use
//	endpoint_failure_ratio  medium  T1110
//	    within an hour 20 failing names more than twice the endpoint's own ratio and six standard
//	    deviations of it, after 48 hours
//	sensitive_only_denied   medium  T1595
//	    5 different wrong credentials or endpoints on sensitive endpoints from a network without a
//	    success, within 3 days
//	unusable_account        low     T1078
//	    3 tries of a disabled or expired account
//
// # What is not seen
//
// A guesser within a network that the account is at home in, below 30 passwords a day. A right guess at the first try, from a
// network that others of the service use. Guesses of as many names from as many networks as there are guesses, so slow that
// an endpoint's ratio does not show them. What came before the process started, and what other processes see: without a
// Feed each adds up its own attempts, so behind a load balancer thresholds hold for each process. Without
// attempt.Result.PasswordFingerprint each wrong password counts as a new one, and same_password is silent.
//
// # Memory
//
// Everything is bounded, and allocated once: at the defaults 33 MiB in all, in proportion to Config.Entries. What successes
// write (who is at home where, at which hours) and what guesses write are apart, so no flood of guesses makes the Detector
// forget the former. Where guesses compete for places, what has gathered less evidence yields, and inside a full table
// names that exist outlast names that do not. So a flood of networks or names that appear once leaves an attack in place
// whose second guess comes before as many others have passed as the table has entries. At most [MaxEpisodes] episodes of
// a rule are told apart; what comes on top is told as one.
//
// # Sharing
//
// With a [Feed], such as that of package redisfeed, every process adds up the attempts of all, in one order, and finds what
// the others find; one at a time leads and tells it. Who takes over the lead has the same evidence, and goes on where the
// former leader ended; a process that starts learns from what the feed keeps. Services that share an IdentityKey, and only
// they, share evidence about accounts: it is kept by user.hash.
//
// What is sent of an attempt: its time, user.hash, the network (/24 or /48), the route, the trace id, whether it was
// right, whether the account exists and is usable, whether the endpoint is sensitive; of a right one, with a Locator, the
// place to a tenth of a degree. No name is, so episodes list user.hash. Nor is anything that stems from a password: a
// random number stands for each of the last four wrong passwords of an account at a process, and comes again when the password
// does. What that costs:
//
//   - same_password is found by each process in its own attempts, and told by it.
//   - One stale password counts once for each process. So brute_force, distributed_guessing and success_after_failures ask
//     for as many more passwords as other processes have sent something within the hour; low_and_slow does not, and a
//     stale client from a strange network that meets process after process, over hours, can start it.
//   - Lists of an episode that was told alone begin empty elsewhere.
//
// Times are the sender's, within the minute before the feed's.
//
// While there is no feed each process adds up and tells what it sees itself, on top of all that it knew before. What it
// sees then stays with it; the episodes that it tells are announced to the others afterwards, and not told again.
//
// Each episode is told at least once, and once as a rule. Twice it is told, under the same auth.detection.episode, when
// a leader ends between telling and saying so, or the feed does; its end also when the lead changes within ten seconds of it.
// Under different ones, when several processes without a feed find it each, when an outage ends and guesses
// outrun the announcement, and by a leader that started after the feed had dropped the evidence. Findings that nobody tells
// for 30 s are told by all who have them.
//
// Each process does the work of all: 1 or 2 µs for each attempt of the fleet. To the memory above come 7 MiB at most.
//
// # Events
//
// auth.detection bears security_rule.name, .uuid, .category, .description and .ruleset.name of the semantic conventions,
// the attributes of the constants Key…, and http.route for endpoint_failure_ratio. It is ERROR for high, WARN for
// medium, INFO for low severity and for each end. auth.detections counts the starts by security_rule.name, from 0 for
// each rule that is on.
//
// # Spans
//
// A success that completes an attack looks like any other to a sampler of traces, so a finding leaves a mark in the trace
// of its attempt: a span auth.detection, INTERNAL, a child of the server span, from the verdict to the time of the finding,
// with security_rule.name, auth.detection.severity and auth.detection.episode; no name, no address. It is made of the
// attempt that starts an episode and of each success that a rule speaks of, by the process whose attempt it was, whoever
// tells the episode. A server span that is not sampled has no such child, unless the provider's sampler looks neither at
// parents nor at trace ids. The traces of earlier attempts, such as the first half of an impossible journey, have none.
package detect
