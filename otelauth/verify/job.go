// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// job judges one credential for all who wait for it in one network.
type job struct {
	key    mac
	memory int64
	// judge does the work. It is called at most once.
	judge func() judgement
	// done is closed once judgement or refusal is set; exactly one of them is.
	done      chan struct{}
	judgement judgement
	refusal   *refusal

	// The rest belongs to the Gate's lock.
	started bool
	ticket  *ticket
}

// judgement is what a job found out.
type judgement struct {
	entry  *entry
	reason attempt.Reason // "" when the credential is right
	hash   attempt.HashRun
	err    error
	// recalled reports that nothing was hashed, because the credential had proved right meanwhile.
	recalled bool
}

// job returns the work of judging one credential from one network, whose MAC is key. It keeps its
// own copy of the password, because the caller who asked first may leave before the hash runs. A
// credential that another network has proved right while the job waited is not hashed again,
// unless always is set.
func (e *Engine) job(ctx context.Context, seen *entry, key mac, secret credential.Secret, always bool) *job {
	own := credential.NewSecret(string(secret.Expose()))
	j := &job{key: key, done: make(chan struct{})}
	judge := e.judging(ctx, j, seen, own)
	j.judge = func() judgement {
		defer clear(own.Expose())
		now := e.cfg.Now()
		if have := e.right.get(&seen.mac, now.Sub(e.base)); have != nil && !always {
			account := have.account
			if e.cfg.Accounts != nil {
				account = seen.account
			}
			if account != nil && have.account.same(account) && account.accepts(have.previous, now) == "" {
				return judgement{entry: have, recalled: true}
			}
		}
		return judge()
	}
	return j
}

// judging returns the hash of a job, or the question to the Verifier.
func (e *Engine) judging(ctx context.Context, j *job, seen *entry, own credential.Secret) func() judgement {
	if e.cfg.Verifier != nil {
		ctx = context.WithoutCancel(ctx)
		return func() judgement { return e.ask(ctx, seen, own, j.key) }
	}
	hash := e.cfg.Accounts.Decoy(e.decoyKey(seen.canonical))
	if seen.account != nil && seen.account.Password != nil {
		hash = seen.account.Password
	}
	j.memory = hash.MemoryBytes()
	return func() judgement {
		start := e.cfg.Now()
		v := hash.Verify(own.Expose())
		end := e.cfg.Now()
		out := judgement{entry: seen, hash: attempt.HashRun{
			Scheme: hash.Scheme(), Start: start, Duration: end.Sub(start), Outcome: attempt.Failure,
		}}
		switch {
		case v.TooLong:
			out.reason = attempt.ReasonPasswordTooLong
		case seen.account == nil:
			out.reason = attempt.ReasonUnknownUser
		case seen.account.usable(end) != "":
			out.reason = seen.account.usable(end)
		case !v.Match && !v.Previous:
			out.reason = attempt.ReasonWrongPassword
		case seen.account.accepts(v.Previous, end) != "":
			seen.previous = true
			out.reason = attempt.ReasonCredentialsExpired
		default:
			seen.previous = v.Previous
			out.hash.Outcome = attempt.Success
		}
		e.remember(&out, j.key, end)
		return out
	}
}

// ask puts the question to the Verifier.
func (e *Engine) ask(ctx context.Context, seen *entry, own credential.Secret, key mac) (out judgement) {
	out.entry = seen
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Gate.maxWait())
	defer cancel()
	account, err := e.cfg.Verifier.Verify(ctx, seen.name, own)
	now := e.cfg.Now()
	switch {
	case err != nil:
		out.err = scrub(err, own)
	case account == nil:
		out.reason = attempt.ReasonWrongPassword
	case account.usable(now) != "":
		out.reason = account.usable(now)
	default:
		seen.account = account
		e.remember(&out, key, now)
	}
	return out
}

// remember keeps a judgement: a right credential by its own MAC, a wrong one by the MAC of the
// network that sent it.
func (e *Engine) remember(j *judgement, from mac, at time.Time) {
	now := at.Sub(e.base)
	j.entry.until = now + e.cfg.TTL
	if j.reason == "" {
		e.right.put(j.entry, now)
		return
	}
	nameless := &entry{
		mac: from, until: j.entry.until, userHash: j.entry.userHash, account: j.entry.account,
		previous: j.entry.previous, reason: j.reason, fingerprint: j.entry.fingerprint,
	}
	nameless.asked.Store(j.entry.asked.Load())
	e.wrong.put(nameless, now)
}

// scrub takes the password out of an error's text, which becomes part of an event: directories and drivers quote what
// they were sent.
func scrub(err error, secret credential.Secret) error {
	text := err.Error()
	if pass := string(secret.Expose()); pass != "" && strings.Contains(text, pass) {
		return scrubbed{strings.ReplaceAll(text, pass, credential.Redacted), err}
	}
	return err
}

type scrubbed struct {
	text string
	err  error
}

func (s scrubbed) Error() string { return s.text }

func (s scrubbed) Is(target error) bool { return errors.Is(s.err, target) }
