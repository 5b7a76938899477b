// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// isWord reports whether word is one word of a group file, for Apache too.
func isWord(word string) bool {
	return word != "" && utf8.ValidString(word) && !strings.ContainsAny(word[:1], `"'`)
}

// parseGroups reads lines "group: member member" and returns the sorted groups of each member.
func parseGroups(content []byte, file string) (map[string][]string, error) {
	bad := badLines{file: file}
	groupsOf := make(map[string][]string)
	err := eachLine(content, file, &bad, func(_ int, line []byte) error {
		group, members, found := strings.Cut(string(line), ":")
		switch {
		case !found:
			return errors.New("no colon: a line is group: member member")
		case verify.ValidName(group) != nil || !isWord(group) || strings.ContainsAny(group, " \t"):
			return errors.New("the group's name is empty, not UTF-8, quoted or has white space: rename it")
		}
		group = strings.Clone(group) // a substring would keep the whole line in memory
		for _, member := range strings.Fields(members) {
			if !isWord(member) {
				return errors.New("a member is not UTF-8 or quoted: members are names separated by spaces")
			}
			groups := groupsOf[member]
			if at, found := slices.BinarySearch(groups, group); !found {
				groupsOf[member] = slices.Insert(groups, at, group)
			}
		}
		return nil
	})
	if err == nil {
		err = bad.join()
	}
	if err != nil {
		return nil, err
	}
	return groupsOf, nil
}
