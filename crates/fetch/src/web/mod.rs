//! An HTTP client for one fetch: conditional GET with redirects, cookies, decompression and limits.

mod body;
mod cookies;
mod status;

use std::time::Duration;

use bytes::Bytes;
use hezar_core::Timestamp;
use hezar_engine::{
    Attempt, Dialer, TlsClients,
    http::{self, HttpRequest, HttpResponse, RequestError, ResponseLimits},
};
use url::Url;

use self::cookies::Cookies;
use crate::{FetchError, SubscriptionInfo, Validators};

/// How many redirects are followed.
pub(crate) const MAX_REDIRECTS: usize = 5;

/// The longest validator that is kept, in bytes.
const MAX_VALIDATOR_BYTES: usize = 1024;

/// The way to the web during one fetch.
pub(crate) struct WebClient<'a> {
    pub(crate) via: &'a dyn Dialer,
    pub(crate) tls: &'a TlsClients,
    /// Bounds the whole fetch.
    pub(crate) total: Attempt,
    /// Bounds each request.
    pub(crate) per_request: Duration,
    pub(crate) now: Timestamp,
}

/// One question.
pub(crate) struct WebRequest<'a> {
    url: &'a Url,
    user_agent: &'a str,
    /// The most bytes of the answer, decompressed.
    limit: u64,
    /// Sent to the origin of `url` only: they may be credentials.
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    /// Its `etag` and `last_modified` make the question conditional.
    pub(crate) validators: Validators,
}

impl<'a> WebRequest<'a> {
    pub(crate) fn new(url: &'a Url, user_agent: &'a str, limit: u64) -> Self {
        Self { url, user_agent, limit, headers: Vec::new(), validators: Validators::default() }
    }

    fn to_http(&self, url: &Url, cookies: &Cookies) -> Result<HttpRequest, RequestError> {
        let mut request = HttpRequest::of_url(url)?
            .with_header("user-agent", self.user_agent)?
            .with_header("accept", "*/*")?
            .with_header("accept-encoding", "gzip, br, zstd, deflate")?;
        let mut own_cookies = None;
        if url.origin() == self.url.origin() {
            for (name, value) in &self.headers {
                if name.eq_ignore_ascii_case("cookie") {
                    own_cookies = Some(*value);
                    continue;
                }
                request = request.with_header(name, value)?;
            }
        }
        if let Some(cookies) = cookies.header(url, own_cookies) {
            request = request.with_header("cookie", &cookies)?;
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
pub(crate) struct WebResponse {
    headers: ::http::HeaderMap,
    /// Whether the body may have been cut without anybody noticing.
    may_be_cut: bool,
    pub(crate) body: Bytes,
}

impl WebResponse {
    pub(crate) fn etag(&self) -> Option<String> {
        self.validator("etag")
    }

    /// What the provider says about the subscription.
    pub(crate) fn subscription(&self) -> Option<SubscriptionInfo> {
        SubscriptionInfo::read(&self.headers, &self.body)
    }

    pub(crate) fn last_modified(&self) -> Option<String> {
        self.validator("last-modified")
    }

    /// None for a body that may have been cut: "not modified" would keep what is missing away until the source changes.
    fn validator(&self, name: &str) -> Option<String> {
        if self.may_be_cut {
            return None;
        }
        let text = self.headers.get(name)?.to_str().ok()?;
        (text.len() <= MAX_VALIDATOR_BYTES).then(|| text.to_owned())
    }
}

impl WebClient<'_> {
    /// Asks, following redirects. `None` means: not modified.
    pub(crate) async fn get(&self, request: &WebRequest<'_>) -> Result<Option<WebResponse>, FetchError> {
        let mut url = request.url.clone();
        let mut cookies = Cookies::default();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.exchange(&request.to_http(&url, &cookies)?).await?;
            cookies.store(&url, response.headers());
            match response.status() {
                200..=299 => return self.read(response, request.limit, &url).await.map(Some),
                304 if request.is_conditional() => return Ok(None),
                301 | 302 | 303 | 307 | 308 => url = redirect_target(&url, location(response.headers()).as_deref())?,
                status => return Err(status::error_for_status(host_of(&url), status, response.headers(), self.now)),
            }
        }
        Err(FetchError::TooManyRedirects { limit: MAX_REDIRECTS })
    }

    async fn exchange(&self, request: &HttpRequest) -> Result<HttpResponse, FetchError> {
        let attempt = self.total.at_most(self.per_request);
        // The body is measured after decompression, and by us: its failure has a code of its own.
        let limits = ResponseLimits { body: u64::MAX, ..ResponseLimits::default() };
        http::send(self.via, self.tls, request, &attempt, limits)
            .await
            .map_err(|source| FetchError::Exchange { host: request.target().host().to_string().into(), source })
    }

    async fn read(&self, response: HttpResponse, limit: u64, url: &Url) -> Result<WebResponse, FetchError> {
        let (headers, may_be_cut) = (response.headers().clone(), !response.end_is_certain());
        let body = body::read(response, limit).await.map_err(|error| match error {
            body::BodyError::Content(error) => FetchError::content(error, limit),
            body::BodyError::Exchange(source) => FetchError::Exchange { host: host_of(url), source },
        })?;
        Ok(WebResponse { headers, may_be_cut, body })
    }
}

/// The `Location` of a redirect. Browsers read bytes beyond ASCII in it as UTF-8, and so do the servers that send them.
fn location(headers: &::http::HeaderMap) -> Option<String> {
    let value = headers.get("location")?.as_bytes();
    match std::str::from_utf8(value) {
        Ok(text) => Some(text.to_owned()),
        Err(_) => Some(value.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// Where a redirect leads. It never leads to a link-local address, where clouds answer questions about the machine
/// itself: not even for a source that may have private addresses.
pub(crate) fn redirect_target(current: &Url, location: Option<&str>) -> Result<Url, FetchError> {
    let next = location.and_then(|location| current.join(location).ok()).ok_or(FetchError::BadRedirect)?;
    if is_link_local(&next) && !is_link_local(current) {
        return Err(FetchError::LinkLocal);
    }
    match (current.scheme(), next.scheme()) {
        ("https", "http") => Err(FetchError::Downgrade),
        (_, "http" | "https") => Ok(next),
        _ => Err(FetchError::BadRedirect),
    }
}

/// Whether the host is a link-local address (RFC 3927, RFC 4291 §2.5.6), in whatever notation.
fn is_link_local(url: &Url) -> bool {
    let address = match url.host() {
        Some(url::Host::Ipv4(address)) => std::net::IpAddr::V4(address),
        Some(url::Host::Ipv6(address)) => std::net::IpAddr::V6(address).to_canonical(),
        Some(url::Host::Domain(_)) | None => return false,
    };
    match address {
        std::net::IpAddr::V4(address) => address.is_link_local(),
        std::net::IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

pub(crate) fn host_of(url: &Url) -> Box<str> {
    url.host_str().unwrap_or_default().into()
}
