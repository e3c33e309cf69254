//! Files that are replaced as a whole, so that whoever reads one sees the old text or the new one, and copies of what they held.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use hezar_store::{create_private_folder, folder_of};
use tempfile::NamedTempFile;

/// The most copies of one file that are kept beside it.
const MOST_COPIES: usize = 100;

/// Puts a text in the place of a file's, in one step. Owner and rights stay; a new file is readable by its owner alone.
pub(crate) fn replace_file(file: &Path, text: &str) -> io::Result<()> {
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = folder_of(&target);
    create_private_folder(folder)?;
    let mut written = NamedTempFile::new_in(folder)?;
    written.write_all(text.as_bytes())?;
    if let Ok(metadata) = fs::metadata(&target) {
        fs::set_permissions(written.path(), metadata.permissions())?;
        keep_owner(written.path(), &metadata)?;
    }
    written.as_file().sync_all()?;
    written.persist(&target)?;
    Ok(())
}

/// Copies a file under the first name that is free of `FILE.old`, `FILE.old.2` to `FILE.old.100`, and returns that name. Whoever is
/// neither its owner nor of its group may not read it, since nobody looks after the rights of old secrets.
///
/// # Errors
/// All names are taken, or the file cannot be read or the copy not written.
pub(crate) fn keep_copy(file: &Path) -> io::Result<PathBuf> {
    let mut copy = NamedTempFile::new_in(folder_of(file))?;
    copy.write_all(&fs::read(file)?)?;
    fs::set_permissions(copy.path(), without_others(fs::metadata(file)?.permissions()))?;
    copy.as_file().sync_all()?;
    for number in 1..=MOST_COPIES {
        let name = name_of_copy(file, number);
        match copy.persist_noclobber(&name) {
            Ok(_) => return Ok(name),
            Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => copy = failed.file,
            Err(failed) => return Err(failed.error),
        }
    }
    let told = format!("{MOST_COPIES} older ones are kept beside it already: move some of them away");
    Err(io::Error::new(ErrorKind::AlreadyExists, told))
}

fn name_of_copy(file: &Path, number: usize) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".old");
    if number > 1 {
        name.push(format!(".{number}"));
    }
    name.into()
}

#[cfg(unix)]
fn keep_owner(file: &Path, metadata: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let current = fs::metadata(file)?;
    if (current.uid(), current.gid()) == (metadata.uid(), metadata.gid()) {
        return Ok(());
    }
    chown(file, Some(metadata.uid()), Some(metadata.gid()))
}

#[cfg(unix)]
fn without_others(mut rights: fs::Permissions) -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    rights.set_mode(rights.mode() & 0o770);
    rights
}

#[cfg(not(unix))]
const fn without_others(rights: fs::Permissions) -> fs::Permissions {
    rights
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_is_kept_under_a_name_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hezar.toml");
        for (text, name) in [("one", "hezar.toml.old"), ("two", "hezar.toml.old.2"), ("three", "hezar.toml.old.3")] {
            fs::write(&file, text).unwrap();
            assert_eq!(keep_copy(&file).unwrap(), folder.path().join(name));
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(["hezar.toml.old", "hezar.toml.old.2", "hezar.toml.old.3"].map(read), ["one", "two", "three"]);
        for number in 4..=MOST_COPIES {
            fs::write(name_of_copy(&file, number), "").unwrap();
        }
        assert!(keep_copy(&file).unwrap_err().to_string().contains("move some of them away"));
        // Nothing half-made stays behind: the file and its copies are all there is.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), MOST_COPIES + 1);
        assert_eq!(read("hezar.toml.old"), "one");
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_has_the_rights_of_its_file_for_owner_and_group() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hezar.toml");
        fs::write(&file, "secret").unwrap();
        for (rights, kept) in [(0o640, 0o640), (0o644, 0o640), (0o600, 0o600)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(rights)).unwrap();
            let copy = keep_copy(&file).unwrap();
            assert_eq!(fs::metadata(copy).unwrap().permissions().mode() & 0o777, kept);
        }
    }
}
