// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package mappings translates otelauth's events to the Elastic Common Schema and to the Open
// Cybersecurity Schema Framework. It imports the standard library and package semconv only.
//
// [ECS] returns a document of ECS 9.4. [OCSF] returns an event of OCSF 1.8: an attempt is class
// Authentication (3002), a detection is class Detection Finding (2004), and every other event is a
// Base Event (0).
//
// No attribute is lost. An attribute without a counterpart, or with a value of another type than
// its counterpart, keeps its own name: below "otelauth" in ECS, below "unmapped" in OCSF.
//
// To add an attribute or an event, add a row to the tables in table.go.
package mappings
