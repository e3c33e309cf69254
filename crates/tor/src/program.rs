//! Finds the programs of pluggable transports.

use std::path::{Path, PathBuf};

use hezar_child::find_program;

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

    #[test]
    fn plain_bridges_need_no_program_and_unknown_transports_are_refused() {
        assert_eq!(find_transports(["192.0.2.1:443", "[2001:db8::1]:443"].into_iter()).unwrap(), []);
        let error = find_transports(["sh 192.0.2.1:443"].into_iter()).unwrap_err();
        assert!(matches!(error, TorError::NoTransport { .. }), "{error}");
    }
}
