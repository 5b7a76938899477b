// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// children are the modes in which this command starts itself. Each mode prints its address or its
// result and ends when its input ends. That also happens when its parent process dies.
var children = map[string]func(args []string, stdin io.Reader, stdout io.Writer) error{
	"upstream": upstream,
	"bare":     bare,
	"sink":     sink,
	"hold":     hold,
}

const body = "hello, world"

// upstream is the service behind all proxies.
func upstream(_ []string, stdin io.Reader, stdout io.Writer) error {
	return serve("127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["Content-Type"] = []string{"text/plain; charset=utf-8"}
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
		_, _ = io.WriteString(w, body)
	}), stdin, stdout, nil)
}

// bare is net/http's own proxy, the lower bound for every proxy in Go.
func bare(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 2 {
		return errors.New("gateway: bare LISTEN UPSTREAM")
	}
	target, err := url.Parse(args[1])
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	return serve(args[0], &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.SetXForwarded() },
		Transport: &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true},
		ErrorLog:  log.New(io.Discard, "", 0),
	}, stdin, stdout, nil)
}

// received is what a sink has counted.
type received struct{ Spans, Events, Exports, Bytes int64 }

// sink is an OTLP collector that discards its input. It prints its counts for each line on its
// standard input.
func sink(_ []string, stdin io.Reader, stdout io.Writer) error {
	var spans, events, exports, size atomic.Int64
	mux := http.NewServeMux()
	receive := func(count *atomic.Int64) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			message, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			exports.Add(1)
			size.Add(int64(len(message)))
			if count != nil {
				count.Add(leaves(message))
			}
			w.Header().Set("Content-Type", "application/x-protobuf")
		}
	}
	mux.Handle("POST /v1/traces", receive(&spans))
	mux.Handle("POST /v1/logs", receive(&events))
	mux.Handle("POST /v1/metrics", receive(nil))
	return serve("127.0.0.1:0", mux, stdin, stdout, func() any {
		return received{Spans: spans.Load(), Events: events.Load(), Exports: exports.Load(), Bytes: size.Load()}
	})
}

// leaves counts the spans or log records of an export request. For both the path is resource
// (field 1), scope (2), record (2).
func leaves(message []byte) (n int64) {
	each(message, 1, func(resource []byte) {
		each(resource, 2, func(scope []byte) {
			each(scope, 2, func([]byte) { n++ })
		})
	})
	return n
}

// each calls f with every message in the field of that number.
func each(message []byte, field protowire.Number, f func([]byte)) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return
		}
		message = message[n:]
		if number == field && kind == protowire.BytesType {
			value, n := protowire.ConsumeBytes(message)
			if n < 0 {
				return
			}
			f(value)
			message = message[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return
		}
		message = message[n:]
	}
}

// serve serves h until the input ends. If say is not nil, it answers each line of the input.
func serve(address string, h http.Handler, stdin io.Reader, stdout io.Writer, say func() any) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 10 * time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	if _, err := fmt.Fprintln(stdout, l.Addr()); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for in := bufio.NewScanner(stdin); in.Scan(); {
			if say != nil {
				_ = json.NewEncoder(stdout).Encode(say())
			}
		}
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("gateway: %w", err)
	case <-ended:
		return s.Close()
	}
}

// number of goroutines that open connections at the same time
const holders = 16

// hold opens connections, makes one request on each, prints "held" and keeps them open until its
// input ends.
func hold(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 3 {
		return errors.New("gateway: hold ADDRESS CONNECTIONS AUTHORIZATION")
	}
	address, authorization := args[0], args[2]
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("gateway: hold: %w", err)
	}
	request := []byte("GET / HTTP/1.1\r\nHost: " + address + "\r\nAuthorization: " + authorization + "\r\n\r\n")
	var (
		group   sync.WaitGroup
		left    atomic.Int64
		mu      sync.Mutex
		kept    []net.Conn
		failure error
	)
	left.Store(int64(n))
	for range holders {
		group.Go(func() {
			answer := make([]byte, 4096)
			for left.Add(-1) >= 0 {
				conn, err := exchange(address, request, answer)
				mu.Lock()
				if err != nil {
					failure = err
					mu.Unlock()
					return
				}
				kept = append(kept, conn)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if failure != nil {
		return fmt.Errorf("gateway: hold: after %d connections: %w", len(kept), failure)
	}
	if _, err := fmt.Fprintln(stdout, "held"); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	_, _ = io.Copy(io.Discard, stdin)
	for _, conn := range kept {
		_ = conn.Close()
	}
	return nil
}

// exchange makes one request on a new connection, and returns the connection after the answer.
func exchange(address string, request, answer []byte) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write(request); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	for n := 0; ; {
		m, err := conn.Read(answer[n:])
		n += m
		if bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 200 ")) && bytes.HasSuffix(answer[:n], []byte(body)) {
			return conn, nil
		}
		if err != nil || n == len(answer) || n > 12 && answer[9] != '2' {
			line, _, _ := bytes.Cut(answer[:n], []byte("\r\n"))
			return nil, errors.Join(fmt.Errorf("%s answers %q", address, line), err, conn.Close())
		}
	}
}
