//! Which version of the GNU C library a program needs at least, from the versions of the symbols that it imports.

use std::{fmt, path::Path, process::Command};

use anyhow::Context;

use super::must;

/// A version of the GNU C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Glibc {
    pub(super) major: u32,
    pub(super) minor: u32,
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The newest version among the imported symbols of a program, which may be another machine's.
///
/// # Errors
/// There is no readelf, or the program imports nothing from this library.
pub(super) fn needed(program: &Path) -> anyhow::Result<Glibc> {
    let output = must(Command::new("readelf").args(["--version-info", "--wide"]).arg(program))?;
    newest(&String::from_utf8_lossy(&output)).context("the program needs no GNU C library")
}

fn newest(text: &str) -> Option<Glibc> {
    let numbers = text.split("GLIBC_").skip(1).filter_map(|rest| {
        let version = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut numbers = version.split('.').map(str::parse);
        Some(Glibc { major: numbers.next()?.ok()?, minor: numbers.next()?.ok()? })
    });
    numbers.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_counts_by_number() {
        let text =
            "0x0010: Name: GLIBC_2.9  Flags: none\n  0x0020: Name: GLIBC_2.28  Flags\n 2 (GLIBC_2.2.5) GLIBC_PRIVATE";
        assert_eq!(newest(text), Some(Glibc { major: 2, minor: 28 }));
        assert_eq!(newest("no such symbol"), None);
    }
}
