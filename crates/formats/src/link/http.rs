//! `http://user:password@host:port` and `https://…`: a proxy only where it cannot be a web page.

use hezar_core::{HttpProxy, Label, NodeSpec, Outbound, SecurityKind, Target};

use super::{
    Named, assemble, security,
    socks::{endpoint, read_telegram_query, userinfo},
};
use crate::{
    RejectCode,
    uri::{
        self, Uri,
        query::{Pairs, same},
    },
};

/// Parameters that a proxy may have; any other one means a web page.
const KNOWN: &[&str] = &[
    "sni",
    "peer",
    "allowinsecure",
    "insecure",
    "skipcertverify",
    "alpn",
    "alpn[]",
    "fp",
    "pcs",
    "vcn",
    "vcn[]",
    "disablesni",
    "ech",
    "tls",
    "security",
    "remarks",
    "remark",
    "udp",
    "uot",
    "tfo",
];

/// A proxy has an explicit port, no path and no unknown parameter.
pub(super) fn read(body: &str, secure: bool) -> Result<Named, RejectCode> {
    let uri = split(body);
    if let Some(query) = telegram_query(&uri, body) {
        return query;
    }
    // Lists write a final slash behind addresses. Behind a name it is a web page.
    let server = uri.userinfo.is_some() || uri::is_address(uri.host) || uri.host.contains(':');
    let bare = uri.path.is_empty() || (uri.path == "/" && server);
    let known = |key: &str| KNOWN.iter().any(|name| same(key, name));
    if !bare || !uri.query.keys().all(known) {
        return Err(RejectCode::WebAddress);
    }
    let endpoint = endpoint(&uri, "");
    // A name alone is a web page. Base64 of a server looks like a name, too.
    let (server, credentials) =
        if uri.port.is_empty() { endpoint.map_err(|_| RejectCode::WebAddress)? } else { endpoint? };
    let kind = security::kind(uri.query.get(&["security", "tls"]), SecurityKind::None);
    let tls = (secure || kind == SecurityKind::Tls).then(|| security::read_tls(&uri.query));
    Ok((NodeSpec::new(server, Outbound::Http(HttpProxy { credentials, tls: tls.map(Box::new) })), uri.label()))
}

/// A password may contain a raw `#` or `?`, but the query of a web page may contain an address with `@`, too.
fn split(body: &str) -> Uri<'_> {
    let uri = Uri::split_password(body);
    let login = uri.userinfo.unwrap_or_default();
    let sign = login.find(['#', '?']).unwrap_or(login.len());
    let is_login = login.get(..sign).unwrap_or_default().contains(':') && !login.contains('/');
    if sign == login.len() || is_login { uri } else { Uri::split(body) }
}

/// `https://t.me/socks?…` is a SOCKS proxy, `https://t.me/proxy?…` an MTProto one.
fn telegram_query(uri: &Uri<'_>, body: &str) -> Option<Result<Named, RejectCode>> {
    let telegram = ["t.me", "telegram.me", "telegram.dog"].iter().any(|host| uri.host.eq_ignore_ascii_case(host));
    if !telegram {
        return None;
    }
    match uri.path.trim_end_matches('/') {
        "/socks" => Some(read_telegram_query(body.split_once('?').map_or("", |(_, query)| query))),
        "/proxy" => Some(Err(RejectCode::UnsupportedScheme)),
        _ => None,
    }
}

pub(super) fn write(http: &HttpProxy, server: &Target, label: &Label) -> String {
    let mut pairs = Pairs::default();
    if let Some(tls) = &http.tls {
        security::write_tls(tls, &security::STREAM, &mut pairs);
    }
    let userinfo = http.credentials.as_ref().map(userinfo);
    let scheme = if http.tls.is_some() { "https" } else { "http" };
    assemble(scheme, userinfo.as_deref(), server, &pairs, label)
}
