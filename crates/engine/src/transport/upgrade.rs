//! The server's side of an HTTP/1.1 upgrade (RFC 9110 §7.8): which requests are a client's, and everybody else's bytes unchanged.

use std::io;

use crate::{
    BoxStream,
    io::http_head::{MOST_REQUEST_HEAD, RequestHead},
    served::{Head, Stranger, StrangerReason, read_head},
    transport::http1,
};

/// Clients use no other method.
const METHOD: &[u8] = b"GET ";
/// The end of a head.
const END: &[u8] = b"\r\n\r\n";

/// Where clients of a transport over HTTP/1.1 are expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerPath {
    path: Box<str>,
    host: Option<Box<str>>,
}

impl ServerPath {
    /// Expects clients at `path`, with any Host header or this one. What stands behind a `?` is for clients alone.
    #[must_use]
    pub fn new(path: &str, host: Option<&str>) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        Self { path: http1::path(path).into(), host: host.map(Into::into) }
    }

    /// Whether a request asks for a WebSocket here. Returns what stands behind the path, which is `/` for nothing but itself.
    pub(super) fn asks_upgrade<'a>(&self, head: &'a RequestHead) -> Option<&'a str> {
        let path = head.target().split('?').next().unwrap_or_default();
        let rest = path.strip_prefix(&*self.path).filter(|rest| rest.is_empty() || &*self.path != "/")?;
        let websocket = head.header("upgrade").is_some_and(|value| is(value, b"websocket"));
        let upgrade = head
            .header("connection")
            .unwrap_or_default()
            .split(|byte| *byte == b',')
            .any(|value| is(value, b"upgrade"));
        (self.is_host(head) && websocket && upgrade).then_some(rest)
    }

    fn is_host(&self, head: &RequestHead) -> bool {
        let Some(expected) = &self.host else { return true };
        let host = head.header("host").and_then(|host| std::str::from_utf8(host).ok()).unwrap_or_default();
        let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        host.eq_ignore_ascii_case(expected) || name.is_some_and(|(name, _)| name.eq_ignore_ascii_case(expected))
    }
}

/// Whether a header's value is a word; letter case does not matter.
fn is(value: &[u8], word: &[u8]) -> bool {
    value.trim_ascii().eq_ignore_ascii_case(word)
}

/// Reads a request, and what `judge` makes of it. What it makes nothing of is a stranger's.
///
/// # Errors
/// The connection failed, or ended before it said anything.
pub(super) async fn read<T>(
    io: BoxStream,
    judge: impl Fn(&RequestHead) -> Option<T>,
) -> io::Result<Result<(T, BoxStream), Stranger>> {
    let mut searched = 0;
    read_head(io, MOST_REQUEST_HEAD, |bytes| {
        let known = bytes.len().min(METHOD.len());
        if bytes.get(..known) != METHOD.get(..known) {
            return Head::Stranger(StrangerReason::Protocol);
        }
        // A head in many small pieces is searched once and parsed once.
        let news = bytes.get(searched..).unwrap_or_default();
        searched = bytes.len().saturating_sub(END.len() - 1);
        if !news.windows(END.len()).any(|window| window == END) {
            return Head::Incomplete;
        }
        match RequestHead::parse(bytes) {
            Ok(Some((head, length))) => match judge(&head) {
                Some(request) => Head::Whole { request, length },
                None => Head::Stranger(StrangerReason::Protocol),
            },
            Ok(None) | Err(_) => Head::Stranger(StrangerReason::Protocol),
        }
    })
    .await
}
