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

// story is one attack, reconstructed from the exported telemetry.
type story struct {
	honest, guesses map[int]int // visits by status
	denial          otlpview.Trace
	detections      []otlpview.Event
	// names are the events with the name returns-desk outside the denial. It is not an account of
	// the storefront, so those events carry only its hash, which equals the hash in inventory's
	// event.
	names []otlpview.Event
}

// Number of visits of each kind.
const (
	honestVisits = 12
	returns      = 3 // the threshold of unusable_account
)

// play simulates customers and a sprayer. The sprayer guesses one password, buys a lamp and
// requests a refund. The storefront and orders accept the credentials, but inventory refuses the
// refund.
func play(ctx context.Context, s *shop, client *http.Client) (played story, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	url := s.services[0].URL()
	visit := func(v load.Visit) (int, []byte, error) { return load.Do(ctx, client, url, v) }

	played.honest, played.guesses = make(map[int]int), make(map[int]int)
	crowd := load.NewCrowd(1)
	for range honestVisits {
		status, _, err := visit(crowd.Visit())
		if err != nil {
			return played, err
		}
		played.honest[status]++
	}
	var intruder load.Visit
	for i := 0; intruder.Name == ""; i++ {
		guess, _ := load.Spray.Guess(i)
		status, _, err := visit(guess)
		if err != nil {
			return played, err
		}
		played.guesses[status]++
		if status == http.StatusOK {
			intruder = guess
		}
		if i == 2*len(customers.All) {
			return played, errors.New("the sprayer did not get in; is this another accounts file?")
		}
	}

	intruder.Method, intruder.Path = "POST", "/checkout/lamp"
	status, answer, err := visit(intruder)
	var bought order
	if err == nil {
		err = json.Unmarshal(answer, &bought)
	}
	if err != nil || status != http.StatusCreated {
		return played, fmt.Errorf("the intruder could not buy: status %d: %w", status, err)
	}
	intruder.Path = fmt.Sprintf("/returns/%d", bought.ID)
	for i := range returns {
		if i < 2 { // so that exemplars of the first return are collected
			if err := s.flush(ctx); err != nil {
				return played, err
			}
		}
		status, _, err := visit(intruder)
		if err != nil || status != http.StatusBadGateway {
			return played, fmt.Errorf("the return was answered with %d, expected %d: %w", status, http.StatusBadGateway, err)
		}
	}
	if err := s.flush(ctx); err != nil {
		return played, err
	}
	return played, played.find(ctx, s.view)
}

// find starts from the detections, finds the denial, and collects everything with its trace id.
func (t *story) find(ctx context.Context, view *otlpview.View) error {
	fired := func(service, rule string) bool {
		for _, d := range t.detections {
			if d.Service == service && d.Attributes["security_rule.name"] == rule {
				return true
			}
		}
		return false
	}
	// Detection runs beside the requests and reports later.
	if err := view.Wait(ctx, func() bool {
		t.detections = view.Events(semconv.EventDetection)
		return fired(storefrontName, detect.PasswordSpray) && fired(inventoryName, detect.UnusableAccount)
	}); err != nil {
		return fmt.Errorf("no detection arrived: %w", err)
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
		return errors.New("inventory reported no denial")
	}
	for _, e := range view.Events(semconv.EventAttempt) {
		if e.Service != inventoryName && e.Attributes["user.hash"] == hash {
			t.names = append(t.names, e)
		}
	}
	return nil
}
