//! Reads a ClientHello (RFC 8446 §4.1.2) that arrives in pieces, and over several records where a client cuts it so.

use crate::security::{
    client_hello::{ALPN, HELLO_HEAD, KEY_SHARES, SERVER_NAME, SESSION_ID, VERSIONS, random_of},
    message_reader::{MessageReader, body, message_header},
    tls::records::{HANDSHAKE, HEADER},
};

/// The longest hello that is read, in bytes. Those of browsers have less than 2,000.
const MOST: usize = 16 * 1024;

const CLIENT_HELLO: u8 = 1;
const TLS13: [u8; 2] = [3, 4];

/// The first protocol that a client offers by ALPN. What sites send after a handshake depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FirstProtocol {
    /// None, or one that no website speaks.
    None,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// How far a hello has come.
#[derive(Debug)]
pub(super) enum Progress {
    /// More bytes are needed.
    More,
    /// It is whole, and nothing follows it.
    Whole(ClientHello),
    /// It is none, or something follows it.
    NotOne,
}

/// Gathers the records of a hello.
#[derive(Debug, Default)]
pub(super) struct HelloReader {
    /// The records that are not whole yet.
    wire: Vec<u8>,
    /// What the whole records contained.
    message: Vec<u8>,
}

impl HelloReader {
    /// Takes the next bytes of a client.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Progress {
        self.wire.extend_from_slice(bytes);
        loop {
            if self.wire.first().is_some_and(|kind| *kind != HANDSHAKE) {
                return Progress::NotOne;
            }
            let Some(&[_, major, _, high, low]) = self.wire.first_chunk::<HEADER>() else { return Progress::More };
            let length = usize::from(u16::from_be_bytes([high, low]));
            if major != 3 || length == 0 || self.message.len() + length > MOST {
                return Progress::NotOne;
            }
            let Some(text) = self.wire.get(HEADER..HEADER + length) else { return Progress::More };
            self.message.extend_from_slice(text);
            self.wire.drain(..HEADER + length);
            match message_header(&self.message) {
                Some((CLIENT_HELLO, whole)) => {
                    if self.message.len() >= whole {
                        return self.finish(whole);
                    }
                    if whole > MOST {
                        return Progress::NotOne;
                    }
                }
                Some(_) => return Progress::NotOne,
                None => {}
            }
        }
    }

    fn finish(&mut self, whole: usize) -> Progress {
        if self.message.len() > whole || !self.wire.is_empty() {
            return Progress::NotOne;
        }
        ClientHello::parse(std::mem::take(&mut self.message)).map_or(Progress::NotOne, Progress::Whole)
    }
}

/// A client's hello.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientHello {
    /// The whole message with its header.
    message: Vec<u8>,
    server_name: Option<Box<str>>,
    first_protocol: FirstProtocol,
    offers_tls13: bool,
    /// The key shares with their groups.
    shares: Vec<(u16, Box<[u8]>)>,
}

impl ClientHello {
    /// Reads a whole message; `None` when it is malformed or has no extensions.
    pub(super) fn parse(message: Vec<u8>) -> Option<Self> {
        let mut rest = MessageReader(message.get(HELLO_HEAD..)?);
        let session_id = rest.within::<1>()?;
        let (suites, compression) = (rest.within::<2>()?, rest.within::<1>()?);
        if message.get(4..6) != Some(&[3, 3]) || session_id.len() > 32 || suites.is_empty() || compression != [0] {
            return None;
        }
        let extensions = rest.extensions()?;
        let server_name = match body(&extensions, SERVER_NAME) {
            Some(names) => Some(first_server_name(names)?),
            None => None,
        };
        let offers_tls13 = match body(&extensions, VERSIONS) {
            Some(versions) => MessageReader(versions).within::<1>()?.chunks(2).any(|version| version == TLS13),
            None => false,
        };
        let shares = match body(&extensions, KEY_SHARES) {
            Some(shares) => read_shares(shares)?,
            None => Vec::new(),
        };
        let first_protocol = body(&extensions, ALPN).map_or(FirstProtocol::None, first_protocol);
        Some(Self { server_name, first_protocol, offers_tls13, shares, message })
    }

    /// The whole message.
    pub(super) fn message(&self) -> &[u8] {
        &self.message
    }

    /// The 32 random bytes.
    pub(super) fn random(&self) -> Option<&[u8; 32]> {
        random_of(&self.message)
    }

    /// The session id, if it has 32 bytes.
    pub(super) fn session_id(&self) -> Option<&[u8; 32]> {
        if *self.message.get(HELLO_HEAD)? != 32 {
            return None;
        }
        self.message.get(SESSION_ID)?.try_into().ok()
    }

    /// The name of the site that is asked for.
    pub(super) fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Which protocol is offered first.
    pub(super) const fn first_protocol(&self) -> FirstProtocol {
        self.first_protocol
    }

    /// Whether TLS 1.3 is offered.
    pub(super) const fn offers_tls13(&self) -> bool {
        self.offers_tls13
    }

    /// The key share of a group.
    pub(super) fn share(&self, group: u16) -> Option<&[u8]> {
        self.shares.iter().find(|(found, _)| *found == group).map(|(_, share)| &**share)
    }
}

/// The host name of a server name extension (RFC 6066 §3), in lower case.
fn first_server_name(extension: &[u8]) -> Option<Box<str>> {
    let mut list = MessageReader(MessageReader(extension).within::<2>()?);
    if list.take(1)? != [0] {
        return None;
    }
    let name = std::str::from_utf8(list.within::<2>()?).ok()?;
    Some(name.to_ascii_lowercase().into())
}

/// The groups of a key share extension with their shares.
fn read_shares(extension: &[u8]) -> Option<Vec<(u16, Box<[u8]>)>> {
    let mut list = MessageReader(MessageReader(extension).within::<2>()?);
    let mut shares = Vec::new();
    while !list.0.is_empty() {
        let (group, share) = list.numbered()?;
        shares.push((group, share.into()));
    }
    Some(shares)
}

/// What the first name of an ALPN extension (RFC 7301 §3.1) stands for.
fn first_protocol(extension: &[u8]) -> FirstProtocol {
    let list = MessageReader(extension).within::<2>();
    match list.and_then(|list| MessageReader(list).within::<1>()) {
        Some(b"h2") => FirstProtocol::Http2,
        Some(b"http/1.1") => FirstProtocol::Http1,
        _ => FirstProtocol::None,
    }
}
