// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "regexp"

var (
	urlUserinfo     = regexp.MustCompile(`(://)[^/\s"'?#]*@`)
	passwordSetting = regexp.MustCompile(`(?i)((?:password|passwd|pwd|secret|token)\s*[=:]\s*)(?:'[^']*'|"[^"]*"|[^\s&;"']+)`)
)
