#!/bin/sh
# After the removal of the deb ("remove", then "purge") or of the rpm (0). A purge removes what the
# package and the service have created. It keeps the accounts and keys that the operator has put
# into /etc/otelauth.
set -e

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
if [ "$1" = purge ]; then
	rm -rf /var/lib/otelauth
	if [ -d /etc/otelauth ] && ! rmdir /etc/otelauth 2>/dev/null; then
		echo "otelauth: /etc/otelauth holds accounts or keys: remove it yourself if they are not needed"
	fi
	if getent passwd otelauth >/dev/null; then
		userdel otelauth || true
	fi
	if getent group otelauth >/dev/null; then
		groupdel otelauth || true
	fi
fi
