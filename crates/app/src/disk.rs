//! How much space the file system has on which a folder lies.

use std::path::Path;

/// The space of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DiskSpace {
    /// What this user may still write.
    pub(crate) free: u64,
    pub(crate) size: u64,
}

/// The space where a folder lies (statvfs(3)); `None` when it cannot be asked for. This may wait for a network file system.
#[cfg(unix)]
pub(crate) fn space_at(folder: &Path) -> Option<DiskSpace> {
    let found = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(DiskSpace { free: bytes(found.f_bavail), size: bytes(found.f_blocks) })
}

/// The space where a folder lies: not known on this system.
#[cfg(not(unix))]
pub(crate) fn space_at(_: &Path) -> Option<DiskSpace> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_lies_on_a_disk_of_some_size() {
        let disk = space_at(&std::env::temp_dir()).unwrap();
        assert!(disk.size > 0 && disk.free <= disk.size, "{disk:?}");
        assert_eq!(space_at(Path::new("/nowhere/at/all")), None);
    }
}
