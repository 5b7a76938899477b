// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package scrub

import (
	"regexp"

	"github.com/otelauth/otelauth-go/otelauth/credential"
)

var (
	// A password with an unencoded slash or at sign ends at the last at sign.
	urlPassword     = regexp.MustCompile("(://[^\\s\"'`:]*:)[^\\s\"'`]*@")
	passwordSetting = regexp.MustCompile(`(?i)\b((?:password|passwd|pwd|sslpassword)\s*=\s*)(?:'[^']*'|"[^"]*"|[^\s&;"']+)`)
)

// Text returns text without the passwords of URLs and data sources. Its callers should pass none,
// but drivers, operating systems and users do not always comply.
func Text(text string) string {
	text = urlPassword.ReplaceAllString(text, "${1}"+credential.Redacted+"@")
	return passwordSetting.ReplaceAllString(text, "${1}"+credential.Redacted)
}
