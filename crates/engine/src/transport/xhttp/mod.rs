//! XHTTP (Xray, formerly SplitHTTP): a stream as ordinary HTTP requests, so that it passes what lets only those through.
//!
//! In all modes the download is the body of one answer. The upload is the body of the same request (stream-one), of a
//! second one (stream-up), or of many short ones with numbers (packet-up). `auto` is what Xray's client makes of it:
//! stream-one under REALITY, else packet-up. The streamed modes need HTTP/2; without TLS they begin with it at once, as
//! Xray's server understands, because Go's HTTP/1.1 servers do not answer before they have read.
//!
//! The end of our direction is told in the streamed modes. Packet-up has no sign for it.

mod extra;
mod http1;
mod http2;
mod plan;
mod stream;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;

use hezar_core::{Host, Security, Stage, Xhttp, XhttpMode};

use self::{
    extra::Extra,
    plan::{Plan, Purpose},
    stream::{Download, Upload, XhttpStream},
    upload::Packets,
};
use super::multiplex::{Connections, Limits, MuxStream, Raw};
use crate::{Attempt, BoxStream, BuildError, DialError, upstream::Road};

/// One node's XHTTP settings, made ready, and its connections.
#[derive(Debug)]
pub(super) struct XhttpClient {
    mode: XhttpMode,
    version: Version,
    plan: Arc<Plan>,
    connections: Arc<Connections>,
}

/// The versions of HTTP that it can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

impl XhttpClient {
    /// Prepares the requests.
    ///
    /// # Errors
    /// [`BuildError`] for settings that need another client than this one, or that HTTP cannot carry.
    pub(super) fn new(
        settings: &Xhttp,
        security: &Security,
        sni: Option<&str>,
        server: &Host,
    ) -> Result<Self, BuildError> {
        let mode = match (settings.mode, security) {
            (XhttpMode::Auto, Security::Reality(_)) => XhttpMode::StreamOne,
            (XhttpMode::Auto, _) => XhttpMode::PacketUp,
            (mode, _) => mode,
        };
        let version = version(mode, security)?;
        let extra = Extra::read(settings.extra.as_deref())?;
        let streams_per_seat = match mode {
            XhttpMode::StreamOne => 1,
            XhttpMode::StreamUp => 2,
            XhttpMode::PacketUp | XhttpMode::Auto => 1 + http2::AT_ONCE as u32,
        };
        let limits = Limits { streams_per_seat, ..extra.limits };
        let secure = *security != Security::None;
        let plan = Arc::new(Plan::new(settings, extra, sni, server, secure)?);
        Ok(Self { mode, version, plan, connections: Arc::new(Connections::new(limits)) })
    }

    /// The version of HTTP that the security layer has to agree on.
    pub(super) const fn version(&self) -> Version {
        self.version
    }

    /// Opens a session.
    ///
    /// # Errors
    /// [`DialError`] when there is no connection and none can be opened.
    pub(super) async fn open(&self, road: &Arc<Road>, attempt: &Attempt) -> Result<BoxStream, DialError> {
        if self.mode == XhttpMode::StreamOne {
            let head = self.plan.head(Purpose::Both, true);
            let (seat, exchange) = self.connections.request(road, &head, false, attempt).await?;
            return Ok(Box::new(MuxStream::new(seat, exchange, Raw)));
        }
        let session: Arc<str> = self.plan.session().into();
        let download = Purpose::Download { session: &session };
        if self.version == Version::Http1 {
            let stream = road.connect(attempt).await?;
            let begin = http1::Download::begin(stream, self.plan.head(download, false));
            let download = Download::Http1(attempt.stage(Stage::Transport, begin).await?);
            let posts = http1::Posts::new(Arc::clone(&self.plan), session, Arc::clone(road));
            let upload = Upload::Packets(Packets::start(&self.plan, posts));
            return Ok(Box::new(XhttpStream::new(download, upload)));
        }
        let head = self.plan.head(download, true);
        let (seat, exchange) = self.connections.request(road, &head, true, attempt).await?;
        let download = Download::Http2(MuxStream::new(Arc::clone(&seat), exchange, Raw));
        let upload = if self.mode == XhttpMode::StreamUp {
            let head = self.plan.head(Purpose::Upload { session: &session }, true);
            let exchange = seat.request(head, false).map_err(|cause| DialError::new(Stage::Transport, cause))?;
            Upload::Stream(MuxStream::new(seat, exchange, Raw))
        } else {
            let posts = http2::Posts {
                plan: Arc::clone(&self.plan),
                session,
                connections: Arc::clone(&self.connections),
                road: Arc::clone(road),
                seat,
            };
            Upload::Packets(Packets::start(&self.plan, posts))
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
        "h3" => Err(BuildError::Unsupported("XHTTP over HTTP/3")),
        "http/1.1" if mode == XhttpMode::PacketUp => Ok(Version::Http1),
        "http/1.1" => Err(BuildError::Unsupported("XHTTP's streamed modes over HTTP/1.1")),
        _ => Ok(Version::Http2),
    }
}
