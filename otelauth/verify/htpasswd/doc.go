// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package htpasswd is a store of accounts in a file that Apache's htpasswd command writes and that
// Apache and nginx read. It reads the file again when it changes, under load, without an instant in which
// an account that is in both versions fails.
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
// A line is a name, a colon and a hash that [password.Policy.Parse] reads. Blank lines and lines whose first
// character other than white space is # are skipped, so "#alice:…" is no account. Lines end in LF or CRLF, the last
// one may end with the file; a byte order mark at the start is skipped. White space at the end of a line is
// ignored, as Apache does.
//
// After a second colon stand settings of the account, separated by spaces: "disabled";
// "expires=" with an RFC 3339 time; and, together, "previous=" with the hash of the password before this one and
// "previous-expires=" with the time until which it is right too. Apache and nginx ignore that field (nginx documents it as a
// comment), so the file stays theirs too, but they let a disabled or expired account in and a previous password not, and Apache's
// htpasswd command drops the field of the line that it rewrites. Anything else there is refused rather than
// ignored: a mistyped "disable" must not leave an account open. Put comments on lines of their own.
//
// Groups come from a second file in the form of Apache's AuthGroupFile, [Config.Groups]:
//
//	ops: alice bob
//
// A group may take several lines. A member that is no account is ignored, because the two files
// cannot be changed in one instant and the removal of an account must not wait for the other file.
//
// # What it refuses
//
// Plaintext passwords and schemes that it does not know, a name that stands twice, an empty name or hash, a
// line without a colon, control characters, a name that is not UTF-8, lines over [maxLineBytes] and files over
// [maxFileBytes]. One bad line refuses the whole file. The errors give file and line and never the content, not
// even the name: people type passwords into the name field.
//
// A file that is missing or bad at [Open] is an error. Later the last good one is served and the error
// goes to [File.OnReload]. A file without any account is bad too, since an emptied file looks like one that is
// being written: whoever wants to lock the last account out sets it "disabled".
//
// # Changing the file
//
// [Edit] changes one account under a lock and leaves the other lines as they are; the command "otelauth users" is made of it. Other
// programs should replace the file by rename. A file that is written in place, as Apache's htpasswd does, is read when it has stood still for
// [Config.Settle], and for five times that while it is empty or its last line has no end. A writer that
// pauses for longer between two lines is taken for finished.
package htpasswd
