//! Plain lists: `ip:port`, `ip:port:user:pass`, `user:pass@ip:port`, columns, and free text around them.

use hezar_core::{Credentials, Host, HttpProxy, NodeSpec, Outbound, SocksProxy, SocksVersion, Target};

use super::hints::ListScheme;
use crate::{RejectCode, field, link::uri};

/// The most words of one line that are looked at.
const MAX_WORDS: usize = 4096;

type Endpoint = (Target, Option<Credentials>);

/// Reads the endpoints of a line; the column that names a protocol wins over `default`.
pub(super) fn read(line: &str, default: ListScheme) -> Result<Vec<NodeSpec>, RejectCode> {
    let separator = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, ',' | ';' | '|' | '"' | '\'' | '<' | '>' | '(' | ')' | '`')
    };
    let words: Vec<&str> = line.split(separator).filter(|word| !word.is_empty()).take(MAX_WORDS).collect();
    let mut scheme = default;
    let mut endpoints: Vec<Endpoint> = Vec::new();
    let mut fault = RejectCode::NotALink;
    let mut words = words.into_iter().peekable();
    let mut first = true;
    while let Some(word) = words.next() {
        if let Some(named) = ListScheme::from_name(word.trim_end_matches(':')) {
            scheme = named;
            continue;
        }
        // A column of its own for the port.
        if let Ok(Host::Ip(_)) = Host::new(word) {
            let port = words.peek().copied().unwrap_or_default();
            if let Ok(server) = field::server(word, port) {
                endpoints.push((server, None));
                words.next();
            } else if first && words.peek().is_none() {
                fault = RejectCode::BadPort;
            }
            first = false;
            continue;
        }
        match endpoint(word, first) {
            Ok(Some(endpoint)) => endpoints.push(endpoint),
            Ok(None) => {}
            Err(code) if first => fault = code,
            Err(_) => {}
        }
        // Flags and bullets may stand in front of a name.
        first &= !word.contains(|c: char| c.is_ascii_alphanumeric());
    }
    if endpoints.is_empty() {
        return Err(fault);
    }
    Ok(endpoints.into_iter().map(|(server, credentials)| scheme.node(server, credentials)).collect())
}

/// A word as an endpoint; `None` when it is just a word. Names count only in front of a line.
fn endpoint(word: &str, first: bool) -> Result<Option<Endpoint>, RejectCode> {
    if !word.contains(':') {
        return Ok(None);
    }
    if let Some((left, right)) = word.rsplit_once('@') {
        if let Some(server) = server(right, true) {
            let (user, password) = left.split_once(':').unwrap_or((left, ""));
            return Ok(Some((server, field::credentials(&uri::unescape(user), &uri::unescape(password)))));
        }
        let (user, password) = right.split_once(':').unwrap_or((right, ""));
        return Ok(server(left, true).map(|server| (server, field::credentials(user, password))));
    }
    if let Some(server) = server(word, first) {
        return Ok(Some((server, None)));
    }
    if let Some(found) = with_login(word, first) {
        return Ok(Some(found));
    }
    // What looks like an address is a spoilt entry, not prose.
    let (host, port) = word.rsplit_once(':').unwrap_or((word, ""));
    let dotted =
        host.bytes().filter(|b| *b == b'.').count() == 3 && host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !dotted {
        return Ok(None);
    }
    Err(if Host::new(host).is_err() || port.is_empty() && host.is_empty() {
        RejectCode::BadHost
    } else {
        RejectCode::BadPort
    })
}

/// `host:port:user:pass`, `user:pass:host:port`, `ip:port:anything`, and Resin's `ipv6:port:user:pass` without brackets.
fn with_login(word: &str, first: bool) -> Option<Endpoint> {
    let mut fields = word.splitn(4, ':');
    let (a, b, c) = (fields.next()?, fields.next()?, fields.next()?);
    let d = fields.next();
    let pair = |host: &str, port: &str| server(&format!("{host}:{port}"), first);
    if let Some(server) = pair(a, b) {
        return Some((server, d.and_then(|password| field::credentials(c, password))));
    }
    if let Some(server) = d.filter(|d| !d.contains(':')).and_then(|d| pair(c, d)) {
        return Some((server, field::credentials(a, b)));
    }
    let mut fields = word.rsplitn(4, ':');
    let (password, user, port, host) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    if host.matches(':').count() < 2 || !uri::is_address(host) {
        return None;
    }
    Some((field::server(host, port).ok()?, field::credentials(user, password)))
}

/// `host:port` with an address, or with a name that has a dot where names are allowed.
fn server(text: &str, names: bool) -> Option<Target> {
    let target = Target::parse(text).ok()?;
    match target.host() {
        Host::Ip(_) => Some(target),
        Host::Name(name) => {
            let top = name.as_str().rsplit_once('.').map(|(_, top)| top)?;
            let letters = top.len() >= 2 && (top.starts_with("xn--") || top.bytes().all(|b| b.is_ascii_alphabetic()));
            (names && letters).then_some(target)
        }
    }
}

impl ListScheme {
    fn node(self, server: Target, credentials: Option<Credentials>) -> NodeSpec {
        let socks = |version| Outbound::Socks(SocksProxy { version, credentials: credentials.clone(), tls: None });
        let outbound = match self {
            Self::Http => Outbound::Http(HttpProxy { credentials, tls: None }),
            Self::Socks4 => socks(SocksVersion::V4),
            Self::Socks4a => socks(SocksVersion::V4a),
            Self::Socks5 => socks(SocksVersion::V5),
        };
        NodeSpec::new(server, outbound)
    }
}
