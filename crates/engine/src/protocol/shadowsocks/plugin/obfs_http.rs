//! simple-obfs in HTTP mode: an exchange that looks like a WebSocket handshake comes first, plain bytes follow it.
//!
//! ```text
//! → GET / HTTP/1.1 … Upgrade: websocket … \r\n\r\n | payload …
//! ← HTTP/1.1 101 … \r\n\r\n                        | payload …
//! ```

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{
    Cause,
    io::{header_stream::AnswerHead, http_head::Head},
};

/// The request, with a key of 16 random bytes.
pub(super) fn request(host: &str, key: [u8; 16]) -> Vec<u8> {
    // A line break in a host would end the head early.
    let host: String = host.chars().filter(|c| !c.is_control()).collect();
    let key = BASE64_STANDARD.encode(key);
    format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/7.88.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\n\r\n"
    )
    .into_bytes()
}

/// The head of the answer in front of the payload. The key in it is random, so it is not compared with anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct SwitchingProtocols;

impl AnswerHead for SwitchingProtocols {
    const PRESENT: bool = true;

    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, Cause> {
        match Head::parse(bytes)? {
            Some((head, length)) if head.status == 101 => Ok(Some(length)),
            Some((head, _)) => Err(Cause::TransportStatus(head.status)),
            None => Ok(None),
        }
    }
}
