// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package detection plays one recording of honest and hostile attempts, of internal/simulate, to otelauth and to
// django-axes, fail2ban and CrowdSec as Debian packages and configures them, and says what each of them noticed, how much
// of each attack it refused, and which honest people it locked out.
//
// The programs run for real, on the times of the recording:
//
//   - fail2ban's server code is driven in one process over its own clock (MyTime), with the jail nginx-http-auth switched on over
//     the stock configuration. It reads a file that grows by nginx's error lines, and bans; the action writes the ban down instead of
//     calling iptables. Attempts of banned addresses do not reach nginx.
//   - CrowdSec reads nginx's error log in its replay mode, with the collections, parsers, scenarios and profile that the package enables.
//     The access log is left out, since no scenario can make anything of it: that of 401s wants POST, that of crawlers 41 distinct
//     names of files, and the recording has GET and three paths. So are, unless -whole is given, the lines of addresses that never fail
//     6 times within a minute, which no bucket overflows of. Decisions block nobody until a bouncer is installed, so an address counts as
//     refused for the 4 hours of a decision, but its lines stay in the log.
//   - django-axes is called through django.contrib.auth.authenticate with its clock set to each attempt, over SQLite in memory.
//
// Everything that they write is in one temporary directory; CrowdSec's local API listens on the loopback while it replays, and
// nothing stays when the command has ended. Nothing here is run by CI: the tests are of the lines and of the counting.
//
//	apt-get install fail2ban crowdsec python3-django-axes
//	go run ./cmd/detection
package detection
