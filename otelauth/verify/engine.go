// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/dchest/siphash"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// Config is how an [Engine] verifies. Exactly one of Accounts and Verifier is set; every other field
// has a default.
type Config struct {
	Accounts Accounts
	Verifier Verifier

	// Throttle keeps the guess budgets. nil: throttle.DangerouslyNone.
	Throttle throttle.Throttle
	// Gate limits hashing; several Engines should share one. nil: a Gate of its own with the zero Limits.
	Gate *Gate

	// TTL is how long a verified credential is recognised without hashing. Each recognition still asks
	// Accounts, so a changed account ends at once; TTL bounds what a Verifier's changes may take.
	// Default: 5 min for Accounts, 1 min for a Verifier.
	TTL time.Duration
	// VerifiedEntries and FailedEntries bound the credentials remembered as right and as wrong, in
	// spaces of their own: no flood of wrong ones makes the Engine forget a right one. A place takes 8
	// bytes, an entry about 250 more and the name. Defaults: 65,536 and 16,384.
	VerifiedEntries int
	FailedEntries   int

	// Identify returns user.hash for a name's identity. nil: no hash.
	Identify func(canonical string) string
	// DecoyKey makes the choice of an unknown name's decoy hash secret and, when it is the same after a restart,
	// stable: a name whose cost changes with each start would be known to be unknown. nil: random.
	DecoyKey []byte

	// Now is the clock. nil: time.Now. Expiry of entries uses its monotonic reading.
	Now func() time.Time
	// Rand is the source of keys. nil: crypto/rand.Reader.
	Rand io.Reader
}

// The defaults of [Config].
const (
	DefaultTTL             = 5 * time.Minute
	DefaultVerifierTTL     = time.Minute
	DefaultVerifiedEntries = 1 << 16
	DefaultFailedEntries   = 1 << 14
)

// Engine judges credentials. It is safe for concurrent use. Its memory of judged credentials lives and
// dies with it.
type Engine struct {
	cfg Config
	key [2]uint64 // of mac
	// passwords keys attempt.Result.PasswordFingerprint; a key of its own, because the other is that of whole credentials.
	passwords [16]byte
	base      time.Time

	right, wrong *table
	recaller     Recaller // nil: Accounts is none
}

// mac recognises a credential: SipHash-2-4 with 128 bits of key and of output (Aumasson and Bernstein, 2012), over the
// token68 itself. A strictly decoded token is a bijection with (name, password), so no two credentials share one and no
// delimiter can be confused (CVE-2022-46146, GHSA-6765-c87h-8mrf). SipHash is a MAC made for inputs this short:
// a quarter of the time of SHA-256, which is the largest part of a recognition otherwise. Neither key nor MAC leaves the
// process, and a guess at a MAC costs a request.
type mac [siphash.Size128]byte

// New returns an Engine, or every fault of cfg at once.
func New(cfg Config) (*Engine, error) {
	var faults []error
	if (cfg.Accounts == nil) == (cfg.Verifier == nil) {
		faults = append(faults, errors.New("verify: set exactly one of Config.Accounts and Config.Verifier"))
	}
	size := func(name string, n int64) {
		if n < 0 {
			faults = append(faults, fmt.Errorf("verify: Config.%s is negative; leave it 0 for the default", name))
		}
	}
	size("TTL", int64(cfg.TTL))
	size("VerifiedEntries", int64(cfg.VerifiedEntries))
	size("FailedEntries", int64(cfg.FailedEntries))
	if v, ok := cfg.Accounts.(Validator); ok {
		if err := v.Validate(); err != nil {
			faults = append(faults, err)
		}
	}
	if cfg.Throttle == nil {
		cfg.Throttle = throttle.DangerouslyNone{}
	}
	if cfg.Gate == nil {
		limits := Limits{}
		if cfg.Verifier != nil {
			limits.Slots = DefaultVerifierSlots
		}
		cfg.Gate = NewGate(limits)
	}
	if cfg.TTL == 0 {
		cfg.TTL = DefaultTTL
		if cfg.Verifier != nil {
			cfg.TTL = DefaultVerifierTTL
		}
	}
	if cfg.VerifiedEntries == 0 {
		cfg.VerifiedEntries = DefaultVerifiedEntries
	}
	if cfg.FailedEntries == 0 {
		cfg.FailedEntries = DefaultFailedEntries
	}
	if cfg.Identify == nil {
		cfg.Identify = func(string) string { return "" }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	e := &Engine{cfg: cfg}
	if err := binary.Read(cfg.Rand, binary.LittleEndian, &e.key); err != nil {
		faults = append(faults, fmt.Errorf("verify: no randomness for the cache key: %w", err))
	}
	if _, err := io.ReadFull(cfg.Rand, e.passwords[:]); err != nil {
		faults = append(faults, fmt.Errorf("verify: no randomness for the fingerprint key: %w", err))
	}
	if cfg.DecoyKey == nil {
		e.cfg.DecoyKey = make([]byte, sha256.Size)
		if _, err := io.ReadFull(cfg.Rand, e.cfg.DecoyKey); err != nil {
			faults = append(faults, fmt.Errorf("verify: no randomness for the decoy key: %w", err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	e.recaller, _ = cfg.Accounts.(Recaller)
	e.base = cfg.Now()
	e.right, e.wrong = newTable(cfg.VerifiedEntries), newTable(cfg.FailedEntries)
	return e, nil
}

// Entries returns how many judged credentials are remembered.
func (e *Engine) Entries() int { return e.right.len() + e.wrong.len() }

// Verify judges the credential of field, sent from network at the time at, and writes the verdict
// to res: Outcome, ErrorType, Reason, Cache, UserName, UserHash, PasswordFingerprint, Hash,
// RehashNeeded, FormerCredential, RetryAfter, Err. It returns the account, nil unless the Outcome is Success.
//
// It blocks while a hash runs or waits for its turn, at most Limits.MaxWait and one hash, and gives
// up its place when ctx ends before its turn. For a credential that is recognised, from a network that it has come from
// before, it neither blocks nor allocates.
func (e *Engine) Verify(ctx context.Context, at time.Time, field credential.Field, network netip.Prefix, res *attempt.Result) *Account {
	c := check{e: e, network: network, res: res}
	c.mac = e.mac(field.Token)
	now := at.Sub(e.base)
	if seen := e.right.get(&c.mac, now); seen != nil {
		account, err := e.recall(ctx, seen.name, seen.account)
		switch {
		case err != nil:
			c.claims(seen)
			return c.unavailable(err)
		case account != nil && seen.account.same(account) && account.accepts(seen.former, at) == "":
			return c.recognised(ctx, seen, account)
		}
		e.right.remove(seen)
	}
	if seen := e.wrong.get(&c.mac, now); seen != nil {
		if c.repeated(ctx, at, field, seen) {
			return nil
		}
		e.wrong.remove(seen)
	}
	return c.judge(ctx, at, field)
}

func (e *Engine) mac(token string) (m mac) {
	var stack [128]byte // spares all tokens but the longest an allocation
	octets := append(stack[:0], token...)
	lo, hi := siphash.Hash128(e.key[0], e.key[1], octets)
	binary.LittleEndian.PutUint64(m[:8], lo)
	binary.LittleEndian.PutUint64(m[8:], hi)
	return m
}

// current returns the account that name has now; what a Verifier said holds as long as it is remembered.
func (e *Engine) current(ctx context.Context, name string, said *Account) (*Account, error) {
	if e.cfg.Accounts == nil {
		return said, nil
	}
	return e.cfg.Accounts.Lookup(ctx, name)
}

// recall is current for a credential that was right.
func (e *Engine) recall(ctx context.Context, name string, said *Account) (*Account, error) {
	if e.recaller != nil {
		return e.recaller.Recall(ctx, name)
	}
	return e.current(ctx, name, said)
}

// fingerprint is attempt.Result.PasswordFingerprint, never 0. It costs one short hash on the way to a long one.
func (e *Engine) fingerprint(password []byte) uint64 {
	h := sha256.New()
	h.Write(e.passwords[:])
	h.Write(password)
	var sum [sha256.Size]byte
	return binary.LittleEndian.Uint64(h.Sum(sum[:0])) | 1
}

func (e *Engine) canonical(name string) string {
	if e.cfg.Accounts == nil {
		return name
	}
	return e.cfg.Accounts.Canonical(name)
}

func (e *Engine) decoyKey(canonical string) uint64 {
	h := sha256.New()
	h.Write(e.cfg.DecoyKey)
	io.WriteString(h, canonical)
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

// same reports whether b is still the account that a was when its credential was judged, as far as that credential is
// concerned. Both may be nil: no such account.
func (a *Account) same(b *Account) bool {
	if a == b {
		return true
	}
	return a != nil && b != nil && a.Name == b.Name && a.Password.Equal(b.Password)
}

// usable returns why an account may not be used at that time, "" when it may.
func (a *Account) usable(at time.Time) attempt.Reason {
	switch {
	case a.Disabled:
		return attempt.ReasonAccountDisabled
	case !a.Expires.IsZero() && !at.Before(a.Expires):
		return attempt.ReasonCredentialsExpired
	}
	return ""
}

// accepts is usable for one of the account's passwords, its former one where former is set.
func (a *Account) accepts(former bool, at time.Time) attempt.Reason {
	if reason := a.usable(at); reason != "" {
		return reason
	}
	if former && !at.Before(a.FormerExpires) {
		return attempt.ReasonCredentialsExpired
	}
	return ""
}

// check is one call of Verify.
type check struct {
	e       *Engine
	network netip.Prefix
	res     *attempt.Result
	mac     mac
	owing   bool // a guess was granted and is not settled
}

func (c *check) guess(canonical string) throttle.Guess {
	g := throttle.Guess{Account: canonical, Network: c.network}
	copy(g.Fingerprint[:], c.mac[:])
	return g
}

// recognised answers a credential known to be right. From a network that it has come from before, and with the pair's
// own budget not empty, that costs nothing. From anywhere else it is charged like any guess and only not hashed
// again; with the budget empty it is refused like any guess, or the cache would tell a throttled attacker at
// the speed of memory which of his guesses is right.
func (c *check) recognised(ctx context.Context, seen *entry, account *Account) *Account {
	g := c.guess(seen.canonical)
	c.res.Cache = attempt.Hit
	c.claims(seen)
	if !seen.knows(c.network) || c.e.cfg.Throttle.Exhausted(g) {
		if !c.spend(ctx, g) {
			return nil
		}
		c.settle(ctx, g, throttle.Right)
		seen.learn(c.network)
	}
	return c.success(seen, account)
}

// repeated answers a credential known to be wrong: charged like any guess, not hashed again. It reports false, and has
// done nothing, when the account has changed since.
func (c *check) repeated(ctx context.Context, at time.Time, field credential.Field, seen *entry) bool {
	basic, _ := field.Decode() // it could be decoded when it was judged
	clear(basic.Password.Expose())
	account, err := c.e.current(ctx, basic.Name, seen.account)
	if err != nil {
		c.claims(seen)
		c.unavailable(err)
		return true
	}
	if !seen.account.same(account) || account != nil && account.accepts(seen.former, at) != seen.account.accepts(seen.former, at) {
		return false
	}
	g := c.guess(c.e.canonical(basic.Name))
	c.res.Cache = attempt.Hit
	c.res.PasswordFingerprint = seen.fingerprint
	c.claims(seen)
	if c.spend(ctx, g) {
		c.settle(ctx, g, throttle.Wrong)
		c.failure(seen, seen.reason)
	}
	return true
}

// judge decodes, pays, hashes.
func (c *check) judge(ctx context.Context, at time.Time, field credential.Field) *Account {
	e, res := c.e, c.res
	basic, fault := field.Decode()
	if fault != credential.NoFault {
		res.Outcome, res.ErrorType, res.Reason = attempt.Malformed, attempt.MalformedCredentials, fault.Reason()
		return nil
	}
	defer clear(basic.Password.Expose())
	seen := &entry{mac: c.mac, name: basic.Name, canonical: e.canonical(basic.Name)}
	seen.userHash = e.cfg.Identify(seen.canonical)
	seen.fingerprint = e.fingerprint(basic.Password.Expose())
	res.PasswordFingerprint = seen.fingerprint
	if e.cfg.Accounts != nil {
		account, err := e.cfg.Accounts.Lookup(ctx, seen.name)
		if err != nil {
			c.claims(seen)
			return c.unavailable(err)
		}
		seen.account = account
	}
	res.Cache = attempt.Miss
	c.claims(seen)

	g := c.guess(seen.canonical)
	if !c.spend(ctx, g) {
		return nil
	}
	defer func() {
		if c.owing { // a store has panicked
			c.settle(ctx, g, throttle.Unjudged)
		}
	}()
	var pairHash uint64
	h := e.cfg.Gate.known.hash(seen.canonical, c.network)
	if e.cfg.Gate.known.known(h, at) {
		pairHash = h
	}
	j, t, shared, refused := e.cfg.Gate.enter(c.mac, c.network, pairHash, func() *job {
		return e.job(ctx, seen, basic.Password)
	})
	if shared {
		res.Cache = attempt.Coalesced
	}
	gone := false
	if refused == nil {
		refused, gone = c.await(ctx, j, t)
	}
	if refused != nil {
		if gone {
			c.settle(ctx, g, throttle.Wrong)
			res.Outcome, res.ErrorType = attempt.Error, departure(ctx)
			return nil
		}
		c.settle(ctx, g, throttle.Unjudged)
		res.Outcome, res.ErrorType, res.Reason = attempt.Error, attempt.Overloaded, refused.reason
		res.RetryAfter = refused.retryAfter
		return nil
	}

	judged := &j.judgement
	if !shared {
		res.Hash = judged.hash
	}
	if judged.err != nil {
		c.settle(ctx, g, throttle.Unjudged)
		return c.unavailable(judged.err)
	}
	account, err := e.current(ctx, seen.name, judged.entry.account)
	switch {
	case err != nil:
		c.settle(ctx, g, throttle.Unjudged)
		return c.unavailable(err)
	case judged.reason != "" || !judged.entry.account.same(account) || account.accepts(judged.entry.former, at) != "":
		// The account may have changed while the hash ran: what was right of the earlier one is wrong now.
		c.settle(ctx, g, throttle.Wrong)
		reason := judged.reason
		if reason == "" {
			reason = attempt.ReasonWrongPassword
		}
		c.failure(judged.entry, reason)
		if ctx.Err() != nil {
			res.ErrorType = departure(ctx)
		}
		return nil
	}
	c.settle(ctx, g, throttle.Right)
	judged.entry.learn(c.network)
	e.cfg.Gate.known.learn(h, at)
	c.claims(judged.entry)
	return c.success(judged.entry, account)
}

// await waits for the job. A refusal says that it was not judged; gone, that the caller left.
func (c *check) await(ctx context.Context, j *job, t *ticket) (r *refusal, gone bool) {
	if t != nil {
		limit := time.NewTimer(c.e.cfg.Gate.maxWait())
		defer limit.Stop()
		select {
		case <-j.done:
		case <-ctx.Done():
			if c.e.cfg.Gate.leave(j, t) {
				return &refusal{}, true
			}
		case <-limit.C:
			if c.e.cfg.Gate.leave(j, t) {
				return &refusal{reason: attempt.ReasonQueueTimeout, retryAfter: c.e.cfg.Gate.maxWait()}, false
			}
		}
	}
	<-j.done
	return j.refusal, false
}

// judgement is what a job found out.
type judgement struct {
	entry  *entry
	reason attempt.Reason // "" when the credential is right
	hash   attempt.HashRun
	err    error
}

// job returns the work of judging one credential. It keeps its own copy of the password, because the caller who asked
// first may leave before the hash runs.
func (e *Engine) job(ctx context.Context, seen *entry, secret credential.Secret) *job {
	own := credential.NewSecret(string(secret.Expose()))
	j := &job{key: seen.mac, done: make(chan struct{})}
	if e.cfg.Verifier != nil {
		ctx = context.WithoutCancel(ctx)
		j.judge = func() judgement { return e.ask(ctx, seen, own) }
		return j
	}
	hash := e.cfg.Accounts.Decoy(e.decoyKey(seen.canonical))
	if seen.account != nil && seen.account.Password != nil {
		hash = seen.account.Password
	}
	j.memory = hash.MemoryBytes()
	j.judge = func() judgement {
		defer clear(own.Expose())
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
		case !v.Match && !v.Former:
			out.reason = attempt.ReasonWrongPassword
		case seen.account.accepts(v.Former, end) != "":
			seen.former = true
			out.reason = attempt.ReasonCredentialsExpired
		default:
			seen.former = v.Former
			out.hash.Outcome = attempt.Success
		}
		e.remember(&out, end)
		return out
	}
	return j
}

// ask puts the question to the Verifier.
func (e *Engine) ask(ctx context.Context, seen *entry, own credential.Secret) (out judgement) {
	out.entry = seen
	defer clear(own.Expose())
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
		e.remember(&out, now)
	}
	return out
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

func (s scrubbed) Error() string        { return s.text }
func (s scrubbed) Is(target error) bool { return errors.Is(s.err, target) }

func (e *Engine) remember(j *judgement, at time.Time) {
	now := at.Sub(e.base)
	j.entry.until = now + e.cfg.TTL
	if j.reason == "" {
		e.right.put(j.entry, now)
		return
	}
	nameless := &entry{
		mac: j.entry.mac, until: j.entry.until, userHash: j.entry.userHash, account: j.entry.account,
		former: j.entry.former, reason: j.reason, fingerprint: j.entry.fingerprint,
	}
	e.wrong.put(nameless, now)
}

// spend pays for a guess, waiting while unsettled guesses hold its budget. It reports false, with the
// verdict written, when there is nothing to be had.
func (c *check) spend(ctx context.Context, g throttle.Guess) bool {
	var limit *time.Timer
	for {
		d, err := c.e.cfg.Throttle.Spend(ctx, g)
		if err != nil {
			c.unavailable(err)
			return false
		}
		switch d.Verdict {
		case throttle.Granted:
			c.owing = true
			return true
		case throttle.Held:
			if limit == nil {
				if !c.e.cfg.Gate.hold() {
					c.overloaded(attempt.ReasonQueueFull)
					return false
				}
				defer c.e.cfg.Gate.release()
				limit = time.NewTimer(c.e.cfg.Gate.maxWait())
				defer limit.Stop()
			}
			select {
			case <-d.Changed:
			case <-ctx.Done():
				c.res.Outcome, c.res.ErrorType = attempt.Error, departure(ctx)
				return false
			case <-limit.C:
				c.overloaded(attempt.ReasonQueueTimeout)
				return false
			}
		default:
			c.res.Outcome, c.res.ErrorType = attempt.Throttled, attempt.RateLimited
			c.res.Reason, c.res.RetryAfter = attempt.ReasonBudgetEmpty, d.RetryAfter
			return false
		}
	}
}

func (c *check) settle(ctx context.Context, g throttle.Guess, s throttle.Settlement) {
	c.owing = false
	c.e.cfg.Throttle.Settle(context.WithoutCancel(ctx), g, s)
}

// claims notes whose credential this is. The name of no account is never told: people type
// passwords into the name field.
func (c *check) claims(seen *entry) {
	c.res.UserHash = seen.userHash
	if seen.account != nil {
		c.res.UserName = seen.account.Name
	}
}

func (c *check) success(seen *entry, account *Account) *Account {
	c.res.Outcome, c.res.ErrorType, c.res.Reason = attempt.Success, attempt.NoError, ""
	c.res.PasswordFingerprint = 0 // of wrong passwords only
	c.res.RehashNeeded = account.Password != nil && account.Password.RehashNeeded()
	c.res.FormerCredential = seen.former
	return account
}

func (c *check) failure(seen *entry, reason attempt.Reason) {
	c.res.Outcome, c.res.ErrorType, c.res.Reason = attempt.Failure, attempt.InvalidCredentials, reason
	c.res.FormerCredential = seen.former
}

func (c *check) overloaded(reason attempt.Reason) {
	c.res.Outcome, c.res.ErrorType, c.res.Reason = attempt.Error, attempt.Overloaded, reason
	c.res.RetryAfter = c.e.cfg.Gate.maxWait()
}

func (c *check) unavailable(err error) *Account {
	c.res.Outcome, c.res.ErrorType = attempt.Error, attempt.AccountsUnavailable
	c.res.Reason, c.res.Err = attempt.ReasonVerifierFailed, err
	return nil
}

// departure tells a caller who went away from one whose deadline passed.
func departure(ctx context.Context) attempt.ErrorType {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return attempt.Timeout
	}
	return attempt.Canceled
}
