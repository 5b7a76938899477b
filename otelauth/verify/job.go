// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/internal/scrub"
)

// job verifies one credential for all callers that wait for it in one network.
type job struct {
	key    mac
	memory int64
	// judge does the work. It is called once at most.
	judge func() judgement
	// done is closed once judgement or refusal is set; exactly one of them is.
	done      chan struct{}
	judgement judgement
	refusal   *refusal

	// The Gate's lock protects the following fields.
	started bool
	ticket  *ticket
}

// judgement is the result of a job.
type judgement struct {
	entry  *entry
	reason attempt.Reason // "" when the credential is right
	hash   attempt.HashRun
	err    error
	// wasVerified reports that nothing was hashed, because the credential was found right while
	// the job waited.
	wasVerified bool
}

// job returns the work of verifying one credential from one network, whose MAC is key. It keeps
// its own copy of the password, because the first caller may leave before the hash runs. If
// another network proves the credential right while the job waits, the job does not hash it
// again, unless always is true.
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
			if account != nil && have.account.isSameCredential(account) && account.refusalReasonFor(have.previous, now) == "" {
				return judgement{entry: have, wasVerified: true}
			}
		}
		return judge()
	}
	return j
}

// judging returns the work of a job: the hash, or the call of the Verifier.
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
		case seen.account.refusalReason(end) != "":
			out.reason = seen.account.refusalReason(end)
		case !v.Match && !v.Previous:
			out.reason = attempt.ReasonWrongPassword
		case seen.account.refusalReasonFor(v.Previous, end) != "":
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

// ask calls the Verifier.
func (e *Engine) ask(ctx context.Context, seen *entry, own credential.Secret, key mac) (out judgement) {
	out.entry = seen
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Gate.maxWait())
	defer cancel()
	account, err := e.cfg.Verifier.Verify(ctx, seen.name, own)
	now := e.cfg.Now()
	switch {
	case err != nil:
		out.err = scrub.Error(err, string(own.Expose()))
	case account == nil:
		out.reason = attempt.ReasonWrongPassword
	case account.refusalReason(now) != "":
		out.reason = account.refusalReason(now)
	default:
		seen.account = account
		e.remember(&out, key, now)
	}
	return out
}

// remember caches a judgement: a right credential by its own MAC, a wrong one by the MAC of
// credential and network.
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
