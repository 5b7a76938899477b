// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// ProveGrowth returns the proof that the tree of newer in dir continues the tree of its first older
// lines, for a witness that has cosigned that one.
func ProveGrowth(_ context.Context, dir string, older int64, newer Checkpoint) (tlog.TreeProof, error) {
	if older < 1 || older > newer.Size {
		return nil, fmt.Errorf("trail: no proof leads from %d to %d lines; the older tree must be the smaller one", older, newer.Size)
	}
	store := &tileStore{disk: disk.OS{}, dir: dir}
	proof, err := tlog.ProveTree(newer.Size, older, store.reader(newer))
	if err != nil {
		return nil, fmt.Errorf("trail: the tiles do not prove the growth: %w; verify the trail", err)
	}
	return proof, nil
}
