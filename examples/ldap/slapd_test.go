// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

// people is the directory. The passwords are wonderland and builder; the others cannot be guessed.
const people = `dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=otelauth,dc=example,dc=com
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: otelauth
userPassword: canary-service-password

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: uid=alice,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: Liddell
userPassword: wonderland

dn: cn=Smith\, Bob (ops) *,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: bob
cn: Smith, Bob (ops) *
sn: Smith
userPassword: builder

dn: uid=mallory,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: mallory
cn: Mallory
sn: Mallory
userPassword: canary-of-mallory

dn: uid=twin,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: twin
cn: Twin
sn: One
userPassword: wonderland

dn: cn=twin,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: twin
cn: twin
sn: Two
userPassword: wonderland

dn: ou=groups,dc=example,dc=com
objectClass: organizationalUnit
ou: groups

dn: cn=ops,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: ops
member: cn=Smith\, Bob (ops) *,ou=people,dc=example,dc=com
member: uid=alice,ou=people,dc=example,dc=com

dn: cn=editors,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: editors
member: uid=alice,ou=people,dc=example,dc=com
`

// configuration accepts unauthenticated binds, as some servers do, so the Verifier must refuse an
// empty password.
const configuration = `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
allow bind_anon_cred
TLSCertificateFile %[1]s/cert.pem
TLSCertificateKeyFile %[1]s/key.pem
pidfile %[1]s/slapd.pid
database mdb
suffix "dc=example,dc=com"
directory %[1]s/data
maxsize 16777216
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=otelauth,dc=example,dc=com" read by * none
`

// directory is a slapd for one test.
type directory struct {
	dir         string
	ldaps, ldap string // addresses
	roots       *x509.CertPool
	slapd       *testkit.Process
}

func startDirectory(t *testing.T) *directory {
	t.Helper()
	if program("slapd") == "" {
		t.Skip("no slapd: apt-get install slapd")
	}
	dir, err := os.MkdirTemp("/tmp", "otelauth-ldap") //nolint:usetesting // the path of a unix socket has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := &directory{dir: dir, ldaps: testkit.FreeAddress(t), ldap: testkit.FreeAddress(t)}
	d.certificate(t)
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"slapd.conf": fmt.Sprintf(configuration, dir), "people.ldif": people} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	add := exec.CommandContext(t.Context(), program("slapadd"), "-f", filepath.Join(dir, "slapd.conf"), "-l", filepath.Join(dir, "people.ldif"))
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	d.start(t)
	return d
}

// program finds a program in PATH and in Debian's directories for servers.
func program(name string) string {
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	return ""
}

func (d *directory) certificate(t *testing.T) {
	t.Helper()
	certificate := testkit.NewCertificate(t, "ldap.example.com")
	certificate.Write(t, d.dir)
	d.roots = certificate.Pool()
}

func (d *directory) tls() *tls.Config {
	return &tls.Config{RootCAs: d.roots, ServerName: "ldap.example.com", MinVersion: tls.VersionTLS12}
}

func (d *directory) socket() string { return filepath.Join(d.dir, "sock") }

func (d *directory) start(t *testing.T) {
	t.Helper()
	urls := fmt.Sprintf("ldaps://%s ldap://%s ldapi://%s", d.ldaps, d.ldap, url.PathEscape(d.socket()))
	d.slapd = testkit.Start(t, exec.CommandContext(context.WithoutCancel(t.Context()), program("slapd"), "-d", "0", "-f", filepath.Join(d.dir, "slapd.conf"), "-h", urls))
	d.slapd.WaitListening(t, "tcp", d.ldaps)
}

func (d *directory) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	d.slapd.Signal(t, sig)
	if sig == syscall.SIGSTOP { // a thread may still run
		testkit.Eventually(t, "slapd stops", func() bool { return stopped(d.slapd.Pid()) })
	}
}

// stopped reports whether every thread of a process is.
func stopped(pid int) bool {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err == nil && !bytes.HasPrefix(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" T")) {
			return false
		}
	}
	return len(stats) > 0
}
