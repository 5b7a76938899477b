// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/operator"
)

func TestClientAddresses(t *testing.T) {
	t.Parallel()
	for address, valid := range map[string]bool{
		"": true, "unix:/run/x.sock": true, "https://admin.example/-/operator": true, "http://127.0.0.1:8081": true,
		"admin.example": false, "https://carol:secret@admin.example": false, "ftp://admin.example": false, "https://": false,
		"https://admin.example/?a=b": false, "\x00": false,
	} {
		_, err := operator.NewClient(operator.ClientConfig{Address: address})
		if (err == nil) != valid {
			t.Errorf("%q: %v", address, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestClientErrors(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/html/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	mux.HandleFunc("/moved/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://evil.example/", http.StatusFound)
	})
	mux.HandleFunc("/denied/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"title":"Unauthorized","status":401,"detail":"The credentials are not accepted."}`)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	for path, want := range map[string]string{
		"/html":   "the answer is not JSON of this API",
		"/moved":  "the answer has the status 302",
		"/none":   "the answer has the status 404",
		"/denied": "The user name or the password is not accepted",
	} {
		c, err := operator.NewClient(operator.ClientConfig{Address: srv.URL + path, Username: "carol", Password: "x"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Status(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	c, err := operator.NewClient(operator.ClientConfig{Address: "unix:" + t.TempDir() + "/none.sock"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Budgets(t.Context(), nil); !errors.Is(err, operator.ErrUnreachable) {
		t.Errorf("no socket: %v", err)
	}
	if err := c.Live(t.Context(), func(operator.Event) error { return nil }); !errors.Is(err, operator.ErrUnreachable) {
		t.Errorf("no socket: %v", err)
	}
}

// TestClientInstance refuses an act after a restart.
func TestClientInstance(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{Acts: true}, nil)
	st, err := s.client(operator.ClientConfig{}).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	act := operator.ActRequest{Verb: operator.VerbClear, Account: "alice", Reason: "x"}
	if _, err := s.client(operator.ClientConfig{Instance: st.Instance}).Act(t.Context(), act); err != nil {
		t.Error(err)
	}
	if _, err := s.client(operator.ClientConfig{Instance: "other"}).Act(t.Context(), act); code(err) != operator.CodeInstanceChanged {
		t.Errorf("at another instance: %v", err)
	}
}
