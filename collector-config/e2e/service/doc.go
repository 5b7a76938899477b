// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package service is the service under test in the end-to-end tests and measurements: an HTTP
// service behind otelauth and otelhttp, with the OpenTelemetry SDK and its OTLP exporters, set up
// as a user of the library does. It records which events were made, and which of them the
// collector has acknowledged, so that tests can compare these with what arrives.
//
//	s := service.Start(t, service.Config{Collector: "http://127.0.0.1:4318", Token: token})
//	answer := s.Get("/orders", "alice", "wrong", "203.0.113.7")
//
// Do not copy it: it believes every X-Forwarded-For, so that one test can simulate many clients.
package service
