// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package otlpserver serves an otlpreceiver.Receiver on TCP, over gRPC and over HTTP.
package otlpserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // what exporters send
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
)

// Config configures a [Server]. An address is host:port; port 0 chooses a free one. An empty
// address turns its protocol off.
type Config struct {
	// Receiver gets the requests. Required.
	Receiver *otlpreceiver.Receiver
	// GRPC is the address for OTLP/gRPC, by convention port 4317.
	GRPC string
	// HTTP is the address for OTLP/HTTP, by convention port 4318.
	HTTP string
}

// Server is a receiver that listens. Create it with [Listen].
type Server struct {
	// GRPC and HTTP are the addresses in use, "" if the protocol is off.
	GRPC, HTTP string

	rpc  *grpc.Server
	web  *http.Server
	done []chan struct{}
}

// Listen returns a Server that accepts connections. The error names an address that another
// program uses.
func Listen(ctx context.Context, cfg Config) (*Server, error) {
	s := &Server{}
	var rpc, web net.Listener
	var err error
	if cfg.GRPC != "" {
		if rpc, err = listen(ctx, "OTLP/gRPC", cfg.GRPC); err != nil {
			return nil, err
		}
		s.GRPC = rpc.Addr().String()
	}
	if cfg.HTTP != "" {
		if web, err = listen(ctx, "OTLP/HTTP", cfg.HTTP); err != nil {
			if rpc != nil {
				_ = rpc.Close()
			}
			return nil, err
		}
		s.HTTP = web.Addr().String()
	}
	if rpc != nil {
		s.rpc = newGRPC(cfg.Receiver)
		s.serve(func() { _ = s.rpc.Serve(netutil.LimitListener(rpc, maxConnections)) })
	}
	if web != nil {
		s.web = &http.Server{
			Handler: cfg.Receiver, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute,
			IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		}
		s.serve(func() { _ = s.web.Serve(web) })
	}
	return s, nil
}

func listen(ctx context.Context, protocol, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("otlpserver: cannot receive %s on %s: another program listens there, for example a collector; stop it, or choose another port (0: any free one): %w", protocol, address, err)
	case err != nil:
		return nil, fmt.Errorf("otlpserver: cannot receive %s on %s; use host:port of this machine: %w", protocol, address, err)
	}
	return l, nil
}

func (s *Server) serve(run func()) {
	done := make(chan struct{})
	s.done = append(s.done, done)
	go func() {
		defer close(done)
		run()
	}()
}

// Close closes the listeners and every connection. The error is always nil.
func (s *Server) Close() error {
	if s.rpc != nil {
		s.rpc.Stop()
	}
	if s.web != nil {
		_ = s.web.Close()
	}
	for _, done := range s.done {
		<-done
	}
	return nil
}

// maxConnections bounds the connections of gRPC, because each may hold two messages before the
// receiver sees them.
const maxConnections = 16

// newGRPC returns a server of the three services. It takes messages as bytes, because the receiver
// decodes them itself and searches what was sent, not what was understood.
func newGRPC(r *otlpreceiver.Receiver) *grpc.Server {
	s := grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.MaxRecvMsgSize(r.Limit()), grpc.MaxConcurrentStreams(2),
		grpc.StatsHandler(lost{r}))
	for service, signal := range map[string]otlpreceiver.Signal{
		"opentelemetry.proto.collector.trace.v1.TraceService":     otlpreceiver.Traces,
		"opentelemetry.proto.collector.metrics.v1.MetricsService": otlpreceiver.Metrics,
		"opentelemetry.proto.collector.logs.v1.LogsService":       otlpreceiver.Logs,
	} {
		s.RegisterService(&grpc.ServiceDesc{
			ServiceName: service,
			Methods: []grpc.MethodDesc{{
				MethodName: "Export",
				Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
					var body []byte
					if err := decode(&body); err != nil {
						return nil, err
					}
					return []byte{}, statusOf(r.Take(ctx, signal, body))
				},
			}},
		}, nil)
	}
	return s
}

// statusOf returns the status of gRPC for an error of the receiver.
func statusOf(err error) error {
	var refused *otlpreceiver.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &refused), refused.Status == http.StatusServiceUnavailable:
		return status.Error(codes.Unavailable, err.Error())
	default:
		return status.Error(codes.InvalidArgument, err.Error())
	}
}

// lost counts messages that gRPC refuses because of their size.
type lost struct{ receiver *otlpreceiver.Receiver }

func (lost) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (lost) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (lost) HandleConn(context.Context, stats.ConnStats)                       {}

func (l lost) HandleRPC(_ context.Context, s stats.RPCStats) {
	if end, ok := s.(*stats.End); ok && status.Code(end.Error) == codes.ResourceExhausted {
		l.receiver.Lost()
	}
}

// raw passes messages as bytes.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, errors.New("otlpserver: a message is not bytes")
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return errors.New("otlpserver: a message is not bytes")
	}
	*b = data.Materialize()
	return nil
}
