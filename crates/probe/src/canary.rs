//! Whether a node hands on what it was given: a page whose bytes are known, and certificates that must be the site's.

use std::{collections::HashMap, fmt::Debug};

use async_trait::async_trait;
use hezar_core::{CodeDoc, NodeId, Stage, Timestamp};
use hezar_engine::{
    Attempt, Cause, DialError, Dialer, TlsClients,
    http::{self, HttpRequest, Limits, RequestError},
};
use sha2::{Digest, Sha256};
use url::Url;

/// What a node is put into quarantine for.
pub const TAMPERING: &[CodeDoc] = &[
    CodeDoc::new(TLS, "The node answered in the place of a site, with a certificate of its own: it is in quarantine."),
    CodeDoc::new(BODY, "The node changed a page whose bytes are known: it is in quarantine."),
];
const TLS: &str = "tampered-tls";
const BODY: &str = "tampered-body";

/// How long after a node brought the page intact a changed one is the fault of who brought it.
const FRESH: std::time::Duration = std::time::Duration::from_secs(600);
/// So many nodes that all bring another page, and none that brings the right one: the page itself has changed.
const BROKEN: usize = 32;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everything as it should be.
    Intact,
    /// Changed on the way; one of [`TAMPERING`].
    Tampered(&'static str),
}

/// Something known that a node is asked to fetch.
#[async_trait]
pub trait Canary: Debug + Send + Sync {
    /// Fetches it through `via`.
    ///
    /// # Errors
    /// [`DialError`] when nothing can be said, because it did not arrive.
    async fn look(&self, via: &dyn Dialer, attempt: &Attempt) -> Result<Sight, DialError>;
}

/// What the body of the page must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanaryBody {
    /// Exactly this.
    Text(Box<str>),
    /// Anything with this SHA-256.
    Sha256([u8; 32]),
}

/// A GET with status 200 and a known body; an `https` URL is fully verified.
#[derive(Debug)]
pub struct HttpCanary {
    request: HttpRequest,
    body: CanaryBody,
    tls: TlsClients,
}

impl HttpCanary {
    /// A canary at `url`.
    ///
    /// # Errors
    /// [`RequestError`] when the URL cannot be asked for.
    pub fn new(url: &Url, body: CanaryBody, tls: TlsClients) -> Result<Self, RequestError> {
        Ok(Self { request: HttpRequest::of_url(url)?, body, tls })
    }
}

#[async_trait]
impl Canary for HttpCanary {
    async fn look(&self, via: &dyn Dialer, attempt: &Attempt) -> Result<Sight, DialError> {
        let answer = match http::get(via, &self.tls, &self.request, attempt, Limits::default()).await {
            Ok(answer) => answer,
            Err(error) => return intercepted(&error).map(Sight::Tampered).ok_or(error),
        };
        // Another status may be the site's own bad day; only its page is known.
        if answer.status() != 200 {
            let text = format!("status {} instead of 200", answer.status());
            return Err(DialError::new(Stage::Exchange, Cause::UnexpectedAnswer(text.into())));
        }
        let body = answer.bytes().await?;
        let intact = match &self.body {
            CanaryBody::Text(text) => body[..] == *text.as_bytes(),
            CanaryBody::Sha256(hash) => Sha256::digest(&body)[..] == hash[..],
        };
        Ok(if intact { Sight::Intact } else { Sight::Tampered(BODY) })
    }
}

/// Whether a failure is that of a certificate which the site cannot have shown: the exchange begins behind the node.
pub(crate) fn intercepted(error: &DialError) -> Option<&'static str> {
    (error.stage == Stage::Exchange && matches!(error.cause, Cause::Certificate(_))).then_some(TLS)
}

/// Who is to blame for a changed page, the node or the page.
#[derive(Debug, Default)]
pub(crate) struct Suspicion {
    intact: Option<Timestamp>,
    /// Nodes that brought another page while nobody had brought the right one.
    doubted: HashMap<NodeId, &'static str, ahash::RandomState>,
}

/// What becomes of a node that brought another page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// It goes into quarantine.
    Node,
    /// It is not used before somebody has brought the right page.
    Nobody,
    /// Nothing: the page must have changed.
    Page,
}

impl Suspicion {
    /// A node brought the right page; returns those that are to blame for theirs.
    pub(crate) fn intact(&mut self, id: NodeId, now: Timestamp) -> Vec<(NodeId, &'static str)> {
        self.intact = Some(now);
        self.doubted.remove(&id);
        self.doubted.drain().collect()
    }

    pub(crate) fn tampered(&mut self, id: NodeId, code: &'static str, now: Timestamp) -> Blame {
        if self.intact.is_some_and(|seen| now.since(seen) < FRESH) {
            return Blame::Node;
        }
        self.doubted.insert(id, code);
        if self.doubted.len() > BROKEN { Blame::Page } else { Blame::Nobody }
    }

    pub(crate) fn forget(&mut self, id: NodeId) {
        self.doubted.remove(&id);
    }
}
