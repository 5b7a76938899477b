// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package pathform compares request paths with patterns of http.ServeMux where it is unknown how
// a router or an upstream server reads an unusual path. It does not guess. Three rules apply:
//
//   - What opens is compared exactly. [Pattern.Opens] compares the bytes that the client sent.
//   - What restricts is compared loosely. [Pattern.Restricts] compares skeletons. All spellings
//     that servers, file systems or databases read as the same name have the same skeleton.
//   - What cannot be compared is refused. [Path.Refusal] is a sentence for the caller.
//
// A path is read once, in linear time, and then compared with any number of patterns:
//
//	p := pathform.Get(r.URL)
//	defer p.Free()
//	if p.Refusal != "" { … 400 … }
//	if restricted.MatchesMethod(r.Method) && restricted.Restricts(p) { … }
//
// docs/paths.md has a table of examples, which a test checks.
package pathform
