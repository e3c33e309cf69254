//! The bytes of Hysteria 2 (v2.hysteria.network/docs/developers/Protocol), beside those of HTTP/3.
//!
//! ```text
//! POST /auth, authority hysteria; Hysteria-Auth, Hysteria-CC-RX (bytes per second, 0 = unknown), Hysteria-Padding
//!   ← 233; Hysteria-UDP (true, false), Hysteria-CC-RX (bytes per second, 0 = any rate, "auto" = none promised)
//!
//! a stream for each TCP connection (v = integer of variable length):
//!   → v 0401 | v length | host:port | v length | padding | payload …
//!   ← status (0 = connected) | v length | message | v length | padding | payload …
//!
//! a datagram for each UDP packet or piece of one, both ways:
//!   | session | packet | piece | pieces | v length | host:port | payload |
//!   |    4    |   2    |   1   |    1   |          |           |         |
//! ```

use bytes::Bytes;
use hezar_core::Target;
use http::{HeaderMap, Method, Request, Response};
use rand::{Rng, RngExt};

use crate::{Cause, io::header_stream::AnswerHead, quic::varint};

/// The status of an accepted client.
const ACCEPTED: u16 = 233;
/// The frame type that a request begins with.
const TCP_REQUEST: u64 = 0x401;
/// The longest address and message that Hysteria itself accepts.
const MOST_TEXT: u64 = 2048;
/// The longest padding that Hysteria itself accepts.
const MOST_PADDING: u64 = 4096;
/// The longest request for a TCP connection, in bytes.
pub(super) const MOST_REQUEST: usize = (MOST_TEXT + MOST_PADDING + 16) as usize;

/// What an accepted client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// Whether the server carries UDP.
    pub(super) udp: bool,
    /// The rate at which it can receive, in bytes per second; 0 = any rate, `None` = congestion control finds the rate.
    pub(super) receives: Option<u64>,
}

/// What a client says when it authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AuthRequest<'a> {
    /// The credential that it shows.
    pub(super) credential: &'a [u8],
    /// The rate at which it can receive, in bytes per second; 0 = unknown.
    pub(super) receives: u64,
}

/// Reads an authentication request; `None` when it is any other request.
pub(super) fn read_auth<B>(request: &Request<B>) -> Option<AuthRequest<'_>> {
    let is_auth = request.method() == Method::POST && request.uri().path() == "/auth";
    if !is_auth || request.uri().host() != Some("hysteria") {
        return None;
    }
    let credential = request.headers().get("hysteria-auth")?.as_bytes();
    let receives = request.headers().get("hysteria-cc-rx").and_then(|value| value.to_str().ok()?.parse().ok());
    Some(AuthRequest { credential, receives: receives.unwrap_or(0) })
}

/// The answer to a client that is accepted. `receives` is the rate at which the server can receive in bytes per second; `None` =
/// congestion control finds the rate.
///
/// # Errors
/// Never, because all values can stand in headers.
pub(super) fn accepted_answer(receives: Option<u64>, random: &mut impl Rng) -> Result<Response<()>, http::Error> {
    let answer = Response::builder()
        .status(ACCEPTED)
        .header("Hysteria-UDP", "true")
        .header("Hysteria-CC-RX", receives.map_or_else(|| "auto".to_owned(), |rate| rate.to_string()))
        .header("Hysteria-Padding", padding(256..2048, random));
    answer.body(())
}

/// The rate at which a server sends: the lower one of its own limit and what the client can receive; `None` = congestion control finds
/// it, because one of them is unknown.
pub(super) fn server_rate(limit: Option<u64>, receives: u64) -> Option<u64> {
    limit.map(|limit| limit.min(receives)).filter(|rate| *rate > 0)
}

/// The authentication request. `receives` is the rate at which we can receive in bytes per second; 0 = unknown.
///
/// # Errors
/// [`Cause::Protocol`] when the credentials cannot stand in a header.
pub(super) fn auth(auth: &str, receives: u64, random: &mut impl Rng) -> Result<Request<()>, Cause> {
    let request = Request::post("https://hysteria/auth")
        .header("Hysteria-Auth", auth)
        .header("Hysteria-CC-RX", receives)
        .header("Hysteria-Padding", padding(256..2048, random));
    request.body(()).map_err(|_| Cause::Protocol("the credentials cannot be sent in an HTTP header"))
}

/// Reads the answer to the authentication request.
///
/// # Errors
/// [`Cause::Authentication`] when the server answers as a web server, which it does for wrong credentials.
pub(super) fn accepted(answer: &Response<()>) -> Result<Accepted, Cause> {
    if answer.status().as_u16() != ACCEPTED {
        return Err(Cause::Authentication);
    }
    let text = |headers: &HeaderMap, name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let udp = text(answer.headers(), "hysteria-udp").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let receives = match text(answer.headers(), "hysteria-cc-rx") {
        Some(text) if text.eq_ignore_ascii_case("auto") => None,
        Some(text) => Some(text.parse().unwrap_or(0)),
        None => Some(0),
    };
    Ok(Accepted { udp, receives })
}

/// The rate to send at: the lower one of the server's and our own; `None` = congestion control finds it.
pub(super) fn rate(ours: u64, theirs: Option<u64>) -> Option<u64> {
    match theirs? {
        0 => Some(ours),
        theirs => Some(if ours == 0 { 0 } else { theirs.min(ours) }),
    }
    .filter(|rate| *rate > 0)
}

/// The request for a TCP connection to `target`.
pub(super) fn request(target: &Target, random: &mut impl Rng) -> Vec<u8> {
    let (target, padding) = (target.to_string(), padding(64..512, random));
    let mut bytes = Vec::with_capacity(8 + target.len() + padding.len());
    varint::put(TCP_REQUEST, &mut bytes);
    for text in [target, padding] {
        varint::put(text.len() as u64, &mut bytes);
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// Reads the request for a TCP connection at the front of `bytes`: its target and its length. `None` while it is incomplete.
///
/// # Errors
/// [`Cause::Protocol`] when the bytes are no such request.
pub(super) fn take_request(bytes: &[u8]) -> Result<Option<(Target, usize)>, Cause> {
    let mut rest = bytes;
    let Some(kind) = varint::take(&mut rest) else { return Ok(None) };
    if kind != TCP_REQUEST {
        return Err(Cause::Protocol("the stream does not begin with a request"));
    }
    let Some(address) = text(&mut rest, MOST_TEXT)? else { return Ok(None) };
    let address = std::str::from_utf8(address).ok().and_then(|address| Target::parse(address).ok());
    let target = address.ok_or(Cause::Protocol("the target is no address"))?;
    let Some(_) = text(&mut rest, MOST_PADDING)? else { return Ok(None) };
    Ok(Some((target, bytes.len() - rest.len())))
}

/// Appends the answer to the request for a TCP connection: whether the target is connected, and words for people.
pub(super) fn put_answer(connected: bool, message: &str, bytes: &mut Vec<u8>, random: &mut impl Rng) {
    bytes.push(u8::from(!connected));
    for text in [message, &padding(128..1024, random)] {
        varint::put(text.len() as u64, bytes);
        bytes.extend_from_slice(text.as_bytes());
    }
}

/// Padding of random letters and digits.
fn padding(length: std::ops::Range<usize>, random: &mut impl Rng) -> String {
    const SIGNS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let length = random.random_range(length);
    (0..length).map(|_| SIGNS.get(random.random_range(0..SIGNS.len())).map_or('x', |sign| char::from(*sign))).collect()
}

/// The head of the answer to a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectResponse;

impl AnswerHead for ConnectResponse {
    const PRESENT: bool = true;

    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, Cause> {
        let mut rest = bytes;
        let Some((status, after)) = rest.split_first() else { return Ok(None) };
        rest = after;
        let Some(message) = text(&mut rest, MOST_TEXT)? else { return Ok(None) };
        match status {
            0 => {}
            1 => return Err(refusal(message)),
            _ => return Err(Cause::Protocol("the answer has an unknown status")),
        }
        let Some(_) = text(&mut rest, MOST_PADDING)? else { return Ok(None) };
        Ok(Some(bytes.len() - rest.len()))
    }
}

/// Takes a text with its length in front from the front of `bytes`; `None` while it is incomplete.
fn text<'a>(bytes: &mut &'a [u8], most: u64) -> Result<Option<&'a [u8]>, Cause> {
    let mut rest = *bytes;
    let Some(length) = varint::take(&mut rest) else { return Ok(None) };
    if length > most {
        return Err(Cause::Protocol("a text is too long"));
    }
    let Some((text, rest)) = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length)) else {
        return Ok(None);
    };
    *bytes = rest;
    Ok(Some(text))
}

/// The cause that a server's message about a failed connection names. The message comes from the server's operating system or its rules.
fn refusal(message: &[u8]) -> Cause {
    let message = String::from_utf8_lossy(message).to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["refused"]) {
        Cause::TargetUnreachable("connection refused")
    } else if says(&["no such host", "not found", "lookup", "resolve", "nxdomain"]) {
        Cause::TargetUnreachable("the name does not resolve")
    } else if says(&["unreachable", "no route"]) {
        Cause::TargetUnreachable("no route")
    } else if says(&["timeout", "timed out", "deadline"]) {
        Cause::TargetUnreachable("timed out")
    } else if says(&["reject", "forbid", "blocked", "denied", "not allowed", "acl"]) {
        Cause::Forbidden
    } else {
        Cause::TargetUnreachable("rejected or failed")
    }
}

/// A UDP packet or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) session: u32,
    pub(super) packet: u16,
    pub(super) piece: u8,
    pub(super) pieces: u8,
    /// The address that the packet goes to or comes from.
    pub(super) address: Target,
    pub(super) payload: Bytes,
}

impl Message {
    /// Reads a message; `None` when the bytes are malformed or the address is invalid.
    pub(super) fn read(datagram: &Bytes) -> Option<Self> {
        let (&[a, b, c, d, e, f, piece, pieces], mut rest) = datagram.split_first_chunk::<8>()?;
        let length = varint::take(&mut rest).filter(|length| (1..=MOST_TEXT).contains(length))?;
        let (address, payload) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        let address = Target::parse(std::str::from_utf8(address).ok()?).ok()?;
        Some(Self {
            session: u32::from_be_bytes([a, b, c, d]),
            packet: u16::from_be_bytes([e, f]),
            piece,
            pieces,
            address,
            payload: datagram.slice_ref(payload),
        })
    }
}

/// The length of the header in front of a payload, in bytes.
pub(super) fn header(address: &str) -> usize {
    8 + if address.len() < 64 { 1 } else { 2 } + address.len()
}

/// Writes a packet, or a piece of one.
pub(super) fn message(session: u32, packet: u16, (piece, pieces): (u8, u8), address: &str, payload: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(header(address) + payload.len());
    bytes.extend_from_slice(&session.to_be_bytes());
    bytes.extend_from_slice(&packet.to_be_bytes());
    bytes.extend_from_slice(&[piece, pieces]);
    varint::put(address.len() as u64, &mut bytes);
    bytes.extend_from_slice(address.as_bytes());
    bytes.extend_from_slice(payload);
    bytes.into()
}
