// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/leodido/go-syslog/v4/rfc5424"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/internal/testkit"
)

// A syslogServer accepts RFC 5425: frames with a byte count over TLS.
type syslogServer struct {
	port string

	mu     sync.Mutex
	frames []string
	broken []string // connections whose bytes were no frames
}

func newSyslogServer(t testing.TB, config *tls.Config) *syslogServer {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &syslogServer{}
	_, s.port, _ = net.SplitHostPort(l.Addr().String())
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.read(conn)
		}
	}()
	return s
}

func (s *syslogServer) read(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for {
		count, err := r.ReadString(' ')
		if err == io.EOF && count == "" {
			return
		}
		n, errCount := strconv.Atoi(strings.TrimSuffix(count, " "))
		frame := make([]byte, max(n, 0))
		if err == nil && errCount == nil {
			_, err = io.ReadFull(r, frame)
		}
		s.mu.Lock()
		if err != nil || errCount != nil {
			if !strings.Contains(fmt.Sprint(err), "tls:") { // a connection that failed
				s.broken = append(s.broken, fmt.Sprintf("%q %v %v", count, err, errCount))
			}
			s.mu.Unlock()
			return
		}
		s.frames = append(s.frames, string(frame))
		s.mu.Unlock()
	}
}

func (s *syslogServer) wait(t testing.TB, n int) []string {
	t.Helper()
	var frames []string
	collectortest.Wait(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		frames = append([]string(nil), s.frames...)
		if len(s.broken) > 0 {
			t.Fatalf("bytes that are no frames: %q", s.broken)
		}
		return len(frames) >= n
	}, "%d syslog messages", n)
	return frames
}

// hostileText holds what a client can send as a user name, a path or a user agent.
var hostileText = []string{
	"alice\n<34>1 2026-01-01T00:00:00Z host app - - - root logged in",
	"alice\r\n57 <34>1 2026-01-01T00:00:00Z host app - auth.attempt - forged",
	`"] [auth@32473 outcome="success"] {"auth.outcome":"success"}`,
	`\"]\\`,
	"\x00\x01\x1b[2J\x7f",
	"next\u0085line\u2028separator\u202eoverride",
	"<0>1 - - - - - -",
	strings.Repeat("x", 20000),
	strings.Repeat("<", 20000), // six bytes each in JSON
	"müller 日本",
}

// hostileEvents returns events with hostile text in every field of a record. Their attribute names
// also try to steer the exporter.
func hostileEvents() plog.Logs {
	logs := collectortest.Events("auth.attempt", len(hostileText))
	records := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	for i, value := range hostileText {
		r := records.At(i)
		for _, key := range []string{"user.name", "url.path", "user_agent.original", "auth.outcome", "security_rule.name"} {
			r.Attributes().PutStr(key, value)
		}
		r.Attributes().PutStr("user.name\n<34>1 - - - - - key", "x")
		r.Body().SetStr(value)
		for _, key := range []string{"message", "hostname", "appname", "proc_id", "msg_id", "version", "priority"} {
			r.Attributes().PutStr(key, value)
		}
		r.Attributes().PutEmptyMap("structured_data").PutEmptyMap("sd\n]@1").PutStr("k]", value)
	}
	return logs
}

func TestSyslog(t *testing.T) {
	t.Parallel()
	certFile, keyFile := testkit.NewCertificate(t, "localhost", "127.0.0.1").Write(t, t.TempDir())
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	server := newSyslogServer(t, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12})
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/siem-syslog.yaml"},
		Env: map[string]string{
			"SIEM_SYSLOG_HOST": "127.0.0.1", "SIEM_SYSLOG_PORT": server.port, "SIEM_SYSLOG_CA_FILE": certFile,
			"SIEM_SYSLOG_CERT_FILE": certFile, "SIEM_SYSLOG_KEY_FILE": keyFile,
		},
	})
	c.HTTP().MustLogs(t, otherLogs("order.placed", 3))
	logs := collectortest.Events("auth.attempt", 1)
	resource := logs.ResourceLogs().At(0).Resource().Attributes()
	resource.PutStr("service.name", "orders")
	resource.PutStr("host.name", "shop-1")
	record := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
	at := time.Date(2026, 5, 4, 9, 0, 0, 123456000, time.UTC)
	record.SetTimestamp(pcommon.NewTimestampFromTime(at))
	record.Attributes().PutStr("user.name", "alice")
	c.HTTP().MustLogs(t, logs)
	sent := hostileEvents()
	c.HTTP().MustLogs(t, sent)

	frames := server.wait(t, 1+len(hostileText))
	if len(frames) != 1+len(hostileText) {
		t.Fatalf("%d messages, want %d:\n%q", len(frames), 1+len(hostileText), frames)
	}
	for i, frame := range frames {
		if len(frame) > 8192 {
			t.Errorf("message %d has %d bytes", i, len(frame))
		}
		text, newline := strings.CutSuffix(frame, "\n")
		for _, r := range text {
			if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
				t.Errorf("message %d holds %q: %.300q", i, r, text)
				break
			}
		}
		parsed, err := rfc5424.NewParser().Parse([]byte(text))
		if err != nil || !newline {
			t.Errorf("message %d: %v: %.300q", i, err, frame)
			continue
		}
		m := parsed.(*rfc5424.SyslogMessage)
		if *m.Priority != 84 || m.Version != 1 || *m.MsgID != "auth.attempt" || m.Message == nil {
			t.Errorf("message %d: %.300q", i, text)
			continue
		}
		var event map[string]any
		if err := json.Unmarshal([]byte(*m.Message), &event); err != nil || event["event.name"] != "auth.attempt" {
			t.Errorf("message %d: %v: %.300q", i, err, *m.Message)
		}
		if sd := *m.StructuredData; len(sd) != 1 || sd["auth@32473"] == nil {
			t.Errorf("message %d: structured data %v", i, sd)
		}
	}
	m, err := rfc5424.NewParser().Parse([]byte(strings.TrimSuffix(frames[0], "\n")))
	if err != nil {
		t.Fatal(err)
	}
	first := m.(*rfc5424.SyslogMessage)
	sd := (*first.StructuredData)["auth@32473"]
	if *first.Hostname != "shop-1" || *first.Appname != "orders" || !first.Timestamp.Equal(at) || sd["outcome"] != "failure" || sd["trace_id"] != record.TraceID().String() {
		t.Errorf("%q", frames[0])
	}
	if !strings.Contains(*first.Message, `"user.name":"alice"`) {
		t.Errorf("%q", *first.Message)
	}
}

// Debian's rsyslog receives each event over TLS as one line of its file, with the same fields.
func TestSyslogInRsyslog(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("rsyslogd")
	if err != nil {
		t.Skip("rsyslogd is missing: apt-get install rsyslog rsyslog-openssl")
	}
	certFile, keyFile := testkit.NewCertificate(t, "localhost", "127.0.0.1").Write(t, t.TempDir())
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	lines := filepath.Join(dir, "lines")
	conf := fmt.Sprintf(`global(workDirectory=%[1]q DefaultNetstreamDriver="ossl" DefaultNetstreamDriverCAFile=%[2]q
DefaultNetstreamDriverCertFile=%[2]q DefaultNetstreamDriverKeyFile=%[3]q)
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
template(name="fields" type="string" string="%%pri%%|%%hostname%%|%%app-name%%|%%msgid%%|%%structured-data%%|%%msg%%\n")
input(type="imtcp" address="127.0.0.1" port=%[4]q)
action(type="omfile" file=%[5]q template="fields")
`, dir, certFile, keyFile, port, lines)
	if err := os.WriteFile(filepath.Join(dir, "rsyslog.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-n", "-f", filepath.Join(dir, "rsyslog.conf"), "-i", filepath.Join(dir, "pid"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if b, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("rsyslogd said:\n%s", b)
		}
		_ = log.Close()
	})
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/siem-syslog.yaml"},
		Env:     map[string]string{"SIEM_SYSLOG_HOST": "127.0.0.1", "SIEM_SYSLOG_PORT": port, "SIEM_SYSLOG_CA_FILE": certFile},
	})
	c.HTTP().MustLogs(t, hostileEvents())
	var got []string
	collectortest.Wait(t, func() bool {
		b, _ := os.ReadFile(lines)
		got = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		return len(got) >= len(hostileText) && strings.HasSuffix(string(b), "\n")
	}, "%d lines", len(hostileText))
	if len(got) != len(hostileText) {
		t.Fatalf("%d lines, want %d: %.3000q", len(got), len(hostileText), got)
	}
	for i, line := range got {
		f := strings.SplitN(line, "|", 6)
		if len(f) != 6 || f[0] != "84" || f[3] != "auth.attempt" || !strings.HasPrefix(f[4], "[auth@32473 ") || !json.Valid([]byte(f[5])) {
			t.Errorf("line %d: %.400q", i, line)
		}
	}
}
