// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// WriteTable writes reports as text: for each rule, the result of its attack in each of the
// attacks reports and the false episodes of honest per 10,000 user-days; then the users that the
// Throttle kept out. A rule that is off by default has a row only if its attack was played. The
// attacks reports come from runs with [Attacks].
func WriteTable(w io.Writer, honest *Report, attacks ...*Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "rule\tseverity\tone try every\tdetected\ttries\tafter\tby\tfirst\tfalse/10,000 user-days")
	for _, rule := range detect.Rules() {
		falsely := "–"
		if honest != nil && honest.UserDays > 0 {
			falsely = fmt.Sprintf("%.3g", float64(honest.False[rule.Name])*10_000/float64(honest.UserDays))
		}
		for _, r := range attacks {
			for _, a := range r.Attacks {
				if a.Attack.Rule != rule.Name {
					continue
				}
				detected, tries, after, first := "no", "–", "–", "–"
				if a.Detected {
					detected, tries, after = "yes", fmt.Sprint(a.Attempts), short(a.After)
				}
				if len(a.By) > 0 {
					first = short(a.FirstAfter)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", rule.Name, rule.Severity, short(a.Attack.Every),
					detected, tries, after, strings.Join(a.By, ","), first, falsely)
			}
		}
		if len(attacks) == 0 && !rule.Optional {
			fmt.Fprintf(t, "%s\t%s\t–\t–\t–\t–\t–\t–\t%s\n", rule.Name, rule.Severity, falsely)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range attacks {
		if len(r.Attacks) > 0 {
			fmt.Fprintf(w, "attacked at speed %g: honest users kept out: %d times, %d users\n", r.Attacks[0].Attack.Speed, r.KeptOut, r.KeptOutUsers)
		}
	}
	if honest != nil {
		fmt.Fprintf(w, "honest: %d attempts, %d wrong, %d user-days; false episodes: %d high, %d medium, %d low; kept out: %d times, %d users\n",
			honest.Attempts, honest.Guesses, honest.UserDays, honest.FalseOf(detect.High), honest.FalseOf(detect.Medium),
			honest.FalseOf(detect.Low), honest.KeptOut, honest.KeptOutUsers)
		for _, d := range honest.FalseDetections {
			fmt.Fprintf(w, "false: %s at %s: accounts %v (%d), networks %v (%d), %d attempts since %s\n", d.Rule.Name,
				d.Time.Format(time.DateTime), d.Accounts, d.AccountCount, d.Networks, d.NetworkCount, d.Attempts, d.First.Format(time.DateTime))
		}
	}
	return nil
}

func short(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1fd", d.Hours()/24)
	case d >= time.Hour:
		return fmt.Sprintf("%.1fh", d.Hours())
	case d >= time.Minute:
		return fmt.Sprintf("%.0fm", d.Minutes())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}
