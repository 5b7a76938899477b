// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package pathform compares request paths with patterns of http.ServeMux when it is unknown what a router or an
// upstream server makes of an odd path. Three rules replace every guess:
//
//   - What opens is compared exactly. [Pattern.Opens] compares the bytes that the client sent.
//   - What restricts is compared loosely. [Pattern.Restricts] compares skeletons, in which all spellings of one name
//     that servers, file systems and databases take for each other are the same.
//   - What cannot be compared is refused. [Path.Refusal] is a sentence for the caller.
//
// A path is read once, in time linear to its length, and then compared with any number of patterns:
//
//	p := pathform.Get(r.URL)
//	defer p.Free()
//	if p.Refusal != "" { … 400 … }
//	if restricted.Restricts(r.Method, host, &p) { … }
//
// The page docs/paths.md holds the table of examples; a test runs it.
package pathform
