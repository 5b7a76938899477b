// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package testkit_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

// TestProcess checks that a child's output is read line by line and that it ends when it is asked
// to, also while it is stopped.
func TestProcess(t *testing.T) {
	t.Parallel()
	p := testkit.Start(t, exec.CommandContext(t.Context(), "sh", "-c", "echo one; echo two three >&2; exec sleep 600"))
	if line := p.WaitLine(t, "two", "three"); line != "two three" {
		t.Errorf("the line is %q", line)
	}
	if got := p.Output(); got != "one\ntwo three" {
		t.Errorf("the output is %q", got)
	}
	p.Freeze(t)
	p.Stop()
	if p.Err() == nil {
		t.Error("a process that a signal has ended has no error")
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	if got := testkit.Start(t, exec.CommandContext(t.Context(), "sh", "-c", "exit 3")).ExitCode(t); got != 3 {
		t.Errorf("the exit code is %d", got)
	}
}

// TestAlone checks that the test runs once more, in another process.
func TestAlone(t *testing.T) {
	file := os.Getenv("TESTKIT_FILE")
	if file == "" {
		file = filepath.Join(t.TempDir(), "pid")
		t.Setenv("TESTKIT_FILE", file)
	}
	if testkit.Alone(t) {
		if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	pid, err := os.ReadFile(file)
	if err != nil || string(pid) == strconv.Itoa(os.Getpid()) {
		t.Errorf("ran in process %q: %v", pid, err)
	}
}

// TestCertificate checks that a server with an issued certificate is trusted through its authority
// alone.
func TestCertificate(t *testing.T) {
	t.Parallel()
	ca := testkit.NewCertificate(t, "test CA")
	leaf, err := ca.Issue("127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := leaf.Write(t, t.TempDir())
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	for name, test := range map[string]struct {
		trusted *testkit.Certificate
		ok      bool
	}{"its authority": {ca, true}, "another one": {testkit.NewCertificate(t, "other CA"), false}} {
		conn, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{RootCAs: test.trusted.Pool(), MinVersion: tls.VersionTLS12})
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFreeAddress(t *testing.T) {
	t.Parallel()
	if a := testkit.FreeAddress(t); !strings.HasPrefix(a, "127.0.0.1:") {
		t.Errorf("the address is %s", a)
	}
}

// TestPortsAreReserved: this process listens on the first port of each hundred from which it gives
// addresses, so that no other one gives an address of the same hundred.
func TestPortsAreReserved(t *testing.T) {
	t.Parallel()
	given := make(map[string]bool)
	for range 250 {
		address := testkit.FreeAddress(t)
		if given[address] {
			t.Errorf("%s is given twice", address)
		}
		given[address] = true
		first := address[:len(address)-2] + "00"
		if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", first); err == nil {
			_ = l.Close()
			t.Errorf("%s is free, and %s is given", first, address)
		}
	}
}

// TestBuild checks that a program is linked once and runs.
func TestBuild(t *testing.T) {
	t.Parallel()
	path := testkit.Build(t, testkit.OTelAuth)
	if out, err := exec.CommandContext(t.Context(), path, "version").CombinedOutput(); err != nil || !strings.Contains(string(out), "otelauth") {
		t.Errorf("%v: %s", err, out)
	}
	if again := testkit.Build(t, testkit.OTelAuth); again != path {
		t.Errorf("%s, then %s", path, again)
	}
}
