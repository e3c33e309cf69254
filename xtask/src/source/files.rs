//! Finds files in the workspace.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// All files below `root` with the name or the extension `wanted`, sorted; `target`, `node_modules` and hidden folders are left out.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn find(root: &Path, wanted: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = vec![root.to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if entry.file_type()?.is_dir() {
                if name != "target" && name != "node_modules" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name == wanted || path.extension().is_some_and(|extension| extension == wanted) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
