//! XHTTP (Xray, formerly SplitHTTP): a stream in the form of ordinary HTTP requests, so that it passes proxies and CDNs that let
//! only those through.
//!
//! In all modes the download is the body of one answer. The upload is the body of the same request (stream-one), of a
//! second one (stream-up), or of many short ones with numbers (packet-up). `auto` is what Xray's client makes of it: under
//! REALITY stream-one, or stream-up when the download has an endpoint of its own; else packet-up. The streamed modes need HTTP/2
//! or HTTP/3; without TLS they begin with HTTP/2 at once, as Xray's server understands, because Go's HTTP/1.1 servers do not answer
//! before they have read.
//!
//! The download may come from another server, or through another endpoint of the same one, than the upload goes to
//! (`downloadSettings`): what the two have in common is the session's id.
//!
//! The end of our direction is sent in the streamed modes. Packet-up has no sign for it.

mod endpoint;
mod extra;
mod http1;
mod http2;
mod http3;
mod plan;
pub(crate) mod server;
mod stream;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;

use hezar_core::{Security, Target, Xhttp, XhttpDownload, XhttpMode};
use http::Method;

pub(super) use self::endpoint::{ConnectorFactory, Endpoint};
use self::{endpoint::XhttpEndpoint, extra::Extra, stream::XhttpStream};
use crate::{Attempt, BoxStream, BuildError, DialError};

/// The prepared XHTTP settings of one node, and its connections.
#[derive(Debug)]
pub(super) struct XhttpClient {
    mode: XhttpMode,
    up: XhttpEndpoint,
    /// The endpoint of the download, if it is another one.
    down: Option<XhttpEndpoint>,
}

/// The versions of HTTP that it can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
    Http3,
}

impl XhttpClient {
    /// Prepares the requests; `connect_to` builds what connects to the servers.
    ///
    /// # Errors
    /// [`BuildError`] for settings that this client does not implement, or that HTTP cannot carry.
    pub(super) fn new(
        settings: &Xhttp,
        security: &Security,
        server: &Target,
        connect_to: &ConnectorFactory<'_>,
    ) -> Result<Self, BuildError> {
        let download = settings.download.as_deref();
        let mode = match (settings.mode, security) {
            (XhttpMode::Auto, Security::Reality(_)) if download.is_some() => XhttpMode::StreamUp,
            (XhttpMode::Auto, Security::Reality(_)) => XhttpMode::StreamOne,
            (XhttpMode::Auto, _) => XhttpMode::PacketUp,
            (mode, _) => mode,
        };
        if mode == XhttpMode::StreamOne && download.is_some() {
            return Err(BuildError::Invalid("XHTTP's stream-one mode has no download of its own"));
        }
        let extra = Extra::read(settings.extra.as_deref())?;
        if mode != XhttpMode::PacketUp && extra.method == Method::GET {
            return Err(BuildError::Invalid("XHTTP uploads by GET in its packet-up mode only"));
        }
        let uploads = if mode == XhttpMode::PacketUp { http2::AT_ONCE } else { 1 };
        let streams = uploads + usize::from(mode != XhttpMode::StreamOne && download.is_none());
        let endpoint = connect_to(server, security, version(mode, security)?)?;
        let up = XhttpEndpoint::new(settings, extra, security, server, endpoint, streams)?;
        let down = |download: &XhttpDownload| {
            let XhttpDownload { xhttp, security, .. } = download;
            let server = download.server.as_ref().unwrap_or(server);
            // A download streams over any version.
            let endpoint = connect_to(server, security, version(XhttpMode::PacketUp, security)?)?;
            XhttpEndpoint::new(xhttp, Extra::read(xhttp.extra.as_deref())?, security, server, endpoint, 1)
        };
        Ok(Self { mode, up, down: download.map(down).transpose()? })
    }

    /// Opens a session.
    ///
    /// # Errors
    /// [`DialError`] when there is no connection and none can be opened.
    pub(super) async fn open(&self, attempt: &Attempt) -> Result<BoxStream, DialError> {
        if self.mode == XhttpMode::StreamOne {
            return self.up.open_in_one_request(attempt).await;
        }
        let session: Arc<str> = self.up.plan.session().into();
        let (download, upload) = match &self.down {
            None => {
                let (download, permit) = self.up.download(&session, attempt).await?;
                (download, self.up.upload(self.mode, session, permit, attempt).await?)
            }
            Some(down) => {
                let upload = self.up.upload(self.mode, Arc::clone(&session), None, attempt);
                let ((download, _), upload) = tokio::try_join!(down.download(&session, attempt), upload)?;
                (download, upload)
            }
        };
        Ok(Box::new(XhttpStream::new(download, upload)))
    }
}

/// The version of HTTP for a mode: Xray's choice by ALPN, except that the streamed modes get HTTP/2 without TLS too.
fn version(mode: XhttpMode, security: &Security) -> Result<Version, BuildError> {
    let only = match security {
        Security::Tls(tls) => match tls.alpn.as_slice() {
            [one] => one.as_ref(),
            _ => "h2",
        },
        Security::Reality(_) => "h2",
        Security::None if mode == XhttpMode::PacketUp => "http/1.1",
        Security::None => "h2",
    };
    match only {
        "h3" => Ok(Version::Http3),
        "http/1.1" if mode == XhttpMode::PacketUp => Ok(Version::Http1),
        "http/1.1" => Err(BuildError::Unsupported("XHTTP's streamed modes over HTTP/1.1")),
        _ => Ok(Version::Http2),
    }
}
