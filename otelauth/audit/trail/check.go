// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

// Check returns the errors of cfg, joined, that [Open] would return, without opening the folder.
func Check(cfg Config) error { return cfg.validate() }
