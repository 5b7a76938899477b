// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

// SameClass reports whether h and o cost the same by construction.
func SameClass(h, o *Hash) bool { return h.s.class == o.s.class }
