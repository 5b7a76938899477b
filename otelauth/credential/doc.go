// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package credential reads what a client sent in its Authorization field: the
// Basic scheme of RFC 7617 inside the grammar of RFC 9110, section 11. It is stage
// 1 of the pipeline.
//
//	field, fault := credential.Split(r.Header, 0) // finds the one field, allocates nothing
//	if fault == credential.NoFault && field.Scheme == attempt.SchemeBasic {
//		basic, fault := field.Decode() // name and password
//	}
//
// It refuses to guess. A field that two readers could read in two ways is a [Fault], never the first
// of two meanings; a Fault never holds what was sent. It judges no password, and it refuses to show one: a
// [Secret] prints as [redacted] wherever it ends up.
//
// # Stricter than net/http
//
// (*http.Request).BasicAuth reads the first of several fields and hands on whatever base64 yields. Split
// and Decode differ from it in these cases:
//
//	what arrives                                  BasicAuth            here
//	several Authorization fields                  reads the first      DuplicateField
//	a field longer than the bound                 reads it             TooLong
//	"Basic YTpi, Basic Yzpk" or ", Bearer x"      refuses              MultipleSchemes
//	CR or LF between base64 digits                skips them           NotBase64
//	trailing bits that are not zero ("YTpiYx==")  ignores them         NotBase64
//	a control character (U+0000–U+001F, U+007F)   hands it on          ControlCharacter
//	a C1 control (U+0080–U+009F) in the name      hands it on          ControlCharacter
//	a name that is not UTF-8                      hands on the octets  reads ISO-8859-1
//	several spaces after the scheme               refuses              reads it: RFC 9110 has 1*SP
//
// The last row is the only one in which this package is laxer. Missing padding, the URL alphabet, a tab
// after the scheme and white space at either end are refused by both.
//
// The token is therefore a bijection with the octets that it stands for, which is what lets a cache
// be keyed with the token itself: no delimiter can be moved (CVE-2022-46146, GHSA-6765-c87h-8mrf). Two tokens can
// still mean one account, "é" in UTF-8 and in ISO-8859-1; that costs a second cache entry and nothing else.
package credential
