// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/internal/testkit"
)

// A kafkaBroker is franz-go's broker: a Go program with Kafka's protocol, TLS, SCRAM and ACLs,
// which keeps its records in memory. Apache Kafka itself needs a JVM and does not run here.
type kafkaBroker struct {
	*kfake.Cluster
	caFile string
	tls    *tls.Config
}

var kafkaTopics = []string{"otelauth_traces", "otelauth_metrics", "otelauth_logs", "otelauth_security"}

// newKafka starts a broker with four partitions for each topic. It has two users with the rights
// that the overlays need, and no others.
func newKafka(t testing.TB) *kafkaBroker {
	t.Helper()
	certFile, keyFile := testkit.NewCertificate(t, "localhost", "127.0.0.1").Write(t, t.TempDir())
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	may := func(resource kmsg.ACLResourceType, operations ...kmsg.ACLOperation) (acls []kfake.ACL) {
		for _, operation := range operations {
			acls = append(acls, kfake.ACL{Resource: resource, Name: "otelauth", Pattern: kmsg.ACLResourcePatternTypePrefixed, Operation: operation, Allow: true})
		}
		return acls
	}
	producer := may(kmsg.ACLResourceTypeTopic, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe)
	consumer := append(may(kmsg.ACLResourceTypeTopic, kmsg.ACLOperationRead, kmsg.ACLOperationDescribe), may(kmsg.ACLResourceTypeGroup, kmsg.ACLOperationRead)...)
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.SeedTopics(4, kafkaTopics...),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, "127.0.0.1:0") }),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}),
		kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("SCRAM-SHA-512", "admin", overlayToken),
		kfake.User("SCRAM-SHA-512", "producer", overlayToken, producer...),
		kfake.User("SCRAM-SHA-512", "consumer", overlayToken, consumer...),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	return &kafkaBroker{cluster, certFile, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, ServerName: "127.0.0.1"}}
}

func (b *kafkaBroker) authFile(t testing.TB, user, password string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), user)
	if err := os.WriteFile(name, []byte("sasl: {mechanism: SCRAM-SHA-512, username: "+user+", password: "+password+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// env returns the variables of an overlay that begin with prefix.
func (b *kafkaBroker) env(t testing.TB, prefix, user string) map[string]string {
	t.Helper()
	return map[string]string{
		prefix + "BROKERS": strings.Join(b.ListenAddrs(), ","), prefix + "CA_FILE": b.caFile, prefix + "AUTH_FILE": b.authFile(t, user, overlayToken),
	}
}

// held returns how many records a topic holds.
func (b *kafkaBroker) held(topic string) (n int64) {
	for _, p := range b.PartitionInfos(topic) {
		n += p.HighWatermark
	}
	return n
}

// read reads the records of a topic until they are enough.
func (b *kafkaBroker) read(t testing.TB, topic string, enough func([]*kgo.Record) bool) {
	t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(b.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.DialTLSConfig(b.tls),
		kgo.SASL(scram.Auth{User: "admin", Pass: overlayToken}.AsSha512Mechanism()),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), collectortest.Deadline)
	defer cancel()
	var records []*kgo.Record
	for !enough(records) {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%s: %d records and no more: %v", topic, len(records), fetches.Errors())
		}
		records = append(records, fetches.Records()...)
	}
}

// Spans of a trace that arrive in several requests are in one partition, keyed by their trace id.
// The consuming collector, which knows only the topics, exports them.
func TestKafka(t *testing.T) {
	t.Parallel()
	broker, sink := newKafka(t), collectortest.NewSink(t)
	env := broker.env(t, "KAFKA_", "producer")
	for k, v := range quick {
		env[k] = v
	}
	producer := collectortest.Start(t, collectortest.Options{Configs: []string{"base.yaml", "backends/kafka.yaml"}, Env: env})
	const traces = 40
	sent := map[string]bool{}
	for range traces {
		server, auth := splitTrace(collectortest.Trace(map[string]string{"auth.outcome": "failure"}))
		sent[server.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).TraceID().String()] = true
		producer.HTTP().MustTraces(t, server)
		producer.HTTP().MustTraces(t, auth)
	}
	sendAll(t, producer)

	partition, spans := map[string]int32{}, map[string]int{}
	broker.read(t, "otelauth_traces", func(records []*kgo.Record) bool {
		clear(spans)
		for _, r := range records {
			td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range traceIDs(td) {
				spans[id]++
				if p, known := partition[id]; known && p != r.Partition {
					t.Fatalf("trace %s is in partitions %d and %d", id, p, r.Partition)
				}
				partition[id] = r.Partition
				if string(r.Key) != id {
					t.Fatalf("trace %s is keyed %q", id, r.Key)
				}
			}
		}
		whole := 0
		for id := range sent {
			if spans[id] == 2 {
				whole++
			}
		}
		return whole == traces
	})
	used := map[int32]bool{}
	for _, p := range partition {
		used[p] = true
	}
	if len(used) < 2 {
		t.Errorf("all traces in partitions %v", used)
	}

	env = broker.env(t, "KAFKA_CONSUMER_", "consumer")
	env["OTLP_ENDPOINT"] = sink.HTTP
	for k, v := range quick {
		env[k] = v
	}
	consumer := collectortest.Start(t, collectortest.Options{Configs: []string{"base.yaml", "backends/kafka-consumer.yaml", "backends/otlp.yaml"}, Env: env})
	sink.WaitSpans(t, 2*traces+2)
	sink.WaitLogs(t, 3)
	checkMetrics(t, sink, false)
	perTrace := map[string]int{}
	for _, span := range sink.Spans() {
		perTrace[span.TraceID().String()]++
	}
	for id := range sent {
		if perTrace[id] != 2 {
			t.Errorf("trace %s came with %d spans", id, perTrace[id])
		}
	}
	for _, log := range []string{producer.Log(), consumer.Log()} {
		if strings.Contains(log, overlayToken) {
			t.Error("the password is printed")
		}
	}
}

// splitTrace returns the two spans of [collectortest.Trace] in a request each.
func splitTrace(td ptrace.Traces) (server, auth ptrace.Traces) {
	server, auth = ptrace.NewTraces(), ptrace.NewTraces()
	td.CopyTo(server)
	td.CopyTo(auth)
	index := 0
	server.ResourceSpans().At(0).ScopeSpans().At(0).Spans().RemoveIf(func(ptrace.Span) bool { index++; return index != 1 })
	index = 0
	auth.ResourceSpans().At(0).ScopeSpans().At(0).Spans().RemoveIf(func(ptrace.Span) bool { index++; return index == 1 })
	return server, auth
}

func traceIDs(td ptrace.Traces) (ids []string) {
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				ids = append(ids, span.TraceID().String())
			}
		}
	}
	return ids
}

// A SIEM's topic holds auth.* events only. The principal may write to it and not read. A wrong
// password loses nothing.
func TestSIEMKafka(t *testing.T) {
	t.Parallel()
	broker := newKafka(t)
	env := broker.env(t, "SIEM_KAFKA_", "producer")
	right := env["SIEM_KAFKA_AUTH_FILE"]
	env["SIEM_KAFKA_AUTH_FILE"] = broker.authFile(t, "producer", "wrong-canary-11")
	o := collectortest.Options{Configs: []string{"base.yaml", "backends/siem-kafka.yaml"}, Env: env, Dir: t.TempDir()}
	c := collectortest.Start(t, o)
	c.HTTP().MustLogs(t, collectortest.Events("auth.attempt", 3))
	c.HTTP().MustLogs(t, otherLogs("order.placed", 3))
	c.HTTP().MustLogs(t, collectortest.Events("auth.detection", 2))
	// Kafka answers a wrong password with SASL_AUTHENTICATION_FAILED; this broker closes the
	// connection.
	collectortest.Wait(t, func() bool { return strings.Contains(c.Log(), "Exporting failed. Will retry") }, "a failed attempt")
	_ = c.Shutdown(t)
	if strings.Contains(c.Log(), "wrong-canary-11") {
		t.Error("the password is printed")
	}
	env["SIEM_KAFKA_AUTH_FILE"] = right
	collectortest.Start(t, o)
	names := map[string]int{}
	broker.read(t, "otelauth_security", func(records []*kgo.Record) bool {
		clear(names)
		total := 0
		for _, r := range records {
			ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(r.Value)
			if err != nil {
				t.Fatalf("%v: %s", err, r.Value)
			}
			for _, rl := range ld.ResourceLogs().All() {
				for _, sl := range rl.ScopeLogs().All() {
					for _, record := range sl.LogRecords().All() {
						names[record.EventName()]++
						total++
					}
				}
			}
		}
		return total >= 5
	})
	if names["auth.attempt"] < 3 || names["auth.detection"] < 2 || len(names) != 2 {
		t.Errorf("the topic holds %v", names)
	}
}
