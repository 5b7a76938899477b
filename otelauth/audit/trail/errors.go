// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"errors"
	"fmt"
)

// Errors that a caller can act on. Test for them with [errors.Is].
var (
	// ErrLocked means that another process writes to the folder.
	ErrLocked = errors.New("trail: another process writes to this folder; stop it, or choose another folder")
	// ErrFileSystem means that the folder is on NFS, SMB, FUSE or tmpfs, where [Required] cannot
	// know what is on disk.
	ErrFileSystem = errors.New("trail: this file system does not keep its promise that flushed data is on disk; " +
		"use a folder on a local disk, or Durability Ordered")
	// ErrUnavailable means that the trail cannot write now; the cause is wrapped with it.
	ErrUnavailable = errors.New("trail: cannot write; look for auth.trail.anomaly events, and free or repair the disk")
	// ErrTimeout means that the disk did not confirm a line within [Config.Timeout]. It wraps
	// ErrUnavailable.
	ErrTimeout = fmt.Errorf("the disk did not answer in time: %w", ErrUnavailable)
	// ErrQueueFull means that [Config.QueueEntries] lines wait already. It wraps ErrUnavailable.
	ErrQueueFull = fmt.Errorf("too many lines wait for the disk: %w", ErrUnavailable)
	// ErrClosed means that the Trail was closed.
	ErrClosed = errors.New("trail: closed; open it again")
	// ErrTampered means that the folder contradicts one of its own checkpoints.
	ErrTampered = errors.New("trail: the folder was changed; keep it as evidence, and start a new trail in another folder")
	// ErrKey means that a checkpoint is signed by none of the given keys, or is of another trail.
	ErrKey = errors.New("trail: the checkpoint is not signed by this key; use the key of this trail, with PreviousKey after a change of key")
	// ErrNotFound means that there is no trail, no checkpoint or no such line; pruned lines are
	// gone.
	ErrNotFound = errors.New("trail: not found; check the folder and the number of the line")
)
