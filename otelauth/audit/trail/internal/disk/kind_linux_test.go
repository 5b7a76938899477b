// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package disk

import "testing"

// The numbers are those of include/uapi/linux/magic.h; of CIFS_SUPER_MAGIC and SMB2_SUPER_MAGIC,
// which statfs returns for SMB 1 and for SMB 2 and 3, see fs/smb/client/cifsfs.c.
func TestKindOf(t *testing.T) {
	t.Parallel()
	for magic, want := range map[int64]Kind{
		0x6969:     NFS,   // NFS_SUPER_MAGIC, all versions
		0x517B:     SMB,   // SMB_SUPER_MAGIC
		0xFF534D42: SMB,   // CIFS_SUPER_MAGIC
		0xFE534D42: SMB,   // SMB2_SUPER_MAGIC
		0x65735546: FUSE,  // FUSE_SUPER_MAGIC; virtiofs returns it too
		0x01021994: TmpFS, // TMPFS_MAGIC
		0x858458F6: TmpFS, // RAMFS_MAGIC
		0xEF53:     "",    // EXT4_SUPER_MAGIC
		0x58465342: "",    // XFS_SUPER_MAGIC
		0x9123683E: "",    // BTRFS_SUPER_MAGIC
		0x794C7630: "",    // OVERLAYFS_SUPER_MAGIC: containers; what is below is not known
	} {
		if got := kindOf(magic); got != want {
			t.Errorf("%#x is %q, want %q", magic, got, want)
		}
	}
}
