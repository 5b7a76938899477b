// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package password verifies passwords against stored hashes. It is the innermost part of stage 4 of
// the pipeline: what [Hash.Verify] answers is what the span "verify password" tells.
//
//	h, err := password.Parse("$2y$10$…")
//	if err != nil {
//		return err // names the scheme and the fault, never the hash
//	}
//	if h.Verify([]byte("wonderland")).Match { … }
//
// It reads these encodings; what is not in the table is [ErrUnknownScheme]:
//
//	bcrypt         $2a$ $2b$ $2y$             passwords up to 72 bytes, without NUL
//	argon2id       $argon2id$v=19$m=,t=,p=$    the PHC string of RFC 9106's reference code
//	scrypt         $scrypt$ln=,r=,p=$          the PHC string, as passlib and node write it
//	pbkdf2-sha1    $pbkdf2$29000$              passlib's; for each of the three also $i=29000$ and $i=29000,l=32$
//	pbkdf2-sha256  $pbkdf2-sha256$29000$
//	pbkdf2-sha512  $pbkdf2-sha512$25000$
//	sha256-crypt   $5$ $5$rounds=$            passwords up to 256 bytes
//	sha512-crypt   $6$ $6$rounds=$            passwords up to 256 bytes
//	apr1           $apr1$                      only with DangerouslyAllowLegacy
//	ssha, sha      {SSHA} {SHA}                only with DangerouslyAllowLegacy
//
// and, with [Policy.Django], what Django stores: pbkdf2_sha256$, pbkdf2_sha1$, argon2$argon2id$, bcrypt$$,
// bcrypt_sha256$$ and scrypt$.
//
// It refuses plaintext, DES crypt, argon2i, argon2d and bcrypt's $2x$ under every policy: a text with an unknown
// prefix is an error and never a password. It refuses parameters that would let one stored line
// take the machine down, and passwords too long to be hashed whole; nothing is truncated.
//
// Every verification does the whole work of its hash, whatever the answer. A name that is no account is verified
// against a decoy of a [Mix], which costs what the real hashes of the same store cost.
package password
