//! The name that this instance has in feeds: it stays the same over restarts. Only instances that share a store, and so their nodes, have
//! the same.

use std::{fs, io::Read, path::Path, sync::Arc};

use hezar_store::ChangePosition;

use crate::running::write_private;

/// The file that holds the name, in the data folder.
const FILE: &str = "feed-name";
/// How many hexadecimal digits a name has.
const DIGITS: usize = 32;
/// Over so many feeds a node comes at most: one that has come over so many is told no further, and not taken in.
pub(crate) const MOST_VIA: usize = 8;

/// Whether a text can be the name of an instance in feeds. The names of others are kept and compared, so that they are bounded.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The name of an instance with this data folder, and with a position in the store that it shares, as far as it does and has reached it.
pub(crate) fn of_instance(position: Option<&ChangePosition>, data: &Path) -> Arc<str> {
    let shared_name = position.map(|position| blake3::hash(position.database_id().as_bytes()).to_hex());
    match shared_name.as_ref().and_then(|name| name.get(..DIGITS)) {
        Some(name) => name.into(),
        None => load_or_make(data),
    }
}

/// The name in the data folder. A missing or damaged one is replaced by a new one; where that cannot be written, it holds until the end
/// of the process.
pub(crate) fn load_or_make(data: &Path) -> Arc<str> {
    let file = data.join(FILE);
    if let Some(name) = read(&file) {
        return name.into();
    }
    let bytes: [u8; DIGITS / 2] = rand::random();
    let name = hex::encode(bytes);
    if let Err(error) = write_private(&file, format!("{name}\n").as_bytes()) {
        tracing::warn!(file = %file.display(), %error, "the name of this instance in feeds cannot be kept");
    }
    name.into()
}

fn read(file: &Path) -> Option<String> {
    let mut text = String::new();
    fs::File::open(file).ok()?.take(2 * DIGITS as u64).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|name| is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_stays_until_its_file_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let name = load_or_make(folder.path());
        assert!(is_name(&name));
        assert_eq!(load_or_make(folder.path()), name);
        fs::write(folder.path().join(FILE), "x").unwrap();
        let other = load_or_make(folder.path());
        assert!(is_name(&other) && other != name);
        assert_eq!(load_or_make(folder.path()), other);
    }

    #[test]
    fn others_are_no_names() {
        for text in ["", "ab", &"g".repeat(DIGITS), &"A".repeat(DIGITS), &"a".repeat(DIGITS + 1)] {
            assert!(!is_name(text), "{text}");
        }
    }
}
