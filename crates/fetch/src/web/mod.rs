//! A GET with everything around it: conditions, redirects, decompression, limits.

mod body;
mod refusal;

use std::time::Duration;

use bytes::Bytes;
use hezar_core::Timestamp;
use hezar_engine::{
    Attempt, Dialer, TlsClients,
    http::{self, HttpRequest, HttpResponse, Limits, RequestError},
};
use url::Url;

use crate::{FetchError, Validators};

/// How many redirects are followed.
pub(crate) const MOST_REDIRECTS: usize = 5;

/// The longest validator that is kept, in bytes.
const LONGEST_VALIDATOR: usize = 1024;

/// The way to the web during one fetch.
pub(crate) struct Web<'a> {
    pub(crate) via: &'a dyn Dialer,
    pub(crate) tls: &'a TlsClients,
    /// Bounds the whole fetch.
    pub(crate) total: Attempt,
    /// Bounds each request.
    pub(crate) each: Duration,
    pub(crate) now: Timestamp,
}

/// One question.
pub(crate) struct Ask<'a> {
    url: &'a Url,
    user_agent: &'a str,
    /// The most bytes of the answer, decompressed.
    limit: u64,
    /// Sent to the origin of `url` only: they may be credentials.
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    /// Its `etag` and `last_modified` make the question conditional.
    pub(crate) validators: Validators,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(url: &'a Url, user_agent: &'a str, limit: u64) -> Self {
        Self { url, user_agent, limit, headers: Vec::new(), validators: Validators::default() }
    }

    fn request(&self, url: &Url) -> Result<HttpRequest, RequestError> {
        let mut request = HttpRequest::of_url(url)?
            .with_header("user-agent", self.user_agent)?
            .with_header("accept", "*/*")?
            .with_header("accept-encoding", "gzip, br, zstd, deflate")?;
        if url.origin() == self.url.origin() {
            for (name, value) in &self.headers {
                request = request.with_header(name, value)?;
            }
        }
        if let Some(etag) = &self.validators.etag {
            request = request.with_header("if-none-match", etag)?;
        }
        if let Some(date) = &self.validators.last_modified {
            request = request.with_header("if-modified-since", date)?;
        }
        Ok(request)
    }

    fn is_conditional(&self) -> bool {
        self.validators.etag.is_some() || self.validators.last_modified.is_some()
    }
}

/// A good answer, read to its end.
pub(crate) struct Answer {
    headers: ::http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn etag(&self) -> Option<String> {
        self.validator("etag")
    }

    pub(crate) fn last_modified(&self) -> Option<String> {
        self.validator("last-modified")
    }

    fn validator(&self, name: &str) -> Option<String> {
        let text = self.headers.get(name)?.to_str().ok()?;
        (text.len() <= LONGEST_VALIDATOR).then(|| text.to_owned())
    }
}

impl Web<'_> {
    /// Asks, following redirects. `None` means: not modified.
    pub(crate) async fn get(&self, ask: &Ask<'_>) -> Result<Option<Answer>, FetchError> {
        let mut url = ask.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let response = self.exchange(&ask.request(&url)?).await?;
            match response.status() {
                200..=299 => return self.read(response, ask.limit, &url).await.map(Some),
                304 if ask.is_conditional() => return Ok(None),
                301 | 302 | 303 | 307 | 308 => url = next(&url, response.header("location"))?,
                status => return Err(refusal::of(host(&url), status, response.headers(), self.now)),
            }
        }
        Err(FetchError::TooManyRedirects { limit: MOST_REDIRECTS })
    }

    async fn exchange(&self, request: &HttpRequest) -> Result<HttpResponse, FetchError> {
        let attempt = self.total.at_most(self.each);
        // The body is measured after decompression, and by us: its failure has a code of its own.
        let limits = Limits { body: u64::MAX, ..Limits::default() };
        http::get(self.via, self.tls, request, &attempt, limits)
            .await
            .map_err(|source| FetchError::Exchange { host: request.target().host().to_string().into(), source })
    }

    async fn read(&self, response: HttpResponse, limit: u64, url: &Url) -> Result<Answer, FetchError> {
        let headers = response.headers().clone();
        let body = body::read(response, limit).await.map_err(|error| match error {
            body::BodyError::TooLarge => FetchError::TooLarge { limit },
            body::BodyError::Encoding(encoding) => FetchError::Encoding { encoding },
            body::BodyError::Exchange(source) => FetchError::Exchange { host: host(url), source },
        })?;
        Ok(Answer { headers, body })
    }
}

/// Where a redirect leads.
pub(crate) fn next(current: &Url, location: Option<&str>) -> Result<Url, FetchError> {
    let next = location.and_then(|location| current.join(location).ok()).ok_or(FetchError::BadRedirect)?;
    match (current.scheme(), next.scheme()) {
        ("https", "http") => Err(FetchError::Downgrade),
        (_, "http" | "https") => Ok(next),
        _ => Err(FetchError::BadRedirect),
    }
}

pub(crate) fn host(url: &Url) -> Box<str> {
    url.host_str().unwrap_or_default().into()
}
