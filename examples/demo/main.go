// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Demo holds the commands that docker-compose.yaml needs besides the shop, for images without a
// shell.
//
//	demo returns --target URL --ca FILE [--every 30s]   an attack that crosses three services
//	demo probe URL                                      reports whether a server answers 200: a health check
//	demo forget FILE…                                   writes collector overlays that add nothing
//	demo choose FROM TO                                 copies a collector overlay
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

const usage = "usage: demo returns --target URL --ca FILE [--every 30s] | probe URL | forget FILE… | choose FROM TO"

var errUsage = errors.New(usage)

// run is main with its inputs and outputs as parameters, for tests. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var err error
	switch {
	case len(args) > 0 && args[0] == "returns":
		err = returns(ctx, args[1:], stdout, stderr)
	case len(args) == 2 && args[0] == "probe":
		err = probe(ctx, args[1])
	case len(args) > 1 && args[0] == "forget":
		err = forget(args[1:])
	case len(args) == 3 && args[0] == "choose":
		err = choose(args[1], args[2])
	default:
		err = errUsage
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, "demo:", err)
		return 2
	default:
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
}

func probe(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return errors.New("probe: the argument is not a URL; write http://127.0.0.1:13133/")
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("probe: %s answered %s", url, resp.Status)
	}
	return nil
}

func forget(files []string) error {
	for _, name := range files {
		if err := write(name, []byte("# No such backend was chosen.\n{}\n")); err != nil {
			return err
		}
	}
	return nil
}

func choose(from, to string) error {
	overlay, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("choose: %w", err)
	}
	return write(to, overlay)
}

// write replaces the file atomically, because a collector may start at the same time.
func write(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".overlay-*")
	if err != nil {
		return err
	}
	_, errWrite := f.Write(text)
	if err := errors.Join(errWrite, f.Chmod(0o644), f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return os.Rename(f.Name(), name)
}
