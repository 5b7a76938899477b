// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package service is what the end-to-end tests and measurements watch: an HTTP service behind
// otelauth and otelhttp, with the OpenTelemetry SDK and its OTLP exporters, as a user of the
// library sets them up. It keeps the books that the tests compare with what arrives: which events
// were made, and which of them the collector has acknowledged.
//
//	s := service.Start(t, service.Config{Collector: "http://127.0.0.1:4318", Token: token})
//	answer := s.Get("/orders", "alice", "wrong", "203.0.113.7")
//
// It is no example: it believes anybody's X-Forwarded-For, so that one test can be many clients.
package service
