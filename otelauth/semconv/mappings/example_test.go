// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package mappings_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/semconv/mappings"
)

// A SIEM gets an event in its own schema.
func ExampleECS() {
	e := mappings.Event{
		Name: "auth.attempt", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Sequence: -1, Service: "orders",
		Attributes: map[string]any{"auth.outcome": "failure", "user.name": "alice", "client.address": "192.0.2.7"},
	}
	ecs, err := json.Marshal(mappings.ECS(e)["event"])
	fmt.Println(string(ecs), err)
	ocsf := mappings.OCSF(e)
	fmt.Println(ocsf["class_uid"], ocsf["status_id"])
	// Output:
	// {"action":"auth.attempt","category":["authentication"],"kind":"event","outcome":"failure","provider":"otelauth","type":["start"]} <nil>
	// 3002 2
}
