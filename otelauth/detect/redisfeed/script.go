// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisfeed

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name that EVALSHA gives a script
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// exchange does all of an exchange in one step: publish, lead, receive. An entry that is too long, or of other fields,
// stays on the server: what arrives is bounded whatever somebody has written.
//
// KEYS stream, lead, told. ARGV id, lease ms (0: do not ask), told ("": as it is), from id, count, longest value,
// deadline ms (0: none), entries kept, keep ms, values to add…
const exchange = `
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
local told = ''
if redis.call('STRLEN', KEYS[3]) <= 64 then told = redis.call('GET', KEYS[3]) or '' end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local reply = {now, 'ok', lead and 1 or 0, told, last[1] and last[1][1] or ''}
for _, e in ipairs(redis.call('XRANGE', KEYS[1], ARGV[4], '+', 'COUNT', ARGV[5])) do
	reply[#reply + 1] = e[1]
	local f = e[2]
	reply[#reply + 1] = (#f == 2 and f[1] == 'b' and #f[2] <= tonumber(ARGV[6])) and f[2] or ''
end
return reply`

// release ends a lease before its time. KEYS lead. ARGV id.
const release = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

const (
	// maxEntries is what one exchange reads: 2 MiB at most.
	maxEntries = 128
	// late is how far behind its deadline what is published may come to be executed.
	late = 50 * time.Millisecond
	// patience is how long a command is on its way at most, when the client heeds a context.
	patience = time.Second
)

var (
	errTimeout = errors.New("redisfeed: Redis did not answer in time")
	errLate    = errors.New("redisfeed: Redis took a batch for too late; it was frozen, or its clock has jumped")
	errReply   = errors.New("redisfeed: Redis gave a reply that the script does not give")
)

// once is a command that go-redis does not send again.
type once struct{ *redis.Cmd }

// NoRetry tells go-redis so.
func (once) NoRetry() bool { return true }

type command struct {
	script string
	keys   []string
	args   []any
}

func (f *Feed) command(script string, keys []string, args ...any) command {
	return command{script, keys, args}
}

func (c command) cmd(full bool) once {
	args := make([]any, 0, 3+len(c.keys)+len(c.args))
	if full {
		args = append(args, "eval", c.script)
	} else {
		sum := sha1.Sum([]byte(c.script)) //nolint:gosec // as above
		args = append(args, "evalsha", hex.EncodeToString(sum[:]))
	}
	args = append(args, len(c.keys))
	for _, k := range c.keys {
		args = append(args, k)
	}
	return once{redis.NewCmd(context.Background(), append(args, c.args...)...)}
}

func (f *Feed) send(ctx context.Context, c command) error {
	_, err := f.run(ctx, c)
	return err
}

// run runs a script, by its digest if the server has it.
func (f *Feed) run(ctx context.Context, c command) (any, error) {
	v, err := f.within(ctx, c.cmd(false))
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		v, err = f.within(ctx, c.cmd(true))
	}
	return v, err
}

// within waits for a command no longer than the timeout, whatever client it is: not every client is configured to heed a
// context. The command itself goes on for up to patience, so that a connection that takes long is made all the same.
func (f *Feed) within(ctx context.Context, cmd once) (any, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
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
	limit := time.NewTimer(f.cfg.Timeout)
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
	at    detect.Position
	value string
}

type reply struct {
	lead    bool
	told    string
	last    detect.Position
	entries []entry
}

// exchange sends what is sealed.
func (f *Feed) exchange(ctx context.Context, told detect.Position) (r reply, err error) {
	lease, text := int64(0), ""
	if f.caught {
		// Who does not know what the others know has nothing to tell.
		lease = f.cfg.Lease.Milliseconds()
	}
	if told != (detect.Position{}) {
		text = f.writeTold(told)
	}
	from := f.cursor
	if from.Minor++; from.Minor == 0 {
		from.Major++
	}
	deadline := int64(0)
	if f.timed {
		deadline = time.Now().Add(f.cfg.Timeout+late).UnixMilli() + f.offset
	}
	size := f.mean
	for _, s := range f.sealed {
		size = max(size, float64(len(s.entry)))
	}
	// Redis spends some 100 bytes on an entry beside its value.
	kept := int64(float64(f.cfg.MaxBytes) / (size + 100))
	args := make([]any, 0, 9+len(f.sealed))
	args = append(args, f.keys.self.text(), lease, text, place(from), maxEntries, maxEntryBytes, deadline, kept, f.cfg.Keep.Milliseconds())
	for _, s := range f.sealed {
		args = append(args, s.entry)
	}
	v, err := f.run(ctx, f.command(exchange, []string{f.stream, f.lead, f.told}, args...))
	if err != nil {
		return r, err
	}
	values, ok := v.([]any)
	if !ok || len(values) < 2 {
		return r, errReply
	}
	now, ok := values[0].(int64)
	if !ok {
		return r, errReply
	}
	f.offset, f.timed = now-time.Now().UnixMilli(), true
	if values[1] == "late" {
		return r, errLate
	}
	if len(values) < 5 || len(values)%2 == 0 {
		return r, errReply
	}
	r.lead = values[2] == int64(1)
	r.told, _ = values[3].(string)
	// An empty stream is no new order: it has expired.
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

// place and position are a detect.Position as Redis writes it.
func place(p detect.Position) string {
	return strconv.FormatUint(p.Major, 10) + "-" + strconv.FormatUint(p.Minor, 10)
}

func position(s string) (p detect.Position, ok bool) {
	major, minor, ok := strings.Cut(s, "-")
	if !ok {
		return p, false
	}
	var err1, err2 error
	p.Major, err1 = strconv.ParseUint(major, 10, 64)
	p.Minor, err2 = strconv.ParseUint(minor, 10, 64)
	return p, err1 == nil && err2 == nil
}
