#!/usr/bin/python3
# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0
"""Makes vectors.txt from other implementations. On Debian 12:

    apt-get install apache2-utils openssl whois argon2 \
        python3-passlib python3-argon2 python3-bcrypt python3-django
    ./make-vectors.py > vectors.txt

Each line: how it was made, scheme, password as base64, hash; separated by tabs.
"""
import base64, hashlib, os, subprocess, sys, warnings
warnings.simplefilter("ignore")
import crypt, argon2, bcrypt, passlib, django
from passlib import hash as ph
from django.conf import settings
settings.configure()
from django.contrib.auth import hashers

def version(*package):
    out = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *package], capture_output=True, text=True, check=True)
    return ["#   " + l for l in out.stdout.splitlines()]

def run(*argv, stdin=None):
    return subprocess.run(argv, input=stdin, capture_output=True, check=True).stdout

def put(how, scheme, password, encoded):
    if isinstance(encoded, bytes):
        encoded = encoded.decode("ascii")
    assert "\t" not in how + encoded and "\n" not in encoded, encoded
    print(how, scheme, base64.b64encode(password).decode() or "-", encoded, sep="\t")

print("# Made by make-vectors.py from the programs below. Columns: made by, scheme, password in base64 (- when empty), hash.")
print("\n".join(version("apache2-utils", "openssl", "whois", "libcrypt1", "argon2", "libargon2-1", "python3-passlib",
                        "python3-argon2", "python3-bcrypt", "python3-django", "python3.11")))

plain = b"wonderland"
utf8 = "Grüße, Алиса \U0001f407".encode()
latin1 = "Grüße".encode("latin-1")
some = [plain, utf8, latin1, b"a", b"with space and:colon", b"x" * 71, b"x" * 72]
long = [b"y" * 73, b"z" * 128, b"w" * 250]

# htpasswd reads the password from stdin with -i, up to 255 bytes, and takes an empty one only with -b.
for flag, scheme, passwords in (("-nbBC4", "bcrypt", some), ("-nbm", "apr1", some + long), ("-nbs", "sha", some + long),
                                ("-nb2", "sha256-crypt", some + long), ("-nb5", "sha512-crypt", some + long)):
    for p in [b""] + passwords:
        out = run("htpasswd", *([flag] if flag != "-nbBC4" else ["-nbB", "-C", "4"]), b"u", p)
        put("htpasswd " + flag, scheme, p, out.split(b":", 1)[1].strip())
put("htpasswd -nbB -C 8", "bcrypt", plain, run("htpasswd", "-nbB", "-C", "8", "u", plain).split(b":", 1)[1].strip())
put("htpasswd -nb5 -r 12345", "sha512-crypt", plain, run("htpasswd", "-nb5", "-r", "12345", "u", plain).split(b":", 1)[1].strip())

for flag, scheme in (("-5", "sha256-crypt"), ("-6", "sha512-crypt"), ("-apr1", "apr1")):
    for p in some + long:
        put("openssl passwd " + flag, scheme, p, run("openssl", "passwd", flag, "-stdin", stdin=p).strip())
    put("openssl passwd %s -salt ab" % flag, scheme, plain, run("openssl", "passwd", flag, "-salt", "ab", plain.decode()).strip())
put("openssl passwd -6 -salt rounds=1000$", "sha512-crypt", plain, run("openssl", "passwd", "-6", "-salt", "rounds=1000$saltsalt", "wonderland").strip())

for method, scheme in (("sha256crypt", "sha256-crypt"), ("sha512crypt", "sha512-crypt")):
    for rounds in ("1000", "5000", "9999"):
        put("mkpasswd -m %s -R %s" % (method, rounds), scheme, plain, run("mkpasswd", "-m", method, "-R", rounds, plain.decode()).strip())
put("mkpasswd -m bcrypt -R 5", "bcrypt", plain, run("mkpasswd", "-m", "bcrypt", "-R", "5", plain.decode()).strip())
put("mkpasswd -m bcrypt-a -R 5", "bcrypt", plain, run("mkpasswd", "-m", "bcrypt-a", "-R", "5", plain.decode()).strip())

for setting, scheme in (("$2a$04$", "bcrypt"), ("$2b$04$", "bcrypt"), ("$2y$04$", "bcrypt")):
    for p in (plain, utf8):  # crypt.crypt takes text
        salt = setting + "abcdefghijklmnopqrstuu"
        put("python3 crypt.crypt (libxcrypt) " + setting, scheme, p, crypt.crypt(p.decode(), salt))
put("python3 crypt.crypt (libxcrypt) rounds=1000", "sha256-crypt", b"", crypt.crypt("", "$5$rounds=1000$saltstring"))
put("python3 crypt.crypt (libxcrypt) rounds=1000", "sha512-crypt", utf8, crypt.crypt(utf8.decode(), "$6$rounds=1000$saltstring"))

for p in [b""] + some:
    for prefix in (b"2a", b"2b"):
        put("python3-bcrypt " + prefix.decode(), "bcrypt", p, bcrypt.hashpw(p, bcrypt.gensalt(4, prefix)))

for p in [b""] + some + long:
    put("passlib pbkdf2_sha1", "pbkdf2-sha1", p, ph.pbkdf2_sha1.using(rounds=1000).hash(p))
    put("passlib pbkdf2_sha256", "pbkdf2-sha256", p, ph.pbkdf2_sha256.using(rounds=1000).hash(p))
    put("passlib pbkdf2_sha512", "pbkdf2-sha512", p, ph.pbkdf2_sha512.using(rounds=1000).hash(p))
    put("passlib scrypt", "scrypt", p, ph.scrypt.using(rounds=6, block_size=8, parallelism=2).hash(p))
    put("passlib ldap_salted_sha1", "ssha", p, ph.ldap_salted_sha1.hash(p))
    put("passlib ldap_salted_sha1 salt_size=4", "ssha", p, ph.ldap_salted_sha1.using(salt_size=4).hash(p))
    put("python3-argon2", "argon2id", p, argon2.PasswordHasher(time_cost=2, memory_cost=64, parallelism=1).hash(p))
    raw = base64.b64encode
    for name in ("sha1", "sha256", "sha512"):
        salt = os.urandom(16)
        digest = hashlib.pbkdf2_hmac(name, p, salt, 1234)
        phc = "$pbkdf2%s$i=1234$%s$%s" % ("" if name == "sha1" else "-" + name, raw(salt).decode().rstrip("="), raw(digest).decode().rstrip("="))
        put("python3 hashlib.pbkdf2_hmac", "pbkdf2-" + name, p, phc)
    salt = os.urandom(24)
    digest = hashlib.scrypt(p, salt=salt, n=128, r=4, p=3, dklen=64)
    put("python3 hashlib.scrypt", "scrypt", p, "$scrypt$ln=7,r=4,p=3$%s$%s" % (raw(salt).decode().rstrip("="), raw(digest).decode().rstrip("=")))
salt = os.urandom(16)
digest = hashlib.pbkdf2_hmac("sha256", plain, salt, 1000, 48)
put("python3 hashlib.pbkdf2_hmac, 48 bytes of key", "pbkdf2-sha256", plain, "$pbkdf2-sha256$i=1000,l=48$%s$%s" % (raw(salt).decode().rstrip("="), raw(digest).decode()))
put("passlib pbkdf2_sha256", "pbkdf2-sha256", plain, ph.pbkdf2_sha256.using(rounds=29000).hash(plain))
put("passlib sha512_crypt", "sha512-crypt", plain, ph.sha512_crypt.using(rounds=20000).hash(plain))

for args in (("-t", "1", "-k", "64", "-p", "1", "-l", "32"), ("-t", "3", "-k", "4096", "-p", "4", "-l", "64"), ("-t", "2", "-k", "70", "-p", "3", "-l", "16")):
    for p in (plain, utf8, latin1):
        put("argon2 -id " + " ".join(args), "argon2id", p, run("argon2", "saltsaltsalt", "-id", "-e", *args, stdin=p).strip())

dj = "Django "
for p in (plain, utf8, b""):
    t = p.decode()
    put(dj + "PBKDF2PasswordHasher", "pbkdf2-sha256", p, hashers.PBKDF2PasswordHasher().encode(t, "saltsaltsalt", 1500))
    put(dj + "PBKDF2SHA1PasswordHasher", "pbkdf2-sha1", p, hashers.PBKDF2SHA1PasswordHasher().encode(t, "saltsaltsalt", 1500))
    h = hashers.BCryptSHA256PasswordHasher(); h.rounds = 4
    put(dj + "BCryptSHA256PasswordHasher", "bcrypt", p, h.encode(t, h.salt()))
    h = hashers.BCryptPasswordHasher(); h.rounds = 4
    put(dj + "BCryptPasswordHasher", "bcrypt", p, h.encode(t, h.salt()))
    # ScryptPasswordHasher came with Django 4.0; this is its encode() in terms of hashlib.
    d = hashlib.scrypt(p, salt=b"saltsaltsaltsalt", n=64, r=8, p=5, dklen=64)
    put(dj + "4.0's scrypt by hashlib", "scrypt", p, "scrypt$64$saltsaltsaltsalt$8$5$" + raw(d).decode())
h = hashers.BCryptSHA256PasswordHasher(); h.rounds = 4
put(dj + "BCryptSHA256PasswordHasher", "bcrypt", b"v" * 200, h.encode("v" * 200, h.salt()))
put(dj + "Argon2PasswordHasher", "argon2id", plain, hashers.Argon2PasswordHasher().encode(plain.decode(), "saltsaltsalt"))
