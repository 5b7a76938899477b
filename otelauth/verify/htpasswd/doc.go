// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package htpasswd is a store of accounts in a file that Apache's htpasswd command writes and
// that Apache and nginx read. It reloads a changed file under load. An account that is in both
// versions never fails during a reload.
//
//	users, err := htpasswd.Open(htpasswd.Config{Path: "/etc/orders/users.htpasswd"})
//	if err != nil {
//	    log.Fatal(err)
//	}
//	defer users.Close()
//
// # The file
//
//	# whole lines are comments
//	alice:$2y$10$…
//	bob:$argon2id$v=19$m=19456,t=2,p=1$…:disabled
//	carol:$2y$10$…:expires=2026-12-31T00:00:00Z
//	dave:$argon2id$…:previous=$2y$10$… previous-expires=2026-06-01T12:00:00Z
//
// A line is a name, a colon and a hash that [password.Policy.Parse] reads. Empty lines and lines
// whose first character other than white space is # are skipped, so "#alice:…" is not an account.
// Lines end in LF or CRLF; the last one may end with the file. A byte order mark at the start and
// white space at the end of a line are ignored, as Apache does.
//
// After a second colon are the settings of the account, separated by spaces. They are "disabled",
// "expires=" with an RFC 3339 time, and together "previous=" with the hash of the previous
// password and "previous-expires=" with the time until which that password is right too. Any
// other text is an error, because a mistyped "disable" must not leave an account open. Put
// comments on lines of their own.
//
// Apache and nginx ignore the settings, so they can still use the file. But they accept disabled
// and expired accounts, and they do not accept a previous password. Apache's htpasswd command
// removes the settings of a line that it rewrites.
//
// Groups come from a second file in the form of Apache's AuthGroupFile, [Config.Groups]:
//
//	ops: alice bob
//
// A group may take several lines. A member that is not an account is ignored. Two files cannot
// change at one instant, and the removal of an account must not wait for the other file.
//
// # What it refuses
//
// One bad line makes the whole file invalid: a plaintext password or an unknown scheme, a
// duplicate name, an empty name or hash, no colon, a control character, or a name that
// [verify.ValidName] refuses. A line has at most 8,192 bytes and a file at most 64 MiB, about
// 900,000 accounts with bcrypt hashes, which take 280 bytes of memory each. Errors have the file
// and the line and never the content, not even the name, because people type passwords into the
// name field.
//
// A missing or invalid file is an error of [Open]. At a reload the last valid file is still
// served, and the error goes to [File.OnReload]. A file without accounts is invalid too, because
// it looks like a file that is being written. To lock out the last account, set it "disabled".
//
// # Changing the file
//
// [Edit] changes accounts under a lock and keeps the other lines. The command "otelauth users"
// uses it. Other programs should replace the file by rename. A file that is written in place, as
// Apache's htpasswd does, is read when it has not changed for [Config.Settle]. A file that is
// empty or has no line end at its end is read after five times as long. A writer that pauses for
// longer seems to have finished.
package htpasswd
