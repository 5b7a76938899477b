// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package probe has recipes for pipelines that run "otelauth probe".
package probe
