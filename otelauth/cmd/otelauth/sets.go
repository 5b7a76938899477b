// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/alecthomas/kong"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

// A flag names the fields of the configuration that it sets in its tag sets, as ROOT:PATH. With
// the tag via, other code of this package sets the field. The roots are these structs:
//
//	gateway     gateway.Config, with everything beneath its field Auth
//	memory      throttle.MemoryConfig, the store of the budgets
//	htpasswd    htpasswd.Config
//	sqlstore    sqlstore.Config
//	redisstore  redisstore.Config
//	redisfeed   redisfeed.Config
//	trail       trail.Config
//	operator    operator.Config
//	console     console.Config

// apply sets the fields of target, a pointer to the struct of root, to the flags that are set.
func apply(flags []*kong.Flag, root string, target any) {
	for _, flag := range flags {
		for _, field := range strings.Fields(flag.Tag.Get("sets")) {
			r, path, _ := strings.Cut(field, ":")
			if r != root || flag.Target.IsZero() {
				continue
			}
			v := reflect.ValueOf(target).Elem()
			for name := range strings.SplitSeq(path, ".") {
				v = v.FieldByName(name)
			}
			v.Set(flag.Target.Convert(v.Type()))
		}
	}
}

// flagsByField returns the name of the flag for each ROOT:PATH.
var flagsByField = sync.OnceValue(func() map[string]string {
	index := make(map[string]string)
	parser, err := newParser(new(commands))
	if err != nil {
		return index // every use of the command reports this error
	}
	for _, flag := range gatewayNode(parser).Flags {
		for _, field := range strings.Fields(flag.Tag.Get("sets") + " " + flag.Tag.Get("via")) {
			index[field] = flag.Name
		}
	}
	return index
})

// fieldOf finds where the fields of a package's errors are.
var fieldOf = map[string]string{
	"otelauth/gateway": "gateway:", "otelauth": "gateway:Auth.", "audit": "gateway:Auth.", "throttle": "gateway:Auth.Budgets.",
	"detect": "gateway:Auth.Detect.", "clientip": "gateway:Auth.", "htpasswd": "htpasswd:", "sqlstore": "sqlstore:",
	"redisstore": "redisstore:", "redisfeed": "redisfeed:", "trail": "trail:",
	"operator": "operator:", "console": "console:",
}

// goName returns an expression that matches the name of a field in an error: behind the name of
// its struct, or alone if it is a known one of several words, such as CertFile.
var goName = sync.OnceValue(func() *regexp.Regexp {
	words := regexp.MustCompile(`[a-z][A-Z]`)
	var alone []string
	for field := range flagsByField() {
		if name := field[strings.LastIndexAny(field, ":.")+1:]; words.MatchString(name) {
			alone = append(alone, name)
		}
	}
	slices.Sort(alone)
	return regexp.MustCompile(`\b(?:Config|Limits|Events|Thresholds|MemoryConfig|Policy)\.[A-Z]\w*(?:\.[A-Z]\w*)*(?:\[\d+\])?|` +
		`\b(?:Auth\.)?(?:` + strings.Join(alone, "|") + `)\b`)
})

// errorPackage matches the name of a package at the begin of an error.
var errorPackage = regexp.MustCompile(`(?:^|: )([a-z]+(?:/[a-z]+)*): `)

// flagOf returns the flag that sets a field, which an error of one of these packages names. rest
// is the part of the field that the flag sets together with others: " burst", or "".
func flagOf(field string, packages []string) (flag, rest string) {
	index := flagsByField()
	field, _, _ = strings.Cut(field, "[")
	if path, isMemory := strings.CutPrefix(field, "MemoryConfig."); isMemory {
		return index["memory:"+path], ""
	}
	path, _ := strings.CutPrefix(field, "Config.")
	for path != "" {
		for _, pkg := range packages {
			if name, found := index[fieldOf[pkg]+path]; found {
				return name, rest
			}
		}
		if !strings.Contains(path, ".") {
			break
		}
		i := strings.LastIndexByte(path, '.')
		path, rest = path[:i], " "+strings.ToLower(path[i+1:])+rest
	}
	for known, name := range index {
		if strings.HasSuffix(known, "."+field) || strings.HasSuffix(known, ":"+field) {
			return name, ""
		}
	}
	return "", ""
}

// withFlags replaces the names of fields in the text of an error by those of flags, because who
// uses the command knows no Go. first is the flag of the first one, or "".
func withFlags(text string) (replaced, first string) {
	var packages []string
	for _, m := range errorPackage.FindAllStringSubmatch(text, -1) {
		packages = append([]string{m[1]}, packages...) // the innermost package first
	}
	replaced = goName().ReplaceAllStringFunc(text, func(field string) string {
		flag, rest := flagOf(field, packages)
		if flag == "" {
			return field
		}
		if first == "" {
			first = flag
		}
		return "--" + flag + rest
	})
	return replaced, first
}

// problemStart matches what withFlags leaves in front of the problem of a flag.
var problemStart = regexp.MustCompile(`^(?:[a-z]+(?:/[a-z]+)*: |Config\.\w+: )*--([a-z0-9-]+):? `)

// explain replaces the fields in the gateway's errors by the flags or places that set them. It
// returns nil for nil.
func explain(err error, cfg *gateway.Config, s *settings) error {
	if err == nil {
		return nil
	}
	var all []error
	for _, err := range flatten(err) {
		var problem *gateway.ConfigError
		if !errors.As(err, &problem) {
			text, flag := withFlags(err.Error())
			if flag == "" {
				all = append(all, err)
				continue
			}
			if m := problemStart.FindStringSubmatch(text); m != nil && m[1] == flag {
				all = append(all, placed{s.place(flag), errors.New(text[len(m[0]):])})
			} else {
				all = append(all, errors.New(text)) // about a file, with a flag as remedy
			}
			continue
		}
		flag, _ := flagOf(problem.Field, []string{"otelauth/gateway"})
		place := s.place(flag)
		var i int
		if _, e := fmt.Sscanf(problem.Field, "Rules[%d]", &i); e == nil && i < len(cfg.Rules) {
			place = "the rules of " + quoted(shown(cfg.Rules[i].Pattern))
		}
		text, _ := withFlags(problem.Err.Error())
		all = append(all, placed{place, errors.New(text)})
	}
	return usageError{errors.Join(all...)}
}
