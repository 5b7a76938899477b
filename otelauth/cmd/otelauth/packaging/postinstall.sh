#!/bin/sh
# After the installation of the deb ("configure" and, in an upgrade, the previous version) or of the
# rpm (1; 2 in an upgrade).
set -e

if [ "$1" = abort-upgrade ] || [ "$1" = abort-remove ] || [ "$1" = abort-deconfigure ]; then
	exit 0
fi
if ! getent group otelauth >/dev/null; then
	groupadd --system otelauth
fi
if ! getent passwd otelauth >/dev/null; then
	useradd --system --gid otelauth --home-dir /var/lib/otelauth --no-create-home --shell /usr/sbin/nologin otelauth
fi
# Accounts and keys in this folder are for root and the service only.
chown root:otelauth /etc/otelauth
chmod 0750 /etc/otelauth

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	# Not enabled by the installation: it needs accounts first. A running gateway gets the new
	# binary.
	systemctl try-restart otelauth-gateway.service || true
fi
