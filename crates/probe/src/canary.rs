//! Whether a node hands on what it was given: a page whose bytes are known, and certificates that must be the site's.

use std::fmt::Debug;

use async_trait::async_trait;
use hezar_core::{CodeDoc, Stage, hash64};
use hezar_engine::{
    Attempt, Cause, DialError, Dialer, TlsClients,
    http::{self, HttpRequest, RequestError, ResponseLimits},
};
use sha2::{Digest, Sha256};
use url::Url;

/// What a node is put into quarantine for.
pub const TAMPERING: &[CodeDoc] = &[
    CodeDoc::new(TLS, "The node answered in the place of a site, with a certificate of its own: it is in quarantine."),
    CodeDoc::new(BODY, "The node changed a page whose bytes are known: it is in quarantine."),
    CodeDoc::new(
        MISSING,
        "The node works and does not bring a page whose bytes are known, again and again, while other nodes do: it is in quarantine until it brings it.",
    ),
];
const TLS: &str = "tampered-tls";
const BODY: &str = "tampered-body";
/// The code of a node that never brings what would show whether it tampers.
pub(crate) const MISSING: &str = "canary-missing";

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryResult {
    /// Everything as it should be.
    Intact,
    /// Changed on the way.
    Tampered {
        /// One of [`TAMPERING`].
        code: &'static str,
        /// A number for what came instead: nodes that bring the same have the same one.
        digest: u64,
    },
}

/// Something known that a node is asked to fetch.
#[async_trait]
pub trait Canary: Debug + Send + Sync {
    /// Fetches it through `via`.
    ///
    /// # Errors
    /// [`DialError`] when nothing can be said, because it did not arrive.
    async fn fetch(&self, via: &dyn Dialer, attempt: &Attempt) -> Result<CanaryResult, DialError>;
}

/// What the body of the page must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanaryBody {
    /// This; white space at its end does not matter.
    Text(Box<str>),
    /// Anything with this SHA-256.
    Sha256([u8; 32]),
}

/// A page whose bytes are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryPage {
    /// Where it is, `http` or `https`.
    pub url: Url,
    /// What it is.
    pub body: CanaryBody,
}

impl CanaryPage {
    /// Pages by which browsers and systems find out whether somebody stands between them and the net: plain HTTP, a few
    /// bytes that have been the same for years, from different operators.
    const USUAL: [(&str, &str); 3] = [
        ("http://detectportal.firefox.com/success.txt", "success\n"),
        ("http://www.msftconnecttest.com/connecttest.txt", "Microsoft Connect Test"),
        ("http://nmcheck.gnome.org/check_network_status.txt", "NetworkManager is online\n"),
    ];

    /// The usual pages, for who has none of their own.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        let page =
            |(url, text): (&str, &str)| Some(Self { url: Url::parse(url).ok()?, body: CanaryBody::Text(text.into()) });
        Self::USUAL.into_iter().filter_map(page).collect()
    }
}

/// A GET with status 200 and a known body; an `https` URL is fully verified.
#[derive(Debug)]
pub struct HttpCanary {
    request: HttpRequest,
    body: CanaryBody,
    tls: TlsClients,
}

impl HttpCanary {
    /// A canary that fetches this page.
    ///
    /// # Errors
    /// [`RequestError`] when the URL cannot be asked for.
    pub fn new(page: &CanaryPage, tls: TlsClients) -> Result<Self, RequestError> {
        Ok(Self { request: HttpRequest::of_url(&page.url)?, body: page.body.clone(), tls })
    }
}

#[async_trait]
impl Canary for HttpCanary {
    async fn fetch(&self, via: &dyn Dialer, attempt: &Attempt) -> Result<CanaryResult, DialError> {
        let answer = match http::send(via, &self.tls, &self.request, attempt, ResponseLimits::default()).await {
            Ok(answer) => answer,
            Err(error) => {
                let tampered = |code| CanaryResult::Tampered { code, digest: hash64(code.as_bytes()) };
                return intercepted(&error).map(tampered).ok_or(error);
            }
        };
        // Another status may be the site's own bad day; only its page is known.
        if answer.status() != 200 {
            let text = format!("status {} instead of 200", answer.status());
            return Err(DialError::new(Stage::Exchange, Cause::UnexpectedAnswer(text.into())));
        }
        let body = answer.bytes().await?;
        let intact = match &self.body {
            CanaryBody::Text(text) => body.trim_ascii_end() == text.as_bytes().trim_ascii_end(),
            CanaryBody::Sha256(hash) => Sha256::digest(&body)[..] == hash[..],
        };
        Ok(if intact { CanaryResult::Intact } else { CanaryResult::Tampered { code: BODY, digest: hash64(&body) } })
    }
}

/// Whether a failure is that of a certificate which the site cannot have shown: the exchange begins behind the node.
pub(crate) fn intercepted(error: &DialError) -> Option<&'static str> {
    (error.stage == Stage::Exchange && matches!(error.cause, Cause::Certificate(_))).then_some(TLS)
}
