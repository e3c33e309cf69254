//! Files that are replaced as a whole: whoever reads one sees the old text or the new one.

use std::{fs, io, path::Path};

use hezar_store::create_private_folder;

/// Puts a text in the place of a file's, in one step. Owner and rights stay; a new file is readable by its owner alone.
pub(crate) fn replace_file(file: &Path, text: &str) -> io::Result<()> {
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_private_folder(folder)?;
    let mut written = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut written, text.as_bytes())?;
    if let Ok(metadata) = fs::metadata(&target) {
        fs::set_permissions(written.path(), metadata.permissions())?;
        keep_owner(written.path(), &metadata)?;
    }
    written.as_file().sync_all()?;
    written.persist(&target)?;
    Ok(())
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

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}
