#!/usr/bin/env bash
# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds a release without a tag into dist/, except the image: archives, packages, their SBOMs, and
# the checksums with their signature. Then it verifies the signature. A key replaces the identity of
# the workflow, which only the workflow has, and no public log gets an entry.
#
#	test-release.sh directory of goreleaser, syft and cosign

set -euo pipefail
programs=$(realpath "$1")
cd -P "$(dirname "${BASH_SOURCE[0]}")/../../../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

export COSIGN_PASSWORD=''
"$programs/cosign" generate-key-pair --output-key-prefix "$tmp/key"
"$programs/cosign" signing-config create --out "$tmp/services.json"
mkdir "$tmp/bin"
cat >"$tmp/bin/cosign" <<-EOF
	#!/bin/sh
	exec "$programs/cosign" "\$@" --key="$tmp/key.key" --signing-config="$tmp/services.json"
EOF
chmod +x "$tmp/bin/cosign"
PATH="$tmp/bin:$programs:$PATH" goreleaser release --snapshot --clean --skip=ko

verify() {
	"$programs/cosign" verify-blob "$1" --bundle dist/checksums.txt.sigstore.json --key "$tmp/key.pub" --insecure-ignore-tlog
}
verify dist/checksums.txt
(cat dist/checksums.txt; echo) >"$tmp/changed.txt"
if verify "$tmp/changed.txt"; then
	echo "FAILED: the signature is also valid for changed checksums"
	exit 1
fi
