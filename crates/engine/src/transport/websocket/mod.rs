//! WebSocket (RFC 6455), both sides, as v2ray, Xray and sing-box use it: the stream is sent in binary messages.
//!
//! With early data the opening request waits for the stream's first bytes and carries them, so that a proxy's header
//! costs no round trip of its own.

mod frames;
mod opening;
pub(crate) mod server;
mod stream;
#[cfg(test)]
mod tests;
mod wire;

use std::time::Duration;

use hezar_core::{EarlyData, Host, Stage, Tls, WebSocket};

use self::{
    opening::Opening,
    stream::{Deferred, WebSocketStream},
    wire::Side,
};
use crate::{Attempt, BoxStream, DialError};

/// The most bytes sent in the opening request, whatever the publisher asks for: ordinary web servers refuse headers
/// longer than 8 KiB.
const MOST_EARLY: usize = 4096;

/// How long the opening request waits for first bytes after a read has begun, since a target may speak first.
const EARLY_WAIT: Duration = Duration::from_millis(100);

/// How long a server may be silent after our end before the Close frame is sent.
const QUIET: Duration = Duration::from_secs(5);

/// The same for a client.
const SERVER_QUIET: Duration = Duration::from_millis(500);

/// How long the other side may be silent after our end.
const fn quiet_time(side: Side) -> Duration {
    match side {
        Side::Client => QUIET,
        Side::Server => SERVER_QUIET,
    }
}

/// The prepared WebSocket settings of one node.
#[derive(Debug)]
pub(super) struct WebSocketClient {
    opening: Opening,
    /// The most bytes of early data; 0 = none, the handshake comes first.
    most_early: usize,
}

impl WebSocketClient {
    /// Prepares the opening request. Headers that HTTP cannot carry are left out.
    pub(super) fn new(settings: &WebSocket, tls: Option<&Tls>, server: &Host) -> Self {
        let most = |early: &EarlyData| usize::try_from(early.max_bytes).unwrap_or(MOST_EARLY).min(MOST_EARLY);
        Self { opening: Opening::new(settings, tls, server), most_early: settings.early_data.as_ref().map_or(0, most) }
    }

    /// Opens the WebSocket. With early data, returns a stream that opens it later.
    ///
    /// # Errors
    /// [`DialError`] at the transport stage.
    pub(super) async fn open(&self, stream: BoxStream, attempt: &Attempt) -> Result<BoxStream, DialError> {
        if self.most_early > 0 {
            let deferred = Deferred::new(self.opening.clone(), self.most_early, attempt.deadline());
            return Ok(Box::new(WebSocketStream::deferred(stream, deferred)));
        }
        let opened = attempt.stage(Stage::Transport, self.opening.run(stream, &[])).await?;
        Ok(Box::new(WebSocketStream::open(opened)))
    }
}
