// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// step is one request of the tour.
type step struct {
	attempt       string
	path          string
	authorization func(*http.Request)
	status        int
}

func as(name, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(name, password) }
}

var steps = []step{
	{"right password", "/orders", as("alice", "wonderland"), http.StatusOK},
	{"the same again", "/orders", as("alice", "wonderland"), http.StatusOK},
	{"wrong password", "/orders/7", as("bob", "wonderland"), http.StatusUnauthorized},
	{"unknown user", "/orders", as("mallory", "looking-glass"), http.StatusUnauthorized},
	{"no credentials", "/orders", func(*http.Request) {}, http.StatusUnauthorized},
	{"malformed header", "/orders", func(r *http.Request) { r.Header.Set("Authorization", "Basic alice:wonderland") }, http.StatusBadRequest},
	{"403 from the handler", "/admin", as("alice", "wonderland"), http.StatusForbidden},
}

// shown is the attempt whose telemetry is printed.
const shown = "wrong password"

// tour sends the requests over HTTP and prints what was recorded.
func tour(ctx context.Context, url string, board *board) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()

	board.header()
	var whole story
	for i, s := range steps {
		// The user agent distinguishes the request of the tour from other requests.
		agent := fmt.Sprintf("quickstart-tour/%d", i+1)
		reported := board.expect(agent)
		if err := s.play(ctx, client, url, agent); err != nil {
			return fmt.Errorf("tour, %s: %w", s.attempt, err)
		}
		select {
		case story := <-reported:
			story.attempt = s.attempt
			board.row(story)
			if s.attempt == shown {
				whole = story
			}
		case <-ctx.Done():
			return fmt.Errorf("tour, %s: the event is missing: %w", s.attempt, ctx.Err())
		}
	}
	board.whole(whole)
	return nil
}

func (s step) play(ctx context.Context, client *http.Client, url, agent string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+s.path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", agent)
	s.authorization(r)
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != s.status {
		return fmt.Errorf("status %d, want %d", resp.StatusCode, s.status)
	}
	return nil
}
