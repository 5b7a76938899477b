#!/usr/bin/env bash
# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0
#
# Checks docker-compose.yaml with Docker Compose, which needs no engine for that: without a profile,
# with each profile, with all of them, and with other ports and addresses.
#
#	examples/demo/compose.sh           the check
#	examples/demo/compose.sh build     prints the directory of docker-compose and docker-buildx
#
# Compose is built from its Go module, two minutes once.
#
#	CI_CACHE=dir      the programs are in dir/servers; default ~/.cache/otelauth-ci
#	OTELAUTH_SERVERS=dir     directory of the programs

set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/../.."

compose_version=v2.40.3
buildx_version=v0.38.2 # with which compose builds images

servers=${OTELAUTH_SERVERS:-${CI_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/otelauth-ci}/servers}
mkdir -p "$servers"
export GOWORK=off CGO_ENABLED=0 GOFLAGS=-buildvcs=false
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

build_docker-compose() {
	local json dir
	json=$(cd "$tmp" && go mod download -json github.com/docker/compose/v2@$compose_version) || { echo "$json"; return 1; } # it has the error
	dir=$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$json")
	cp -r "$dir" "$tmp/compose" # its go.mod replaces modules, so it is built in place
	chmod -R u+w "$tmp/compose"
	(cd "$tmp/compose" && go build -trimpath -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$compose_version" -o "$1" ./cmd)
}

build_docker-buildx() {
	(cd "$tmp" && GOBIN="$tmp/bin" go install -trimpath -ldflags "-s -w -X github.com/docker/buildx/version.Version=$buildx_version" \
		github.com/docker/buildx/cmd/buildx@$buildx_version)
	mv "$tmp/bin/buildx" "$1"
}

# built NAME VERSION
built() {
	local want="$2 $(go env GOVERSION)" lock
	exec {lock}>"$servers/.$1.lock"
	flock "$lock" # two runs at once build it once
	if [[ ! -x $servers/$1 || $(cat "$servers/$1.version" 2>/dev/null) != "$want" ]]; then
		echo "$1 $want: building" >&2
		"build_$1" "$servers/.$1.new" >&2
		mv "$servers/.$1.new" "$servers/$1"
		echo "$want" >"$servers/$1.version"
	fi
	exec {lock}>&-
}

check() {
	local args profile profiles
	# The variables of the caller's shell must not affect the check.
	local clean=(env -u COMPOSE_FILE -u COMPOSE_PROFILES -u COMPOSE_PROJECT_NAME "$servers/docker-compose" --env-file /dev/null -f docker-compose.yaml)
	profiles=$("${clean[@]}" --profile '*' config --profiles)
	[[ -n $profiles ]] || { echo "docker-compose.yaml: no profiles were found"; return 1; }
	for profile in '' $profiles '*'; do
		args=()
		[[ -z $profile ]] || args=(--profile "$profile")
		"${clean[@]}" "${args[@]}" config -q || { echo "docker-compose.yaml: profile ${profile:-none} is not valid"; return 1; }
		echo "ok: ${profile:-no profile}, $("${clean[@]}" "${args[@]}" config --services | wc -l) services"
	done
	OTELAUTH_DEMO_NET=10.99 OTELAUTH_DEMO_SHOP_PORT=18443 "${clean[@]}" config >"$tmp/moved"
	if ! grep -q 'ipv4_address: 10\.99\.1\.10' "$tmp/moved" || grep -q '10\.89\.' "$tmp/moved" || ! grep -q '"18443"' "$tmp/moved"; then
		echo "docker-compose.yaml: OTELAUTH_DEMO_NET or OTELAUTH_DEMO_SHOP_PORT is not used everywhere"
		return 1
	fi
	echo "ok: other addresses and ports"
}

case ${1:-} in
'')
	built docker-compose $compose_version
	check
	;;
build)
	built docker-compose $compose_version
	built docker-buildx $buildx_version
	echo "$servers"
	;;
*)
	echo "compose.sh: unknown argument \"$1\"; use build or nothing" >&2
	exit 2
	;;
esac
