// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "regexp"

var (
	// A password with a slash or an at sign that nobody has encoded ends at the last at sign.
	urlPassword     = regexp.MustCompile("(://[^\\s\"'`:]*:)[^\\s\"'`]*@")
	passwordSetting = regexp.MustCompile(`(?i)\b((?:password|passwd|pwd|sslpassword)\s*=\s*)(?:'[^']*'|"[^"]*"|[^\s&;"']+)`)
)
