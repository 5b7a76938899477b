#!/usr/bin/env bash
# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0
#
# Tests the demo: docker compose up with all profiles, checks of what README.md claims, then down.
#
#	examples/demo/run.sh                 with the images of docker-compose.yaml
#	examples/demo/run.sh --stand-ins     with locally built images, on an engine of its own
#
# --stand-ins pulls no image from a registry; standins/Dockerfile lists the replacements. It needs
# root, and Debian's packages docker.io, mmdebstrap, iproute2, iptables and curl. Its engine has its
# own data, socket and network, so it replaces none of your images, and it ends with the script. The
# servers are those of .ci/full. The first build takes most of an hour on two cores, later runs some
# minutes. The script also builds Docker Compose and buildx.
#
# The project is called otelauth-demo-check. It uses other ports and addresses than a demo that runs
# here. The last line is the count.
#
#	CI_CACHE=dir             directory of the built programs; default ~/.cache/otelauth-ci
#	OTELAUTH_SERVERS=dir     directory of the servers

set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/../.."

cache=${CI_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/otelauth-ci}
export OTELAUTH_SERVERS=${OTELAUTH_SERVERS:-$cache/servers}
export COMPOSE_PROJECT_NAME=otelauth-demo-check OTELAUTH_DEMO_NET=10.97
export OTELAUTH_DEMO_SHOP_PORT=18443 OTELAUTH_DEMO_GRAFANA_PORT=13000 OTELAUTH_DEMO_PROMETHEUS_PORT=19090 OTELAUTH_DEMO_JAEGER_PORT=26686 \
	OTELAUTH_DEMO_VICTORIA_METRICS_PORT=18428 OTELAUTH_DEMO_VICTORIA_LOGS_PORT=19428 OTELAUTH_DEMO_VICTORIA_TRACES_PORT=20428
unset COMPOSE_FILE COMPOSE_PROFILES DOCKER_CONTEXT 2>/dev/null || true

# ---------------------------------------------------------------- stand-ins

# prepare DIR fills the context of standins/Dockerfile. Only this function needs the network.
prepare() {
	local dir=$1 program where
	for program in dockerd mmdebstrap ip iptables unshare curl; do
		command -v $program >/dev/null || missing+=" $program"
	done
	[[ -z ${missing:-} ]] || { echo "run.sh: missing:$missing; apt-get install docker.io mmdebstrap iproute2 iptables util-linux curl"; return 1; }
	[[ $(id -u) -eq 0 ]] || { echo "run.sh: --stand-ins starts a Docker Engine, which needs root; run it as root"; return 1; }

	.ci/full build prometheus3 jaeger victoria-logs loki
	if [[ ! -x $OTELAUTH_SERVERS/otelcol ]]; then
		echo "otelcol: building"
		(cd collector-config/e2e && GOWORK=off CGO_ENABLED=0 go build -buildvcs=false -o "$OTELAUTH_SERVERS/otelcol" ./cmd/otelcol)
	fi
	if [[ ! -x $OTELAUTH_SERVERS/victoria-metrics ]]; then
		echo "victoria-metrics: building"
		(cd "$dir" && GOWORK=off CGO_ENABLED=0 GOBIN=$OTELAUTH_SERVERS go install github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@v1.150.0)
	fi
	if [[ ! -e $cache/demo/debian.tar ]]; then
		echo "debian.tar: building"
		mkdir -p "$cache/demo"
		mmdebstrap --quiet --variant=minbase --include=redis-server,curl,busybox bookworm "$cache/demo/.debian.tar"
		mv "$cache/demo/.debian.tar" "$cache/demo/debian.tar"
	fi

	cp examples/demo/standins/{Dockerfile,lgtm.sh,loki-config.yaml} "$dir"
	ln -f "$cache/demo/debian.tar" "$dir" 2>/dev/null || cp "$cache/demo/debian.tar" "$dir"
	for program in prometheus3 jaeger victoria-logs loki otelcol victoria-metrics; do
		cp "$OTELAUTH_SERVERS/$program" "$dir"
	done
	GOWORK=off CGO_ENABLED=0 go build -buildvcs=false -o "$dir/victoria-traces" ./examples/demo/standins/victoria-traces
	cp -r "$(go env GOROOT)" "$dir/go"
	# Only the modules of the root module, from the local cache if it has them.
	where=$(go env GOMODCACHE)/cache/download
	(GOWORK=off GOMODCACHE=$dir/modules GOPROXY="file://$where,$(go env GOPROXY)" GOFLAGS=-modcacherw go mod download)
}

stand_ins() {
	local dir=$1 image
	while read -r image target; do
		echo "stand-in for $image"
		DOCKER_BUILDKIT=1 docker build -q -t "$image" --target "$target" "$dir" >/dev/null
	done <<-END
		$(sed -n 's/^FROM \(golang:[^ ]*\) .*/\1 golang/p' examples/Dockerfile)
		$(image_of redis) redis
		$(image_of collector) collector
		$(image_of lgtm) lgtm
		$(image_of jaeger) jaeger
		$(image_of victoria-metrics) victoria-metrics
		$(image_of victoria-logs) victoria-logs
		$(image_of victoria-traces) victoria-traces
	END
}

image_of() { compose config --images | grep -E "(^|/)$(name_of "$1"):"; }
name_of() {
	case $1 in
	collector) echo opentelemetry-collector-contrib ;;
	lgtm) echo otel-lgtm ;;
	*) echo "$1" ;;
	esac
}

engine() {
	ip link set lo up
	export DOCKER_HOST=unix://$tmp/docker.sock
	dockerd --data-root "$tmp/data" --exec-root "$tmp/exec" --pidfile "$tmp/dockerd.pid" --host "$DOCKER_HOST" --log-level error >"$tmp/dockerd.log" 2>&1 &
	dockerd=$!
	local i
	for ((i = 0; i < 60; i++)); do
		docker info >/dev/null 2>&1 && return
		sleep 1
	done
	echo "run.sh: dockerd did not start:"
	tail -n 20 "$tmp/dockerd.log"
	return 1
}

# ---------------------------------------------------------------- checks

passed=0 failed=0

verdict() {
	if [[ $1 -eq 0 ]]; then
		passed=$((passed + 1))
		echo "ok      $2"
	else
		failed=$((failed + 1))
		echo "FAILED  $2"
		[[ -z ${3:-} ]] || sed 's/^/        /' <<<"${3:0:4000}"
	fi
}

# check WHAT COMMAND… passes if the command succeeds. Otherwise it shows the command's output.
check() {
	local what=$1 out status=0
	shift
	out=$("$@" 2>&1) || status=$?
	verdict $status "$what" "$out"
}

# eventually SECONDS WHAT COMMAND…
eventually() {
	local deadline=$((SECONDS + $1)) began=$SECONDS what=$2 out
	shift 2
	until out=$("$@" 2>&1); do
		if [[ $SECONDS -ge $deadline ]]; then
			verdict 1 "$what" "$out"
			return
		fi
		sleep 2
	done
	verdict 0 "$what ($((SECONDS - began)) s)"
}

compose() { "$compose" --env-file /dev/null -f docker-compose.yaml --profile '*' "$@"; }
inspect() { docker inspect --format "{{index .Config.Labels \"com.docker.compose.service\"}} $1" $(compose ps -aq); }

# none PATTERN fails if lines of standard input match, and prints them.
none() { ! grep -E "$1"; }

all_up() {
	local states
	states=$(inspect '{{.State.Status}} {{with .State.Health}}{{.Status}}{{end}} {{.State.ExitCode}}')
	[[ $(wc -l <<<"$states") -eq $(compose config --services | wc -l) ]] || { echo "some services are missing"; return 1; }
	grep -vE ' (running (healthy)? 0|exited  0)$' <<<"$states" && return 1
	return 0
}

none_restarted() { inspect '{{.RestartCount}}' | none ' [1-9]'; }
hardened() {
	inspect '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Privileged}}' |
		grep -vE ' 65532:65532 true \[ALL\] \[no-new-privileges:true\] false$' && return 1
	inspect '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}' | none ' 0( |$)|nil'
}
# Reads the user of every process of every container from the kernel.
no_root_process() {
	local id count=0 uid
	for id in $(compose ps -q); do
		for uid in $(docker top "$id" -eo uid,pid | awk 'NR > 1 { print $1 }'); do
			count=$((count + 1))
			[[ $uid -eq 65532 ]] || { echo "a process of $id runs as $uid"; return 1; }
		done
	done
	[[ $count -ge 10 ]] || { echo "only $count processes were seen"; return 1; }
}
loopback_ports() {
	inspect '{{range $p, $b := .HostConfig.PortBindings}}{{range $b}}{{.HostIp}}:{{.HostPort}} {{end}}{{end}}' >"$tmp/ports"
	[[ $(grep -c '127\.0\.0\.1:' "$tmp/ports") -ge 5 ]] || { cat "$tmp/ports"; return 1; }
	if tr ' ' '\n' <"$tmp/ports" | grep : | grep -v '^127\.0\.0\.1:[0-9]\+$'; then return 1; fi
	# Also not on the address that this machine has in a network of the demo.
	local port
	for port in $OTELAUTH_DEMO_SHOP_PORT $OTELAUTH_DEMO_PROMETHEUS_PORT $OTELAUTH_DEMO_GRAFANA_PORT; do
		if curl -sk -o /dev/null --max-time 2 "http://$OTELAUTH_DEMO_NET.1.1:$port/"; then
			echo "port $port answers beyond loopback"
			return 1
		fi
	done
}
shop_answers() {
	[[ $(curl -s --cacert "$tmp/ca.pem" -o /dev/null -w '%{http_code}' "https://localhost:$OTELAUTH_DEMO_SHOP_PORT/healthz") == 200 ]] &&
		[[ $(curl -s --cacert "$tmp/ca.pem" -o /dev/null -w '%{http_code}' "https://localhost:$OTELAUTH_DEMO_SHOP_PORT/orders") == 401 ]]
}
intruder_denied() { compose logs --no-color attack-returns | grep 'returns answered 502'; }

# The newest trace of a return that has all three services. Sets trace.
crossing() {
	curl -sf -G "http://127.0.0.1:$OTELAUTH_DEMO_JAEGER_PORT/api/traces" --data-urlencode 'service=inventory' \
		--data-urlencode 'operation=POST /stock/{item}/returns' --data-urlencode limit=1 >"$tmp/trace" || { echo "Jaeger does not answer"; return 1; }
	local services
	services=$(grep -o '"serviceName":"[^"]*"' "$tmp/trace" | sort -u | cut -d'"' -f4 | tr '\n' ' ')
	[[ $services == 'inventory orders storefront ' ]] || { echo "services in the trace: $services"; return 1; }
	grep -q '"account_disabled"' "$tmp/trace" || { echo "the trace has no reason account_disabled"; return 1; }
	grep -o '"traceID":"[0-9a-f]*"' "$tmp/trace" | head -n 1 | cut -d'"' -f4 >"$tmp/trace-id"
}
in_lgtm() { compose exec -T lgtm curl -sf "$@"; }
trace_in_lgtm() {
	local id url
	id=$(cat "$tmp/trace-id")
	# Tempo; in the stand-in Jaeger.
	for url in "http://127.0.0.1:3200/api/traces/$id" "http://127.0.0.1:16686/api/traces/$id"; do
		in_lgtm "$url" >"$tmp/lgtm-trace" && break
	done
	three "$tmp/lgtm-trace"
}
three() {
	local name
	for name in storefront orders inventory; do
		grep -q "$name" "$1" || { echo "$name is missing in:"; head -c 1000 "$1"; return 1; }
	done
}
events_in_loki() {
	in_lgtm -G http://127.0.0.1:3100/loki/api/v1/query_range --data-urlencode "query={service_namespace=\"shop\"} | trace_id=\"$(cat "$tmp/trace-id")\"" >"$tmp/loki"
	three "$tmp/loki"
}
events_in_victorialogs() {
	curl -sf "http://127.0.0.1:$OTELAUTH_DEMO_VICTORIA_LOGS_PORT/select/logsql/query" --data-urlencode "query=trace_id:$(cat "$tmp/trace-id")" >"$tmp/victoria"
	three "$tmp/victoria"
}
metrics_in_victoria() {
	curl -sf "http://127.0.0.1:$OTELAUTH_DEMO_VICTORIA_METRICS_PORT/api/v1/query" --data-urlencode 'query=sum by (job, instance) (auth_attempts_total)' >"$tmp/vm"
	three "$tmp/vm"
}
traces_in_victoria() { ! curl -s "http://127.0.0.1:$OTELAUTH_DEMO_VICTORIA_TRACES_PORT/requests" | grep -qx 0; }
prometheus() { curl -sf "http://127.0.0.1:$OTELAUTH_DEMO_PROMETHEUS_PORT/api/v1/$1" "${@:2}"; }
rules_loaded() {
	prometheus rules >"$tmp/rules"
	[[ $(grep -o '"name":"otelauth-[a-z-]*"' "$tmp/rules" | wc -l) -ge 5 ]] || { echo "the groups of collector-config/alerts/rules are missing"; return 1; }
	! grep -o '"lastError":"[^"]\+"' "$tmp/rules"
}
# firing ALERT JOB
firing() {
	prometheus query --data-urlencode "query=ALERTS{alertname=\"$1\",job=\"$2\",alertstate=\"firing\"}" | tee "$tmp/alert" | grep -o "\"security_rule_name\":\"[a-z_]*\"" | sort -u
}
exemplars() {
	prometheus query_exemplars --data-urlencode 'query=auth_attempt_duration_seconds_bucket{job="shop/inventory"}' \
		--data-urlencode "start=$(($(date +%s) - 900))" --data-urlencode "end=$(date +%s)" | grep '"trace_id":"[0-9a-f]\{32\}"' >/dev/null # not -q, which closes the pipe early
}
# Neither the services nor the collector gave up on a record.
nothing_lost() {
	prometheus query --data-urlencode 'query=otelauth:losses:total > 0' | tee "$tmp/lost" | grep -q '"result":\[\]' || { cat "$tmp/lost"; return 1; }
	prometheus query --data-urlencode 'query=sum(otelcol_exporter_sent_log_records_total) > 0' | grep -q '"value"'
}
nothing_secret() {
	local service file secret=0
	inspect '{{json .Config.Env}} {{json .Config.Cmd}} {{json .Config.Entrypoint}} {{json .Config.Labels}}' >"$tmp/seen"
	compose logs --no-color >>"$tmp/seen"
	for file in storefront:orders.credentials orders:stock.credentials orders:returns.credentials collector:otlp.token storefront:redis.password; do
		compose cp "${file%%:*}:/run/shop/${file#*:}" "$tmp/secret" >/dev/null 2>&1
		# The password of name:password.
		secret=$(sed 's/^[^:]*://' "$tmp/secret")
		[[ ${#secret} -ge 16 ]] || { echo "$file holds no secret"; return 1; }
		if grep -qF "$secret" "$tmp/seen"; then
			echo "$file is in an environment, a command or a log"
			return 1
		fi
	done
}
record_agrees() {
	in_lgtm -G http://127.0.0.1:3100/loki/api/v1/query_range --data-urlencode limit=5000 \
		--data-urlencode 'query={service_name="storefront"} | auth_trail_size!="" | auth_trail_note!=""' >"$tmp/checkpoints" || return 1
	compose exec -T storefront /bin/otelauth trail verify --public-key /state/trail/storefront.key.pub \
		--unsealed 1m --checkpoints - /state/trail/storefront <"$tmp/checkpoints"
}
overlays_forgotten() {
	compose cp collector:/etc/otelauth/chosen/jaeger.yaml "$tmp/overlay" >/dev/null 2>&1
	grep -q 'otlp_http/jaeger' "$tmp/overlay" || { echo "the overlay of backend-jaeger was not chosen"; return 1; }
}

checks() {
	check 'docker compose up --detach, every profile' compose up --detach --quiet-pull
	[[ $failed -eq 0 ]] || return 0 # the other checks would wait in vain
	eventually 300 'all are up, healthy, and what runs once has ended well' all_up
	compose cp traffic:/run/shop/ca.pem "$tmp/ca.pem" >/dev/null 2>&1
	check 'every container: 65532, read-only, no capability, no new privileges, limits of memory, CPU and processes' hardened
	check 'every process runs as 65532' no_root_process
	check 'ports on 127.0.0.1 only' loopback_ports
	check 'the storefront answers on this machine, and asks for credentials' shop_answers
	check 'the profiles chose their overlays' overlays_forgotten
	eventually 60 'the intruder passes two services and is denied by the third' intruder_denied
	eventually 120 'Jaeger: one trace of three services, and why' crossing
	[[ ! -s $tmp/trace-id ]] || echo "        trace $(cat "$tmp/trace-id")"
	eventually 60 'lgtm: the same trace' trace_in_lgtm
	eventually 60 'Loki: its events, of three services' events_in_loki
	eventually 60 'VictoriaLogs: its events, of three services' events_in_victorialogs
	eventually 60 'VictoriaMetrics: attempts of three services' metrics_in_victoria
	eventually 60 'VictoriaTraces was sent traces' traces_in_victoria
	check 'Prometheus: the rules are loaded, and none has an error' rules_loaded
	eventually 180 'Prometheus: AuthDetectionHigh fires for the storefront' firing AuthDetectionHigh shop/storefront
	echo "        $(firing AuthDetectionHigh shop/storefront | cut -d'"' -f4 | tr '\n' ' ')"
	eventually 120 'Prometheus: AuthDetectionLow fires for inventory' firing AuthDetectionLow shop/inventory
	eventually 60 'Prometheus: exemplars with trace ids' exemplars
	eventually 60 'the trail of the storefront agrees with its checkpoints in Loki' record_agrees
	check 'no record was lost' nothing_lost
	check 'no secret in an environment, a command or a log' nothing_secret
	check 'no container was restarted' none_restarted
}

finish() {
	local status=$?
	trap - EXIT
	if [[ -n ${inside:-} ]]; then
		kill $(ps -o pid= --ppid "$inside") 2>/dev/null || true # it ends what it has started
		wait "$inside" || true
	fi
	if [[ -n ${compose:-} && -n ${began:-} ]]; then
		if [[ $failed -gt 0 ]]; then
			compose ps -a 2>&1 | cut -c1-150
			compose logs --no-color --tail 8 2>&1 | cut -c1-300
		fi
		check 'docker compose down --volumes' compose down --volumes --timeout 20
		check 'no container, network or volume remains' nothing_left
	fi
	if [[ -n ${dockerd:-} ]]; then
		kill "$dockerd" 2>/dev/null || true
		wait "$dockerd" 2>/dev/null || true
	fi
	[[ -n ${OTELAUTH_DEMO_INSIDE:-} ]] || rm -rf "$tmp"
	if [[ -n ${began:-} ]]; then
		echo "demo${OTELAUTH_DEMO_INSIDE:+ with stand-ins}: $((SECONDS - began)) s, $passed passed, $failed failed"
		[[ $failed -eq 0 ]] || status=1
	fi
	exit $status
}
nothing_left() {
	[[ -z $(docker ps -aq --filter label=com.docker.compose.project=$COMPOSE_PROJECT_NAME) ]] &&
		[[ -z $(docker volume ls -q --filter label=com.docker.compose.project=$COMPOSE_PROJECT_NAME) ]] &&
		[[ -z $(docker network ls -q --filter label=com.docker.compose.project=$COMPOSE_PROJECT_NAME) ]]
}

# ---------------------------------------------------------------- the run

main() {
	tmp=${OTELAUTH_DEMO_INSIDE:-$(mktemp -d)}
	trap finish EXIT
	trap 'exit 130' INT TERM

	case ${1:-} in
	--stand-ins)
		if [[ -z ${OTELAUTH_DEMO_INSIDE:-} ]]; then
			local status=0
			mkdir "$tmp/context"
			prepare "$tmp/context"
			# Separate namespaces for network, mounts and processes: the changes of dockerd end with
			# them.
			OTELAUTH_DEMO_INSIDE=$tmp unshare --net --mount --pid --fork --kill-child --mount-proc "$PWD/examples/demo/run.sh" --stand-ins &
			inside=$!
			wait "$inside" || status=$?
			inside=
			exit "$status"
		fi
		;;
	'') docker info >/dev/null 2>&1 || {
		echo "run.sh: no Docker Engine answers; start one, or use --stand-ins"
		exit 1
	} ;;
	*)
		echo "run.sh: unknown argument \"$1\"; use --stand-ins or nothing"
		exit 2
		;;
	esac

	# Versions of compose and buildx that work together, whatever is installed.
	local servers
	servers=$(examples/demo/compose.sh build)
	compose=$servers/docker-compose
	export DOCKER_CONFIG=$tmp/docker
	mkdir -p "$DOCKER_CONFIG/cli-plugins"
	ln -sf "$servers/docker-compose" "$servers/docker-buildx" "$DOCKER_CONFIG/cli-plugins/"

	if [[ ${1:-} == --stand-ins ]]; then
		engine
		stand_ins "$tmp/context"
	fi
	began=$SECONDS
	checks
}

# Must be the last line: bash reads a script while it runs, and this one runs for minutes.
main "$@"; exit
