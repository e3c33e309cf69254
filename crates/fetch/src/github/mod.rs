//! Fetches files of a GitHub repository: its tree in one request, then the files that have changed.

mod pattern;
mod tree;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hezar_core::Secret;
use hezar_engine::http::RequestError;
use url::Url;

use self::{pattern::Patterns, tree::Blob};
use crate::{
    Document, Documents, FailedDocument, FetchConfig, FetchError, Fetched, SourceKind, SourceSpec, Validators,
    web::{WebClient, WebRequest, WebResponse},
};

/// The largest tree that is read: GitHub cuts its own at 7 MB.
const MAX_TREE_BYTES: u64 = 16 * 1024 * 1024;

/// Files fetched at the same time.
const MAX_CONCURRENT_FILES: usize = 4;

/// All files of one fetch together may be this many times as long as one may be.
const MAX_TOTAL_FACTOR: u64 = 4;

/// One repository during one fetch.
struct Repository<'a> {
    config: &'a FetchConfig,
    spec: &'a SourceSpec,
    web: &'a WebClient<'a>,
    owner: &'a str,
    name: &'a str,
    authorization: Option<Secret>,
}

/// Reads what is new in the repository.
pub(crate) async fn fetch(
    config: &FetchConfig,
    spec: &SourceSpec,
    web: &WebClient<'_>,
    validators: &Validators,
) -> Result<Fetched, FetchError> {
    let SourceKind::GitHub { repository, reference, patterns, token } = &spec.kind else {
        return Err(FetchError::Name { name: spec.name.as_ref().into(), what: "GitHub source" });
    };
    let (owner, name) = owner_and_name(repository)?;
    let wanted = Patterns::new(patterns)?;
    let authorization = token.as_ref().map(|token| Secret::new(format!("Bearer {}", token.expose())));
    let repository = Repository { config, spec, web, owner, name, authorization };
    let branch = match reference {
        Some(reference) => reference.clone(),
        None => repository.default_branch().await?,
    };
    let host = config.github_api.as_str().trim_end_matches('/');
    let about = Validators::for_subject(&(host, owner, name, &branch, patterns));
    let before = validators.same_subject(&about);
    let Some(answer) = repository.tree(&branch, &before).await? else { return Ok(Fetched::NotModified) };
    let tree = tree::read_tree(&answer.body).ok_or_else(|| repository.unexpected_answer("the tree is not one"))?;
    let mut blobs: Vec<Blob> = tree.blobs.into_iter().filter(|blob| wanted.matches(&blob.path)).collect();
    if blobs.is_empty() {
        return Err(FetchError::NoMatch { pattern: wanted.to_string().into() });
    }
    let all = blobs.len();
    keep_within_bounds(&mut blobs, spec);
    let found = Documents { truncated: tree.truncated || blobs.len() < all, validators: about, ..Documents::default() };
    repository.read_changed(&branch, blobs, before, answer.etag(), found).await
}

/// Leaves out what is too large or too much.
fn keep_within_bounds(blobs: &mut Vec<Blob>, spec: &SourceSpec) {
    let mut together = spec.max_bytes.saturating_mul(MAX_TOTAL_FACTOR);
    blobs.retain(|blob| {
        let fits = blob.size <= spec.max_bytes.min(together);
        together -= if fits { blob.size } else { 0 };
        fits
    });
    blobs.truncate(spec.max_files);
}

/// `owner/repository`, also as the address of its page.
fn owner_and_name(repository: &str) -> Result<(&str, &str), FetchError> {
    let bare = repository.trim().trim_end_matches('/');
    let bare = bare.strip_prefix("https://github.com/").unwrap_or(bare);
    let bare = bare.strip_suffix(".git").unwrap_or(bare);
    let part = |text: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        (1..=100).contains(&text.len()) && text.bytes().all(allowed) && !matches!(text, "." | "..")
    };
    match bare.split_once('/') {
        Some((owner, name)) if part(owner) && part(name) => Ok((owner, name)),
        _ => Err(FetchError::Name { name: repository.into(), what: "GitHub repository; write owner/repository" }),
    }
}

impl Repository<'_> {
    async fn default_branch(&self) -> Result<Box<str>, FetchError> {
        let url = join_path(&self.config.github_api, &["repos", self.owner, self.name])?;
        let answer = self.ask_api(&url, &Validators::default(), 1024 * 1024).await?;
        let branch = answer.and_then(|answer| tree::default_branch(&answer.body));
        branch.ok_or_else(|| self.unexpected_answer("the repository has no default branch"))
    }

    async fn tree(&self, branch: &str, before: &Validators) -> Result<Option<WebResponse>, FetchError> {
        let mut url = join_path(&self.config.github_api, &["repos", self.owner, self.name, "git", "trees", branch])?;
        url.set_query(Some("recursive=1"));
        self.ask_api(&url, before, MAX_TREE_BYTES).await
    }

    async fn ask_api(&self, url: &Url, before: &Validators, limit: u64) -> Result<Option<WebResponse>, FetchError> {
        let mut request = WebRequest::new(url, self.config.user_agent(self.spec), limit);
        request.headers = vec![("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")];
        request.headers.extend(self.authorization.as_ref().map(|value| ("authorization", value.expose())));
        request.validators = Validators { documents: Default::default(), last_modified: None, ..before.clone() };
        self.web.get(&request).await
    }

    /// Fetches the blobs whose hash is not the one that was seen before.
    async fn read_changed(
        &self,
        branch: &str,
        blobs: Vec<Blob>,
        mut before: Validators,
        etag: Option<String>,
        mut found: Documents,
    ) -> Result<Fetched, FetchError> {
        let mut changed = Vec::new();
        for blob in blobs {
            if before.documents.remove(&blob.path).is_some_and(|hash| hash == blob.sha) {
                found.unchanged.push(blob.path.as_str().into());
                found.validators.documents.insert(blob.path, blob.sha);
            } else {
                changed.push(blob);
            }
        }
        let listed: Vec<String> = changed.iter().map(|blob| blob.path.clone()).collect();
        found.removed = before.documents.into_keys().filter(|path| !listed.contains(path)).map(Into::into).collect();
        let mut results = stream::iter(changed)
            .map(|blob| async { (self.file_content(branch, &blob.path).await, blob) })
            .buffered(MAX_CONCURRENT_FILES);
        let mut first_error = None;
        while let Some((result, blob)) = results.next().await {
            match result {
                Ok(bytes) => found.keep(blob, bytes),
                Err(error) => {
                    let reason = error.to_string().into();
                    found.failed.push(FailedDocument { name: blob.path.into(), code: error.code(), reason });
                    let limited = error.retry_at().is_some();
                    first_error.get_or_insert(error);
                    if limited {
                        break;
                    }
                }
            }
        }
        if let Some(error) = first_error.filter(|_| found.documents.is_empty()) {
            return Err(error);
        }
        // Without the tag the next fetch sees the tree again, and with it what failed or was stale this time.
        let settled = found.failed.is_empty()
            && found.validators.documents.len() == found.unchanged.len() + found.documents.len();
        found.validators.etag = etag.filter(|_| settled);
        let same = found.documents.is_empty() && found.removed.is_empty();
        Ok(if same && settled && found.validators.etag.is_none() {
            Fetched::NotModified
        } else {
            Fetched::Documents(found)
        })
    }

    async fn file_content(&self, branch: &str, path: &str) -> Result<Bytes, FetchError> {
        let parts = [self.owner, self.name].into_iter().chain(branch.split('/')).chain(path.split('/'));
        let url = join_path(&self.config.github_raw, &parts.collect::<Vec<_>>())?;
        let mut request = WebRequest::new(&url, self.config.user_agent(self.spec), self.spec.max_bytes);
        request.headers.extend(self.authorization.as_ref().map(|value| ("authorization", value.expose())));
        let answer = self.web.get(&request).await?;
        answer.map(|answer| answer.body).ok_or_else(|| self.unexpected_answer("not modified, without being asked"))
    }

    fn unexpected_answer(&self, reason: &'static str) -> FetchError {
        FetchError::Api { host: self.config.github_api.as_str().trim_end_matches('/').into(), reason }
    }
}

impl Documents {
    /// Keeps a file. Its hash is remembered only if the length is right: GitHub's caches serve old content for minutes
    /// after the tree has changed, and that must be asked for again.
    fn keep(&mut self, blob: Blob, bytes: Bytes) {
        if bytes.len() as u64 == blob.size {
            self.validators.documents.insert(blob.path.clone(), blob.sha);
        }
        self.documents.push(Document { name: blob.path.into(), bytes });
    }
}

/// A base URL with path segments added, each percent-encoded.
fn join_path(base: &Url, segments: &[&str]) -> Result<Url, FetchError> {
    let mut url = base.clone();
    match url.path_segments_mut() {
        Ok(mut path) => path.pop_if_empty().extend(segments),
        Err(()) => return Err(FetchError::Url(RequestError::Host)),
    };
    Ok(url)
}
