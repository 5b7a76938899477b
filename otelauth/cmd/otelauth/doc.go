// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command otelauth puts HTTP Basic Auth that leaves a record of every attempt in front of any service, and keeps
// the accounts.
//
//	otelauth users add users.htpasswd alice
//	otelauth gateway --upstream http://127.0.0.1:8000 --users users.htpasswd
//	otelauth whois --identity-key-file identity.key --users users.htpasswd k1:5f0c…
//
// "otelauth gateway" is a reverse proxy; see package gateway for what it lets through and what the upstream is told. With --forward-auth it
// answers a proxy that asks: nginx, Traefik, Caddy or Envoy.
// "otelauth users" edits an htpasswd file, and "otelauth whois" finds the name behind a user.hash.
//
// # Where settings come from
//
// Every flag of the gateway has an environment variable, OTELAUTH_ and its name in capitals with "_" for "-", and a key of the same name in the YAML
// file that --config names. A flag goes before the variable, the variable before the file, the file before the default. A list that stands in one
// of them replaces that of the next; in a variable its items stand on lines of their own. The file is read strictly: an
// unknown key, a key that stands twice and a value of the wrong type are errors with their line.
//
// Secrets are in no flag, because everybody on the machine can list the arguments of processes: passwords are asked for or read from standard
// input, the data source of a database comes from a file or OTELAUTH_SQL_DSN, the URL of a Redis and identity keys from files.
//
// Telemetry is configured by the OTEL_ variables of the OpenTelemetry specification. Without any exporter among them, events are
// written as JSON lines to standard error, and spans and metrics are not exported.
//
// # Signals
//
// SIGHUP reads everything again: the configuration file, accounts, groups, certificates, keys. With a fault the former configuration stays
// and the fault is said. SIGTERM and SIGINT end the gateway: it accepts no more, lets requests end for at
// most --drain-timeout, writes out telemetry for at most 5 s, and ends; a second one ends it at once.
//
// # Exit codes
//
//	0    done
//	1    it failed: the file cannot be edited, a line is bad, no name was found, the address is taken, a request was cut at the end
//	2    the command line, the environment or the configuration is wrong
//	130  a prompt was interrupted
//
// Errors are one line each on standard error.
package main
