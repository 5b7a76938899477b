// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	lognoop "go.opentelemetry.io/otel/log/noop"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/detect/geoip"
	"github.com/otelauth/otelauth-go/otelauth/internal/authlog"
	"github.com/otelauth/otelauth-go/otelauth/probe/loglines"
)

// detectCommands try detection.
type detectCommands struct {
	Replay detectReplay `cmd:"" help:"Evaluate the logs of OpenSSH, nginx, Apache or otelauth by the rules of detection, and print which attacks they show."`
}

// detectReplay evaluates logs.
type detectReplay struct {
	Files []string `arg:"" name:"file" help:"A log, compressed with gzip or not; - is standard input. Formats: OpenSSH in syslog or journalctl -o short-iso; access logs (common, combined) and error logs of nginx and Apache; JSON lines of otelauth, ECS or OCSF. Several files are read in the order of their times."`

	Fields        string   `placeholder:"NAME|FILE" help:"The mapping of JSON lines and logfmt: otelauth, ecs, ocsf, django, or a YAML file. Other formats are then not read. Default: JSON lines of otelauth, ECS and OCSF, beside the other formats."`
	Year          int      `placeholder:"YEAR" help:"The year of the first line, for times without one. Default: the latest for which the line is older than the file."`
	Zone          string   `default:"Local" placeholder:"ZONE" help:"The time zone of times without one, such as UTC or Europe/Berlin. Default: that of this machine."`
	GeoIPDatabase string   `name:"geoip-database" placeholder:"FILE" help:"City database in MaxMind's format, for impossible_travel. Default: none; impossible_travel is not evaluated."`
	On            []string `sep:"none" placeholder:"RULE" complete:"rule" help:"Rule to turn on, of those that are off unless they are listed here: unusual_hour. May be repeated. Default: none."`
	Off           []string `sep:"none" placeholder:"RULE" complete:"rule" help:"Rule that is not evaluated, such as new_network. May be repeated. Default: none."`
	Severity      string   `enum:"high,medium,low" default:"low" placeholder:"high|medium|low" help:"The least severity of findings that are printed. Default: low."`
	FailOn        string   `enum:"high,medium,low,none" default:"none" placeholder:"high|medium|low|none" help:"The least severity of a finding that makes the exit code 1. Default: none."`
	Output        string   `short:"o" enum:"text,json" default:"text" placeholder:"text|json" help:"text for people, or one JSON object. Default: text."`
}

// Run reads the logs and prints what they show.
func (c *detectReplay) Run(t *terminal) error {
	options, err := c.options()
	if err != nil {
		return usageError{err}
	}
	r := &replay{bar: &replayProgress{progress: newProgress(t.err), now: t.now, begun: t.now()}, known: map[string]bool{}}
	if r.config, err = c.config(r); err != nil {
		return usageError{err}
	}
	files, closeAll, err := c.open(t, r.bar, options)
	defer closeAll()
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	r.counts, err = authlog.Merge(files, func(a *authlog.Attempt) error { return r.add(ctx, a) })
	r.bar.end()
	if err != nil {
		return interrupted(ctx, err)
	}
	if err := r.end(); err != nil {
		return err
	}
	report := r.report(c)
	if c.Output == "json" {
		err = printJSON(t, report)
	} else {
		t.printReplay(report)
	}
	if err != nil {
		return err
	}
	return c.verdict(report)
}

// verdict returns an error if the exit code must not be 0.
func (c *detectReplay) verdict(r *replayReport) error {
	if r.Attempts.Success+r.Attempts.Failure+r.Attempts.Throttled == 0 {
		return errors.New("no attempt was found in the log; see the formats in --help, or set --fields")
	}
	n := 0
	for i := range r.Findings {
		if c.FailOn != "none" && rank(r.Findings[i].Severity) >= rank(c.FailOn) {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%s of severity %s or above", count(n, "finding"), c.FailOn)
	}
	return nil
}

// rank orders the names of severities.
func rank(severity string) int {
	return slices.Index([]string{detect.Low.String(), detect.Medium.String(), detect.High.String()}, severity)
}

// options returns how lines are read.
func (c *detectReplay) options() (o authlog.Options, err error) {
	if o.Zone, err = time.LoadLocation(c.Zone); err != nil {
		return o, fmt.Errorf("--zone: %s is not a time zone: write UTC or Europe/Berlin, for example", quoted(shown(c.Zone)))
	}
	if c.Year != 0 {
		if c.Year < 1970 || c.Year > 9999 {
			return o, errors.New("--year: write four digits, such as 2026")
		}
		o.Written = time.Date(c.Year, 12, 31, 0, 0, 0, 0, o.Zone)
	}
	if c.Fields != "" {
		o.Fields, err = readFields("--fields", c.Fields)
	}
	return o, err
}

// config returns the configuration of the Detector, but for its clock.
func (c *detectReplay) config(r *replay) (detect.Config, error) {
	config := detect.Config{
		LoggerProvider: lognoop.NewLoggerProvider(), MeterProvider: metricnoop.NewMeterProvider(), TracerProvider: tracenoop.NewTracerProvider(),
		OnDetection: r.found, On: c.On, Off: c.Off, Now: func() time.Time { return r.now }, Rand: constant{},
	}
	if c.GeoIPDatabase != "" {
		cities, err := geoip.Open(c.GeoIPDatabase)
		if err != nil {
			return config, fmt.Errorf("--geoip-database: %w", err)
		}
		config.Locator = cities
	}
	for _, list := range []struct {
		flag  string
		names []string
	}{{"--on", c.On}, {"--off", c.Off}} {
		if err := checkRuleNames(list.names); err != nil {
			return config, fmt.Errorf("%s: %w", list.flag, err)
		}
	}
	for _, name := range c.On {
		if slices.Contains(c.Off, name) {
			return config, fmt.Errorf("--on: has %s, and so has --off; remove it from one of them", quoted(shown(name)))
		}
	}
	return config, nil
}

// constant is a source of zeros. The same logs so lead to the same tables and the same findings.
type constant struct{}

func (constant) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// open opens the files. The returned function closes them.
func (c *detectReplay) open(t *terminal, bar *replayProgress, o authlog.Options) (files []authlog.File, closeAll func(), err error) {
	var open []*os.File
	closeAll = func() {
		for _, f := range open {
			_ = f.Close() // only read
		}
	}
	bar.known = true
	for i, name := range c.Files {
		if name == "-" {
			if slices.Contains(c.Files[:i], "-") {
				return nil, closeAll, usageError{errors.New("standard input (-) is named twice")}
			}
			bar.known = false
			files = append(files, authlog.File{Name: "standard input", Reader: bar.count(t.in), Options: o})
			continue
		}
		f, err := openRegular(name)
		if err != nil {
			return nil, closeAll, err
		}
		open = append(open, f)
		info, err := f.Stat()
		if err != nil {
			return nil, closeAll, err
		}
		bar.total += info.Size()
		of := o
		if of.Written.IsZero() {
			of.Written = info.ModTime()
		}
		files = append(files, authlog.File{Name: name, Reader: bar.count(f), Options: of})
	}
	return files, closeAll, nil
}

// replay is the state of one run.
type replay struct {
	config   detect.Config
	detector *detect.Detector
	bar      *replayProgress
	now      time.Time // of the log
	first    time.Time
	counts   authlog.Counts
	attempts [attempt.OutcomeCount]int64
	nameless int64
	reasons  bool            // the log reports which names are accounts
	known    map[string]bool // names that have succeeded
	findings []replayFinding
	index    map[string]int // of findings, by episode
	more     int            // findings beyond maxFindings
}

const (
	// maxFindings bounds the findings that are kept.
	maxFindings = 10_000
	// maxKnown bounds the accounts that are remembered.
	maxKnown = 1 << 20
	// afterEnd is longer than any episode waits for its next attempt.
	afterEnd = 8 * 24 * time.Hour
)

// add evaluates an attempt at the time of the log.
func (r *replay) add(ctx context.Context, a *authlog.Attempt) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if a.Time.After(r.now) {
		r.now = a.Time
	}
	if r.detector == nil {
		var err error
		if r.detector, err = detect.New(r.config); err != nil {
			return usageError{err}
		}
		r.first, r.index = r.now, map[string]int{}
	}
	r.attempts[a.Outcome] += int64(a.Count)
	if a.Name == "" && a.Hash == "" {
		r.nameless += int64(a.Count)
	}
	r.reasons = r.reasons || a.Reason == attempt.ReasonUnknownUser
	req := attempt.Request{Context: ctx, Time: r.now, Scheme: attempt.SchemeBasic, Route: a.Route, Client: a.Client}
	res := attempt.Result{Outcome: a.Outcome, Reason: a.Reason, UserHash: cmp.Or(a.Hash, a.Name)}
	if a.Outcome == attempt.Success && len(r.known) < maxKnown {
		r.known[a.Name] = true
	}
	if a.Outcome == attempt.Failure {
		res.ErrorType = attempt.InvalidCredentials
	}
	// A name that is not an account has a user.hash only. Here that is the name as the log has it.
	if r.known[a.Name] || a.Reason == attempt.ReasonWrongPassword || a.Reason == attempt.ReasonAccountDisabled {
		res.UserName = a.Name
	}
	for range a.Count {
		if err := r.detector.Decide(ctx, &req, &res); err != nil {
			return err
		}
		r.detector.Drain(r.now)
	}
	r.bar.show(len(r.findings))
	return nil
}

// end ends all episodes.
func (r *replay) end() error {
	if r.detector == nil {
		return nil
	}
	r.detector.Drain(r.now.Add(afterEnd))
	if n := r.detector.Dropped(); n > 0 {
		return fmt.Errorf("%d attempts were not evaluated", n)
	}
	return nil
}

// found keeps a detection.
func (r *replay) found(d detect.Detection) {
	id := fmt.Sprintf("%016x", d.Episode)
	i, known := r.index[id]
	if !known {
		if len(r.findings) >= maxFindings {
			r.more++
			return
		}
		i = len(r.findings)
		r.index[id] = i
		r.findings = append(r.findings, replayFinding{
			ID: id, Rule: d.Rule.Name, Severity: d.Rule.Severity.String(), Technique: d.Rule.Technique, Summary: d.Rule.Summary, Detected: d.Time.UTC(),
		})
	}
	f := &r.findings[i]
	f.First, f.Last, f.Attempts, f.Folded = d.First.UTC(), d.Last.UTC(), d.Attempts, d.Folded
	f.Accounts, f.AccountCount = d.Accounts, d.AccountCount
	f.Networks, f.NetworkCount = d.Networks, d.NetworkCount
	f.Route, f.DistanceKm, f.SpeedKmh = d.Route, d.DistanceKm, d.SpeedKmPerHour
	if d.PartOf != 0 {
		f.PartOf = fmt.Sprintf("%016x", d.PartOf)
	}
}

// replayReport is the result.
type replayReport struct {
	Files     []string        `json:"files"`
	Lines     int64           `json:"lines"`
	First     time.Time       `json:"first"`
	Last      time.Time       `json:"last"`
	Attempts  replayAttempts  `json:"attempts"`
	Findings  []replayFinding `json:"findings"`
	More      int             `json:"more_findings,omitempty"`
	NotJudged []replayGap     `json:"not_judged"`
}

type replayAttempts struct {
	Success   int64 `json:"success"`
	Failure   int64 `json:"failure"`
	Throttled int64 `json:"throttled"`
}

// replayFinding is an attack that the logs show. Its fields are those of operator.Episode.
type replayFinding struct {
	ID           string         `json:"id"`
	Rule         string         `json:"rule"`
	Severity     string         `json:"severity"`
	Technique    string         `json:"technique"`
	Summary      string         `json:"summary"`
	First        time.Time      `json:"first"`
	Detected     time.Time      `json:"detected"` // when the rule fired
	Last         time.Time      `json:"last"`
	Attempts     uint64         `json:"attempts"`
	Accounts     []string       `json:"accounts"`
	AccountCount int            `json:"account_count"`
	Networks     []netip.Prefix `json:"networks"`
	NetworkCount int            `json:"network_count"`
	Route        string         `json:"route,omitempty"`
	DistanceKm   float64        `json:"distance_km,omitempty"`
	SpeedKmh     float64        `json:"speed_kmh,omitempty"`
	PartOf       string         `json:"part_of,omitempty"`
	Folded       bool           `json:"folded,omitempty"`
}

// replayGap is what was not judged, and why.
type replayGap struct {
	What  string `json:"what"`
	Count int64  `json:"count,omitempty"`
	Why   string `json:"why"`
}

func (r *replay) report(c *detectReplay) *replayReport {
	report := &replayReport{
		Files: c.Files, Lines: r.counts.Lines, First: r.first.UTC(), Last: r.now.UTC(), More: r.more, Findings: []replayFinding{},
		Attempts: replayAttempts{
			Success: r.attempts[attempt.Success], Failure: r.attempts[attempt.Failure], Throttled: r.attempts[attempt.Throttled],
		},
		NotJudged: r.gaps(c),
	}
	for _, f := range r.findings {
		if rank(f.Severity) >= rank(c.Severity) {
			report.Findings = append(report.Findings, f)
		}
	}
	slices.SortStableFunc(report.Findings, func(a, b replayFinding) int {
		return cmp.Or(cmp.Compare(rank(b.Severity), rank(a.Severity)), a.Detected.Compare(b.Detected))
	})
	return report
}

// readFields reads a mapping by its name or from a file.
func readFields(flag, name string) (*loglines.Fields, error) {
	if slices.Contains(loglines.Names(), name) {
		return loglines.Shipped(name)
	}
	f, err := openRegular(name)
	if err != nil {
		return nil, fmt.Errorf("%s: no mapping has this name (%s), and no file: %w", flag, strings.Join(loglines.Names(), ", "), err)
	}
	defer func() { _ = f.Close() }() // only read
	fields, err := loglines.Parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", flag, name, err)
	}
	return fields, nil
}

// replayProgress shows how far a replay is on one line of a terminal.
type replayProgress struct {
	*progress
	now         func() time.Time
	begun, last time.Time
	read, total int64
	known       bool // the total is known
}

// count returns a reader that counts what is read.
func (p *replayProgress) count(r io.Reader) io.Reader { return counted{r, p} }

type counted struct {
	io.Reader
	bar *replayProgress
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.bar.read += int64(n)
	return n, err
}

// show writes ten times a second at most.
func (p *replayProgress) show(findings int) {
	if !p.live {
		return
	}
	now := p.now()
	if now.Sub(p.last) < 100*time.Millisecond {
		return
	}
	p.last = now
	elapsed := now.Sub(p.begun)
	if !p.known || p.total == 0 {
		fmt.Fprintf(p.w, "\r\x1b[K%s  %s  %s", megabytes(p.read), rate(p.read, elapsed.Seconds()), count(findings, "finding"))
		return
	}
	const width = 30
	done := int(min(width, width*p.read/p.total))
	left := time.Duration(float64(elapsed) * float64(p.total-p.read) / float64(max(p.read, 1)))
	fmt.Fprintf(p.w, "\r\x1b[K[%s%s] %3d %%  %s  %s  about %s left", strings.Repeat("#", done), strings.Repeat(".", width-done),
		100*p.read/p.total, rate(p.read, elapsed.Seconds()), count(findings, "finding"), left.Round(time.Second))
}
