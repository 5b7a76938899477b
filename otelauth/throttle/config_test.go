// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// docOf returns the doc comment of a declaration of this package, in one line.
func docOf(t *testing.T, file, name string) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var doc string
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == name {
				doc = n.Doc.Text()
			}
		case *ast.Field:
			if len(n.Names) == 1 && n.Names[0].Name == name && n.Doc != nil {
				doc = n.Doc.Text()
			}
		}
		return true
	})
	if doc == "" {
		t.Fatalf("%s has no doc in %s", name, file)
	}
	return doc
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	want := throttle.Limits{
		NewPair:   throttle.Limit{Burst: 10, Every: time.Minute},
		KnownPair: throttle.Limit{Burst: 90, Every: time.Minute},
		Account:   throttle.Limit{Burst: 50, Every: time.Minute},
		Network:   throttle.Limit{Burst: 300, Every: time.Second},
		Site:      throttle.Limit{Burst: 1200, Every: 250 * time.Millisecond},
	}
	if d := cmp.Diff(want, throttle.DefaultLimits()); d != "" {
		t.Error(d)
	}
	for field, want := range map[string]string{
		"NewPair":   "Default: 10, then 1 a minute.",
		"KnownPair": "Default: 90, then 1 a minute.",
		"Account":   "Default: 50, then 1 a minute.",
		"Network":   "Default: 300, then 1 a second.",
		"Site":      "Default: 1200, then 1 each 250 ms, which is 4 networks' worth.",
		"Requests":  "Default: none.",
	} {
		if doc := strings.Join(strings.Fields(docOf(t, "limits.go", field)), " "); !strings.Contains(doc, want) {
			t.Errorf("%s: its doc does not contain %q: %q", field, want, doc)
		}
	}
	if throttle.DefaultRemember != 30*24*time.Hour || throttle.DefaultLease != time.Minute || throttle.DefaultMemoryBytes != 64<<20 {
		t.Error("a default differs from its doc")
	}
}

// attack guesses whenever some host has a guess left, and returns the number of hashed guesses at
// an account in each day.
func attack(t *testing.T, hosts []netip.Prefix, owner, oneAccount bool, length time.Duration) (days [2]int) {
	t.Helper()
	c := newClock()
	th := newGuesses(t, throttle.Config{
		Store: newMemory(t, throttle.MemoryConfig{Bytes: 1 << 20, Elapsed: c.Elapsed, Now: c.Now}), Elapsed: c.Elapsed, Now: c.Now,
	})
	if owner {
		g := guess("alice", "right", hosts[0].String())
		settle(t, th, g, throttle.Right)
	}
	n, next := 0, 0
	for c.Elapsed() < length {
		wait := time.Hour
		for tried := 0; tried < len(hosts); {
			account := "alice"
			if !oneAccount {
				account = fmt.Sprint("user", n)
			}
			g := guess(account, fmt.Sprint(n), hosts[next%len(hosts)].String())
			n++
			d, err := th.Spend(t.Context(), g)
			if err != nil {
				t.Fatal(err)
			}
			if d.Verdict == throttle.Granted {
				th.Settle(t.Context(), g, throttle.Wrong)
				days[c.Elapsed()/(24*time.Hour)]++
				tried = 0
				continue
			}
			wait = min(wait, d.RetryAfter)
			tried++
			next++
		}
		c.Advance(wait)
	}
	return days
}

// TestTheTableOfGuesses measures by attacks the table of what the defaults leave an attacker.
func TestTheTableOfGuesses(t *testing.T) {
	t.Parallel()
	doc := docOf(t, "limits.go", "DefaultLimits")
	row := func(name string) (first, further int) {
		t.Helper()
		m := regexp.MustCompile(regexp.QuoteMeta(name) + `\s+(\d+)\s+(\d+)`).FindStringSubmatch(doc)
		if m == nil {
			t.Fatalf("no row %q", name)
		}
		if _, err := fmt.Sscan(m[1]+" "+m[2], &first, &further); err != nil {
			t.Fatalf("row %q: %v", name, err)
		}
		return first, further
	}
	hosts := func(n int, format string) (out []netip.Prefix) {
		for i := range n {
			out = append(out, netip.MustParsePrefix(fmt.Sprintf(format, i)))
		}
		return out
	}
	// With more than six hosts only the account's budget limits the attack, so a dozen hosts stand
	// for 100,000.
	for _, c := range []struct {
		name  string
		hosts []netip.Prefix
		owner bool
	}{
		{"one host", hosts(1, "10.%d.0.1/32"), false},
		{"a /24", hosts(12, "10.0.0.%d/32"), false},
		{"a botnet of 100,000 hosts", hosts(12, "10.%d.0.1/32"), false},
		{"the network that the owner uses", hosts(1, "10.%d.0.1/32"), true},
	} {
		first, further := row(c.name)
		days := attack(t, c.hosts, c.owner, true, 48*time.Hour)
		// In each of the budgets, a guess comes back at the very end of a day or at the start of
		// the next.
		slack := 1
		if c.owner {
			slack = 2
		}
		if max(days[0]-first, first-days[0], days[1]-further, further-days[1]) > slack {
			t.Errorf("%s: the table says %d and %d, the attack made %v", c.name, first, further, days)
		}
	}
	for name, c := range map[string]struct {
		hosts []netip.Prefix
		text  string
		want  int
	}{
		"a host": {hosts(1, "10.%d.0.1/32"), "one host has 86,700 guesses", 86_700},
	} {
		if days := attack(t, c.hosts, false, false, 24*time.Hour); days[0] < c.want-1 || days[0] > c.want+1 || !strings.Contains(strings.Join(strings.Fields(doc), " "), c.text) {
			t.Errorf("%s at all accounts: %d, the doc should contain %q", name, days[0], c.text)
		}
	}
	s := throttle.DefaultLimits().Site
	if n := s.Burst + int(24*time.Hour/s.Every); n != 346_800 || !strings.Contains(doc, "346,800") {
		t.Errorf("a /24 at all accounts: %d", n)
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	minute := func(n int) throttle.Limit { return throttle.Limit{Burst: n, Every: time.Minute} }
	for name, c := range map[string]struct {
		cfg   throttle.Config
		parts []string
	}{
		"limits out of range": {throttle.Config{
			Limits: throttle.Limits{
				NewPair: minute(-1), Account: minute(budget.MaxBurst + 1), Network: throttle.Limit{Burst: 3},
				Requests: throttle.Limit{Burst: 2, Every: budget.MaxSpan},
			},
			Key: []byte("short"), Remember: -1, Lease: time.Millisecond,
		}, []string{"NewPair.Burst is -1", "Account.Burst is 65536", "Network.Every is 0s", "Requests.Every", "Config.Key has 5 bytes", "Config.Remember", "Config.Lease"}},
		"budgets that contradict each other": {throttle.Config{Limits: throttle.Limits{
			NewPair: minute(60), Account: throttle.Limit{Burst: 50, Every: time.Hour},
			Network: minute(59), Site: throttle.Limit{Burst: 10, Every: time.Hour},
		}}, []string{
			"Limits.Account.Burst is 50, below", "Limits.Account.Every is 1h0m0s, longer",
			"Limits.Network.Burst is 59, below", "Limits.Site.Burst is 10, below", "Limits.Site.Every is 1h0m0s, longer",
		}},
		"no randomness": {throttle.Config{Rand: strings.NewReader("short")}, []string{"no randomness"}},
	} {
		_, err := throttle.New(c.cfg)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for line := range strings.Lines(err.Error()) {
			if !strings.HasPrefix(line, "throttle: ") {
				t.Errorf("%s: %q", name, line)
			}
		}
		for _, part := range c.parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not mention %q", name, err, part)
			}
		}
	}
	_, err := throttle.NewMemory(throttle.MemoryConfig{Bytes: 5, SnapshotFile: "x", SnapshotKey: []byte("short"), SnapshotEvery: -1})
	for _, part := range []string{"MemoryConfig.Bytes is 5", "MemoryConfig.SnapshotKey has 5 bytes", "MemoryConfig.SnapshotEvery"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not mention %q", err, part)
		}
	}
	if _, err := throttle.New(throttle.Config{}); err != nil {
		t.Errorf("the zero Config: %v", err)
	}
}
