//! The server's side of HTTPUpgrade.

use std::io;

use tokio::io::AsyncWriteExt;

use crate::{
    BoxStream,
    served::Stranger,
    transport::upgrade::{self, ServerPath},
};

/// What accepts a request; bytes as they are follow it.
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Opens a client's stream. Gives back everything of a visitor who does not ask for one at this path, and of whoever asks for a real
/// WebSocket.
///
/// # Errors
/// The connection failed, or ended before it said anything.
pub(crate) async fn accept(io: BoxStream, path: &ServerPath) -> io::Result<Result<BoxStream, Stranger>> {
    let opened = upgrade::read(io, |head| {
        let rest = path.asks_upgrade(head)?;
        (rest.is_empty() && head.header("sec-websocket-key").is_none()).then_some(())
    });
    let mut stream = match opened.await? {
        Ok(((), stream)) => stream,
        Err(stranger) => return Ok(Err(stranger)),
    };
    stream.write_all(ANSWER).await?;
    stream.flush().await?;
    Ok(Ok(stream))
}
