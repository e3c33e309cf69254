//! Reads the JSON of GitHub's API (REST, "Git trees" and "Repositories").

use serde::Deserialize;

/// A recursive tree.
pub(super) struct Tree {
    pub(super) blobs: Vec<Blob>,
    /// Whether GitHub left some out.
    pub(super) truncated: bool,
}

/// A file in a tree.
pub(super) struct Blob {
    pub(super) path: String,
    pub(super) sha: String,
    /// In bytes.
    pub(super) size: u64,
}

#[derive(Deserialize)]
struct TreeResponse {
    tree: Vec<TreeEntry>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct TreeEntry {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    sha: String,
    #[serde(default)]
    size: u64,
}

#[derive(Deserialize)]
struct RepositoryResponse {
    default_branch: Box<str>,
}

pub(super) fn read_tree(json: &[u8]) -> Option<Tree> {
    let answer: TreeResponse = serde_json::from_slice(json).ok()?;
    let plain = |entry: &TreeEntry| entry.kind == "blob" && entry.path.len() <= 1024 && entry.sha.len() <= 64;
    let blobs = answer.tree.into_iter().filter(plain);
    let blobs = blobs.map(|TreeEntry { path, sha, size, .. }| Blob { path, sha, size }).collect();
    Some(Tree { blobs, truncated: answer.truncated })
}

pub(super) fn default_branch(json: &[u8]) -> Option<Box<str>> {
    let answer: RepositoryResponse = serde_json::from_slice(json).ok()?;
    Some(answer.default_branch).filter(|branch| !branch.is_empty())
}
