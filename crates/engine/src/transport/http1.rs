//! What the transports that begin as HTTP/1.1 have in common: the parts of the request, and the head of the answer.

use std::ops::RangeInclusive;

use hezar_core::Host;

use crate::{
    Cause,
    io::{
        header_stream::AnswerHead,
        http_head::{Head, MOST_HEAD},
    },
};

/// The User-Agent when the publisher names none. Servers behind a CDN often refuse clients that send none.
pub(super) const USER_AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                                     Chrome/140.0.0.0 Safari/537.36";

/// The parts of a request that the publisher chooses, in a form that HTTP can carry.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// The request target.
    pub(super) path: String,
    /// The Host header.
    pub(super) host: String,
    /// The User-Agent, then every other header that can be sent.
    pub(super) headers: Vec<(String, String)>,
}

impl Words {
    /// Takes from the settings what HTTP can carry. The Host header is the published one, else the TLS server name, else the
    /// server's host. Headers named in `ours` belong to the transport and are left out.
    pub(super) fn new(
        path: &str,
        host: Option<&str>,
        headers: &[(Box<str>, Box<str>)],
        sni: Option<&str>,
        server: &Host,
        ours: &[&str],
    ) -> Self {
        let given = |name: &str| {
            let found = headers.iter().find(|(n, _)| n.trim().eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim()).filter(|value| sendable(value) && !value.is_empty())
        };
        let usable = |host: &&str| sendable(host) && !host.trim().is_empty();
        let host = host.filter(usable).or_else(|| given("host")).or(sni.filter(usable));
        let host = host.map_or_else(|| server.bracketed(), |host| host.trim().to_owned());
        let mut words = vec![("User-Agent".to_owned(), given("user-agent").unwrap_or(USER_AGENT).to_owned())];
        for (name, value) in headers {
            let (name, value) = (name.trim(), value.trim());
            let taken = ["host", "user-agent"].iter().chain(ours).any(|ours| name.eq_ignore_ascii_case(ours));
            if token(name) && sendable(value) && !taken {
                words.push((name.to_owned(), value.to_owned()));
            }
        }
        Self { path: self::path(path), host, headers: words }
    }

    /// The headers as lines of HTTP/1.1, CRLF after each.
    pub(super) fn lines(&self) -> String {
        let mut lines = format!("Host: {}\r\n", self.host);
        for (name, value) in &self.headers {
            lines.extend([name, ": ", value, "\r\n"]);
        }
        lines
    }
}

/// The head of an answer in front of a stream that does not stay HTTP.
#[derive(Clone, Debug)]
pub(super) struct Answered(pub(super) RangeInclusive<u16>);

impl AnswerHead for Answered {
    const PRESENT: bool = true;
    const MOST: usize = MOST_HEAD;

    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, Cause> {
        let Some((head, length)) = Head::parse(bytes)? else { return Ok(None) };
        if self.0.contains(&head.status) { Ok(Some(length)) } else { Err(Cause::TransportStatus(head.status)) }
    }
}

/// The path as HTTP can carry it: begins with `/`, everything but visible ASCII percent-encoded.
pub(super) fn path(published: &str) -> String {
    let mut path = String::with_capacity(published.len() + 1);
    if !published.starts_with('/') {
        path.push('/');
    }
    for byte in published.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'#' => path.push(char::from(byte)),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

/// Whether a header's value can be sent: no control characters, ASCII only.
pub(super) fn sendable(value: &str) -> bool {
    value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t'))
}

/// Whether a header's name is a token (RFC 9110 §5.6.2).
pub(super) fn token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
