// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The defaults of [Config].
const (
	DefaultRate         = 20.0
	DefaultMaxRequests  = 100_000
	DefaultTimeout      = 10 * time.Second
	DefaultMaxBodyBytes = 256 << 10
	DefaultMaxWait      = 5 * time.Minute
	DefaultSamples      = 200
)

// Config configures a [Prober].
type Config struct {
	// Target is the base URL of the service: "https://host", with a port and a path if needed.
	Target    string
	Endpoints []Endpoint
	// Identities are accounts with their passwords. The first one that has a group of the endpoint
	// makes its control. Without an identity, answers are judged by their status alone.
	Identities []Identity
	// Throwaway is the name of an account that may be locked. Wrong passwords go to it. Default:
	// none, and the probes that need it are not made.
	Throwaway string
	// Only and Without select probes by their name or group. Default: all.
	Only, Without []string
	// UnsafeMethods also probes endpoints whose method may change the state of the target.
	UnsafeMethods bool
	// Rate is the number of requests per second. Default: DefaultRate; negative: no limit.
	Rate float64
	// MaxRequests ends the run after this number of requests. Default: DefaultMaxRequests.
	MaxRequests int
	// GuessLimit is the number of wrong credentials within GuessPeriod at which the target
	// throttles or locks, 2 at least. The run stays one below it. Default: not known, and the run
	// learns it when the target throttles.
	GuessLimit  int
	GuessPeriod time.Duration
	// Workers is the number of endpoints that are probed at once. Default: 1 with a limited Rate or
	// a GuessLimit, otherwise 4.
	Workers int
	// Timeout bounds one request with its answer. Default: DefaultTimeout.
	Timeout time.Duration
	// MaxBodyBytes bounds what is read of a body. Default: DefaultMaxBodyBytes.
	MaxBodyBytes int64
	// MaxWait is the longest Retry-After that the run waits for. Default: DefaultMaxWait.
	MaxWait time.Duration
	// Samples bounds the requests of each kind for the comparison of times. Default:
	// DefaultSamples; negative: no comparison.
	Samples int
	// Correlate selects what carries the token of an attempt: "traceparent", "request-id" and
	// "user-agent". Default: all three.
	Correlate []string
	// Baseline holds findings that are accepted.
	Baseline []Acceptance
	// Handler receives the requests instead of the network. Target is then optional and only names
	// the scheme and the host of requests. Default: https://localhost.
	Handler http.Handler
	// TLS configures connections to a target with https. Default: the roots of the system.
	TLS *tls.Config
	// Plaintext is the address (host:port) where a target with https may answer without TLS. Its
	// host must be that of the target. Default: none, and this is not tested.
	Plaintext string
	// Done says whether an endpoint was probed by an earlier run, and returns its row. With a
	// GuessLimit, a run that has a Done waits a GuessPeriod before its first guess, because the
	// target may still count those of the earlier run.
	Done func(Endpoint) (Row, bool)
	// Each receives the row of each endpoint when it is complete, one at a time. An error ends the
	// run.
	Each func(Row) error
	// Sending is called before each request, those that are repeated included, and Answered after
	// it. They may be called by several goroutines. The attempts have no verdict yet.
	Sending, Answered func(Attempt)
	// Progress is called after each request and before it waits for the target, one at a time.
	Progress func(Progress)
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Sleep waits for d. Default: a timer.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Progress is the state of a run.
type Progress struct {
	Endpoints, EndpointsDone int
	Requests                 int
	Findings                 int
	// Elapsed is the time since the start, Remaining an estimate, or 0 while there is none.
	Elapsed, Remaining time.Duration
	// Waiting is the time until which the run waits because the target throttles, or because of the
	// GuessLimit.
	Waiting time.Time
}

// The values of [Config.Correlate].
const (
	correlateTrace   = "traceparent"
	correlateRequest = "request-id"
	correlateAgent   = "user-agent"
)

// errors of validation, all at once.
func (c *Config) validate() (*url.URL, error) {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("probe: "+format, args...))
	}
	if c.Handler != nil && c.Target == "" {
		c.Target = "https://localhost"
	}
	target, err := parseTarget(c.Target)
	if err != nil {
		problems = append(problems, err)
	}
	if len(c.Endpoints) == 0 {
		problem("no endpoints: give an OpenAPI document, a list, a policy or access events")
	}
	for i := range c.Endpoints {
		if err := c.Endpoints[i].validate(); err != nil {
			problems = append(problems, err)
		}
	}
	names := make(map[string]bool)
	for i := range c.Identities {
		id := &c.Identities[i]
		if id.Name == "" {
			id.Name = id.Username
		}
		switch {
		case id.Username == "" || id.Password == "":
			problem("identity %q has no user name or no password", id.Name)
		case strings.Contains(id.Username, ":"):
			problem("the user name of identity %q contains a colon (RFC 7617, section 2)", id.Name)
		case names[id.Name]:
			problem("two identities have the name %q", id.Name)
		case id.Username == c.Throwaway:
			problem("identity %q is the throwaway account: its wrong passwords may lock it; use another account", id.Name)
		}
		names[id.Name] = true
	}
	for _, s := range slices.Concat(c.Only, c.Without) {
		if !slices.ContainsFunc(probes, func(p Probe) bool { return p.Name == s || p.Group == s }) {
			problem("%q is neither a probe nor a group of probes; see docs/probe.md", s)
		}
	}
	for _, s := range c.Correlate {
		if s != correlateTrace && s != correlateRequest && s != correlateAgent {
			problem("cannot correlate by %q: use traceparent, request-id or user-agent", s)
		}
	}
	if c.Plaintext != "" && target != nil {
		if u, err := url.Parse("http://" + c.Plaintext); err != nil || u.Hostname() != target.Hostname() {
			problem("the plaintext address %q is not on the host of the target, %q", c.Plaintext, target.Hostname())
		}
	}
	if c.GuessLimit != 0 && (c.GuessLimit < 2 || c.GuessPeriod <= 0) {
		problem("the limit of the target must be 2 wrong credentials or more, in a time above 0: below it, no wrong credentials can be sent")
	}
	c.defaults()
	return target, errors.Join(problems...)
}

func parseTarget(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		// The text of url.Error quotes the URL, which may hold a password.
		return nil, errors.New("probe: the target is not a URL: write http://host:port")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, errors.New("probe: the target needs a scheme and a host: write http://host:port or https://host")
	case u.User != nil:
		return nil, errors.New("probe: the target holds credentials: give accounts as identities")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("probe: the target has a query or a fragment: write the base URL of the service")
	}
	u.Path = strings.TrimSuffix(u.EscapedPath(), "/")
	return u, nil
}

// validate sets what is empty.
func (e *Endpoint) validate() error {
	if e.Method == "" {
		e.Method = http.MethodGet
	}
	if e.Access == "" {
		e.Access = Protected
	}
	where := ""
	if e.Source != "" {
		where = e.Source + ": "
	}
	switch {
	case !isToken(e.Method):
		return fmt.Errorf("probe: %s%q is not an HTTP method", where, e.Method)
	case e.Skip != "":
	case !strings.HasPrefix(e.Path, "/") || strings.ContainsFunc(e.Path, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fmt.Errorf("probe: %sthe path %q must begin with / and be percent-encoded", where, e.Path)
	}
	if e.Access != Protected && e.Access != Public && e.Access != Optional {
		return fmt.Errorf("probe: %s%q is not an access: use protected, public or optional", where, e.Access)
	}
	return nil
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
	})
}

func (c *Config) defaults() {
	if c.Rate == 0 {
		c.Rate = DefaultRate
	}
	if c.MaxRequests <= 0 {
		c.MaxRequests = DefaultMaxRequests
	}
	if c.Workers <= 0 {
		c.Workers = 1
		if c.Rate < 0 && c.GuessLimit == 0 {
			c.Workers = 4
		}
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxBodyBytes <= 0 {
		c.MaxBodyBytes = DefaultMaxBodyBytes
	}
	if c.MaxWait <= 0 {
		c.MaxWait = DefaultMaxWait
	}
	if c.Samples == 0 {
		c.Samples = DefaultSamples
	}
	if len(c.Correlate) == 0 {
		c.Correlate = []string{correlateTrace, correlateRequest, correlateAgent}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// loopback reports whether the host is this machine.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
