//! HTTPUpgrade: an HTTP/1.1 upgrade request like that of a WebSocket. After its answer bytes are sent as they are.
//!
//! With early data the first bytes of the stream follow the request at once, and the answer is read when it comes. The length
//! of early data in the settings is ignored, because unlike a WebSocket's these bytes are not put into the request. Early data is
//! used over TLS only: Xray's server loses bytes that it reads together with the request, and TLS keeps the two in records of
//! their own.

pub(crate) mod server;
#[cfg(test)]
mod tests;

use std::io;

use bytes::BytesMut;
use hezar_core::{Host, HttpUpgrade, Stage, Tls};
use tokio::io::AsyncWriteExt;

use super::http1::{Answered, Words};
use crate::{
    Attempt, BoxStream, Cause, DialError,
    io::{header_stream::HeaderStream, http_head, prefixed::Prefixed},
};

/// The headers that the request sets itself. A WebSocket's key would make servers take it for one.
const OURS: [&str; 5] = ["upgrade", "connection", "content-length", "transfer-encoding", "sec-websocket-key"];

/// The status that accepts the request.
const SWITCHING_PROTOCOLS: u16 = 101;

/// The prepared HTTPUpgrade settings of one node.
#[derive(Debug)]
pub(super) struct HttpUpgradeClient {
    request: Box<str>,
    early: bool,
}

impl HttpUpgradeClient {
    /// Prepares the request. Headers that HTTP cannot carry are left out.
    pub(super) fn new(settings: &HttpUpgrade, tls: Option<&Tls>, server: &Host) -> Self {
        let sni = tls.and_then(|tls| tls.server_name.as_deref());
        let words = Words::new(&settings.path, settings.host.as_deref(), &settings.headers, sni, server, &OURS);
        let lines = words.lines();
        let request =
            format!("GET {} HTTP/1.1\r\n{lines}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", words.path);
        Self { request: request.into(), early: settings.early_data.is_some() && tls.is_some() }
    }

    /// Opens the stream; with early data, the answer is not waited for.
    ///
    /// # Errors
    /// [`DialError`] at the transport stage.
    pub(super) async fn open(&self, mut stream: BoxStream, attempt: &Attempt) -> Result<BoxStream, DialError> {
        if self.early {
            attempt.stage(Stage::Transport, self.send(&mut stream)).await?;
            let accepted = Answered(SWITCHING_PROTOCOLS..=SWITCHING_PROTOCOLS);
            return Ok(Box::new(HeaderStream::new(stream, Vec::new(), accepted)));
        }
        attempt.stage(Stage::Transport, self.shake_hands(stream)).await
    }

    async fn send(&self, stream: &mut BoxStream) -> io::Result<()> {
        stream.write_all(self.request.as_bytes()).await?;
        stream.flush().await
    }

    async fn shake_hands(&self, mut stream: BoxStream) -> Result<BoxStream, Cause> {
        self.send(&mut stream).await?;
        let mut rest = BytesMut::new();
        let answer = http_head::read(&mut stream, &mut rest).await?;
        if answer.status != SWITCHING_PROTOCOLS {
            return Err(Cause::TransportStatus(answer.status));
        }
        Ok(if rest.is_empty() { stream } else { Box::new(Prefixed::new(rest.freeze(), stream)) })
    }
}
