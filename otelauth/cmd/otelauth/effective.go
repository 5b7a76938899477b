// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/internal/scrub"
)

// effective writes the settings in force as a file that --config can read, each with its place
// as a comment. They hold no secrets, because secrets are in separate files.
func effective(w io.Writer, s *settings) error {
	for _, flag := range s.flags {
		if isOnlyFlag(flag.Name) {
			continue
		}
		if flag.Target.IsZero() && flag.Default == "" && flag.Name != "identity-header" {
			continue // the package that owns the setting uses its own default
		}
		value := flag.Target.Interface()
		if flag.Name == "identity-header" && flag.Target.Len() == 0 {
			value = gateway.Defaults().IdentityHeaders
		}
		text, err := settingText(value)
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		if !strings.HasPrefix(text, "\n") {
			text = " " + text
			place, given := s.places[flag.Name]
			switch {
			case given && !strings.HasPrefix(place, variablePrefix):
				text += " # " + strings.TrimSuffix(place, ": "+flag.Name)
			case given:
				text += " # " + place
			}
		}
		fmt.Fprintf(w, "%s:%s\n", flag.Name, scrub.Text(text))
	}
	return nil
}

// settingText returns a value as YAML, or "" for an unset one.
func settingText(value any) (string, error) {
	switch v := value.(type) {
	case time.Duration:
		return v.String(), nil
	case []string:
		if len(v) == 0 {
			return "", nil
		}
		var b strings.Builder
		for _, item := range v {
			text, err := scalarText(item)
			if err != nil {
				return "", err
			}
			b.WriteString("\n  - " + text)
		}
		return b.String(), nil
	case string:
		if v == "" {
			return "", nil
		}
		return scalarText(v)
	}
	if reflect.ValueOf(value).IsZero() {
		return "", nil
	}
	return fmt.Sprint(value), nil
}

// scalarText returns s as a YAML scalar, quoted if necessary.
func scalarText(s string) (string, error) {
	if strings.ContainsAny(s, "\r\n") {
		return quotedYAML(s), nil
	}
	text, err := yaml.Marshal(s)
	if err != nil || strings.Count(string(text), "\n") != 1 {
		return quotedYAML(s), nil //nolint:nilerr // text that does not fit on a line is quoted instead
	}
	return strings.TrimSuffix(string(text), "\n"), nil
}

// quotedYAML returns a double-quoted scalar. YAML understands Go's escapes of printable text.
func quotedYAML(s string) string { return fmt.Sprintf("%q", s) }
