// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"

	"github.com/otelauth/otelauth-go/otelauth/client"
	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// orders answers with the user of the request.
func orders(w http.ResponseWriter, r *http.Request) {
	user, _, ok := r.BasicAuth()
	fmt.Fprintln(w, "user:", user, ok)
}

func show(c *http.Client, target string) {
	resp, err := c.Get(target)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	var user string
	var ok bool
	_, _ = fmt.Fscanf(resp.Body, "user: %s %t", &user, &ok)
	fmt.Println(resp.StatusCode, user, ok)
}

func ExampleNew() {
	srv := httptest.NewServer(http.HandlerFunc(orders))
	defer srv.Close()

	file := filepath.Join(os.TempDir(), fmt.Sprintf("orders-%d", os.Getpid()))
	if err := os.WriteFile(file, []byte("alice:wonderland\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.Remove(file) }()

	t, err := client.New(client.Config{
		Origins: []string{srv.URL}, // loopback; any other origin uses https
		File:    file,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show(&http.Client{Transport: t}, srv.URL)
	// Output: 200 alice true
}

// A secret manager returns the credentials, and a redirect to another origin arrives without them.
func ExampleSource() {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _, ok := r.BasicAuth()
		fmt.Fprintln(w, "user: -", ok)
	}))
	defer other.Close()
	srv := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer srv.Close()

	t, err := client.New(client.Config{
		Origins: []string{srv.URL},
		Source: func(context.Context) (string, credential.Secret, error) {
			return "alice", credential.NewSecret("wonderland"), nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show(&http.Client{Transport: t}, srv.URL)
	// Output: 200 - false
}

func ExampleTransport_CloseIdleConnections() {
	t, err := client.New(client.Config{
		Origins: []string{"https://orders.example"},
		Name:    "alice", Password: credential.NewSecret("wonderland"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	c := &http.Client{Transport: t}
	c.CloseIdleConnections() // reaches the Transport
	fmt.Println("closed")
	// Output: closed
}

// New reports every problem at once, and no error shows a password.
func ExampleNew_problems() {
	_, err := client.New(client.Config{
		Origins: []string{"http://orders.example", "https://alice:wonderland@orders.example"},
	})
	fmt.Println(err)
	// Output:
	// otelauth/client: Config.Origins[0]: is plaintext to a host that is neither a loopback address nor localhost; use https, or add its network to DangerouslyAllowPlaintextFrom
	// otelauth/client: Config.Origins[1]: has user information; set Name and Password instead
	// otelauth/client: Config: 0 of Name with Password, File, Directory and Source are set; set exactly one
}

func ExampleTransport_RoundTrip() {
	t, err := client.New(client.Config{
		Origins: []string{"https://orders.example"},
		Name:    "alice", Password: credential.NewSecret("wonderland"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	target := url.URL{Scheme: "https", Host: "orders.example", User: url.UserPassword("bob", "builder")}
	_, err = (&http.Client{Transport: t}).Get(target.String())
	fmt.Println(err)
	// Output: Get "https://bob:***@orders.example": otelauth/client: the URL has user information; remove it, the Config has the credentials
}
