//! Finds Tor and the programs of pluggable transports.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::TorError;

/// The programs that know each transport, the best one first.
const TRANSPORTS: [(&str, &[&str]); 5] = [
    ("obfs4", &["lyrebird", "obfs4proxy"]),
    ("meek_lite", &["lyrebird", "obfs4proxy"]),
    ("webtunnel", &["lyrebird", "webtunnel-client"]),
    ("snowflake", &["lyrebird", "snowflake-client"]),
    ("scramblesuit", &["obfs4proxy"]),
];

/// A transport with the program that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportProgram {
    /// Its name in bridge lines.
    pub transport: String,
    /// The program.
    pub program: PathBuf,
}

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

fn is_program(file: &Path) -> bool {
    let Ok(metadata) = file.metadata() else { return false };
    #[cfg(unix)]
    let may_run = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let may_run = true;
    metadata.is_file() && may_run
}

/// The programs that these bridge lines need. Only programs that are known to be transports are ever started.
///
/// # Errors
/// [`TorError::NoTransport`] for a transport without a program.
pub fn find_transports<'b>(bridges: impl Iterator<Item = &'b str>) -> Result<Vec<TransportProgram>, TorError> {
    let mut found: Vec<TransportProgram> = Vec::new();
    for transport in bridges.filter_map(transport) {
        if found.iter().any(|known| known.transport == transport) {
            continue;
        }
        let programs = TRANSPORTS.iter().find(|(name, _)| *name == transport).map_or(&[][..], |(_, programs)| programs);
        let program = programs.iter().find_map(|name| find_program(name)).filter(|file| is_one_word(file));
        let missing = || TorError::NoTransport { transport: transport.to_owned(), programs: programs.join(", ") };
        found.push(TransportProgram { transport: transport.to_owned(), program: program.ok_or_else(missing)? });
    }
    Ok(found)
}

/// The transport of a bridge line; `None` for a plain bridge.
fn transport(bridge: &str) -> Option<&str> {
    let first = bridge.split_ascii_whitespace().next()?;
    (!first.contains(':')).then_some(first)
}

/// Tor's configuration splits the command of a transport at blanks and knows no quotes there.
fn is_one_word(file: &Path) -> bool {
    file.to_str().is_some_and(|text| !text.contains(char::is_whitespace))
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

    #[test]
    fn plain_bridges_need_no_program_and_unknown_transports_are_refused() {
        assert_eq!(find_transports(["192.0.2.1:443", "[2001:db8::1]:443"].into_iter()).unwrap(), []);
        let error = find_transports(["sh 192.0.2.1:443"].into_iter()).unwrap_err();
        assert!(matches!(error, TorError::NoTransport { .. }), "{error}");
    }
}
