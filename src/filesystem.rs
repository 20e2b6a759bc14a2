//! What can be expected of the file system that something lies on.

use std::path::Path;

/// Whether files at this path change only through this machine's kernel, which tells of each change and keeps what is mapped: it
/// is one of the usual file systems of disks. What lies on drives of other machines and of hosts of virtual machines is not, and
/// neither is what is not known.
#[cfg(target_os = "linux")]
pub fn is_local(path: &Path) -> bool {
    // ext2 to ext4, XFS, Btrfs, tmpfs, overlayfs, ZFS, F2FS, bcachefs, ReiserFS, JFS, exFAT, FAT and NTFS: statfs(2),
    // linux/magic.h, and the sources of those that stand in neither.
    const LOCAL: [u32; 13] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0x0102_1994,
        0x794c_7630,
        0x2fc1_2fc1,
        0xf2f5_2010,
        0xca45_1a4e,
        0x5265_4973,
        0x3153_464a,
        0x2011_bab0,
        0x4d44,
        0x7366_746e,
    ];
    // The type is a number of 32 bits in a field that is wider on some machines, and signed.
    rustix::fs::statfs(path).is_ok_and(|stat| LOCAL.contains(&(stat.f_type as u32)))
}

/// Whether files at this path change only through this machine's kernel. That is not known here.
#[cfg(not(target_os = "linux"))]
pub fn is_local(_path: &Path) -> bool {
    false
}
