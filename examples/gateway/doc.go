// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package gateway holds configurations with which nginx, Caddy, Traefik and Envoy ask otelauth
// gateway whether a request may pass. It also holds a Dockerfile, a systemd unit and a
// Kubernetes manifest for the gateway. Its tests run these files.
package gateway
