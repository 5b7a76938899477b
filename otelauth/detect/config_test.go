// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// TestRules: names, UUIDs and techniques are well formed and each its own.
func TestRules(t *testing.T) {
	t.Parallel()
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	technique := regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)
	seen := map[string]bool{}
	for _, r := range detect.Rules() {
		if seen[r.Name] || seen[r.UUID] {
			t.Errorf("%s is there twice", r.Name)
		}
		seen[r.Name], seen[r.UUID] = true, true
		if !uuid.MatchString(r.UUID) || !technique.MatchString(r.Technique) || r.Default == "" || r.Summary == "" {
			t.Errorf("%+v", r)
		}
	}
	if len(seen) != 2*15 {
		t.Errorf("%d rules", len(seen)/2)
	}
}

// TestDocumentedRules holds the table of the package comment against the rules.
func TestDocumentedRules(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	doc := strings.Join(strings.Fields(strings.ReplaceAll(string(src), "\n//", "\n")), " ")
	at := 0
	for _, r := range detect.Rules() {
		line := fmt.Sprintf("%s %s %s %s", r.Name, r.Severity, r.Technique, r.Default)
		i := strings.Index(doc, line)
		if i < at {
			t.Errorf("doc.go does not say, in this place: %s", line)
		}
		at = max(at, i)
	}
}

// TestDocumentedDefaults holds the comments of Thresholds against DefaultThresholds.
func TestDocumentedDefaults(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	body, _, _ := strings.Cut(string(src[strings.Index(string(src), "type Thresholds struct {"):]), "\n}\n")
	v := reflect.ValueOf(detect.DefaultThresholds())
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name == "TravelKmPerHour" {
			continue // stands in the comment of TravelKm
		}
		want := fmt.Sprint(v.Field(i).Interface())
		if d, ok := v.Field(i).Interface().(time.Duration); ok {
			want = fmt.Sprintf("%.0f days", d.Hours()/24)
		}
		doc, _, _ := strings.Cut(body, "\t"+name+" ")
		doc = doc[max(0, strings.LastIndex(doc, "\t// "+name)):]
		if !regexp.MustCompile(`Defaults?: ` + want + `(\.| and 1000\.)`).MatchString(doc) {
			t.Errorf("%s: its comment does not say Default: %s.", name, want)
		}
	}
}

// TestConfigFaults: every fault is told, at once, with what to do.
func TestConfigFaults(t *testing.T) {
	t.Parallel()
	_, err := detect.New(detect.Config{
		Off: []string{"nonsense"}, Entries: -1, Queue: 1 << 30, Rand: broken{},
		Thresholds: detect.Thresholds{SprayAccounts: 1, SlowDays: 15, LearnHours: time.Second, RunBeforeSuccess: 40},
	})
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		`no rule "nonsense"`, "Config.Entries is -1", "Config.Queue", "no randomness", "SprayAccounts is 1; choose 2 to 200, or 0 for 10",
		"SlowDays is 15", "LearnHours is 1s", "RunBeforeSuccess is 40 and BruteForcePasswords 30",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	for line := range strings.Lines(err.Error()) {
		if !strings.HasPrefix(line, "detect: ") {
			t.Errorf("a line begins otherwise: %q", line)
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("no more dice") }

// TestOff: a rule that is off is silent, the others are not.
func TestOff(t *testing.T) {
	t.Parallel()
	w := newWatch(t, func(cfg *detect.Config) { cfg.Off = []string{detect.BruteForce} })
	for i := range 200 {
		w.try(try{password: uint64(i + 1)})
		w.pass(15 * time.Minute)
	}
	if w.starts(detect.BruteForce) != 0 || w.starts(detect.LowAndSlow) == 0 {
		t.Errorf("%d and %d episodes", w.starts(detect.BruteForce), w.starts(detect.LowAndSlow))
	}
	if !slices.ContainsFunc(detect.Rules(), func(r detect.Rule) bool { return r.Name == detect.BruteForce }) {
		t.Error("it is no rule any more")
	}
}
