//! [`Fetcher`]: fetches one source of any kind and returns its documents.

use bytes::Bytes;
use hezar_core::{Secret, Timestamp};
use hezar_engine::{Attempt, Dialer, TlsClients, http::RequestError};
use url::Url;

use crate::{
    Document, Documents, FetchConfig, FetchError, FetchMetrics, Fetched, SourceKind, SourceSpec, Validators, date,
    file, github, telegram,
    web::{WebClient, WebRequest},
};

/// Fetches sources. It holds no connections; one may serve all sources at once.
#[derive(Debug)]
pub struct Fetcher {
    config: FetchConfig,
    tls: TlsClients,
    metrics: FetchMetrics,
}

impl Fetcher {
    /// A fetcher; `tls` decides which certificates are trusted.
    #[must_use]
    pub const fn new(config: FetchConfig, tls: TlsClients, metrics: FetchMetrics) -> Self {
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
        let web = WebClient { via, tls: &self.tls, total, per_request: self.config.request, now };
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
            Ok(Fetched::Documents(found)) if spec.is_followed => {
                tracing::debug!(source = %spec.name, bytes = found.bytes(), "source fetched");
            }
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
        web: &WebClient<'_>,
        validators: &Validators,
    ) -> Result<Fetched, FetchError> {
        let text = date::expand_dates(url.expose().trim(), web.now);
        let text = match text.strip_prefix("ssconf://") {
            Some(rest) => format!("https://{rest}"),
            None => text,
        };
        let url = Url::parse(&text).map_err(RequestError::from)?;
        let about = Validators::for_subject(&text);
        let mut request = WebRequest::new(&url, self.config.user_agent(spec), spec.max_bytes);
        request.headers = spec.headers.iter().map(|(name, value)| (&**name, value.expose())).collect();
        request.validators = validators.same_subject(&about);
        let Some(answer) = web.get(&request).await? else { return Ok(Fetched::NotModified) };
        if answer.body.trim_ascii().is_empty() {
            return Err(FetchError::Empty);
        }
        let validators = Validators { etag: answer.etag(), last_modified: answer.last_modified(), ..about };
        let subscription = answer.subscription();
        let documents = vec![Document { name: document_name(&url), bytes: answer.body }];
        Ok(Fetched::Documents(Documents { documents, validators, subscription, ..Documents::default() }))
    }
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
