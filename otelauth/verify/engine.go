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
	defaultFailedEntries   = 1 << 14
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
		cfg.FailedEntries = defaultFailedEntries
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
// RehashNeeded, PreviousCredential, RetryAfter, Err. It returns the account, nil unless the Outcome is Success.
//
// It blocks while a hash runs or waits for its turn, at most Limits.MaxWait and one hash, and gives
// up its place when ctx ends before its turn. For a credential that is recognised, from a network that it has come from
// before, it neither blocks nor allocates.
func (e *Engine) Verify(ctx context.Context, at time.Time, field credential.Field, network netip.Prefix, res *attempt.Result) *Account {
	c := check{e: e, network: network, res: res, mac: e.mac(field.Token)}
	now := at.Sub(e.base)
	if seen := e.right.get(&c.mac, now); seen != nil {
		account, done := c.recognised(ctx, at, seen)
		if done {
			return account
		}
	}
	c.own = e.from(&c.mac, network)
	if !c.owing {
		if seen := e.wrong.get(&c.own, now); seen != nil && c.repeated(ctx, at, field, seen) {
			return nil
		}
	}
	return c.judge(ctx, at, field)
}

func (e *Engine) mac(token string) mac {
	var stack [128]byte // spares all tokens but the longest an allocation
	return e.sum(append(stack[:0], token...))
}

// from is the MAC of a credential from one network. What is remembered or hashed for a caller with
// a wrong password goes by it, so that no answer depends on what another network has sent.
func (e *Engine) from(m *mac, network netip.Prefix) mac {
	var buf [len(mac{}) + 16 + 1]byte
	n := copy(buf[:], m[:])
	if network.IsValid() {
		addr := network.Addr().As16()
		copy(buf[n:], addr[:])
	}
	buf[len(buf)-1] = byte(network.Bits()) // 255 for the zero Prefix
	return e.sum(buf[:])
}

func (e *Engine) sum(octets []byte) (m mac) {
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

// accepts is usable for one of the account's passwords, its previous one where previous is set.
func (a *Account) accepts(previous bool, at time.Time) attempt.Reason {
	if reason := a.usable(at); reason != "" {
		return reason
	}
	if previous && !at.Before(a.PreviousExpires) {
		return attempt.ReasonCredentialsExpired
	}
	return ""
}

// check is one call of Verify.
type check struct {
	e        *Engine
	network  netip.Prefix
	res      *attempt.Result
	mac, own mac // of the credential; of the credential from this network

	guess throttle.Guess
	grant throttle.Decision // of guess
	owing bool              // guess was granted and is not settled
}

// recognised answers a credential known to be right. From a network that it has come from before,
// and with the pair's reserve not empty, that costs nothing. From anywhere else it is charged like
// any guess and only not hashed again; with the budget empty it is refused like any guess, or the
// cache would show a throttled attacker at the speed of memory which of his guesses is right. It
// reports false when the credential must be judged: its account has changed, or the guess is paid
// from the reserve and its pair is not known, so that it must take the time of a wrong one.
func (c *check) recognised(ctx context.Context, at time.Time, seen *entry) (a *Account, done bool) {
	c.guess = c.newGuess(seen.canonical)
	if !seen.knows(c.network) || c.e.cfg.Throttle.Exhausted(c.guess) {
		c.res.Cache = attempt.Hit
		c.claims(seen)
		if !c.spend(ctx) {
			return nil, true
		}
		if c.grant.Reserve && !c.grant.Known {
			return nil, false
		}
		defer c.settleUnjudged(ctx)
	}
	account, err := c.e.recall(ctx, seen.name, seen.account)
	if err != nil {
		c.claims(seen)
		c.res.Cache = attempt.NotLooked
		return c.unavailable(err), true
	}
	if account == nil || !seen.account.same(account) || account.accepts(seen.previous, at) != "" {
		c.e.right.remove(seen)
		return nil, false
	}
	c.res.Cache = attempt.Hit
	c.claims(seen)
	if c.owing {
		c.settle(ctx, throttle.Right)
		seen.learn(c.network)
		c.own = c.e.from(&c.mac, c.network)
		c.e.cfg.Gate.returning.learn(&c.own, at)
	}
	return c.success(seen, account), true
}

// repeated answers a credential known to be wrong from this network: refused like any guess, not
// hashed again, and so not charged again. It reports false when it must be judged: the account has
// changed since, or the guess is paid from the reserve, where every guess takes the time of a
// hash.
func (c *check) repeated(ctx context.Context, at time.Time, field credential.Field, seen *entry) bool {
	basic, _ := field.Decode() // it could be decoded when it was judged
	clear(basic.Password.Expose())
	c.guess = c.newGuess(c.e.canonical(basic.Name))
	c.guess.Repeat = true
	c.res.Cache = attempt.Hit
	c.res.PasswordFingerprint = seen.fingerprint
	c.claims(seen)
	if !c.spend(ctx) {
		return true
	}
	c.guess.Repeat = false
	if c.grant.Reserve {
		return false
	}
	c.owing = false
	account := seen.account
	if now := at.Sub(c.e.base); c.e.recaller == nil || now-time.Duration(seen.asked.Load()) >= c.e.recaller.Staleness() {
		var err error
		if account, err = c.e.current(ctx, basic.Name, seen.account); err != nil {
			c.res.Cache = attempt.NotLooked
			c.unavailable(err)
			return true
		}
		seen.asked.Store(int64(now))
	}
	if !seen.account.same(account) || account != nil && account.accepts(seen.previous, at) != seen.account.accepts(seen.previous, at) {
		c.e.wrong.remove(seen)
		return false
	}
	c.failure(seen, seen.reason)
	return true
}

// judge decodes, pays unless that is done, asks the store and hashes, in this order: a guess that
// is refused costs no query.
func (c *check) judge(ctx context.Context, at time.Time, field credential.Field) *Account {
	e, res := c.e, c.res
	defer c.settleUnjudged(ctx)
	basic, fault := field.Decode()
	if fault != credential.NoDefect {
		res.Outcome, res.ErrorType, res.Reason = attempt.Malformed, attempt.MalformedCredentials, fault.Reason()
		return nil
	}
	defer clear(basic.Password.Expose())
	seen := &entry{mac: c.mac, name: basic.Name, canonical: e.canonical(basic.Name)}
	seen.userHash = e.cfg.Identify(seen.canonical)
	seen.fingerprint = e.fingerprint(basic.Password.Expose())
	res.PasswordFingerprint, res.Cache = seen.fingerprint, attempt.Miss
	res.UserName, res.UserHash = "", seen.userHash
	returning := e.cfg.Gate.returning.has(&c.own, at)
	if !c.owing {
		c.guess = c.newGuess(seen.canonical)
		c.guess.Returning = returning
		if !c.spend(ctx) {
			c.peek(seen.name)
			return nil
		}
	}
	if e.cfg.Accounts != nil {
		account, err := e.cfg.Accounts.Lookup(ctx, seen.name)
		if err != nil {
			res.Cache = attempt.NotLooked
			return c.unavailable(err)
		}
		seen.account = account
		seen.asked.Store(int64(at.Sub(e.base)))
	}
	c.claims(seen)
	j, shared := c.hash(ctx, returning, func() *job { return e.job(ctx, seen, c.own, basic.Password, c.grant.Reserve) })
	if j == nil {
		return nil
	}
	return c.verdict(ctx, at, seen, j, shared)
}

// hash has a job judged and returns it, or nil with the verdict written when it was not.
func (c *check) hash(ctx context.Context, returning bool, create func() *job) (j *job, shared bool) {
	res := c.res
	j, t, shared, refused := c.e.cfg.Gate.enter(c.own, c.network, returning, create)
	if shared {
		res.Cache = attempt.Coalesced
	}
	gone := false
	if refused == nil {
		refused, gone = c.await(ctx, j, t)
	}
	switch {
	case gone:
		c.settle(ctx, throttle.Wrong)
		res.Outcome, res.ErrorType = attempt.Error, departure(ctx)
		return nil, shared
	case refused != nil:
		res.Outcome, res.ErrorType, res.Reason = attempt.Error, attempt.Overloaded, refused.reason
		res.RetryAfter = refused.retryAfter
		return nil, shared
	}
	return j, shared
}

// verdict answers what a job has found out, and settles.
func (c *check) verdict(ctx context.Context, at time.Time, seen *entry, j *job, shared bool) *Account {
	judged, res := &j.judgement, c.res
	switch {
	case judged.recalled:
		res.Cache = attempt.Coalesced
	case !shared:
		res.Hash = judged.hash
	}
	if judged.err != nil {
		return c.unavailable(judged.err)
	}
	var account *Account
	right := judged.reason == "" && (!c.grant.Reserve || c.grant.Known)
	if right {
		// The account may have changed while the hash ran: what was right of the earlier one is wrong now.
		var err error
		if account, err = c.e.recall(ctx, seen.name, judged.entry.account); err != nil {
			return c.unavailable(err)
		}
		right = account != nil && judged.entry.account.same(account) && account.accepts(judged.entry.previous, at) == ""
	}
	if !right {
		c.settle(ctx, throttle.Wrong)
		if c.grant.Reserve {
			c.throttled(c.grant.RetryAfter)
			return nil
		}
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
	c.settle(ctx, throttle.Right)
	judged.entry.learn(c.network)
	c.e.cfg.Gate.returning.learn(&c.own, at)
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

// newGuess returns the guess of this check.
func (c *check) newGuess(canonical string) throttle.Guess {
	g := throttle.Guess{Account: canonical, Network: c.network}
	copy(g.Fingerprint[:], c.mac[:])
	return g
}

// spend pays for the guess, waiting while unsettled guesses hold its budget. It reports false,
// with the verdict written, when there is nothing to be had.
func (c *check) spend(ctx context.Context) bool {
	var limit *time.Timer
	for {
		d, err := c.e.cfg.Throttle.Spend(ctx, c.guess)
		if err != nil {
			c.unavailable(err)
			return false
		}
		switch d.Verdict {
		case throttle.Granted:
			c.grant, c.owing = d, true
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
			c.throttled(d.RetryAfter)
			return false
		}
	}
}

func (c *check) settle(ctx context.Context, s throttle.Settlement) {
	c.owing = false
	c.e.cfg.Throttle.Settle(context.WithoutCancel(ctx), c.guess, s)
}

// settleUnjudged gives back the price of a guess that was not judged, also when a store has
// panicked.
func (c *check) settleUnjudged(ctx context.Context) {
	if c.owing {
		c.settle(ctx, throttle.Unjudged)
	}
}

// peek notes whose credential a refused guess is, as far as the store knows without asking.
func (c *check) peek(name string) {
	if p, ok := c.e.cfg.Accounts.(Peeker); ok {
		if account := p.Peek(name); account != nil {
			c.res.UserName = account.Name
		}
	}
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
	c.res.PreviousCredential = seen.previous
	return account
}

func (c *check) failure(seen *entry, reason attempt.Reason) {
	c.res.Outcome, c.res.ErrorType, c.res.Reason = attempt.Failure, attempt.InvalidCredentials, reason
	c.res.PreviousCredential = seen.previous
}

func (c *check) throttled(retryAfter time.Duration) {
	c.res.Outcome, c.res.ErrorType = attempt.Throttled, attempt.RateLimited
	c.res.Reason, c.res.RetryAfter = attempt.ReasonBudgetEmpty, retryAfter
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
