// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package detection plays one recording of honest and hostile attempts, from internal/simulate,
// to otelauth and to django-axes, fail2ban and CrowdSec with the configuration of their Debian
// packages. It prints which attacks each program noticed, how much of each attack it refused, and
// which honest users it locked out.
//
// The programs run for real, at the times of the recording:
//
//   - The server code of fail2ban runs in one process with its own clock (MyTime), and with the
//     jail nginx-http-auth enabled in the stock configuration. It reads a growing file of nginx's
//     error lines and bans; the action records the ban instead of calling iptables. Attempts of
//     banned addresses do not reach nginx.
//   - CrowdSec reads nginx's error log in its replay mode, with the collections, parsers,
//     scenarios and profile that the package enables. The access log is left out, because no
//     scenario can match it: the one for 401s needs POST, and the one for crawlers needs 41
//     different file names; the recording has GET and three paths. Without -whole, lines of
//     addresses that never fail 6 times within a minute are left out too: they fill no bucket.
//     Decisions block no request until a bouncer is installed, so an address counts as refused for
//     the 4 hours of a decision, but its lines stay in the log.
//   - django-axes is called through django.contrib.auth.authenticate over SQLite in memory, with
//     its clock set to each attempt.
//
// All files are in one temporary directory. CrowdSec's local API listens on loopback during the
// replay. CI does not run the programs: the tests check the lines and the counting.
//
//	apt-get install fail2ban crowdsec python3-django-axes
//	go run ./cmd/detection
package detection
