#!/bin/sh
# Before the removal of the deb ("remove") or of the rpm (0). In an upgrade the gateway keeps
# running.
set -e

if [ "$1" = remove ] || [ "$1" = 0 ]; then
	if [ -d /run/systemd/system ]; then
		systemctl disable --now otelauth-gateway.service || true
	fi
fi
