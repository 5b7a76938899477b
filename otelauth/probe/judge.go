// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The shares of the control's own content above which an answer has it, and below which it has
// not. An answer between them is Unknown.
const (
	openedShare = 0.8
	deniedShare = 0.35
)

// fewWords is the size of a content below which each of its words must be found.
const fewWords = 4

// similarity is how an answer compares with the control.
type similarity struct {
	share           float64
	opened, unclear bool
}

// content compares an answer with own, the content that only the control has. It returns the
// reason in words.
func (t *trial) content(res *response, own words) (similarity, string) {
	if t.control == nil {
		return t.withoutControl(res)
	}
	success := res.status >= 200 && res.status < 300
	if len(t.control.body) == 0 || len(t.controlText) == 0 {
		same := res.status == t.control.status && bytes.Equal(res.body, t.control.body)
		return t.whole(same, similarity{}, "the same status and body as the control")
	}
	text := t.words(res.body)
	s := similarity{share: text.share(own)}
	if len(own) == 0 { // the error pages have all words of the control
		return t.whole(success && bytes.Equal(res.body, t.control.body), s, "the body of the control")
	}
	why := fmt.Sprintf("%.0f %% of the content of the control", 100*s.share)
	switch {
	case len(own) < fewWords:
		return t.whole(success && slices.Equal(text, t.controlText), s, why)
	case s.share >= openedShare:
		s.opened = true
	case success && res.cut && !looksLikeDenial(res.body, t.control.body):
		s.unclear = true
		why += ", but only the start of the answer was read"
	case !success, s.share < deniedShare, looksLikeDenial(res.body, t.control.body):
	default:
		s.unclear = true
		why += ", which is neither the content nor another page"
	}
	return s, why
}

// whole returns the result of comparing an answer with the whole control. If only the start of the
// control was read, an answer that is the same until there is neither the content nor another page.
func (t *trial) whole(same bool, s similarity, why string) (similarity, string) {
	if same && t.control.cut {
		s.unclear = true
		return s, why + ", as far as it was read"
	}
	s.opened = same
	return s, why
}

// words returns the content of a body. Denials of an endpoint are often the same, so the last one
// is kept.
func (t *trial) words(body []byte) words {
	if t.lastWords == nil || !bytes.Equal(body, t.lastBody) {
		t.lastBody, t.lastWords = body, wordsOf(body)
	}
	return t.lastWords
}

// withoutControl compares with the denied page only.
func (t *trial) withoutControl(res *response) (similarity, string) {
	success := res.status >= 200 && res.status < 300
	text := wordsOf(res.body)
	same := len(text) == len(t.deniedPage) && text.share(t.deniedPage) == 1
	if !success || same || len(res.body) == 0 || looksLikeDenial(res.body, nil) {
		return similarity{}, ""
	}
	return similarity{unclear: true}, fmt.Sprintf("%d, but there is no control to compare it with", res.status)
}

// denial names the kind of an answer that does not have the content.
func (t *trial) denial(res *response) Verdict {
	switch s := res.status; {
	case s == http.StatusUnauthorized, s == http.StatusForbidden, s == http.StatusProxyAuthRequired:
		return Denied
	case s == http.StatusNotFound, s == http.StatusGone:
		return Hidden
	case s >= 300 && s < 400:
		return Redirected
	case s >= 400 && s < 500, s == http.StatusNotImplemented, s == http.StatusHTTPVersionNotSupported:
		return Refused
	case s >= 500:
		return Failed
	}
	return SoftDenied
}

// judge sets the verdict of an attempt and records findings.
func (t *trial) judge(ctx context.Context, probe Probe, a *Attempt, res *response, m *message) {
	own := t.own
	if probe.Name == "original-url" {
		own = own.without(t.p.publicPage)
	}
	if probe.Group == groupHeader {
		var sent bytes.Buffer
		for _, f := range m.fields {
			sent.WriteString(f.value + " ")
		}
		own = own.without(wordsOf(sent.Bytes()))
	}
	content, why := t.content(res, own)
	a.Similarity = content.share
	if probe.Name == "unknown-user" {
		t.settleNone(res)
	}
	switch {
	case probe.Name == "original-url" && res.status < 300 && slices.Equal(t.words(res.body), t.p.publicPage):
		t.settle(a, SoftDenied, "the public page")
	case probe.Name == "none":
		t.judgeNone(a, res, content, why)
	case probe.Name == "head", probe.Name == "options", probe.Name == "trace", probe.Name == "post", probe.Name == "invented-method":
		t.judgeMethod(probe, a, res, content, why)
	case probe.Rule == RuleScheme:
		t.judgeSchemeCase(a, res)
	case t.acceptsAnonymous() && (content.opened || content.unclear):
		t.settle(a, Accepted, why)
	case content.opened && probe.Rule == RuleAmbiguous && !t.acceptsAny && !t.acceptsTwo:
		t.settle(a, Weak, why)
		t.find(RuleAmbiguous, a, fmt.Sprintf("%s gets %d with %s", a.Request.Credentials, res.status, why))
	case content.opened && (t.noneVerdict == Opened || t.acceptsAny && guesses(probe) || t.acceptsTwo && probe.Rule == RuleAmbiguous):
		t.settle(a, Opened, why) // the finding is made: this is a consequence
	case content.opened:
		t.acceptsAny = t.acceptsAny || probe.Name == "unknown-user"
		t.acceptsTwo = t.acceptsTwo || probe.Name == "two-wrong"
		t.settle(a, Opened, why)
		t.find(probe.Rule, a, fmt.Sprintf("%s: %s %s gets %d with %s", probe.Title, a.Request.Method, abridged(a.Request.Target), res.status, why))
	case content.unclear:
		t.settle(a, Unknown, why)
	default:
		t.settle(a, t.denial(res), "")
		t.judgeError(probe, a, res)
	}
	t.compareUsers(ctx, probe, res)
}

// judgeNone judges the answer to a request without credentials, by which all others are measured.
func (t *trial) judgeNone(a *Attempt, res *response, content similarity, why string) {
	t.none = res
	verdict := t.denial(res)
	switch {
	case t.c.endpoint.Access == Optional:
		verdict = Accepted
	case content.opened:
		verdict = Opened // unless wrong credentials are denied: judgeUnknown
	case content.unclear && t.control != nil:
		verdict = OptionalAuth // unless wrong credentials are accepted
	case content.unclear:
		verdict = Unknown
	}
	t.noneVerdict = verdict
	switch verdict {
	case Opened, OptionalAuth:
		a.Verdict, a.Why = verdict, why
		t.pending, t.noneIndex = true, len(t.row.Attempts)-1 // settleNone sets the verdict
		return
	case Denied:
		if res.status == http.StatusUnauthorized && len(res.header.Values("Www-Authenticate")) == 0 {
			t.settle(a, Weak, "401 without WWW-Authenticate")
			t.find(RuleChallenge, a, "401 without WWW-Authenticate")
			return
		}
	}
	t.settle(a, verdict, why)
}

// isOptional reports whether an endpoint answers anonymous callers on purpose: wrong credentials
// are denied, and the anonymous answer is another one than that for a user.
func (t *trial) isOptional(unknown *response) bool {
	denied := unknown != nil && (unknown.status == http.StatusUnauthorized || unknown.status == http.StatusForbidden)
	if !denied || t.control == nil {
		return false
	}
	anonymous := wordsOf(t.none.body)
	user := wordsOf([]byte(t.c.right.Username))
	return t.personal && anonymous.share(user) < 1 || anonymous.share(t.own) < openedShare
}

// guesses reports whether a probe sends wrong credentials in a form that may be accepted.
func guesses(probe Probe) bool {
	return probe.Rule == RuleAmbiguous || probe.Name == "space-colon" || probe.Name == "folded-header"
}

// settleNone sets the verdict of the request without credentials, now that the answer to wrong
// credentials is known. unknown is nil if there is none.
func (t *trial) settleNone(unknown *response) {
	if !t.pending {
		return
	}
	t.pending = false
	a := &t.row.Attempts[t.noneIndex]
	optional := t.isOptional(unknown)
	switch {
	case optional:
		t.noneVerdict = OptionalAuth
		t.settle(a, OptionalAuth, "wrong credentials are denied, no credentials get another content than "+t.c.right.Name)
		t.find(RuleOptional, a, fmt.Sprintf("no credentials get %d, wrong credentials %d", t.none.status, unknown.status))
	case t.noneVerdict == Opened:
		t.settle(a, Opened, a.Why)
		t.find(RuleOpen, a, fmt.Sprintf("%s without credentials gets %d with %s", t.c.endpoint, t.none.status, a.Why))
	default:
		t.noneVerdict = Unknown
		t.settle(a, Unknown, a.Why)
	}
}

// acceptsAnonymous reports whether anonymous callers may have the content.
func (t *trial) acceptsAnonymous() bool {
	return t.c.endpoint.Access == Optional || t.noneVerdict == OptionalAuth
}

// judgeMethod judges the answer to another method.
func (t *trial) judgeMethod(probe Probe, a *Attempt, res *response, content similarity, why string) {
	success := res.status >= 200 && res.status < 300
	open := content.opened
	switch probe.Name {
	case "head":
		open = success && t.control != nil && t.none != nil && t.none.status >= 300 && sameHead(res, t.control)
		why = "the header of the control"
	case "trace":
		if success && bytes.Contains(res.body, []byte("TRACE ")) && bytes.Contains(res.body, []byte(a.Token)) {
			t.settle(a, Weak, "the answer shows the request")
			t.find(RuleTrace, a, fmt.Sprintf("TRACE gets %d with the fields of the request", res.status))
			return
		}
	case "post", "invented-method":
		if success && !open && t.none != nil && t.none.status >= 300 && len(res.body) > 0 && !looksLikeDenial(res.body, nil) && !t.isDeniedPage(res) {
			open, why = true, "another content than that of a denial"
		}
	}
	switch {
	case t.acceptsAnonymous():
		t.settle(a, Accepted, "")
	case open:
		t.settle(a, Opened, why)
		t.find(RuleMethod, a, fmt.Sprintf("%s without credentials gets %d with %s", a.Request.Method, res.status, why))
	case content.unclear && probe.Name != "options":
		t.settle(a, Unknown, why)
	default:
		t.settle(a, t.denial(res), "")
	}
}

// sameHead reports whether the header of an answer to HEAD is that of the control.
func sameHead(res, control *response) bool {
	for _, name := range []string{"Etag", "Last-Modified", "Content-Length"} {
		a, b := res.header.Get(name), control.header.Get(name)
		if a != "" && b != "" {
			return a == b
		}
	}
	return res.header.Get("Content-Type") == control.header.Get("Content-Type")
}

// isDeniedPage reports whether an answer is that of an anonymous request for a path that does not
// exist.
func (t *trial) isDeniedPage(res *response) bool {
	text := wordsOf(res.body)
	return len(t.deniedPage) > 0 && text.share(t.deniedPage) >= deniedShare && len(text) <= 2*len(t.deniedPage)
}

func (t *trial) judgeSchemeCase(a *Attempt, res *response) {
	if res.status < 300 {
		t.settle(a, Accepted, "")
		return
	}
	if t.control == nil || t.denial(res) != Denied {
		t.settle(a, t.denial(res), "")
		return
	}
	t.settle(a, Weak, "the right credentials are refused")
	t.find(RuleScheme, a, fmt.Sprintf("the right credentials with the scheme bAsIc get %d", res.status))
}

// judgeError finds credentials that cause an internal error.
func (t *trial) judgeError(probe Probe, a *Attempt, res *response) {
	failed := res.status >= 500 && res.status != http.StatusNotImplemented && res.status != http.StatusHTTPVersionNotSupported
	if !failed || probe.Group != groupCredentials || t.none == nil || t.none.status >= 500 {
		return
	}
	t.find(RuleError, a, fmt.Sprintf("%s: %d", probe.Title, res.status))
}

// checkEcho finds answers that show the credentials of the request.
func (t *trial) checkEcho(a *Attempt, res *response, m *message) {
	t.echoed = false
	if len(m.secrets) == 0 {
		return
	}
	t.echoed = slices.ContainsFunc(m.secrets, func(s string) bool { return len(s) >= 6 && bytes.Contains(res.body, []byte(s)) })
	where := "the body"
	for name, values := range res.header {
		if !t.echoed && echoes(strings.Join(values, "\n"), m.secrets) {
			t.echoed, where = true, "the field "+name
		}
	}
	if t.echoed {
		t.find(RuleEcho, a, fmt.Sprintf("%s of the answer shows the credentials of the request (%s)", where, m.credentials))
	}
}

// compareUsers finds answers that distinguish an account from an unknown name. A difference must
// repeat.
func (t *trial) compareUsers(ctx context.Context, probe Probe, res *response) {
	switch probe.Name {
	case "unknown-user":
		t.unknown = res
	case "wrong-password":
		if t.unknown == nil || t.noneVerdict == Opened {
			return
		}
		first := difference(t.unknown, res, t.c.throwaway)
		if first == "" {
			return
		}
		index := len(t.row.Attempts) - 1
		m, _ := makeUnknown(t.c)
		_, unknown := t.p.attempt(ctx, t.s, t.c, probeNamed("unknown-user"), m)
		if m, _ = makeWrong(t.c); unknown == nil || difference(t.unknown, unknown, t.c.throwaway) != "" {
			return // the target answers differently each time
		}
		_, wrong := t.p.attempt(ctx, t.s, t.c, probe, m)
		if wrong == nil || difference(res, wrong, t.c.throwaway) != "" {
			return
		}
		t.find(RuleEnumeration, &t.row.Attempts[index], "an unknown user and a wrong password get different answers: "+first)
	}
}

// difference says how two denials differ, or returns "". Names and passwords of the run do not
// count.
func difference(a, b *response, throwaway string) string {
	if a.status != b.status {
		return fmt.Sprintf("status %d and %d", a.status, b.status)
	}
	if x, y := a.header.Get("Www-Authenticate"), b.header.Get("Www-Authenticate"); x != y && !strings.Contains(x+y, "nonce") {
		return "another WWW-Authenticate"
	}
	said := wordsOf([]byte(throwaway + " probe wrong user"))
	x, y := wordsOf(nameless(a.body)).without(said), wordsOf(nameless(b.body)).without(said)
	if !slices.Equal(x, y) {
		return "other words in the body"
	}
	return ""
}

// nameless returns a body without the names and passwords of the run.
func nameless(body []byte) []byte {
	rest := make([]byte, 0, len(body))
	for len(body) > 0 {
		if !bytes.HasPrefix(body, []byte("probe-")) && !bytes.HasPrefix(body, []byte("wrong-")) {
			rest, body = append(rest, body[0]), body[1:]
			continue
		}
		end := bytes.IndexFunc(body, func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') })
		if end < 0 {
			break
		}
		body = body[end:]
	}
	return rest
}
