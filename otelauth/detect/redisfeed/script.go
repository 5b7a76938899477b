// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisfeed

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect/internal/feed"
	"github.com/otelauth/otelauth-go/otelauth/internal/redishealth"
)

// exchange publishes, renews the lease and receives, in one step. It does not return entries that
// are too long or have other fields, so the reply is bounded.
//
// KEYS: stream, lead, reported. ARGV: id, lease in ms (0: do not lead), reported ("": unchanged),
// first id, count, longest value, deadline in ms (0: none), entries to keep, keep in ms, values
// to add…
var exchange = redishealth.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if tonumber(ARGV[7]) > 0 and now > tonumber(ARGV[7]) then return {now, 'late'} end
for i = 10, #ARGV do
	redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[8], '*', 'b', ARGV[i])
end
if #ARGV >= 10 then redis.call('PEXPIRE', KEYS[1], ARGV[9]) end
local holder = redis.call('GET', KEYS[2])
if tonumber(ARGV[2]) > 0 and (not holder or holder == ARGV[1]) then
	redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
	holder = ARGV[1]
end
local lead = holder == ARGV[1]
if lead and ARGV[3] ~= '' then redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[9]) end
local reported = ''
if redis.call('STRLEN', KEYS[3]) <= 64 then reported = redis.call('GET', KEYS[3]) or '' end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local reply = {now, 'ok', lead and 1 or 0, reported, last[1] and last[1][1] or ''}
for _, e in ipairs(redis.call('XRANGE', KEYS[1], ARGV[4], '+', 'COUNT', ARGV[5])) do
	reply[#reply + 1] = e[1]
	local f = e[2]
	reply[#reply + 1] = (#f == 2 and f[1] == 'b' and #f[2] <= tonumber(ARGV[6])) and f[2] or ''
end
return reply`)

// release ends a lease early. KEYS: lead. ARGV: id.
var release = redishealth.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

const (
	// maxEntries is the number of entries that one exchange reads: at most 2 MiB.
	maxEntries = 128
	// late is how long after Config.Timeout Redis may still execute an exchange.
	late = 50 * time.Millisecond
	// patience is how long a command may take in the background, if the client obeys its context.
	patience = time.Second
)

var (
	errTimeout = errors.New("redisfeed: Redis did not answer in time; check its load and the network")
	errLate    = errors.New("redisfeed: Redis executed a command too late; check whether it was paused or its clock stepped")
	errReply   = errors.New("redisfeed: Redis returned a reply that the script cannot give; check for a proxy that changes replies")
)

// run executes a script, by its digest if the server has it.
func (f *Feed) run(ctx context.Context, script *redishealth.Script, keys []string, args ...any) (any, error) {
	call := redishealth.Call{Script: script, Keys: keys, Args: args}
	var v any
	_, err := call.Run(func(cmd redishealth.Command) (err error) {
		v, err = f.within(ctx, f.cfg.Timeout, cmd)
		return err
	})
	return v, err
}

// within waits for a command, even if the client does not obey contexts.
// The command continues in the background for up to patience, so that a slow connection is
// established in the end. It is not shared with redisstore, which must not take a busy CPU for a
// silent Redis: here a batch that is given up is only sent again.
func (f *Feed) within(ctx context.Context, wait time.Duration, cmd redishealth.Command) (any, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(wait, patience))
	type result struct {
		value any
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer cancel()
		err := f.cfg.Client.Process(ctx, cmd)
		done <- result{cmd.Val(), err}
	}()
	limit := time.NewTimer(wait)
	defer limit.Stop()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("redisfeed: %w", r.err)
		}
		return r.value, nil
	case <-limit.C:
		return nil, errTimeout
	}
}

type entry struct {
	at    feed.Position
	value string
}

type reply struct {
	leads    bool
	reported string
	last     feed.Position
	entries  []entry
}

// exchange sends the sealed batches and returns the parsed reply.
func (f *Feed) exchange(ctx context.Context, reported feed.Position) (reply, error) {
	v, err := f.run(ctx, &exchange, []string{f.stream, f.lead, f.reported}, f.exchangeArgs(reported)...)
	if err != nil {
		return reply{}, err
	}
	return f.parse(v)
}

// exchangeArgs returns the ARGV of an exchange.
func (f *Feed) exchangeArgs(reported feed.Position) []any {
	lease, text := int64(0), ""
	if f.isCurrent {
		// A process that has not read all attempts must not lead.
		lease = f.cfg.Lease.Milliseconds()
	}
	if reported != (feed.Position{}) {
		text = f.sealPosition(reported)
	}
	from := f.cursor
	if from.Minor++; from.Minor == 0 {
		from.Major++
	}
	deadline := int64(0)
	if f.isTimed {
		deadline = time.Now().Add(f.cfg.Timeout+late).UnixMilli() + f.offset
	}
	size := f.mean
	for _, s := range f.sealed {
		size = max(size, float64(len(s.entry)))
	}
	// Redis needs about 100 bytes for an entry beside its value.
	kept := int64(float64(f.cfg.MaxBytes) / (size + 100))
	args := make([]any, 0, 9+len(f.sealed))
	args = append(args, f.keys.self.text(), lease, text, place(from), maxEntries, maxEntryBytes, deadline, kept,
		f.cfg.Keep.Milliseconds())
	for _, s := range f.sealed {
		args = append(args, s.entry)
	}
	return args
}

// parse reads the reply of an exchange and updates the clock offset.
func (f *Feed) parse(v any) (r reply, err error) {
	values, ok := v.([]any)
	if !ok || len(values) < 2 {
		return r, errReply
	}
	now, ok := values[0].(int64)
	if !ok {
		return r, errReply
	}
	f.offset, f.isTimed = now-time.Now().UnixMilli(), true
	if values[1] == "late" {
		return r, errLate
	}
	if len(values) < 5 || len(values)%2 == 0 {
		return r, errReply
	}
	r.leads = values[2] == int64(1)
	r.reported, _ = values[3].(string)
	// An empty stream has expired; it is not a new order.
	r.last = f.cursor
	if s, _ := values[4].(string); s != "" {
		if r.last, ok = position(s); !ok {
			return r, errReply
		}
	}
	for rest := values[5:]; len(rest) >= 2; rest = rest[2:] {
		id, _ := rest[0].(string)
		at, ok := position(id)
		if !ok {
			return r, errReply
		}
		value, _ := rest[1].(string)
		r.entries = append(r.entries, entry{at, value})
	}
	return r, nil
}

// place formats a position as a Redis stream id; position parses one.
func place(p feed.Position) string {
	return strconv.FormatUint(p.Major, 10) + "-" + strconv.FormatUint(p.Minor, 10)
}

func position(s string) (p feed.Position, ok bool) {
	major, minor, ok := strings.Cut(s, "-")
	if !ok {
		return p, false
	}
	var err1, err2 error
	p.Major, err1 = strconv.ParseUint(major, 10, 64)
	p.Minor, err2 = strconv.ParseUint(minor, 10, 64)
	return p, err1 == nil && err2 == nil
}
