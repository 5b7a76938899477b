#!/usr/bin/env bash
# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs, upgrades, removes and purges a package with the real dpkg, in a copy of this machine's
# file system that vanishes at the end: an overlay whose upper layer is in memory. It needs root.
#
#	test-deb.sh otelauth_0.0.1_amd64.deb

set -euo pipefail
deb=$(realpath "$1")

# The settings of the caller are not those of the package.
for name in $(compgen -v OTELAUTH_); do unset "$name"; done

# Inside: a mount namespace, then the overlay as root.
if [[ ${DEB_TEST_STAGE:-} == '' ]]; then
	DEB_TEST_LINES=$(sed -n 's/^| \[package\].*| \([0-9]*\), in the journal |$/\1/p' "$(dirname "$0")/../../../../docs/install.md")
	export DEB_TEST_LINES
	DEB_TEST_STAGE=namespace exec unshare --mount --propagation private "$0" "$deb"
fi
if [[ $DEB_TEST_STAGE == namespace ]]; then
	top=/mnt # in this namespace only
	mount -t tmpfs tmpfs "$top"
	mkdir "$top/upper" "$top/work" "$top/merged"
	mount -t overlay overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$top/merged"
	mount -t proc proc "$top/merged/proc"
	mount --bind /dev "$top/merged/dev"
	mount -t tmpfs tmpfs "$top/merged/run"
	install -D "$deb" "$top/merged/run/package/old.deb"
	install "$0" "$top/merged/run/package/test"
	DEB_TEST_STAGE=root exec chroot "$top/merged" /run/package/test /run/package/old.deb
fi

cd /run/package
fail() {
	echo "FAILED: $*"
	exit 1
}
expect() { "$@" >/dev/null || fail "$*"; }
# prints WORD COMMAND… runs a command that prints the word. No pipe: grep -q closes it at the word,
# and a command that goes on writing ends with SIGPIPE.
prints() {
	local out
	out=$("${@:2}") || fail "${*:2}"
	[[ $out == *"$1"* ]] || fail "${*:2} prints no $1: $out"
}
absent() { [[ ! -e $1 ]] || fail "$1 is left"; }

echo "install"
began=$(date +%s%N)
dpkg -i old.deb
took=$(($(date +%s%N) - began)) # without the checks that follow
expect otelauth version
expect getent passwd otelauth
[[ $(stat -c '%U:%G %a' /etc/otelauth) == 'root:otelauth 750' ]] || fail "mode of /etc/otelauth: $(stat -c '%U:%G %a' /etc/otelauth)"
for file in /usr/lib/systemd/system/otelauth-gateway.service /etc/otelauth/gateway.yaml /etc/otelauth/environment \
	/usr/share/man/man1/otelauth-gateway.1.gz /usr/share/bash-completion/completions/otelauth \
	/usr/share/zsh/vendor-completions/_otelauth /usr/share/fish/vendor_completions.d/otelauth.fish \
	/usr/share/doc/otelauth/copyright; do
	expect test -s "$file"
done
expect gzip -t /usr/share/man/man1/otelauth-gateway.1.gz
if command -v systemd-analyze >/dev/null; then
	expect systemd-analyze verify /usr/lib/systemd/system/otelauth-gateway.service
fi

# systemd creates this folder for the unit, and it is where the gateway puts the operator's socket.
runtime=/run/$(sed -n 's/^RuntimeDirectory=//p' /usr/lib/systemd/system/otelauth-gateway.service)
install -d -o otelauth -g otelauth -m 755 "$runtime"

# The commands of docs/install.md. The unit's command runs as the unit's user, because no systemd
# runs here, on a free port.
began=$(($(date +%s%N) - took))
echo correct-horse-battery | otelauth users add /etc/otelauth/users.htpasswd alice
chgrp otelauth /etc/otelauth/users.htpasswd
chmod 640 /etc/otelauth/users.htpasswd
otelauth gateway --check --config /etc/otelauth/gateway.yaml >/dev/null || fail "the configuration of the package is not valid"
setpriv --reuid otelauth --regid otelauth --clear-groups \
	otelauth gateway --config /etc/otelauth/gateway.yaml --listen 127.0.0.1:0 >log 2>&1 &
gateway=$!
trap 'kill $gateway' EXIT
recorded() {
	local tries
	for ((tries = 0; tries < 500; tries++)); do
		grep -q "$1" log && return
		sleep 0.02
	done
	fail "no $1: $(cat log)"
}
recorded '"gateway.listening"'
port=$(sed -n 's/.*"gateway.listening".*127\.0\.0\.1:\([0-9]*\).*/\1/p' log)
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET / HTTP/1.0\r\n\r\n' >&3
recorded '"auth.attempt"'
echo "first attempt recorded after $((($(date +%s%N) - began) / 1000000)) ms, $(wc -l <log) lines"
[[ $(wc -l <log) == "$DEB_TEST_LINES" ]] || fail "docs/install.md says $DEB_TEST_LINES lines: $(cat log)"
echo "operator"
recorded '"gateway.operator_listening"'
[[ $(stat -c '%U:%G %a' "$runtime/operator.sock") == 'otelauth:otelauth 600' ]] || fail "the socket: $(stat -c '%U:%G %a' "$runtime/operator.sock")"
prints read-only otelauth status
prints missing setpriv --reuid otelauth --regid otelauth --clear-groups otelauth attempts
! setpriv --reuid nobody --clear-groups otelauth status 2>refusal || fail "any user gets the status"
expect grep -q 'may not open the socket' refusal
trap - EXIT
kill $gateway
wait $gateway || fail "the gateway ended with an error: $(cat log)"
absent "$runtime/operator.sock"

echo "upgrade"
echo 'realm: mine' >>/etc/otelauth/gateway.yaml
dpkg-deb -R old.deb new
sed -i 's/^Version: .*/&+1/' new/DEBIAN/control
dpkg-deb --root-owner-group -b new new.deb >/dev/null
dpkg -i new.deb </dev/null
prints '+1 install ok installed' dpkg-query -W -f '${Version} ${Status}' otelauth
expect grep -q '^realm: mine$' /etc/otelauth/gateway.yaml
expect test -s /etc/otelauth/users.htpasswd
expect otelauth version

echo "remove"
dpkg -r otelauth
absent /usr/bin/otelauth
absent /usr/lib/systemd/system/otelauth-gateway.service
expect grep -q '^realm: mine$' /etc/otelauth/gateway.yaml

echo "purge"
mkdir -p /var/lib/otelauth
dpkg -P otelauth
absent /etc/otelauth/gateway.yaml
absent /etc/otelauth/environment
absent /var/lib/otelauth
expect test -s /etc/otelauth/users.htpasswd
! getent passwd otelauth || fail "the user is left"
[[ -z $(dpkg-query -W -f '${Status}' otelauth 2>/dev/null) ]] || fail "dpkg still knows the package"
echo "install, upgrade, remove and purge work"
