// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"regexp"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/credential"
)

var (
	// A password with an unencoded slash or at sign ends at the last at sign.
	urlPassword     = regexp.MustCompile("(://[^\\s\"'`:]*:)[^\\s\"'`]*@")
	passwordSetting = regexp.MustCompile(`(?i)\b((?:password|passwd|pwd|sslpassword)\s*=\s*)(?:'[^']*'|"[^"]*"|[^\s&;"']+)`)
)

// redact removes passwords of URLs and data sources from text. Its callers should pass none, but
// drivers, operating systems and users do not always comply.
func redact(text string) string {
	text = urlPassword.ReplaceAllString(text, "${1}"+credential.Redacted+"@")
	return passwordSetting.ReplaceAllString(text, "${1}"+credential.Redacted)
}

// redactError returns err on one line, without secret and without other passwords. The result
// wraps nothing, because a wrapped error would still hold the text.
func redactError(err error, secret string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if secret != "" {
		text = strings.ReplaceAll(text, secret, credential.Redacted)
	}
	return errors.New(redact(strings.Join(strings.Fields(text), " "))) // pgx writes several lines
}
