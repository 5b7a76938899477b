// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/console"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// A service has an Operator on a unix socket, and a client that lists, explains, acts and undoes.
func ExampleClient_acts() {
	dir, err := os.MkdirTemp("", "op")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	op, err := operator.New(operator.Config{Acts: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer op.Close()
	mw, err := otelauth.New(otelauth.Config{
		Accounts:   &verify.Static{Hashes: map[string]string{"alice": "$2a$04$bbxDPdNXVRQemIgGJIUZZuvB4CtLsA8B9LA.6r.PjsMOlSiQQLIo2"}},
		Additional: []attempt.Observer{op}, Detect: detect.Config{OnEpisode: op.Detection}, DisableFallback: true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mw.Close()
	op.Attach(mw)
	mw.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/orders/7", nil))

	socket := filepath.Join(dir, "operator")
	listener, err := operator.Listen(socket)
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := operator.NewClient(operator.ClientConfig{Address: "unix:" + socket})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- operator.Serve(ctx, listener, op) }()
	if err := use(ctx, client); err != nil {
		fmt.Println(err)
	}
	stop()
	fmt.Println(<-ended)
	// Output:
	// true 1 0
	// true rule
	// 0 empty budgets, 2 acts
	// <nil>
}

func use(ctx context.Context, client *operator.Client) error {
	status, err := client.Status(ctx)
	if err != nil {
		return err
	}
	attempts, err := client.Attempts(ctx, url.Values{"outcome": {"missing"}})
	if err != nil {
		return err
	}
	_, err = client.Traffic(ctx, nil)
	if err != nil {
		return err
	}
	episodes, err := client.Episodes(ctx, nil)
	if err != nil {
		return err
	}
	for _, e := range episodes.Episodes {
		detail, err := client.Episode(ctx, e.ID)
		if err != nil {
			return err
		}
		fmt.Println(detail.Message, detail.NextStep, detail.Command)
	}
	fmt.Println(status.Instance == attempts.Instance, len(attempts.Attempts), len(episodes.Episodes))

	done, err := client.Act(ctx, operator.ActRequest{Verb: "deny", Account: "alice", Reason: "her laptop was stolen"})
	if err != nil {
		return err
	}
	explained, err := client.Explain(ctx, "alice", "192.0.2.7")
	if err != nil {
		return err
	}
	fmt.Println(explained.Refused, explained.RefusedBy)
	if _, err := client.Undo(ctx, done.Act.ID, "found again"); err != nil {
		return err
	}
	budgets, err := client.Budgets(ctx, nil)
	if err != nil {
		return err
	}
	acts, err := client.Acts(ctx, nil)
	if err != nil {
		return err
	}
	fmt.Println(len(budgets.Budgets), "empty budgets,", len(acts.Acts), "acts")

	enough := errors.New("enough")
	err = client.Live(ctx, func(e operator.Event) error { // the first event greets
		var hello operator.Hello
		return errors.Join(e.Decode(&hello), enough)
	})
	if !errors.Is(err, enough) {
		return err
	}
	return nil
}

// The API over HTTP, with the page. Every client that reaches it can act, so it is behind
// RequireGroup, or the service names the actor itself.
func ExampleOperator() {
	op, err := operator.New(operator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer op.Close()
	page, err := console.New(console.Config{API: op})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.ServeHTTP(w, r.WithContext(operator.WithActor(r.Context(), "carol@ops")))
	})
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second, ConnContext: operator.ConnContext}
	fmt.Println(server.Handler != nil, server.ReadHeaderTimeout, server.ConnContext != nil)
	// Output: true 1s true
}
