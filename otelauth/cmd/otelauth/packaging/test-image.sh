#!/usr/bin/env bash
# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the image as a release does, and runs the commands of docs/install.md with it, on a Docker
# Engine of its own that ends with the script. It needs root, and Debian's packages docker.io,
# iptables and curl. No registry is asked: a base with the same user and certificates replaces that
# of .goreleaser.yaml, which the workflow pulls.
#
#	test-image.sh path/to/goreleaser

set -euo pipefail
goreleaser=$(realpath "$1")
cd -P "$(dirname "${BASH_SOURCE[0]}")/../../../.."
for name in $(compgen -v OTELAUTH_); do unset "$name"; done

# Namespaces of their own: the changes of dockerd end with them, and no port is in use.
if [[ -z ${IMAGE_TEST_TMP:-} ]]; then
	for program in dockerd docker iptables curl unshare setpriv; do
		command -v $program >/dev/null || { echo "test-image.sh: $program is missing; apt-get install docker.io iptables curl util-linux"; exit 1; }
	done
	[[ $(id -u) -eq 0 ]] || { echo "test-image.sh: it starts a Docker Engine; run it as root"; exit 1; }
	go mod download # there is no network inside
	IMAGE_TEST_TMP=$(mktemp -d)
	export IMAGE_TEST_TMP
	trap 'rm -rf "$IMAGE_TEST_TMP"' EXIT
	unshare --net --mount --pid --fork --kill-child --mount-proc "$PWD/otelauth/cmd/otelauth/packaging/test-image.sh" "$goreleaser"
	exit
fi

tmp=$IMAGE_TEST_TMP
chmod 711 "$tmp" # its files are used by another user too
fail() {
	echo "FAILED: $*"
	exit 1
}

ip link set lo up
export DOCKER_HOST=unix://$tmp/docker.sock DOCKER_CONFIG=$tmp/docker
dockerd --data-root "$tmp/data" --exec-root "$tmp/exec" --pidfile "$tmp/dockerd.pid" --host "$DOCKER_HOST" --log-level error >"$tmp/dockerd.log" 2>&1 &
dockerd=$!
trap 'kill $dockerd; wait $dockerd || true' EXIT
for ((i = 0; i < 600; i++)); do
	docker info >/dev/null 2>&1 && break
	sleep 0.1
done
docker info >/dev/null || fail "dockerd does not answer: $(tail -n 20 "$tmp/dockerd.log")"

echo "base"
base=$(sed -n 's/^ *base_image: //p' .goreleaser.yaml)
mkdir -p "$tmp/base/etc/ssl/certs"
cp -L /etc/ssl/certs/ca-certificates.crt "$tmp/base/etc/ssl/certs/"
echo 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' >"$tmp/base/etc/passwd"
tar -C "$tmp/base" -c etc | docker import --change 'USER 65532' --change 'WORKDIR /home/nonroot' - "$base" >/dev/null

echo "build"
# This machine's processor only, and nothing but the image.
sed -e 's/^    goos: .*/    goos: [linux]/' -e "s/^    goarch: .*/    goarch: [$(go env GOARCH)]/" .goreleaser.yaml >"$tmp/goreleaser.yaml"
echo "dist: $tmp/dist" >>"$tmp/goreleaser.yaml"
GOPROXY=off GOFLAGS=-buildvcs=false "$goreleaser" release --snapshot --clean --config "$tmp/goreleaser.yaml" --skip=before,archive,nfpm,sbom,sign
image=$(docker images --format '{{.Repository}}:{{.Tag}}' | grep ':latest$')
[[ $(docker inspect -f '{{.Config.User}} {{.Config.Entrypoint}}' "$image") == '65532 [/ko-app/otelauth]' ]] ||
	fail "user and entry point: $(docker inspect -f '{{.Config.User}} {{.Config.Entrypoint}}' "$image")"
version=$(docker run --rm "$image" version)
[[ $version == 'otelauth '* ]] || fail "version: $version"

# The two commands of the page, as a user who is not root, with the name of the image replaced.
echo "run"
chmod 666 "$tmp/docker.sock"
mkdir "$tmp/work" "$DOCKER_CONFIG"
chown 1000:1000 "$tmp/work"
cd "$tmp/work"
commands=$(sed -n '/^## Image/,/^## /p' "$OLDPWD/docs/install.md" | sed -n '/^```console/,/^```/p' | grep -v '^```' | sed -e ':join' -e '/\\$/{N;s/\\\n//;b join}')
[[ $(wc -l <<<"$commands") -eq 2 ]] || fail "docs/install.md has other commands for the image: $commands"
as_user() { setpriv --reuid 1000 --regid 1000 --clear-groups env HOME=/ bash -euo pipefail -c "$(sed -n "$1p" <<<"$commands" | sed -e "s|ghcr.io/otelauth/otelauth|$image|" -e 's/ -it / -i /')"; }
began=$(date +%s%N)
echo correct-horse-battery | as_user 1 >"$tmp/log" 2>&1 || fail "$(cat "$tmp/log")"
as_user 2 >>"$tmp/log" 2>&1 &
recorded() {
	local tries
	for ((tries = 0; tries < 500; tries++)); do
		grep -q "$1" "$tmp/log" && return
		sleep 0.02
	done
	fail "no $1: $(cat "$tmp/log")"
}
recorded '"gateway.listening"'
status=$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/)
[[ $status == 401 ]] || fail "the answer is $status: $(cat "$tmp/log")"
recorded '"auth.attempt"'
echo "first attempt recorded after $((($(date +%s%N) - began) / 1000000)) ms, $(wc -l <"$tmp/log") lines"
grep -q "^| \[image\].* | $(wc -l <"$tmp/log") |\$" "$OLDPWD/docs/install.md" || fail "docs/install.md has another number of lines: $(cat "$tmp/log")"
id=$(docker ps -q)
[[ $(docker top "$id" -eo uid,pid | awk 'NR > 1 { print $1 }') == 1000 ]] || fail "it runs as another user"
docker stop "$id" >/dev/null
echo "the image works"
