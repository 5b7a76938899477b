#!/usr/bin/env bash
# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0
#
# Starts the programs of the image grafana/otel-lgtm, with the image's flags for Prometheus.

set -euo pipefail
mkdir -p /data/prometheus /data/loki
read -ra extra <<<"${PROMETHEUS_EXTRA_ARGS:-}"
./prometheus/prometheus --web.enable-remote-write-receiver --web.enable-otlp-receiver --enable-feature=exemplar-storage \
	--storage.tsdb.path=/data/prometheus --config.file=./prometheus.yaml "${extra[@]}" &
./loki/loki --config.file=./loki-config.yaml &
JAEGER_LISTEN_HOST=0.0.0.0 OTEL_TRACES_SAMPLER=always_off ./jaeger/jaeger &
busybox httpd -f -p 3000 -h /otel-lgtm/www &
trap 'kill $(jobs -p)' TERM INT
until curl -sf -o /dev/null http://127.0.0.1:9090/-/ready && curl -sf -o /dev/null http://127.0.0.1:3100/ready &&
	curl -sf -o /dev/null http://127.0.0.1:16686/api/services; do
	sleep 1
done
touch /tmp/ready
wait -n
exit 1
