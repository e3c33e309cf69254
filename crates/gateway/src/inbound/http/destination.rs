//! Reads where a request goes: the target, and the request line and Host to send there.
//!
//! What curl, Java and browsers send raw (quotes, braces, spaces, UTF-8) is taken and, where a URI cannot hold it, percent-encoded.

use std::net::Ipv6Addr;

use hezar_core::{Host, Target, TargetError};
use http::{HeaderValue, Uri, uri::PathAndQuery};

use crate::Refusal;

/// What a request asks for.
#[derive(Debug)]
pub(super) enum Destination {
    /// CONNECT: a tunnel.
    Tunnel(Target),
    /// An absolute-form request: to be sent there.
    Forward(ForwardTarget),
}

impl Destination {
    /// Where the request goes.
    pub(super) const fn target(&self) -> &Target {
        match self {
            Self::Tunnel(target) => target,
            Self::Forward(place) => &place.target,
        }
    }
}

/// The place that an absolute-form request names.
#[derive(Debug)]
pub(super) struct ForwardTarget {
    pub target: Target,
    /// The value of `Host`: what the client named, never its user info.
    pub host: HeaderValue,
    /// The origin-form of the request line.
    pub path: Uri,
    /// Whether it names no path and no query: `OPTIONS` then speaks of the server as a whole.
    pub is_pathless: bool,
}

const BAD_HOST: Refusal = Refusal::BadRequest("the host in the request line is not valid");
const BAD_PORT: Refusal = Refusal::BadRequest("the port in the request line must be from 1 to 65535");
const NO_PORT: Refusal = Refusal::BadRequest("CONNECT needs host:port");

fn refusal(error: TargetError) -> Refusal {
    match error {
        TargetError::MissingPort => NO_PORT,
        TargetError::BadPort => BAD_PORT,
        _ => BAD_HOST,
    }
}

/// The target of CONNECT: `host:port`. IPv6 may stand without brackets, since the port always comes last.
///
/// # Errors
/// [`Refusal::BadRequest`]
pub(super) fn connect_target(target: &[u8]) -> Result<Target, Refusal> {
    let text = std::str::from_utf8(target).map_err(|_| BAD_HOST)?;
    let bare = text.rsplit_once(':').and_then(|(host, port)| Some((host.parse::<Ipv6Addr>().ok()?, port)));
    match bare {
        Some((address, port)) => Target::parse(&format!("[{address}]:{port}")).map_err(refusal),
        None => Target::parse(text).map_err(refusal),
    }
}

/// The place of an absolute-form request.
///
/// # Errors
/// [`Refusal::NotProxied`] for a request to a web server, [`Refusal::BadRequest`].
pub(super) fn forward_target(target: &[u8]) -> Result<ForwardTarget, Refusal> {
    if matches!(target, [b'/', ..] | b"*") {
        return Err(Refusal::NotProxied);
    }
    let rest = after_scheme(target)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, b""));
    let authority = std::str::from_utf8(authority).map_err(|_| BAD_HOST)?;
    if authority.contains(['\\', ' ', '"', '<', '>']) {
        return Err(BAD_HOST);
    }
    let named = authority.rsplit_once('@').map_or(authority, |(_, named)| named);
    let target = authority_target(named)?;
    let host = if named.is_ascii() {
        HeaderValue::from_str(named).map_err(|_| BAD_HOST)?
    } else {
        // Other scripts are sent as the IDNA name that is dialled.
        HeaderValue::try_from(target.to_string()).map_err(|_| BAD_HOST)?
    };
    let is_pathless = path.is_empty() || path.starts_with(b"#");
    Ok(ForwardTarget { target, host, path: origin_form(path)?, is_pathless })
}

/// What follows `http://`.
fn after_scheme(target: &[u8]) -> Result<&[u8], Refusal> {
    let none = Refusal::BadRequest("the request line needs http://host/path, or CONNECT with host:port");
    let split = target.windows(3).position(|part| part == b"://").ok_or(none)?;
    let (scheme, rest) = (target.get(..split).unwrap_or_default(), target.get(split + 3..).unwrap_or_default());
    match scheme.to_ascii_lowercase().as_slice() {
        b"http" | b"ws" => Ok(rest),
        b"https" | b"wss" => Err(Refusal::BadRequest(
            "https:// cannot be asked for in plain text: clients tunnel it with CONNECT, \
             which yours does when this address is set as its HTTPS proxy",
        )),
        _ => Err(Refusal::BadRequest("only http:// can be asked for; everything else goes through CONNECT")),
    }
}

/// The target of `host`, `host:` or `host:port`.
fn authority_target(named: &str) -> Result<Target, Refusal> {
    let (host, port) = match named.rsplit_once(':') {
        Some((_, port)) if port.ends_with(']') => (named, ""),
        Some((host, port)) => (host, port),
        None => (named, ""),
    };
    if host.contains(':') && !host.starts_with('[') {
        return Err(Refusal::BadRequest("an IPv6 address in the request line needs brackets"));
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = if port.is_empty() { 80 } else { port.parse().ok().filter(|_| digits).ok_or(BAD_PORT)? };
    Host::new(host).and_then(|host| Target::new(host, port)).map_err(refusal)
}

/// The origin-form of what follows the authority; the fragment is never sent.
fn origin_form(path: &[u8]) -> Result<Uri, Refusal> {
    let end = path.iter().position(|byte| *byte == b'#').unwrap_or(path.len());
    let path = path.get(..end).unwrap_or_default();
    let rooted = if path.starts_with(b"/") { path.to_vec() } else { [b"/", path].concat() };
    let as_sent = PathAndQuery::try_from(rooted.as_slice());
    let path = as_sent.or_else(|_| PathAndQuery::try_from(encoded(&rooted)));
    path.map(Uri::from).map_err(|_| Refusal::BadRequest("the path in the request line is not valid"))
}

/// The same with everything percent-encoded that no URI holds (RFC 3986 §2), and nothing else.
fn encoded(path: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
    let mut out = Vec::with_capacity(path.len() + 16);
    for &byte in path {
        let raw = matches!(byte, b'!' | b'#'..=b';' | b'=' | b'?'..=b'[' | b']' | b'_' | b'a'..=b'z' | b'~');
        if raw {
            out.push(byte);
        } else {
            out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}
