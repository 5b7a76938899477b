// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"encoding/base64"
	"math"
	"strings"
)

// maxEncodedBytes bounds the text that Parse looks at. The longest accepted text is below 300
// bytes.
const maxEncodedBytes = 1024

// Sizes of salts and digests. RFC 9106 section 3.1 requires a salt of at least 8 bytes. A digest
// below 16 bytes could match by chance; a longer one only costs time.
const (
	minSaltBytes, maxSaltBytes     = 8, 64
	minDigestBytes, maxDigestBytes = 16, 64
)

// A format is one encoding: its prefix and the parser of the rest.
type format struct {
	prefix string
	scheme *scheme
	parse  func(s *scheme, limits Bounds, rest string) (*stored, error)
}

func formats() []format {
	return []format{
		{"$2a$", bcryptScheme, parseBcrypt},
		{"$2b$", bcryptScheme, parseBcrypt},
		{"$2y$", bcryptScheme, parseBcrypt},
		{"$argon2id$", argon2idScheme, parseArgon2id},
		{"$scrypt$", scryptScheme, parseScrypt},
		{"$pbkdf2$", pbkdf2SHA1, parsePBKDF2},
		{"$pbkdf2-sha256$", pbkdf2SHA256, parsePBKDF2},
		{"$pbkdf2-sha512$", pbkdf2SHA512, parsePBKDF2},
		{"$5$", sha256Crypt, parseSHACrypt},
		{"$6$", sha512Crypt, parseSHACrypt},
		{"$apr1$", apr1Scheme, parseAPR1},
		{"{SSHA}", sshaScheme, parseSSHA},
		{"{SHA}", shaScheme, parseSHA},
	}
}

// refused returns well-known prefixes that no policy accepts, each with advice for the operator.
func refused() [][2]string {
	return [][2]string{
		{"$argon2i$", "argon2i is not supported, only argon2id is; set the password again"},
		{"$argon2d$", "argon2d is not supported, only argon2id is; set the password again"},
		{"$2x$", "$2x$ marks bcrypt hashes of a buggy version (CVE-2011-2483) in which different passwords have " +
			"one hash; set the password again"},
		{"$2$", "$2$ is bcrypt before its treatment of non-ASCII bytes was settled; set the password set again"},
		{"$1$", "md5-crypt is not supported; set the password again"},
		{"$y$", "yescrypt is not supported; make the hash with htpasswd -B"},
		{"$gy$", "gost-yescrypt is not supported; make the hash with htpasswd -B"},
		{"$7$", "this encoding of scrypt is not supported, only $scrypt$ln=,r=,p=$ is; set the password again"},
		{"$sha1$", "sha1-crypt is not supported; set the password again"},
		{"$", "no scheme has this prefix; make the hash with htpasswd -B"},
		{"{", "no LDAP scheme of this name is supported; make the hash with htpasswd -B"},
	}
}

const notAHash = "not a hash of a known scheme; plaintext and DES crypt are never accepted: make the hash with htpasswd -B"

// Parse reads a stored hash with the zero [Policy].
func Parse(encoded string) (*Hash, error) { return Policy{}.Parse(encoded) }

// Parse reads a stored hash. The whole text must be the hash; surrounding white space is an
// error.
//
// Every error is a [*ParseError] that wraps one of [ErrUnknownScheme], [ErrLegacy],
// [ErrOutOfBounds], [ErrMalformed] and [ErrUnusable]. No error holds any of the text.
func (p Policy) Parse(encoded string) (*Hash, error) {
	s, err := p.parse(encoded)
	if err != nil {
		return nil, err
	}
	if s.weak, err = p.weak(s.class); err != nil {
		return nil, err
	}
	return &Hash{s}, nil
}

func (p Policy) parse(encoded string) (*stored, error) {
	if len(encoded) > maxEncodedBytes {
		return nil, &ParseError{Reason: "longer than any hash; " + notAHash, kind: ErrUnknownScheme}
	}
	for _, f := range formats() {
		rest, ok := strings.CutPrefix(encoded, f.prefix)
		if !ok {
			continue
		}
		if f.scheme.legacy && !p.DangerouslyAllowLegacy {
			return nil, &ParseError{Scheme: f.scheme.name, kind: ErrLegacy,
				Reason: "too weak; make the hash with htpasswd -B, or set DangerouslyAllowLegacy while you migrate"}
		}
		return f.parse(f.scheme, p.Max.orDefaults(), rest)
	}
	if isDjango(encoded) {
		if !p.Django {
			return nil, &ParseError{Reason: "Django's encoding needs Policy.Django; set it, or make the hash with htpasswd -B", kind: ErrUnknownScheme}
		}
		return parseDjango(p.Max.orDefaults(), encoded)
	}
	for _, r := range refused() {
		if strings.HasPrefix(encoded, r[0]) {
			return nil, &ParseError{Reason: r[1], kind: ErrUnknownScheme}
		}
	}
	return nil, &ParseError{Reason: notAHash, kind: ErrUnknownScheme}
}

// number reads decimal digits without a sign or leading zeros. A number that does not fit becomes
// the largest value, which every bound refuses.
func number(s string) (uint32, bool) {
	if s == "" || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	var n uint64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+uint64(s[i]-'0'), math.MaxUint32)
	}
	return uint32(n), true
}

// parameters reads numbers such as "m=65536,t=3,p=4" for the keys m, t and p. The PHC string
// format fixes their order.
func parameters(s string, keys ...string) ([]uint32, bool) {
	fields := strings.Split(s, ",")
	if len(fields) != len(keys) {
		return nil, false
	}
	values := make([]uint32, len(keys))
	for i, key := range keys {
		text, ok := strings.CutPrefix(fields[i], key+"=")
		if !ok {
			return nil, false
		}
		if values[i], ok = number(text); !ok {
			return nil, false
		}
	}
	return values, true
}

// saltAndDigest decodes both and checks their sizes. enc must be strict, so that one hash has one
// spelling.
func saltAndDigest(s *scheme, enc *base64.Encoding, salt, digest string) (saltBytes, digestBytes []byte, err error) {
	saltBytes, err = enc.DecodeString(salt)
	if err != nil || strings.ContainsAny(salt, "\r\n") {
		return nil, nil, malformed(s, "the salt is not valid base64 of this encoding; set the password again")
	}
	if digestBytes, err = decodeDigest(s, enc, digest); err != nil {
		return nil, nil, err
	}
	return saltBytes, digestBytes, checkSalt(s, len(saltBytes))
}

func decodeDigest(s *scheme, enc *base64.Encoding, digest string) ([]byte, error) {
	// encoding/base64 skips line ends even when strict.
	b, err := enc.DecodeString(digest)
	if err != nil || strings.ContainsAny(digest, "\r\n") {
		return nil, malformed(s, "the digest is not valid base64 of this encoding; set the password again")
	}
	if len(b) < minDigestBytes || len(b) > maxDigestBytes {
		return nil, outOfBounds(s, "the length of the digest in bytes", minDigestBytes, maxDigestBytes, "")
	}
	return b, nil
}

func checkSalt(s *scheme, n int) error {
	if n < minSaltBytes || n > maxSaltBytes {
		return outOfBounds(s, "the length of the salt in bytes", minSaltBytes, maxSaltBytes, "")
	}
	return nil
}

// phcBase64 returns the B64 of the PHC string format: the standard alphabet without padding.
func phcBase64() *base64.Encoding { return base64.RawStdEncoding.Strict() }

// crypt64 is the alphabet of crypt(3), in the order of its values.
const crypt64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// isCrypt64 reports whether s is n characters of crypt64 and the value of the last one is below
// 1<<lastBits. crypt(3) never writes another text, so it could never match.
func isCrypt64(s string, n, lastBits int) bool {
	if len(s) != n || n == 0 {
		return false
	}
	for i := range n {
		if strings.IndexByte(crypt64, s[i]) < 0 {
			return false
		}
	}
	return strings.IndexByte(crypt64, s[n-1]) < 1<<lastBits
}
