module github.com/otelauth/otelauth-go

go 1.26.0

require (
	github.com/GehirnInc/crypt v0.0.0-20230320061759-8cc1b52080c5 // apr1, for htpasswd files on their way to something better; no maintained library has it
	github.com/dchest/siphash v1.2.3 // SipHash-2-4-128, the MAC by which a verified credential is recognised
	github.com/fsnotify/fsnotify v1.10.1 // hot reload of account files
	github.com/go-crypt/x v0.4.17 // SHA-crypt, which golang.org/x/crypto lacks
	github.com/google/go-cmp v0.7.0 // tests: readable differences
	go.opentelemetry.io/contrib/exporters/autoexport v0.72.0 // telemetry: exporters by the standard OTEL_ variables
	go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp v0.72.0 // the stack that otelauth drops into: labeler, client spans
	go.opentelemetry.io/otel v1.47.0 // the OpenTelemetry API and its semantic conventions
	go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp v0.23.0 // otelauthtest: the scan for secrets reads what OTLP would send
	go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp v1.47.0 // otelauthtest: the same for metrics
	go.opentelemetry.io/otel/exporters/otlp/otlptrace v1.47.0 // otelauthtest: the same for traces
	go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp v1.47.0 // otelauthtest: the same for traces
	go.opentelemetry.io/otel/exporters/stdout/stdoutlog v0.23.0 // the quickstart: shows what is exported
	go.opentelemetry.io/otel/exporters/stdout/stdoutmetric v1.47.0 // the quickstart: shows what is exported
	go.opentelemetry.io/otel/exporters/stdout/stdouttrace v1.47.0 // the quickstart: shows what is exported
	go.opentelemetry.io/otel/log v1.47.0 // the Logs API: events
	go.opentelemetry.io/otel/metric v1.47.0 // the Metrics API
	go.opentelemetry.io/otel/sdk v1.47.0 // telemetry, otelauthtest, examples and tests; no other package imports an SDK
	go.opentelemetry.io/otel/sdk/log v1.47.0 // telemetry, otelauthtest, examples and tests
	go.opentelemetry.io/otel/sdk/metric v1.47.0 // telemetry, otelauthtest, examples and tests
	go.opentelemetry.io/otel/trace v1.47.0 // the Traces API
	golang.org/x/crypto v0.58.0 // bcrypt, argon2id, scrypt
	golang.org/x/mod v0.43.0 // the trail: Merkle tree (sumdb/tlog) and signed notes (sumdb/note)
)

require (
	github.com/oschwald/maxminddb-golang/v2 v2.9.0 // GeoIP databases in MaxMind's format, for detect/geoip
	github.com/redis/go-redis/v9 v9.23.0 // guess budgets that many processes share
)

require (
	github.com/alecthomas/kong v1.17.0 // the command: flags
	github.com/chromedp/cdproto v0.160.1 // tests: the protocol of Chromium, for chromedp
	github.com/chromedp/chromedp v0.23.1 // tests: the pages in a real Chromium
	github.com/creack/pty v1.1.24 // tests: the prompt of the command on a pseudo-terminal
	github.com/getkin/kin-openapi v0.153.0 // the command: endpoints of an OpenAPI 3.0 or 3.1 document
	github.com/go-logr/logr v1.4.4 // telemetry: the SDK's own errors, without what they quote
	github.com/jackc/pgx/v5 v5.12.0 // the command: accounts in PostgreSQL; tests of sqlstore
	github.com/prometheus/client_golang v1.24.1 // examples/nethttp: /metrics behind otelauth
	github.com/rogpeppe/go-internal v1.16.0 // tests: the command as a shell runs it
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // tests: the SARIF of a probe against the schema of OASIS
	go.opentelemetry.io/proto/otlp v1.11.1 // otlpreceiver: the messages of OTLP
	go.yaml.in/yaml/v4 v4.0.0 // the command: the configuration file; the YAML organisation's own, its nodes know their lines
	golang.org/x/sys v0.49.0 // tests: whether a terminal echoes
	golang.org/x/term v0.47.0 // the command: passwords without echo
	golang.org/x/text v0.43.0 // gateway: NFKC, by which an upstream may take two paths for one
	google.golang.org/protobuf v1.36.12 // otlpreceiver: reads OTLP
	modernc.org/sqlite v1.62.0 // the command: accounts in SQLite, without cgo; tests of sqlstore
)

require (
	go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc v0.23.0 // tests: the receiver gets what exporters send over gRPC
	go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc v1.47.0 // tests: the same for metrics
	go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc v1.47.0 // tests: the same for traces
	golang.org/x/net v0.61.0 // otlpreceiver: bounds connections
	google.golang.org/grpc v1.84.0 // otlpreceiver: OTLP over gRPC
)

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cenkalti/backoff/v5 v5.0.3 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/felixge/httpsnoop v1.1.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/go-openapi/jsonpointer v1.0.1 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/grpc-ecosystem/grpc-gateway/v2 v2.31.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/otlptranslator v1.0.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/contrib/bridges/prometheus v0.72.0 // indirect
	go.opentelemetry.io/otel/exporters/prometheus v0.69.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20260928230214-8a89bd6388cc // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260928230214-8a89bd6388cc // indirect
	modernc.org/libc v1.80.1 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)
