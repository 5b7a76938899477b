// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/examples/shop/customers"
	"github.com/otelauth/otelauth-go/examples/shop/otlpview"
	"github.com/otelauth/otelauth-go/examples/traffic/load"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// story is one attack, as it is found again in what was exported.
type story struct {
	honest, guesses map[int]int // visits by status
	denial          otlpview.Trace
	detections      []otlpview.Event
	// names are the events about returns-desk that are not of the denial: at the storefront that
	// is no account, so only its hash is told, and it is the hash that inventory tells.
	names []otlpview.Event
}

// What is played.
const (
	honestVisits = 12
	returns      = 3 // as many as unusable_account wants to see
)

// play plays customers and a sprayer, who gets in with the one password that somebody has, buys,
// and wants the money back without giving the goods back. The storefront and orders let him: he is
// victor. Inventory does not.
func play(ctx context.Context, s *shop, client *http.Client) (told story, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	url := s.services[0].URL()
	visit := func(v load.Visit) (int, []byte, error) { return load.Do(ctx, client, url, v) }

	told.honest, told.guesses = make(map[int]int), make(map[int]int)
	crowd := load.NewCrowd(1)
	for range honestVisits {
		status, _, err := visit(crowd.Visit())
		if err != nil {
			return told, err
		}
		told.honest[status]++
	}
	var intruder load.Visit
	for i := 0; intruder.Name == ""; i++ {
		guess, _ := load.Spray.Guess(i)
		status, _, err := visit(guess)
		if err != nil {
			return told, err
		}
		told.guesses[status]++
		if status == http.StatusOK {
			intruder = guess
		}
		if i == 2*len(customers.All) {
			return told, errors.New("the sprayer did not get in; is this another accounts file?")
		}
	}

	intruder.Method, intruder.Path = "POST", "/checkout/lamp"
	status, answer, err := visit(intruder)
	var bought order
	if err == nil {
		err = json.Unmarshal(answer, &bought)
	}
	if err != nil || status != http.StatusCreated {
		return told, fmt.Errorf("the intruder could not buy: status %d: %w", status, err)
	}
	intruder.Path = fmt.Sprintf("/returns/%d", bought.ID)
	for i := range returns {
		if i < 2 { // so that the exemplars of one collection are those of the first return
			if err := s.flush(ctx); err != nil {
				return told, err
			}
		}
		status, _, err := visit(intruder)
		if err != nil || status != http.StatusBadGateway {
			return told, fmt.Errorf("the return was answered %d, expected %d: %w", status, http.StatusBadGateway, err)
		}
	}
	if err := s.flush(ctx); err != nil {
		return told, err
	}
	return told, told.find(ctx, s.view)
}

// find goes from the detections to the denial, and from its trace id to everything else.
func (t *story) find(ctx context.Context, view *otlpview.View) error {
	spoke := func(service, rule string) bool {
		for _, d := range t.detections {
			if d.Service == service && d.Attributes["security_rule.name"] == rule {
				return true
			}
		}
		return false
	}
	// Detection works beside the requests, and tells a little later.
	if err := view.Wait(ctx, func() bool {
		t.detections = view.Events(semconv.EventDetection)
		return spoke(storefrontName, detect.PasswordSpray) && spoke(inventoryName, detect.UnusableAccount)
	}); err != nil {
		return fmt.Errorf("no detection came: %w", err)
	}
	var id trace.TraceID
	hash := ""
	for _, e := range view.Events(semconv.EventAttempt) {
		if e.Service == inventoryName && e.Attributes[semconv.KeyOutcome] == attempt.Failure.String() {
			id, hash = e.TraceID, e.Attributes["user.hash"]
			break
		}
	}
	if t.denial = view.Trace(id); !id.IsValid() || len(t.denial.Spans) == 0 {
		return errors.New("inventory told of no denial")
	}
	for _, e := range view.Events(semconv.EventAttempt) {
		if e.Service != inventoryName && e.Attributes["user.hash"] == hash {
			t.names = append(t.names, e)
		}
	}
	return nil
}
