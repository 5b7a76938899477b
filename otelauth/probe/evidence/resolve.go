// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// resolve correlates the events that had no entry when they arrived: their server span arrives
// after them, and a line without a token has to be compared with the requests of its time.
func (l *Ledger) resolve() {
	known := l.answers + len(l.by.linked) + 1
	l.others = slices.DeleteFunc(l.others, func(e *event) bool {
		if e.tried == known {
			return false // nothing has changed since
		}
		e.tried = known
		x := l.by.find(e)
		if x == nil && e.signal == "line" && !l.cfg.SharedTraffic {
			x = l.guess(e)
		}
		if x != nil {
			l.attach(x, e)
		}
		return x != nil
	})
}

// slack is how far the time of a line may be outside of its request: programs log after they have
// answered.
const slack = 250 * time.Millisecond

// guess returns the request to which a line without tokens belongs: of those that were in progress
// at its time and have no line of that name yet, the one that fits best. It returns nil while
// requests are in progress.
func (l *Ledger) guess(e *event) *entry {
	if e.time.IsZero() {
		return nil
	}
	from, to := e.time.Add(-slack), e.time.Add(e.resolution+slack)
	// Requests are in the order of Sent, or nearly.
	end := sort.Search(len(l.entries), func(i int) bool { return l.entries[i].Sent.After(to.Add(time.Second)) })
	var best *entry
	bestScore := 0
	for i := end - 1; i >= 0; i-- {
		x := l.entries[i]
		if !x.answered {
			return nil
		}
		if x.Sent.Before(from.Add(-longestRequest)) {
			break
		}
		if x.Sent.After(to) || x.answer.Time.Before(from) || x.hasLine(e.name) {
			continue
		}
		if score := x.fits(e); score >= bestScore && score > 0 {
			best, bestScore = x, score // the earliest of equals
		}
	}
	return best
}

// longestRequest bounds how far back a request is looked for.
const longestRequest = time.Minute

// isMethod reports whether a line may name the method so.
func (e *entry) isMethod(got string) bool { return got == e.Method || got == e.MethodOriginal }

func (e *entry) hasLine(name string) bool {
	return slices.ContainsFunc(e.events, func(of *event) bool { return of.name == name })
}

// fits returns how well a line fits the request; 0: it is about another one. What is specific to a
// request counts most.
func (e *entry) fits(line *event) int {
	score := 1
	for _, c := range []struct {
		has    string
		fits   bool
		points int
	}{
		{line.get(semconv.KeyURLPath), e.isPath(line.get(semconv.KeyURLPath)), 16},
		{line.get(semconv.KeyUserName), e.User == line.get(semconv.KeyUserName), 8},
		{line.get(semconv.KeyHTTPRequestMethod), e.isMethod(line.get(semconv.KeyHTTPRequestMethod)), 4},
		{line.get(semconv.KeyOutcome), e.accepts(line.get(semconv.KeyOutcome)), 2},
		{line.get(semconv.KeyHTTPResponseStatusCode), e.isStatus(line.get(semconv.KeyHTTPResponseStatusCode)), 2},
	} {
		if c.has != "" && c.fits {
			score += c.points
		} else if c.has != "" && c.points == 16 {
			return 0
		}
	}
	if name := line.get(semconv.KeyUserName); name != "" && name != e.User && !e.AnyUser {
		score = max(1, score-8) // rather of a request that may have any user
	}
	return score
}

// likelyOutcome returns the outcome that the answer suggests.
func (e *entry) likelyOutcome() string {
	suggested := map[int]string{429: "throttled", 503: "error", 400: "malformed"}[e.answer.Status]
	if suggested != "" && e.accepts(suggested) {
		return suggested
	}
	return e.outcomes()[0]
}

// outcomes returns the accepted outcomes. If both success and failure are, the answer may decide:
// the right password of an account that the endpoint does not know is a failure, and gets 401.
func (e *entry) outcomes() []string {
	s := e.answer.Status
	knowsAccount := s == http.StatusForbidden || s >= 200 && s < 300
	if !knowsAccount || !slices.Contains(e.Outcomes, "success") {
		return e.Outcomes
	}
	return slices.DeleteFunc(slices.Clone(e.Outcomes), func(o string) bool { return o == "failure" })
}

// possible returns the accepted outcomes that fit the answer: a request is throttled if and only if
// the answer is 429.
func (e *entry) possible() []string {
	if e.answer.Status == 429 {
		return []string{"throttled"}
	}
	list := e.outcomes()
	if i := slices.Index(list, "throttled"); i >= 0 && len(list) > 1 && e.answer.Status != 0 {
		list = slices.Delete(slices.Clone(list), i, i+1)
	}
	if e.answer.Status == 503 && !slices.Contains(list, "error") {
		list = append(slices.Clone(list), "error")
	}
	return list
}

// accepts reports whether outcome, or one of several that have commas between them, is accepted. A
// target that throttles or is overloaded says so in its answer.
func (e *entry) accepts(outcome string) bool {
	for o := range strings.SplitSeq(outcome, ",") {
		if slices.Contains(e.outcomes(), o) || e.answer.Status == 429 && o == "throttled" || e.answer.Status == 503 && o == "error" {
			return true
		}
	}
	return false
}
