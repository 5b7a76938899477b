// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package gateway holds configurations of nginx, Caddy, Traefik and Envoy that ask otelauth gateway whether to let a request pass, and what
// it takes to run the gateway: a Dockerfile, a systemd unit and a Kubernetes manifest. Its tests run the shipped files.
package gateway
