// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/exporter-toolkit/web"
)

// exporterToolkit is the web package of Prometheus and its exporters. Its handler reads and parses
// the file of accounts on every request, so the number of accounts is part of its cost.
var exporterToolkit = Peer{
	Name: "exporter-toolkit", Title: "prometheus/exporter-toolkit",
	Module: "github.com/prometheus/exporter-toolkit", Hashed: true,
	New: func(users []User, next http.Handler) (_ *Service, err error) {
		dir, err := os.MkdirTemp("", "compare-exporter-toolkit-")
		if err != nil {
			return nil, fmt.Errorf("peers: exporter-toolkit: %w", err)
		}
		defer func() {
			if err != nil {
				_ = os.RemoveAll(dir)
			}
		}()
		var b strings.Builder
		b.WriteString("basic_auth_users:\n")
		for _, u := range users {
			fmt.Fprintf(&b, "  %q: %q\n", u.Name, u.Hash)
		}
		file := filepath.Join(dir, "web.yml")
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			return nil, fmt.Errorf("peers: exporter-toolkit: %w", err)
		}
		// The handler is not exported, but Serve stores it in the server. A listener that is
		// already closed makes Serve return at once, with the handler in place.
		server := &http.Server{Handler: next} //nolint:gosec // never serves
		flags := &web.FlagConfig{WebConfigFile: &file}
		if err := web.Serve(closedListener{}, server, flags, slog.New(slog.DiscardHandler)); !errors.Is(err, errNoListener) {
			return nil, fmt.Errorf("peers: exporter-toolkit: %w", err)
		}
		handler := server.Handler
		return &Service{
			Handler: handler,
			close:   func() error { return os.RemoveAll(dir) },
		}, nil
	},
}

var errNoListener = errors.New("peers: this listener accepts nothing")

// closedListener refuses every Accept.
type closedListener struct{}

func (closedListener) Accept() (net.Conn, error) { return nil, errNoListener }
func (closedListener) Close() error              { return nil }
func (closedListener) Addr() net.Addr            { return &net.TCPAddr{} }
