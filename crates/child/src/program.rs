//! Finds installed programs.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// The program of this name in the folders of `PATH`, and in the places of system programs, which the `PATH` of a user may lack.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    find_in(&path, name)
}

fn find_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    let system = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    // A relative folder would name another program in every working folder.
    let folders = env::split_paths(path).filter(|folder| folder.is_absolute()).chain(system);
    folders.map(|folder| folder.join(name)).find(|file| is_program(file))
}

/// Whether there is a file that may be run.
#[must_use]
pub fn is_program(file: &Path) -> bool {
    let Ok(metadata) = file.metadata() else { return false };
    #[cfg(unix)]
    let may_run = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let may_run = true;
    metadata.is_file() && may_run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn programs_are_found_in_absolute_folders_and_can_be_run() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hezar-test-program");
        std::fs::write(&file, "x").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(find_in(folder.path().as_os_str(), "hezar-test-program"), None);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(find_in(folder.path().as_os_str(), "hezar-test-program"), Some(file));
        assert_eq!(find_in(OsStr::new("."), "Cargo.toml"), None);
    }
}
