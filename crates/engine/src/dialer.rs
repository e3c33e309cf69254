//! The trait of everything that carries traffic: [`Dialer`] opens streams and datagram associations.

use std::{
    any::Any,
    fmt::{self, Debug, Formatter},
    net::SocketAddr,
    time::Duration,
};

use async_trait::async_trait;
use hezar_core::{Stage, Target};
use http::{HeaderValue, Request, Uri, header::PROXY_AUTHORIZATION};

use crate::{Attempt, BoxDatagram, BoxStream, Cause, DialError};

/// How the other end of a stream wants the request line of a plain HTTP request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RequestForm {
    /// The path alone: the other end is the target (RFC 9112 §3.2.1).
    #[default]
    Origin,
    /// The whole URL: the other end is an HTTP proxy (RFC 9112 §3.2.2).
    Absolute {
        /// The value of `Proxy-Authorization` for that proxy.
        authorization: Option<HeaderValue>,
    },
}

impl RequestForm {
    /// Whether the other end is an HTTP proxy.
    #[must_use]
    pub const fn is_absolute(&self) -> bool {
        matches!(self, Self::Absolute { .. })
    }

    /// Puts a request for `authority` (`host`, or `host:port`) in origin form into this form, with the proxy's
    /// credentials if it wants any. A request that cannot be put so stays as it is.
    pub fn apply<B>(&self, request: &mut Request<B>, authority: &str) {
        let Self::Absolute { authorization } = self else { return };
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path } else { "/" };
        if let Ok(uri) = Uri::builder().scheme("http").authority(authority).path_and_query(path).build() {
            *request.uri_mut() = uri;
        }
        if let Some(value) = authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value.clone());
        }
    }
}

/// What a dialer has got ready; it stays so until this is dropped.
#[derive(Default)]
pub struct Prepared(Option<Box<dyn Any + Send + Sync>>);

impl Prepared {
    /// Keeps `what` until this is dropped.
    #[must_use]
    pub fn holding(what: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(what)))
    }
}

impl Debug for Prepared {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prepared").field(&self.0.is_some()).finish()
    }
}

/// Opens streams and datagram associations: the operating system, one proxy protocol, a chain of them, or a fake.
#[async_trait]
pub trait Dialer: Debug + Send + Sync {
    /// Opens a stream to `target`.
    ///
    /// # Errors
    /// [`DialError`]: the stage that failed and why. The attempt's deadline bounds the whole call.
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError>;

    /// Opens a stream for one plain HTTP exchange with `target`, and says how the request is to be sent on it. Unless the
    /// other end is an HTTP proxy that is a stream to the target.
    ///
    /// # Errors
    /// As [`Dialer::connect`].
    async fn connect_for_http(
        &self,
        target: &Target,
        attempt: &Attempt,
    ) -> Result<(BoxStream, RequestForm), DialError> {
        Ok((self.connect(target, attempt).await?, RequestForm::Origin))
    }

    /// Opens an association that sends datagrams to any target.
    ///
    /// # Errors
    /// [`DialError`]; [`Cause::Unsupported`] unless the protocol carries datagrams.
    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        let _ = attempt;
        Err(DialError::new(Stage::Handshake, Cause::Unsupported("datagrams")))
    }

    /// Gets ready what dialling needs and has nothing to do with the node, so that an attempt that begins afterwards measures the node alone.
    ///
    /// # Errors
    /// [`DialError`]; it says nothing about the node unless its address is refused or cannot be found.
    async fn prepare(&self, limit: Duration) -> Result<Prepared, DialError> {
        let _ = limit;
        Ok(Prepared::default())
    }

    /// This machine's network, if the dialer uses it directly: QUIC then opens UDP sockets of its own instead of an
    /// association, and names are looked up here.
    fn local_network(&self) -> Option<&dyn LocalNetwork> {
        None
    }
}

/// Addresses as this machine's resolver and the dialer's address policy give them.
#[async_trait]
pub trait LocalNetwork: Debug + Send + Sync {
    /// The allowed addresses of a target for trying one after another: few, and IPv4 first, since a silent address costs
    /// its share of the time and IPv4 works from more machines.
    ///
    /// # Errors
    /// As for connecting: nothing resolves, or nothing is allowed.
    async fn candidates(&self, target: &Target, attempt: &Attempt) -> Result<Vec<SocketAddr>, DialError>;
}

/// A dialer whose streams always lead to the target: an HTTP proxy is asked for a tunnel (CONNECT) for plain requests, too.
#[derive(Debug)]
pub struct Tunnelled<'a>(pub &'a dyn Dialer);

#[async_trait]
impl Dialer for Tunnelled<'_> {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        self.0.connect(target, attempt).await
    }
}
