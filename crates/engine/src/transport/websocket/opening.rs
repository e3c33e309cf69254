//! The opening handshake (RFC 6455 §4): an HTTP/1.1 upgrade request and its answer.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::BytesMut;
use hezar_core::{Host, Tls, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::{
    Cause,
    io::http_head::{self, Head},
    transport::http1::{Words, token},
};

/// Appended to the key before hashing (RFC 6455 §1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The headers that this handshake sets itself.
const OURS: [&str; 7] = [
    "upgrade",
    "connection",
    "content-length",
    "transfer-encoding",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-extensions",
];

/// A prepared opening request. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Opening(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    path: String,
    /// Every header that is the same each time, CRLF after each.
    headers: String,
    /// The header that carries early data; `None` = the path.
    early_header: Option<Box<str>>,
}

/// A stream whose opening handshake is done, and what the server already sent after it.
#[derive(Debug)]
pub(super) struct Opened<S> {
    pub(super) stream: S,
    pub(super) rest: BytesMut,
}

impl Opening {
    /// Prepares the request. The Host header is the published one, else the TLS server name, else the server's host.
    pub(super) fn new(settings: &WebSocket, tls: Option<&Tls>, server: &Host) -> Self {
        let sni = tls.and_then(|tls| tls.server_name.as_deref());
        let words = Words::new(&settings.path, settings.host.as_deref(), &settings.headers, sni, server, &OURS);
        let mut headers = words.lines();
        headers.push_str("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
        let early_header = settings.early_data.as_ref().and_then(|early| early.header.clone());
        let early_header = early_header.filter(|name| token(name));
        Self(Arc::new(Parts { path: words.path, headers, early_header }))
    }

    /// Sends the request and reads the answer.
    ///
    /// # Errors
    /// [`Cause::TransportStatus`] for any status but 101, [`Cause::Protocol`] for an answer that is not this
    /// handshake's, or the stream's own failure.
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        early: &[u8],
    ) -> Result<Opened<S>, Cause> {
        let key = STANDARD.encode(rand::random::<[u8; 16]>());
        stream.write_all(self.request(&key, early).as_bytes()).await?;
        stream.flush().await?;
        let mut rest = BytesMut::new();
        let answer = http_head::read(&mut stream, &mut rest).await?;
        check(&answer, &key)?;
        Ok(Opened { stream, rest })
    }

    /// The request's bytes.
    pub(super) fn request(&self, key: &str, early: &[u8]) -> String {
        let Parts { path, headers, early_header } = &*self.0;
        let early = URL_SAFE_NO_PAD.encode(early);
        let in_path = if early_header.is_none() { early.as_str() } else { "" };
        let mut request = format!("GET {path}{in_path} HTTP/1.1\r\n{headers}Sec-WebSocket-Key: {key}\r\n");
        if let (Some(name), false) = (early_header, early.is_empty()) {
            request.extend([name, ": ", &early, "\r\n"]);
        }
        request.push_str("\r\n");
        request
    }
}

/// Whether the answer accepts our key.
fn check(answer: &Head, key: &str) -> Result<(), Cause> {
    if answer.status != 101 {
        return Err(Cause::TransportStatus(answer.status));
    }
    let accept = answer.header("sec-websocket-accept").unwrap_or_default();
    if accept.trim_ascii() != expected(key).as_bytes() {
        return Err(Cause::Protocol("the WebSocket handshake's answer does not match its key"));
    }
    Ok(())
}

/// The value of `Sec-WebSocket-Accept` that answers `key`.
pub(super) fn expected(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()))
}
