//! The server's side of the opening handshake (RFC 6455 §4.2), with the early data that clients put into their request.

#[cfg(test)]
mod tests;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, header};

use super::{
    opening::{Opened, expected},
    stream::WebSocketStream,
};
use crate::{
    BoxStream,
    io::prefixed::Prefixed,
    transport::{ServerPath, UpgradeServer, http_server::text, upgrade::Acceptance},
};

/// Serves clients at a path.
pub(crate) fn server(path: ServerPath) -> UpgradeServer {
    UpgradeServer::new(path, accept)
}

/// Accepts what asks for a WebSocket. Early data comes in the header for names of protocols, which CDNs pass on and which is sent back,
/// or without one behind the path.
fn accept(path: &ServerPath, request: &Request<()>) -> Option<Acceptance> {
    let rest = path.asks_upgrade(request)?;
    let headers = request.headers();
    let key = text(headers, &header::SEC_WEBSOCKET_KEY).filter(|key| !key.is_empty())?;
    if text(headers, &header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return None;
    }
    let in_path = if rest.is_empty() { Bytes::new() } else { decode(rest)? };
    let in_header = text(headers, &header::SEC_WEBSOCKET_PROTOCOL).and_then(decode);
    let is_in_header = in_header.is_some();
    let early = in_header.unwrap_or(in_path);
    let acceptance = Acceptance::new(|stream| open(stream, early));
    let acceptance = acceptance.with(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(expected(key)).ok()?);
    match headers.get(header::SEC_WEBSOCKET_PROTOCOL) {
        Some(protocol) if is_in_header => Some(acceptance.with(header::SEC_WEBSOCKET_PROTOCOL, protocol.clone())),
        _ => Some(acceptance),
    }
}

/// The stream of binary messages, behind the early data.
fn open(stream: BoxStream, early: Bytes) -> BoxStream {
    let stream = WebSocketStream::answering(Opened { stream, rest: BytesMut::new() });
    if early.is_empty() { Box::new(stream) } else { Box::new(Prefixed::new(early, stream)) }
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
