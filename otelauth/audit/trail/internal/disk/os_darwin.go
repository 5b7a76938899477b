// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

func kind(dir string) (Kind, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return kindOf(unix.ByteSliceToString(st.Fstypename[:])), nil
}

func kindOf(name string) Kind {
	switch name {
	case "nfs":
		return NFS
	case "smbfs":
		return SMB
	case "macfuse", "osxfuse", "fuse":
		return FUSE
	case "tmpfs":
		return TmpFS
	}
	return ""
}
