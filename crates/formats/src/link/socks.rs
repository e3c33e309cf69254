//! `socks://`, `socks4://`, `socks4a://`, `socks5://`, `socks5h://`, and Telegram's `tg://socks` and `t.me/socks`.

use hezar_core::{Credentials, Label, NodeSpec, Outbound, SecurityKind, SocksProxy, SocksVersion, Target};

use super::{
    Named, assemble,
    query::{Pairs, Query},
    security,
    uri::{self, Uri, escape, unescape},
};
use crate::{RejectCode, field};

pub(super) fn read(body: &str, version: SocksVersion) -> Result<Named, RejectCode> {
    let uri = Uri::split(body);
    if let Some(userinfo) = uri.userinfo {
        return finish(uri.server()?, version, credentials(userinfo), &uri);
    }
    if let Ok(server) = uri.server() {
        return finish(server, version, None, &uri);
    }
    // base64(user:password@host:port), as v2rayN writes it.
    let code = if uri.authority.contains(':') { RejectCode::BadHost } else { RejectCode::BadEncoding };
    let text = field::base64_text(&unescape(uri.authority)).ok_or(code)?;
    let (userinfo, server) = text.rsplit_once('@').unwrap_or(("", &text));
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    finish(Uri::split(server).server()?, version, field::credentials(user, password), &uri)
}

fn finish(
    server: Target,
    version: SocksVersion,
    credentials: Option<Credentials>,
    uri: &Uri<'_>,
) -> Result<Named, RejectCode> {
    let kind = security::kind(uri.query.get(&["security", "tls"]), SecurityKind::None);
    let tls = (kind == SecurityKind::Tls).then(|| security::read_tls(&uri.query));
    Ok((NodeSpec::new(server, Outbound::Socks(SocksProxy { version, credentials, tls })), uri.label()))
}

/// `user:password` in escapes, or both in base64 when there is no colon.
pub(super) fn credentials(userinfo: &str) -> Option<Credentials> {
    if let Some((user, password)) = userinfo.split_once(':') {
        return field::credentials(&unescape(user), &unescape(password));
    }
    let text = unescape(userinfo);
    let readable = |text: &String| text.contains(':') && !text.contains(char::is_control);
    match field::base64_text(&text).filter(readable) {
        Some(decoded) => {
            let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
            field::credentials(user, password)
        }
        None => {
            let (user, password) = text.split_once(':').unwrap_or((&text, ""));
            field::credentials(user, password)
        }
    }
}

/// `tg://socks?server=…&port=…&user=…&pass=…`; other deep links are not proxies.
pub(super) fn read_telegram(body: &str) -> Result<Named, RejectCode> {
    let (action, rest) = body.split_once('?').unwrap_or((body, ""));
    match action.trim_end_matches('/') {
        "socks" => read_telegram_query(rest),
        "proxy" => Err(RejectCode::UnsupportedScheme),
        _ => Err(RejectCode::WebAddress),
    }
}

/// The parameters of a Telegram SOCKS link.
pub(super) fn read_telegram_query(text: &str) -> Result<Named, RejectCode> {
    let (query, fragment) = text.split_once('#').unwrap_or((text, ""));
    let query = Query::parse(query);
    let server = uri::server(query.get(&["server"]), query.get(&["port"]))?;
    let credentials = field::credentials(query.get(&["user"]), query.get(&["pass"]));
    let socks = SocksProxy { version: SocksVersion::V5, credentials, tls: None };
    Ok((NodeSpec::new(server, Outbound::Socks(socks)), uri::label(fragment)))
}

/// Userinfo with its colon always written, so that a lone name is never taken for base64.
pub(super) fn userinfo(credentials: &Credentials) -> String {
    format!("{}:{}", escape(&credentials.username), escape(credentials.password.expose()))
}

pub(super) fn write(socks: &SocksProxy, server: &Target, label: &Label) -> String {
    let scheme = match socks.version {
        SocksVersion::V4 => "socks4",
        SocksVersion::V4a => "socks4a",
        SocksVersion::V5 => "socks5",
    };
    let mut pairs = Pairs::default();
    if let Some(tls) = &socks.tls {
        pairs.text("security", "tls");
        security::write_tls(tls, &security::STREAM, &mut pairs);
    }
    let userinfo = socks.credentials.as_ref().map(userinfo);
    assemble(scheme, userinfo.as_deref(), server, &pairs, label)
}
