// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"errors"
	"io"
)

// ExportOptions configures [Export].
type ExportOptions struct {
	// From and To select the lines From to To-1, extended to whole entry bundles of 256 lines. To
	// 0 is the size of the newest checkpoint.
	From, To int64
	// Keys are the public keys of the trail.
	Keys []string
}

// Export writes a signed bundle for an auditor to w: a tar file in the layout of
// c2sp.org/tlog-tiles, with the newest checkpoint, the hash tiles that authenticate the selected
// lines, and the entry bundles of these lines. Any client of tlog-tiles verifies it.
func Export(ctx context.Context, dir string, w io.Writer, opts ExportOptions) error {
	return errors.ErrUnsupported
}
