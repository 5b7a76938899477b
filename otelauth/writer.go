// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// writer records the attempt when the response's header is written. It is a field of its exchange.
type writer struct {
	http.ResponseWriter
	x       *exchange
	isFinal bool // a final header was written, or the connection was hijacked
}

// header records the attempt at the first final status.
func (w *writer) header(status int) {
	if w.isFinal || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	w.isFinal = true
	w.x.record(attempt.Response{Status: status, Handler: true})
}

func (w *writer) WriteHeader(status int) {
	w.header(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(b []byte) (int, error) {
	w.header(http.StatusOK)
	return w.ResponseWriter.Write(b)
}

func (w *writer) WriteString(s string) (int, error) {
	w.header(http.StatusOK)
	return io.WriteString(w.ResponseWriter, s)
}

// Unwrap returns the wrapped writer, for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// CloseNotify is deprecated in net/http; gin's Stream still calls it.
func (w *writer) CloseNotify() <-chan bool {
	if n, ok := w.ResponseWriter.(http.CloseNotifier); ok { //nolint:staticcheck // SA1019: forwarded for handlers that still call it
		return n.CloseNotify()
	}
	gone := make(chan bool, 1)
	context.AfterFunc(w.x.req.Context, func() { gone <- true })
	return gone
}

func (w *writer) flush() error {
	w.header(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *writer) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && !w.isFinal {
		w.isFinal = true
		w.x.record(attempt.Response{Handler: true, Hijacked: true})
	}
	return conn, rw, err
}

func (w *writer) readFrom(src io.Reader) (int64, error) {
	w.header(http.StatusOK)
	return w.ResponseWriter.(io.ReaderFrom).ReadFrom(src)
}

func (w *writer) push(target string, opts *http.PushOptions) error {
	return w.ResponseWriter.(http.Pusher).Push(target, opts)
}

// Handlers find the abilities of a writer by type assertion, so each set of abilities is a type.
// Each type is one pointer, which an interface holds without an allocation. HTTP/2 has Push and no
// Hijack.
type (
	plain                     struct{ *writer }
	flusher                   struct{ plain }
	hijacker                  struct{ plain }
	readerFrom                struct{ plain }
	flusherHijacker           struct{ flusher }
	flusherReaderFrom         struct{ flusher }
	flusherPusher             struct{ flusher }
	hijackerReaderFrom        struct{ hijacker }
	flusherHijackerReaderFrom struct{ flusherHijacker }
)

func (w flusher) Flush()            { _ = w.flush() }
func (w flusher) FlushError() error { return w.flush() }

func (w hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error)        { return w.hijack() }
func (w flusherHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

func (w readerFrom) ReadFrom(src io.Reader) (int64, error)                { return w.readFrom(src) }
func (w flusherReaderFrom) ReadFrom(src io.Reader) (int64, error)         { return w.readFrom(src) }
func (w hijackerReaderFrom) ReadFrom(src io.Reader) (int64, error)        { return w.readFrom(src) }
func (w flusherHijackerReaderFrom) ReadFrom(src io.Reader) (int64, error) { return w.readFrom(src) }

func (w flusherPusher) Push(target string, opts *http.PushOptions) error { return w.push(target, opts) }

// wrap returns a writer with exactly the abilities of under.
func (w *writer) wrap(under http.ResponseWriter, x *exchange) http.ResponseWriter {
	w.ResponseWriter, w.x = under, x
	const (
		canFlush = 1 << iota
		canHijack
		canReadFrom
	)
	can := 0
	if reaches[http.Flusher](under) || reaches[interface{ FlushError() error }](under) {
		can |= canFlush
	}
	if reaches[http.Hijacker](under) {
		can |= canHijack
	}
	if _, ok := under.(io.ReaderFrom); ok {
		can |= canReadFrom
	}
	p := plain{w}
	switch can {
	case canFlush:
		if _, ok := under.(http.Pusher); ok {
			return flusherPusher{flusher{p}}
		}
		return flusher{p}
	case canHijack:
		return hijacker{p}
	case canReadFrom:
		return readerFrom{p}
	case canFlush | canHijack:
		return flusherHijacker{flusher{p}}
	case canFlush | canReadFrom:
		return flusherReaderFrom{flusher{p}}
	case canHijack | canReadFrom:
		return hijackerReaderFrom{hijacker{p}}
	case canFlush | canHijack | canReadFrom:
		return flusherHijackerReaderFrom{flusherHijacker{flusher{p}}}
	}
	return p
}

// reaches reports whether w, or a writer that it unwraps to, is a T, as http.ResponseController
// looks for it. An ability that bypasses w would delay the record of the attempt.
func reaches[T any](w http.ResponseWriter) bool {
	for {
		if _, ok := w.(T); ok {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
}
