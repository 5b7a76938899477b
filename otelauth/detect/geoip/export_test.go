// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package geoip

// Parse returns the database in data.
var Parse = parse
