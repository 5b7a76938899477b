// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"errors"

	"golang.org/x/mod/sumdb/tlog"
)

// ProveGrowth returns the proof that the tree of newer lines in dir continues the tree of its
// first older lines, for a witness that has cosigned that one.
func ProveGrowth(ctx context.Context, dir string, older, newer int64) (tlog.TreeProof, error) {
	return nil, errors.ErrUnsupported
}
