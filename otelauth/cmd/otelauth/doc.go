// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command otelauth puts HTTP Basic Auth in front of any service and records every attempt. It also
// edits the accounts.
//
//	otelauth users add users.htpasswd alice
//	otelauth gateway --upstream http://127.0.0.1:8000 --users users.htpasswd
//	otelauth whois --identity-key-file identity.key --users users.htpasswd k1:5f0c…
//
// "otelauth gateway" is a reverse proxy; package gateway describes its rules and the headers for
// the upstream. With --forward-auth it answers another proxy instead: nginx, Traefik, Caddy or
// Envoy. "otelauth users" edits an htpasswd file. "otelauth whois" finds the name behind a
// user.hash.
//
// # Where settings come from
//
// Every flag of the gateway has an environment variable: OTELAUTH_ and the flag's name in
// capitals, with "_" for "-". It also has a key of the same name in the YAML file that --config
// names. A flag overrides the variable, the variable overrides the file, and the file overrides
// the default. A list in one of them replaces the whole list of the next. In a variable each
// item of a list is a line. The file is parsed strictly: an unknown key, a repeated key and a
// value of the wrong type are errors with their line.
//
// No flag takes a secret, because every user of the machine can list the arguments of processes.
// Passwords are read from a prompt or from standard input. The data source of a database comes
// from a file or OTELAUTH_SQL_DSN. The URL of a Redis and identity keys come from files.
//
// The OTEL_ variables of the OpenTelemetry specification configure telemetry. Without an exporter
// among them, events are written as JSON lines to standard error, and spans and metrics are not
// exported.
//
// # Memory
//
// The gateway uses Go's default garbage collection. GOGC and GOMEMLIMIT change it: a GOGC of 400
// spends more memory on garbage and less CPU time. In a container, set GOMEMLIMIT to nine tenths
// of its memory limit.
//
// # Signals
//
// SIGHUP reads everything again: the configuration file, accounts, groups, certificates and keys.
// After an error the previous configuration stays in force, and the error is reported. SIGTERM and
// SIGINT end the gateway: it stops accepting connections, lets requests end for at most
// --drain-timeout, exports pending telemetry for at most 5 s, and exits. A second one of these
// signals ends it at once.
//
// # Exit codes
//
//	0    success
//	1    failure: the file cannot be edited, a line is invalid, no name was found, the address is
//	     in use, a request was cut at the end, a probe has findings, or a replay has findings
//	     of --fail-on
//	2    the command line, the environment or the configuration is invalid
//	130  a prompt was interrupted
//
// Each error is one line on standard error.
//
//go:generate go test -count=1 -run ^TestSettingsPage$ -update
package main
