//! The face of the crate: one call brings what a source holds now.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use hezar_core::{Secret, Timestamp, settings, settings::known_url};
use hezar_engine::{Attempt, Dialer, TlsClients, http::RequestError};
use url::Url;

use crate::{
    Document, Documents, FetchError, Fetched, Metrics, SourceKind, SourceSpec, Validators, date, file, github,
    telegram,
    web::{Ask, Web},
};

settings! {
    /// What all sources share.
    #[derive(Clone, Debug)]
    pub struct FetchConfig in "fetch" {
        /// The longest one request may take, its body included.
        pub request as "timeout": Duration [Duration::from_millis(100)..=Duration::from_secs(600)] = Duration::from_secs(60);
        /// GitHub's API.
        pub github_api: Url = known_url("https://api.github.com");
        /// Where GitHub serves the content of files.
        pub github_raw: Url = known_url("https://raw.githubusercontent.com");
        /// Where Telegram shows public channels.
        pub telegram: Url = known_url("https://t.me");
    } and {
        /// The longest one fetch may take, with all its pages and files.
        pub total: Duration = Duration::from_secs(300);
        /// The `User-Agent` of sources that have none of their own.
        pub user_agent: Box<str> = concat!("hezar/", env!("CARGO_PKG_VERSION")).into();
        /// Relative file patterns start here.
        pub directory: PathBuf = PathBuf::from(".");
    }
}

/// Fetches sources. It holds no connections; one may serve all sources at once.
#[derive(Debug)]
pub struct Fetcher {
    config: FetchConfig,
    tls: TlsClients,
    metrics: Metrics,
}

impl Fetcher {
    /// A fetcher; `tls` decides which certificates are trusted.
    #[must_use]
    pub const fn new(config: FetchConfig, tls: TlsClients, metrics: Metrics) -> Self {
        Self { config, tls, metrics }
    }

    /// Brings what a source holds now, through `via`. `validators` are those of the last fetch that brought documents.
    ///
    /// # Errors
    /// [`FetchError`]: the source keeps what it listed before, and the text says why.
    pub async fn fetch(
        &self,
        spec: &SourceSpec,
        via: &dyn Dialer,
        validators: &Validators,
        now: Timestamp,
    ) -> Result<Fetched, FetchError> {
        let total = Attempt::within(self.config.total);
        let web = Web { via, tls: &self.tls, total, each: self.config.request, now };
        let result = match &spec.kind {
            SourceKind::Url(url) => self.url(spec, url, &web, validators).await,
            SourceKind::File(pattern) => file::fetch(&self.config.directory, pattern, spec, &total, validators).await,
            SourceKind::Inline(links) => inline(links, spec.max_bytes),
            SourceKind::GitHub { .. } => github::fetch(&self.config, spec, &web, validators).await,
            SourceKind::Telegram { channel, pages } => {
                telegram::fetch(&self.config, spec, channel, *pages, &web, validators).await
            }
        };
        self.metrics.fetched(&spec.name, &result, total.elapsed());
        match &result {
            Ok(Fetched::NotModified) => tracing::debug!(source = %spec.name, "source not modified"),
            Ok(Fetched::Documents(found)) => tracing::info!(
                source = %spec.name, documents = found.documents.len(), unchanged = found.unchanged.len(),
                failed = found.failed.len(), bytes = found.bytes(), truncated = found.truncated, "source fetched"
            ),
            // Whoever asked says what comes of it, and whether another way is tried.
            Err(error) => tracing::debug!(source = %spec.name, code = error.code(), %error, "source failed"),
        }
        result
    }

    async fn url(
        &self,
        spec: &SourceSpec,
        url: &Secret,
        web: &Web<'_>,
        validators: &Validators,
    ) -> Result<Fetched, FetchError> {
        let text = date::expand(url.expose().trim(), web.now);
        let text = match text.strip_prefix("ssconf://") {
            Some(rest) => format!("https://{rest}"),
            None => text,
        };
        let url = Url::parse(&text).map_err(RequestError::from)?;
        let about = Validators::about(&text);
        let mut ask = Ask::new(&url, user_agent(&self.config, spec), spec.max_bytes);
        ask.headers = spec.headers.iter().map(|(name, value)| (&**name, value.expose())).collect();
        ask.validators = validators.same_subject(&about);
        let Some(answer) = web.get(&ask).await? else { return Ok(Fetched::NotModified) };
        if answer.body.trim_ascii().is_empty() {
            return Err(FetchError::Empty);
        }
        let validators = Validators { etag: answer.etag(), last_modified: answer.last_modified(), ..about };
        let subscription = answer.subscription();
        let documents = vec![Document { name: document_name(&url), bytes: answer.body }];
        Ok(Fetched::Documents(Documents { documents, validators, subscription, ..Documents::default() }))
    }
}

/// The `User-Agent` for a source.
pub(crate) fn user_agent<'a>(config: &'a FetchConfig, spec: &'a SourceSpec) -> &'a str {
    spec.user_agent.as_deref().unwrap_or(&config.user_agent)
}

/// The last part of the path, or the host.
fn document_name(url: &Url) -> Box<str> {
    let last = url.path_segments().and_then(|mut segments| segments.next_back());
    last.filter(|name| !name.is_empty()).or(url.host_str()).unwrap_or("url").into()
}

fn inline(links: &[Secret], limit: u64) -> Result<Fetched, FetchError> {
    let mut text = String::new();
    for link in links {
        text.push_str(link.expose());
        text.push('\n');
    }
    if text.trim().is_empty() {
        return Err(FetchError::Empty);
    }
    if text.len() as u64 > limit {
        return Err(FetchError::TooLarge { limit });
    }
    let documents = vec![Document { name: "inline".into(), bytes: Bytes::from(text) }];
    Ok(Fetched::Documents(Documents { documents, ..Documents::default() }))
}
