// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package password verifies passwords against stored hashes. It is the innermost part of stage 4
// of the pipeline. The span "verify password" shows its work.
//
//	h, err := password.Parse("$2y$10$…")
//	if err != nil {
//		return err // names the scheme and the problem, never the hash
//	}
//	if h.Verify([]byte("wonderland")).Match { … }
//
// It reads the following encodings. Everything else is [ErrUnknownScheme].
//
//	bcrypt         $2a$ $2b$ $2y$             passwords up to 72 bytes, without NUL
//	argon2id       $argon2id$v=19$m=,t=,p=$    the PHC string of RFC 9106's reference code
//	scrypt         $scrypt$ln=,r=,p=$          the PHC string of passlib and node
//	pbkdf2-sha1    $pbkdf2$29000$              passlib's; all three accept $i=29000$ and $i=29000,l=32$ too
//	pbkdf2-sha256  $pbkdf2-sha256$29000$
//	pbkdf2-sha512  $pbkdf2-sha512$25000$
//	sha256-crypt   $5$ $5$rounds=$            passwords up to 256 bytes
//	sha512-crypt   $6$ $6$rounds=$            passwords up to 256 bytes
//	apr1           $apr1$                      only with DangerouslyAllowLegacy
//	ssha, sha      {SSHA} {SHA}                only with DangerouslyAllowLegacy
//
// With [Policy.Django] it also reads Django's encodings: pbkdf2_sha256$, pbkdf2_sha1$,
// argon2$argon2id$, bcrypt$$, bcrypt_sha256$$ and scrypt$.
//
// Every policy refuses plaintext, DES crypt, argon2i, argon2d and bcrypt's $2x$. A text with an
// unknown prefix is an error and never a password. Parameters that would let one stored hash
// exhaust the machine are refused. A password that is too long to be hashed whole is wrong; it is
// never truncated.
//
// Every verification does the whole work of its hash, whether the password is right or wrong. A
// name that is not an account is verified against a decoy of a [Mix], which costs the same as the
// real hashes of that store.
package password
