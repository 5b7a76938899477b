// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package credential parses the Authorization field of a request: the Basic scheme of RFC 7617 in
// the grammar of RFC 9110, section 11. It is stage 1 of the pipeline.
//
//	field, defect := credential.Split(r.Header, 0) // finds the one field, allocates nothing
//	if defect == credential.NoDefect && field.Scheme == attempt.SchemeBasic {
//		basic, defect := field.Decode() // name and password
//	}
//
// A field that two parsers may read differently is a [Defect]; the package never picks one
// reading. A Defect holds nothing of the field. The package does not verify passwords and does not
// print them: a [Secret] prints as [redacted].
//
// # Stricter than net/http
//
// (*http.Request).BasicAuth reads the first of several fields and returns whatever base64 yields.
// Split and Decode differ from it in these cases:
//
//	input                                         BasicAuth            this package
//	several Authorization fields                  reads the first      DuplicateField
//	a field longer than the bound                 reads it             TooLong
//	"Basic YTpi, Basic Yzpk" or ", Bearer x"      refuses              MultipleSchemes
//	CR or LF between base64 digits                skips them           NotBase64
//	trailing bits that are not zero ("YTpiYx==")  ignores them         NotBase64
//	a control character (U+0000–U+001F, U+007F)   returns it           ControlCharacter
//	a C1 control (U+0080–U+009F) in the name      returns it           ControlCharacter
//	a name that is not UTF-8                      returns the bytes    reads ISO-8859-1
//	several spaces after the scheme               refuses              reads it: RFC 9110 has 1*SP
//
// Only in the last row is this package less strict. Both refuse missing padding, the URL alphabet,
// a tab after the scheme and white space at either end.
//
// Each token therefore has exactly one decoding and each pair of name and password one token, so a
// cache can use the token as its key: no delimiter can move (CVE-2022-46146, GHSA-6765-c87h-8mrf).
// One account may still have two tokens, "é" in UTF-8 and in ISO-8859-1, at the cost of a second
// cache entry.
package credential
