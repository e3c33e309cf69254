//! HTTP CONNECT (RFC 9110 §9.3.6) with and without Basic credentials (RFC 7617), to all ports or one, and requests in
//! absolute form (RFC 9112 §3.2.2).

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Accepted, ServerPolicy, Wire, open};
use crate::{Kind, targets::ConnectReply};

/// The longest request head.
const MAX_HEAD: usize = 16 * 1024;

pub(super) async fn accept(mut wire: Wire, policy: &ServerPolicy<'_>, kind: Kind) -> Accepted {
    let password = kind == Kind::HttpAuth;
    let head = read_head(&mut wire).await?;
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, authority) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let given = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"))
        .map(|(_, value)| value.trim());
    if policy.refuse || (password && given != Some(expected(policy).as_str())) {
        return refuse(wire, "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"lab\"").await;
    }
    if method != "CONNECT"
        && let Some(added) = added_headers(kind)
    {
        return forward(wire, policy, &head, authority, added).await;
    }
    if method != "CONNECT" || kind == Kind::HttpPlain {
        return refuse(wire, "405 Method Not Allowed").await;
    }
    if kind == Kind::HttpTunnel443 && !authority.ends_with(":443") {
        return refuse(wire, "403 Forbidden").await;
    }
    let Ok(target) = Target::parse(authority) else {
        return refuse(wire, "400 Bad Request").await;
    };
    match policy.reply(&target) {
        ConnectReply::TargetRefused | ConnectReply::TargetUnknown => refuse(wire, "502 Bad Gateway").await,
        ConnectReply::Forbidden => refuse(wire, "403 Forbidden").await,
        reply @ ConnectReply::Open(_) => {
            wire.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            Ok(open(wire, reply))
        }
    }
}

/// What is added to a request in absolute form; nothing for a server that takes none. All clients are on this machine.
const fn added_headers(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::HttpPlain => Some(""),
        Kind::HttpAnonymous => Some("Via: 1.1 lab\r\n"),
        Kind::HttpTransparent => Some("Via: 1.1 lab\r\nX-Forwarded-For: 127.0.0.1\r\n"),
        _ => None,
    }
}

/// Hands the request on in origin form with these headers more, over a connection to the target that ends with this one.
async fn forward(wire: Wire, policy: &ServerPolicy<'_>, head: &str, url: &str, added: &str) -> Accepted {
    let Some(rest) = url.strip_prefix("http://") else {
        return refuse(wire, "400 Bad Request").await;
    };
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let authority = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    match Target::parse(&authority).ok().map(|target| policy.reply(&target)) {
        Some(ConnectReply::Open(service)) => {
            let head = head.replacen(url, path, 1);
            let head = format!("{}\r\n{added}\r\n", head.trim_end_matches("\r\n")).into_bytes();
            let (read, write) = tokio::io::split(wire);
            Ok(Some((Box::new(tokio::io::join(io::Cursor::new(head).chain(read), write)), service)))
        }
        Some(ConnectReply::Forbidden) | None => refuse(wire, "403 Forbidden").await,
        Some(_) => refuse(wire, "502 Bad Gateway\r\nProxy-Agent: lab").await,
    }
}

fn expected(policy: &ServerPolicy<'_>) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", policy.credential.user, policy.credential.password)))
}

/// Reads up to the empty line; what follows it stays in the buffer.
async fn read_head(wire: &mut Wire) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(wire.read_u8().await?);
    }
    String::from_utf8(head).map_err(|_| io::ErrorKind::InvalidData.into())
}

async fn refuse(mut wire: Wire, status: &str) -> Accepted {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    wire.write_all(answer.as_bytes()).await?;
    wire.shutdown().await?;
    Ok(None)
}
