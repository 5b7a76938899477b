// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// syncFile flushes the data and what is needed to find it, the size included.
func syncFile(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
		return nil
	}
}

// beginSync begins to write the data. What fails here fails again in syncFile.
func beginSync(f *os.File) {
	_ = unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

func kind(dir string) (Kind, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return kindOf(int64(st.Type)), nil //nolint:unconvert // its type differs between processors
}

func kindOf(magic int64) Kind {
	switch magic {
	case unix.NFS_SUPER_MAGIC:
		return NFS
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return SMB
	case unix.FUSE_SUPER_MAGIC:
		return FUSE
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return TmpFS
	}
	return ""
}
