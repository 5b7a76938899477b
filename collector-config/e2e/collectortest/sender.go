// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package collectortest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// A Sender sends OTLP once, without retries. A nil error means that the collector has acknowledged
// the data.
type Sender interface {
	Traces(ctx context.Context, td ptrace.Traces) error
	Metrics(ctx context.Context, md pmetric.Metrics) error
	Logs(ctx context.Context, ld plog.Logs) error
}

// An HTTPSender sends OTLP over HTTP.
type HTTPSender struct {
	URL   string // without /v1/…
	Token string // sent as a bearer token unless empty
}

// HTTP returns a sender with the collector's token.
func (c *Collector) HTTP() HTTPSender {
	return HTTPSender{URL: "http://" + c.Address + ":" + PortHTTP, Token: c.Token}
}

// An HTTPError is an answer that is not an acknowledgement.
type HTTPError struct {
	Status     int
	RetryAfter string
	Body       string
}

func (e *HTTPError) Error() string {
	return fmt.Sprintf("collectortest: HTTP %d: %s", e.Status, e.Body)
}

// Traces implements [Sender].
func (s HTTPSender) Traces(ctx context.Context, td ptrace.Traces) error {
	b, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		return err
	}
	return s.Post(ctx, "/v1/traces", "application/x-protobuf", b)
}

// Metrics implements [Sender].
func (s HTTPSender) Metrics(ctx context.Context, md pmetric.Metrics) error {
	b, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		return err
	}
	return s.Post(ctx, "/v1/metrics", "application/x-protobuf", b)
}

// Logs implements [Sender].
func (s HTTPSender) Logs(ctx context.Context, ld plog.Logs) error {
	b, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	if err != nil {
		return err
	}
	return s.Post(ctx, "/v1/logs", "application/x-protobuf", b)
}

// Post sends any body; an answer other than 200 is an [*HTTPError].
func (s HTTPSender) Post(ctx context.Context, path, contentType string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	if s.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.Token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return &HTTPError{Status: resp.StatusCode, RetryAfter: resp.Header.Get("Retry-After"), Body: string(answer)}
	}
	return nil
}

// MustTraces sends, and fails the test unless the collector acknowledges.
func (s HTTPSender) MustTraces(t testing.TB, td ptrace.Traces) {
	t.Helper()
	if err := s.Traces(t.Context(), td); err != nil {
		t.Fatal(err)
	}
}

// MustMetrics sends, and fails the test unless the collector acknowledges.
func (s HTTPSender) MustMetrics(t testing.TB, md pmetric.Metrics) {
	t.Helper()
	if err := s.Metrics(t.Context(), md); err != nil {
		t.Fatal(err)
	}
}

// MustLogs sends, and fails the test unless the collector acknowledges.
func (s HTTPSender) MustLogs(t testing.TB, ld plog.Logs) {
	t.Helper()
	if err := s.Logs(t.Context(), ld); err != nil {
		t.Fatal(err)
	}
}

// A GRPCSender sends OTLP over gRPC.
type GRPCSender struct {
	conn  *grpc.ClientConn
	token string
}

// GRPC returns a sender over gRPC with this token. An empty token sends none.
func (c *Collector) GRPC(t testing.TB, token string) *GRPCSender {
	t.Helper()
	conn, err := grpc.NewClient(c.Address+":"+PortGRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &GRPCSender{conn: conn, token: token}
}

func (s *GRPCSender) context(ctx context.Context) context.Context {
	if s.token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+s.token)
}

// Traces implements [Sender].
func (s *GRPCSender) Traces(ctx context.Context, td ptrace.Traces) error {
	_, err := ptraceotlp.NewGRPCClient(s.conn).Export(s.context(ctx), ptraceotlp.NewExportRequestFromTraces(td))
	return err
}

// Metrics implements [Sender].
func (s *GRPCSender) Metrics(ctx context.Context, md pmetric.Metrics) error {
	_, err := pmetricotlp.NewGRPCClient(s.conn).Export(s.context(ctx), pmetricotlp.NewExportRequestFromMetrics(md))
	return err
}

// Logs implements [Sender].
func (s *GRPCSender) Logs(ctx context.Context, ld plog.Logs) error {
	_, err := plogotlp.NewGRPCClient(s.conn).Export(s.context(ctx), plogotlp.NewExportRequestFromLogs(ld))
	return err
}

func counted(got, want int, what string) string {
	return strconv.Itoa(got) + " of " + strconv.Itoa(want) + " " + what
}
