// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/internal/semconvgen/registry"
	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// fieldOf has the field of the API for the attributes of the event auth.detection whose names
// differ. "" means that the attribute is the same for every rule or that the value is the second
// part of a field.
var fieldOf = map[string]string{
	"security_rule.name": "rule", "security_rule.description": "summary",
	"security_rule.uuid": "", "security_rule.category": "", "security_rule.ruleset.name": "",
	semconv.KeyDetectionEpisode: "id", semconv.KeyDetectionPhase: "running", "http.route": "route",
	semconv.KeyDetectionFirstTime: "first", semconv.KeyDetectionLastTime: "last",
	semconv.KeyDetectionAddressAttempts: "addresses", semconv.KeyDetectionRouteAttempts: "routes",
	semconv.KeyDetectionUserAgentAttempts: "user_agents",
}

func field(key string) string {
	if name, ok := fieldOf[key]; ok {
		return name
	}
	return strings.TrimPrefix(key, "auth.detection.")
}

// TestDetailHasEveryAttribute fails when an event of detection has an attribute that the API lacks.
func TestDetailHasEveryAttribute(t *testing.T) {
	t.Parallel()
	r, err := registry.Open()
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]bool{"": true}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[operator.EpisodeDetail]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = true
	}
	checked := 0
	for _, g := range r.Of("event") {
		if g.Name() != semconv.EventDetection {
			continue
		}
		for _, a := range g.Attributes {
			if checked++; !fields[field(a.Key())] {
				t.Errorf("the attribute %s of the event has no field %q in the API", a.Key(), field(a.Key()))
			}
		}
	}
	if checked < 40 {
		t.Errorf("the event has %d attributes", checked)
	}
}

// spray attacks until the rule same_password has reported 40 attempts, and returns its episode.
func (s *service) spray(c *operator.Client) operator.EpisodeDetail {
	s.t.Helper()
	for i := range 40 {
		s.clock.Advance(time.Minute)
		s.login(fmt.Sprintf("198.51.100.%d", 60+i%3), fmt.Sprintf("user%d", i), "Winter2026!")
	}
	var d operator.EpisodeDetail
	testkit.Eventually(s.t, "the episode", func() bool {
		l, err := c.Episodes(s.t.Context(), url.Values{"rule": {detect.SamePassword}})
		if err != nil || len(l.Episodes) != 1 || l.Episodes[0].Attempts < 40 {
			return false
		}
		d, err = c.Episode(s.t.Context(), strings.ToUpper(l.Episodes[0].ID))
		return err == nil
	})
	return d
}

// TestEpisodeDetail compares an episode with the last event about it.
func TestEpisodeDetail(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{}, nil)
	c := s.client(operator.ClientConfig{})
	d := s.spray(c)
	if !slices.Equal(d.Local, []string{"episodes"}) || d.AddressCount != 3 || len(d.Addresses) != 3 || d.Refused+d.Throttled != 40 ||
		!strings.HasPrefix(d.Command, "otelauth budgets ") || !strings.HasSuffix(d.Runbook, "#"+detect.SamePassword) {
		t.Errorf("the episode is %+v", d)
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var have map[string]any
	if err := json.Unmarshal(text, &have); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the event", func() bool { return lastEvent(s, d.ID).Name() != "" })
	e := lastEvent(s, d.ID)
	if body := e.Record.Body().AsString(); body != d.Message || body == "" {
		t.Errorf("the message is %q, that of the event %q", d.Message, body)
	}
	for _, kv := range e.Attributes() {
		key, name := string(kv.Key), field(string(kv.Key))
		value := have[name]
		switch {
		case name == "":
			continue
		case name == "running":
			value = map[bool]string{true: kv.Value.AsString(), false: "end"}[d.Running]
		case strings.HasSuffix(key, "_attempts"), name == "addresses", name == "routes", name == "user_agents":
			value = column(t, value, strings.HasSuffix(key, "_attempts"))
		}
		if want := kv.Value; fmt.Sprint(value) != plainOf(want) {
			t.Errorf("%s is %v, and %s of the event %v", name, value, key, plainOf(want))
		}
	}
	if _, err := c.Episode(t.Context(), "0000000000000001"); code(err) != operator.CodeNotFound {
		t.Errorf("an episode that is not there: %v", err)
	}
}

// lastEvent returns the newest event about an episode, or an event without a name.
func lastEvent(s *service, id string) (last otelauthtest.Event) {
	for _, e := range s.recorder.Events() {
		if e.Name() == semconv.EventDetection && e.Attribute(semconv.KeyDetectionEpisode) == id {
			last = e
		}
	}
	return last
}

// column returns one half of a list of tallies.
func column(t *testing.T, list any, isAttempts bool) (values []any) {
	t.Helper()
	for _, one := range list.([]any) {
		name := "value"
		if isAttempts {
			name = "attempts"
		}
		values = append(values, one.(map[string]any)[name])
	}
	return values
}

// plainOf returns a value as fmt prints the same value of JSON.
func plainOf(v attribute.Value) string { return fmt.Sprint(v.AsInterface()) }

// TestDetailNamesWhatIsLocal: with a feed only addresses, user agents and origins are of this
// process, except for the rule that each process applies alone.
func TestDetailNamesWhatIsLocal(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{SharedDetection: true}, nil)
	c := s.client(operator.ClientConfig{})
	for rule, want := range map[string][]string{
		detect.SamePassword: {"episodes", "addresses", "user_agents", "origins"},
		detect.BruteForce:   {"addresses", "user_agents", "origins"},
	} {
		s.op.Detection(detect.Detection{Rule: detect.Rule{Name: rule}, Episode: 7})
		if d, err := c.Episode(t.Context(), "0000000000000007"); err != nil || !slices.Equal(d.Local, want) {
			t.Errorf("%s: %v %q, want %q", rule, err, d.Local, want)
		}
	}
}

// largest returns the last event of an episode whose lists are as long as detection makes them.
func largest(id uint64, addresses int) detect.Detection {
	d := detect.Detection{
		Rule: detect.Rules()[0], Phase: detect.End, Episode: id, DedupeKey: strings.Repeat("k", 200), AddressCount: addresses,
		Advice: detect.Advice{Command: fmt.Sprintf("otelauth budgets explain %0100d", id)}, Takeovers: make([]uint64, 8),
	}
	for i := range 8 {
		d.Accounts = append(d.Accounts, fmt.Sprintf("k1:%0125d", i))
		d.Networks = append(d.Networks, netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, byte(i)}), 48))
		d.Routes = append(d.Routes, detect.Count[string]{Value: fmt.Sprintf("/%0100d", i)})
		d.UserAgents = append(d.UserAgents, detect.Count[string]{Value: fmt.Sprintf("%047d", i)})
	}
	for range 12 {
		d.Origins = append(d.Origins, fmt.Sprintf("%0128d", id))
	}
	d.Traces = make([]trace.TraceID, 4)
	for i := range addresses {
		d.Addresses = append(d.Addresses, detect.Count[netip.Addr]{Value: netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i)}), Attempts: 1})
	}
	return d
}

// TestMemoryOfEpisodes holds what Operator says about the memory of past episodes. It measures the
// heap, so it runs alone.
func TestMemoryOfEpisodes(t *testing.T) {
	testkit.OnlyLong(t)
	s := newService(t, operator.Config{}, nil)
	c := s.client(operator.ClientConfig{})
	const episodes, addresses, all = 2048, 256, 1 << 16
	before := heap()
	for i := range uint64(2 * episodes) {
		s.op.Detection(largest(i+1, addresses))
	}
	if took, most := heap()-before, int64(episodes*8<<10+(all+episodes*16)*32); took > most {
		t.Errorf("%d episodes take %d bytes, more than %d", episodes, took, most)
	} else {
		t.Logf("%d episodes take %d bytes each", episodes, took/episodes)
	}
	listed := 0
	for i := range uint64(2 * episodes) {
		d, err := c.Episode(t.Context(), fmt.Sprintf("%016x", i+1))
		if i < episodes {
			if code(err) != operator.CodeNotFound {
				t.Fatalf("episode %d: %v, want it to be forgotten", i, err)
			}
			continue
		}
		if err != nil || d.AddressCount != addresses || len(d.Addresses) < 16 {
			t.Fatalf("episode %d: %v, %d of %d addresses", i, err, len(d.Addresses), d.AddressCount)
		}
		listed += len(d.Addresses)
	}
	if listed < all/2 || listed > all+16*episodes {
		t.Errorf("all episodes list %d addresses", listed)
	}
}
