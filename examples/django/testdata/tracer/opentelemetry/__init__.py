# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0
