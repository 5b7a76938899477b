// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// DefaultSocket is the socket on which a gateway serves the API, and which the commands call.
const DefaultSocket = "/run/otelauth/operator.sock"

// Listen opens a unix socket that only the user of this process and root can open: mode 0600 from
// its first moment. It replaces a socket that a previous process left behind. Close removes the
// socket.
func Listen(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket == 0 {
		return nil, fmt.Errorf("operator: %s exists and is not a socket; remove it or choose another path", path)
	}
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(context.Background(), "unix", path)
	if err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("operator: %s: another process listens there; stop it or choose another path", path)
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("operator: %w", err)
	}
	// The socket gets its mode before it gets its name.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".operator-")
	if err != nil {
		return nil, fmt.Errorf("operator: %w", err)
	}
	defer func() { _ = os.Remove(dir) }() // empty by then
	hidden := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("operator: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(hidden, 0o600), os.Rename(hidden, path)); err != nil {
		_ = l.Close()
		_ = os.Remove(hidden)
		return nil, fmt.Errorf("operator: %w", err)
	}
	return &socket{UnixListener: l, path: path}, nil
}

// socket is a listener whose socket has been renamed.
type socket struct {
	*net.UnixListener
	path string
}

// Addr returns the address of the socket under its name.
func (s *socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

// Close stops listening and removes the socket.
func (s *socket) Close() error {
	err := s.UnixListener.Close()
	if err == nil {
		_ = os.Remove(s.path)
	}
	return err
}

// Serve serves h, an [Operator] or a handler around it, on a unix socket until ctx ends. The
// actors are those of [ConnContext]. It closes l.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{
		Handler: h, ConnContext: ConnContext, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("operator: serving %s ended: %w", l.Addr(), err)
	case <-ctx.Done():
		_ = s.Close()
		<-failed //nolint:errcheck // http.ErrServerClosed
		return nil
	}
}
