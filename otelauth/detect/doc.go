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
// the defaults of [Thresholds], where they can be changed; counts of different things are estimates, a few per cent off.
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
// an endpoint's ratio does not show them. What came before the process started, and what other processes see: each adds up
// its own attempts, so behind a load balancer thresholds hold for each process. Without
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
// # Events
//
// auth.detection bears security_rule.name, .uuid, .category, .description and .ruleset.name of the semantic conventions,
// the attributes of the constants Key…, and http.route for endpoint_failure_ratio. It is ERROR for high, WARN for
// medium, INFO for low severity and for each end. auth.detections counts the starts by security_rule.name.
package detect
