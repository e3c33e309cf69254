//! Reads sources on this machine's disk: one file, or all files that a pattern matches.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use bytes::Bytes;
use hezar_engine::Attempt;
use tokio::{task::spawn_blocking, time::timeout_at};

use crate::{Document, Documents, FailedDocument, FetchError, Fetched, SourceSpec, Validators, content};

/// Reads what is new among the files that `pattern` matches.
pub(crate) async fn fetch(
    directory: &Path,
    pattern: &str,
    spec: &SourceSpec,
    attempt: &Attempt,
    validators: &Validators,
) -> Result<Fetched, FetchError> {
    let path = directory.join(pattern);
    let about = Validators::for_subject(&path);
    let before = validators.same_subject(&about);
    let (pattern, limit, most) = (Box::from(pattern), spec.max_bytes, spec.max_files);
    let reading = spawn_blocking(move || {
        let (files, more) = matching_files(&path, pattern, most)?;
        read_all(&files, limit, before, Documents { validators: about, truncated: more, ..Documents::default() })
    });
    let found = match timeout_at(attempt.deadline(), reading).await {
        Ok(Ok(result)) => result?,
        Ok(Err(_)) | Err(_) => return Err(FetchError::Deadline),
    };
    match found {
        Fetched::Documents(found) => decompress(found, limit).await.map(Fetched::Documents),
        Fetched::NotModified => Ok(Fetched::NotModified),
    }
}

/// Undoes the compression of files such as `list.txt.gz`. A damaged one fails alone when there are others.
async fn decompress(mut found: Documents, limit: u64) -> Result<Documents, FetchError> {
    let files = std::mem::take(&mut found.documents);
    let alone = files.len() == 1 && found.unchanged.is_empty();
    for file in files {
        match content::decode(file.bytes, "", limit).await.map_err(|error| FetchError::content(error, limit)) {
            Ok(bytes) => found.documents.push(Document { bytes, ..file }),
            Err(error) if alone => return Err(error),
            Err(error) => {
                found.validators.documents.remove(&*file.name);
                let reason = error.to_string().into();
                found.failed.push(FailedDocument { name: file.name, code: error.code(), reason });
            }
        }
    }
    Ok(found)
}

/// The files, and whether there are more than `most`.
fn matching_files(path: &Path, pattern: Box<str>, most: usize) -> Result<(Vec<PathBuf>, bool), FetchError> {
    if path.exists() {
        return Ok((vec![path.to_owned()], false));
    }
    let is_pattern = pattern.contains(['*', '?', '[']);
    let Some(text) = path.to_str().filter(|_| is_pattern) else {
        return Err(FetchError::File { path: path.to_owned(), source: io::ErrorKind::NotFound.into() });
    };
    let paths = match glob::glob(text) {
        Ok(paths) => paths,
        Err(error) => return Err(FetchError::Pattern { pattern, reason: error.msg }),
    };
    // What cannot be listed does not match; directories match `*` and are no lists.
    let mut files: Vec<PathBuf> = paths.flatten().filter(|path| path.is_file()).take(most.saturating_add(1)).collect();
    if files.is_empty() {
        return Err(FetchError::NoMatch { pattern });
    }
    let more = files.len() > most;
    files.truncate(most);
    Ok((files, more))
}

fn read_all(
    files: &[PathBuf],
    limit: u64,
    mut before: Validators,
    mut found: Documents,
) -> Result<Fetched, FetchError> {
    let alone = files.len() == 1;
    for path in files {
        let name = path.to_string_lossy().into_owned();
        match read_one(path, limit, before.documents.remove(&name).as_deref()) {
            Ok((tag, None)) => {
                found.unchanged.push(name.as_str().into());
                found.validators.documents.insert(name, tag);
            }
            Ok((tag, Some(bytes))) => {
                found.documents.push(Document { name: name.as_str().into(), bytes });
                found.validators.documents.insert(name, tag);
            }
            Err(error) if alone => return Err(error),
            Err(error) => {
                let reason = error.to_string().into();
                found.failed.push(FailedDocument { name: name.into(), code: error.code(), reason });
            }
        }
    }
    found.removed = before.documents.into_keys().map(Into::into).collect();
    found.removed.retain(|name| !found.failed.iter().any(|failed| failed.name == *name));
    let same = found.documents.is_empty() && found.removed.is_empty() && found.failed.is_empty();
    Ok(if same && !found.unchanged.is_empty() { Fetched::NotModified } else { Fetched::Documents(found) })
}

/// The file's tag, and its content unless that is still what `before` tags.
fn read_one(path: &Path, limit: u64, before: Option<&str>) -> Result<(String, Option<Bytes>), FetchError> {
    let failed = |source| FetchError::File { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        // A pipe or a device might never end.
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let tag = file_tag(&metadata);
    if before == Some(tag.as_str()) {
        return Ok((tag, None));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > limit {
        true => Err(FetchError::TooLarge { limit }),
        false => Ok((tag, Some(bytes.into()))),
    }
}

fn file_tag(metadata: &Metadata) -> String {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{}-{}", modified.unwrap_or_default().as_nanos(), metadata.len())
}
