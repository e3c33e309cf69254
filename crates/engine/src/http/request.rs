//! A request that is checked before it is sent, and the bounds of its answer.

use hezar_core::{Host, Target};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use thiserror::Error;
use url::Url;

use bytes::Bytes;

use crate::RequestForm;

/// Why a text is not a request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It is not a URL.
    #[error("not a URL: {0}")]
    Url(#[from] url::ParseError),
    /// Its scheme is neither `http` nor `https`.
    #[error("the URL's scheme is neither http nor https")]
    Scheme,
    /// Its host or port cannot be dialled.
    #[error("the URL's host or port cannot be dialled")]
    Host,
    /// A header cannot be sent.
    #[error("a header's name or value cannot be sent")]
    Header,
}

/// The bounds of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseLimits {
    /// The longest head, in bytes; at least 8192.
    pub head: usize,
    /// The longest body, in bytes; a longer one fails while it is read.
    pub body: u64,
}

impl Default for ResponseLimits {
    /// 64 KiB of head, 64 KiB of body: enough for a probe.
    fn default() -> Self {
        Self { head: 64 * 1024, body: 64 * 1024 }
    }
}

/// One request: a GET, or a POST with a body.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    target: Target,
    https: bool,
    path: Box<str>,
    headers: HeaderMap,
    method: Method,
    body: Bytes,
}

impl HttpRequest {
    /// A request for `url` (`http` or `https`) with the headers it needs: Host, and Basic credentials when the URL has
    /// them. The fragment is dropped.
    ///
    /// # Errors
    /// [`RequestError`]: what cannot be asked for.
    pub fn get(url: &str) -> Result<Self, RequestError> {
        Self::of_url(&Url::parse(url)?)
    }

    /// The same for a URL that is read already.
    ///
    /// # Errors
    /// As [`HttpRequest::get`].
    pub fn of_url(url: &Url) -> Result<Self, RequestError> {
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(RequestError::Scheme),
        };
        let host = Host::new(url.host_str().unwrap_or_default()).map_err(|_| RequestError::Host)?;
        let port = url.port_or_known_default().unwrap_or(if https { 443 } else { 80 });
        let target = Target::new(host, port).map_err(|_| RequestError::Host)?;
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let path = if path.is_empty() { "/" } else { path }.into();
        let (headers, method, body) = (HeaderMap::new(), Method::GET, Bytes::new());
        let mut request = Self { target, https, path, headers, method, body };
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        request.set(header::HOST, authority)?;
        request.set(header::CONNECTION, "close")?;
        if !url.username().is_empty() || url.password().is_some() {
            request.set(header::AUTHORIZATION, &basic(url))?;
        }
        Ok(request)
    }

    /// The same request as a POST with this body. The exchange says how long it is.
    ///
    /// # Errors
    /// [`RequestError::Header`] when the type cannot be sent.
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Result<Self, RequestError> {
        (self.method, self.body) = (Method::POST, body.into());
        self.set(header::CONTENT_TYPE, content_type)?;
        Ok(self)
    }

    /// The same request with a header set; an earlier one of that name is replaced.
    ///
    /// # Errors
    /// [`RequestError::Header`] when the name or the value cannot be sent.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, RequestError> {
        let name = HeaderName::try_from(name).map_err(|_| RequestError::Header)?;
        self.set(name, value)?;
        Ok(self)
    }

    /// Where the connection goes.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Whether the exchange runs over TLS.
    #[must_use]
    pub const fn is_https(&self) -> bool {
        self.https
    }

    fn set(&mut self, name: HeaderName, value: &str) -> Result<(), RequestError> {
        self.headers.insert(name, HeaderValue::try_from(value).map_err(|_| RequestError::Header)?);
        Ok(())
    }

    /// The request as hyper wants it.
    pub(super) fn to_hyper(&self, form: &RequestForm) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        // A path that came out of a URL is a URI; if that is ever untrue, the root is asked for.
        *request.uri_mut() = self.path.parse().unwrap_or_default();
        *request.headers_mut() = self.headers.clone();
        if let Some(authority) = self.headers.get(header::HOST).and_then(|host| host.to_str().ok()) {
            form.apply(&mut request, authority);
        }
        request
    }
}

fn basic(url: &Url) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let decode = |text: &str| percent(text.as_bytes());
    let mut pair = decode(url.username());
    pair.push(b':');
    pair.extend(decode(url.password().unwrap_or_default()));
    format!("Basic {}", STANDARD.encode(pair))
}

/// Percent-decodes; a lone `%` stays.
fn percent(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) if digit(*high).is_some() && digit(*low).is_some() => {
                out.push(digit(*high).unwrap_or_default() << 4 | digit(*low).unwrap_or_default());
                tail
            }
            _ => {
                out.push(*first);
                tail
            }
        };
    }
    out
}
