//! The server's side of the opening handshake (RFC 6455 §4.2), with the early data that clients put into their request.

#[cfg(test)]
mod tests;

use std::io;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;

use super::{
    opening::{Opened, expected},
    stream::WebSocketStream,
};
use crate::{
    BoxStream,
    io::{http_head::RequestHead, prefixed::Prefixed},
    served::Stranger,
    transport::upgrade::{self, ServerPath},
};

/// The header that clients use for early data, because a CDN passes it on: base64url instead of names of protocols.
const EARLY: &str = "sec-websocket-protocol";

/// Opens a client's WebSocket. Gives back everything of a visitor who does not ask for one at this path.
///
/// # Errors
/// The connection failed, or ended before it said anything.
pub(crate) async fn accept(io: BoxStream, path: &ServerPath) -> io::Result<Result<BoxStream, Stranger>> {
    let (request, mut stream) = match upgrade::read(io, |head| Request::from_head(head, path)).await? {
        Ok(read) => read,
        Err(stranger) => return Ok(Err(stranger)),
    };
    stream.write_all(request.answer().as_bytes()).await?;
    stream.flush().await?;
    let stream = WebSocketStream::answering(Opened { stream, rest: BytesMut::new() });
    Ok(Ok(if request.early.is_empty() { Box::new(stream) } else { Box::new(Prefixed::new(request.early, stream)) }))
}

/// What a client's request says.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    key: Box<str>,
    early: Bytes,
    /// The header of the early data, which browsers want to see again.
    protocol: Option<Box<str>>,
}

impl Request {
    /// The request, if it is one of a WebSocket at this path.
    fn from_head(head: &RequestHead, path: &ServerPath) -> Option<Self> {
        let rest = path.asks_upgrade(head)?;
        let key = text(head, "sec-websocket-key").filter(|key| !key.is_empty())?;
        if text(head, "sec-websocket-version") != Some("13") {
            return None;
        }
        let protocol = text(head, EARLY).and_then(|text| Some((text, decode(text)?)));
        // Without a header for it, clients write early data behind the path.
        let in_path = if rest.is_empty() { Bytes::new() } else { decode(rest)? };
        let (protocol, early) = match protocol {
            Some((protocol, early)) => (Some(protocol.into()), early),
            None => (None, in_path),
        };
        Some(Self { key: key.into(), early, protocol })
    }

    fn answer(&self) -> String {
        let accept = expected(&self.key);
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
        );
        if let Some(protocol) = &self.protocol {
            answer.extend(["Sec-WebSocket-Protocol: ", protocol, "\r\n"]);
        }
        answer.push_str("\r\n");
        answer
    }
}

/// A header's value, if it is ASCII.
fn text<'a>(head: &'a RequestHead, name: &str) -> Option<&'a str> {
    head.header(name).and_then(|value| std::str::from_utf8(value).ok()).filter(|text| text.is_ascii()).map(str::trim)
}

/// Decodes base64, the alphabet for URLs or the ordinary one, with padding or without.
fn decode(text: &str) -> Option<Bytes> {
    let text: String = text.trim_end_matches('=').chars().map(for_urls).collect();
    URL_SAFE_NO_PAD.decode(text).ok().filter(|early| !early.is_empty()).map(Bytes::from)
}

const fn for_urls(letter: char) -> char {
    match letter {
        '+' => '-',
        '/' => '_',
        other => other,
    }
}
