//! What is asked through a node to find out whether it works, and where it comes out.

use std::{fmt::Debug, net::IpAddr};

use async_trait::async_trait;
use hezar_core::{Stage, Target};
use hezar_engine::{
    Attempt, Cause, DialError, Dialer, TlsClients,
    http::{self, HttpRequest, HttpResponse, RequestError, ResponseLimits},
};
use hezar_pool::{Country, Exit};
use url::Url;

use crate::{BodyRule, trace::parse_trace};

/// A question that a working node answers.
#[async_trait]
pub trait Check: Debug + Send + Sync {
    /// Asks it through `via`; the attempt bounds the whole exchange.
    ///
    /// # Errors
    /// [`DialError`]: where it failed and why; [`Cause::UnexpectedAnswer`] when the answer is not the right one.
    async fn check(&self, via: &dyn Dialer, attempt: &Attempt) -> Result<(), DialError>;
}

/// A lookup of the address that targets see.
#[async_trait]
pub trait ExitLookup: Debug + Send + Sync {
    /// Asks through `via`.
    ///
    /// # Errors
    /// [`DialError`]; [`Cause::UnexpectedAnswer`] when the answer names no address.
    async fn exit(&self, via: &dyn Dialer, attempt: &Attempt) -> Result<Exit, DialError>;
}

/// What is known about addresses without asking anybody, as from a database of countries.
pub trait Geo: Debug + Send + Sync {
    /// The country of an address, when it is known.
    fn country(&self, ip: IpAddr) -> Option<Country>;
}

/// A GET with an expected status and body. An `https` URL is fully verified: a node that breaks TLS open fails.
#[derive(Debug)]
pub struct HttpCheck {
    request: HttpRequest,
    /// Any status when absent.
    status: Option<u16>,
    body: Option<BodyRule>,
    /// Whether a redirect to `https` on the same host will do.
    or_redirect: bool,
    tls: TlsClients,
}

impl HttpCheck {
    /// A check of `url`; `status` is the expected one, or any.
    ///
    /// # Errors
    /// [`RequestError`] when the URL cannot be asked for.
    pub fn new(url: &Url, status: Option<u16>, body: Option<BodyRule>, tls: TlsClients) -> Result<Self, RequestError> {
        Ok(Self { request: HttpRequest::of_url(url)?, status, body, or_redirect: false, tls })
    }

    /// The same check, content with what sites answer to a plain request instead of the page: a redirect to `https` on
    /// the same host.
    pub(crate) fn or_its_redirect(self) -> Self {
        Self { or_redirect: true, ..self }
    }

    fn is_redirect_to_itself(&self, answer: &HttpResponse) -> bool {
        let location = answer.header("location").and_then(|location| location.strip_prefix("https://"));
        let host = location.and_then(|rest| rest.split(['/', ':', '?', '#']).next());
        matches!(answer.status(), 301 | 302 | 307 | 308)
            && host.is_some_and(|host| host.eq_ignore_ascii_case(&self.target().host().to_string()))
    }

    /// Where it asks.
    pub(crate) const fn target(&self) -> &Target {
        self.request.target()
    }
}

#[async_trait]
impl Check for HttpCheck {
    async fn check(&self, via: &dyn Dialer, attempt: &Attempt) -> Result<(), DialError> {
        let answer = http::send(via, &self.tls, &self.request, attempt, ResponseLimits::default()).await?;
        if self.or_redirect && self.is_redirect_to_itself(&answer) {
            return Ok(());
        }
        if let Some(expected) = self.status
            && answer.status() != expected
        {
            return Err(unexpected(format!("status {} instead of {expected}", answer.status())));
        }
        let Some(rule) = &self.body else { return Ok(()) };
        let body = answer.bytes().await?;
        if rule.fits(&body) { Ok(()) } else { Err(unexpected("the body is another one".to_owned())) }
    }
}

impl BodyRule {
    fn fits(&self, body: &[u8]) -> bool {
        match self {
            Self::Contains(text) => text.is_empty() || body.windows(text.len()).any(|window| window == text.as_bytes()),
            Self::StartsWith(text) => body.starts_with(text.as_bytes()),
        }
    }
}

/// A page of `key=value` lines with `ip` and `loc`.
#[derive(Debug)]
pub struct TraceLookup {
    request: HttpRequest,
    tls: TlsClients,
}

impl TraceLookup {
    /// A lookup at `url`.
    ///
    /// # Errors
    /// [`RequestError`] when the URL cannot be asked for.
    pub fn new(url: &Url, tls: TlsClients) -> Result<Self, RequestError> {
        Ok(Self { request: HttpRequest::of_url(url)?, tls })
    }
}

#[async_trait]
impl ExitLookup for TraceLookup {
    async fn exit(&self, via: &dyn Dialer, attempt: &Attempt) -> Result<Exit, DialError> {
        let answer = http::send(via, &self.tls, &self.request, attempt, ResponseLimits::default()).await?;
        if answer.status() != 200 {
            return Err(unexpected(format!("status {} instead of 200", answer.status())));
        }
        let body = answer.bytes().await?;
        parse_trace(&body).ok_or_else(|| unexpected("no ip= line".to_owned()))
    }
}

fn unexpected(what: String) -> DialError {
    DialError::new(Stage::Exchange, Cause::UnexpectedAnswer(what.into()))
}
