// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package trail keeps a tamper-evident record of authentication attempts in a local folder.
//
// [Open] returns a [Trail], an [attempt.Observer] that writes one JSON line for every verdict.
// The lines are the leaves of one Merkle tree (RFC 6962). A checkpoint is the signed root of the
// tree at one size (c2sp.org/tlog-checkpoint). Who has a checkpoint can detect every change,
// removal, reordering and truncation of the lines that it covers ([Verify]).
//
//	key, err := trail.ParseKey(text) // made once by trail.GenerateKey
//	t, err := trail.Open(trail.Config{Dir: "/var/lib/shop/trail", Key: key})
//	mw, err := otelauth.New(otelauth.Config{Accounts: users, Trail: t})
//	...
//	err = t.Close(ctx)
//
// # What is detected, and when
//
// The signing key is on the host. An attacker who controls the host can therefore write any new
// line, and can rewrite the lines after the last checkpoint that left the host. Send checkpoints
// away: the event "auth.trail.checkpoint" carries each of them through the LoggerProvider, and a
// [Witness] can cosign them. They are made each [Config.CheckpointInterval], after 65,536 lines, at
// the start of each segment, and by [Trail.Close]; so the window is at most one interval.
//
// # Durability
//
// [Required] writes and flushes the line before the handler runs. A verdict whose line is not on
// disk within [Config.Timeout] becomes 503. While the trail cannot write, credentials are refused
// with 503 before they are hashed ([Trail.Ready]), so a full disk does not allow free guesses.
// [Ordered] never blocks: it keeps the order, and counts what it has to drop. Concurrent lines
// share one write and one flush. A failed flush is never retried: the segment is closed, what was
// flushed before is read again, and the rest is written to a new segment.
//
// A line is acknowledged when Decide returns nil in [Required]: successes and denials that are
// not folded. A flood of denials is folded into counts (event "auth.events.suppressed"), written
// at least each second. When the lines of denials reach [Config.DailyBytes], further denials of
// that day (UTC) are only counted, for each outcome and second. Successes are always written.
//
// # The folder
//
//	lock                          held by the one process that writes
//	checkpoint                    the newest signed checkpoint
//	segments/00000000000000000000.jsonl
//	current.jsonl                 a link to the newest segment, for tail -F and fail2ban
//	tile/0/000, tile/0/000.p/7    hashes (c2sp.org/tlog-tiles)
//	tiles-flushed                 the lines whose tiles are flushed; Open reads those after them
//	debris/                       what a crash left behind the last whole line
//
// The name of a segment is the number of its first line. Only segments are written for each
// commit; tiles and the checkpoint are derived from them. Files have mode 0600, folders 0700. No
// program may rotate, truncate or edit the files; [Trail.Prune] removes old segments. The trail
// notices if another program does it, and continues in a new segment.
//
// # Lines
//
// A line is one JSON object of at most [MaxLineBytes] bytes. It begins with "seq", "time" (RFC
// 3339, UTC, nanoseconds) and "event", then "trace_id" and "span_id" if there is a span, then
// the attributes of the event under the keys of docs/signals.md:
//
//	{"seq":7,"time":"2026-01-02T03:04:05.000000006Z","event":"auth.attempt","auth.outcome":"success","user.name":"alice"}
//
// "auth.attempt" is written at the verdict and has no status. With [Config.Responses] a later
// line "auth.trail.response" has it, with the same "auth.trail.attempt". Lines about the trail
// itself are "auth.trail.segment" (the first line of each segment), "auth.trail.anomaly",
// "auth.trail.key" and "auth.trail.prune". No line holds a password, an Authorization value or a
// hash of them.
package trail
