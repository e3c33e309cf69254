//! `socks://`, `socks4://`, `socks4a://`, `socks5://`, `socks5h://`, `tor://` (the SOCKS5 port of a Tor client), and Telegram's `tg://socks` and `t.me/socks`.

use hezar_core::{Credentials, Label, NodeSpec, Outbound, SecurityKind, SocksProxy, SocksVersion, Target};

use super::{Named, assemble, security};
use crate::{
    RejectCode,
    address::{self, Endpoint, Names},
    field,
    uri::{
        self, Uri, escape,
        query::{Pairs, Query},
        unescape,
    },
};

/// The port that clients take when a link names none (RFC 1928's).
const PORT: &str = "1080";

pub(super) fn read(body: &str, version: SocksVersion, tls: bool) -> Result<Named, RejectCode> {
    let uri = Uri::split_password(body);
    let (server, credentials) = endpoint(&uri, PORT)?;
    let kind = security::kind(uri.query.get(&["security", "tls"]), SecurityKind::None);
    let tls = (tls || kind == SecurityKind::Tls).then(|| security::read_tls(&uri.query));
    Ok((
        NodeSpec::new(server, Outbound::Socks(SocksProxy { version, credentials, tls: tls.map(Box::new) })),
        uri.label(),
    ))
}

/// The server and the login of a SOCKS or HTTP link, in every order that lists have them, or in base64 as v2rayN and
/// Shadowrocket write them. A missing port is `default`, unless that is empty.
pub(super) fn endpoint(uri: &Uri<'_>, default: &str) -> Result<Endpoint, RejectCode> {
    let text = uri.authority.trim_end_matches('/');
    let named = uri.port.is_empty() && (uri::is_address(uri.host) || address::is_dotted(uri.host));
    let server = if named { uri.server_or(default) } else { uri.server() };
    match (uri.userinfo, server) {
        (Some(login), Ok(server)) => Ok((server, address::credentials(login))),
        (Some(login), Err(code)) => address::read(&format!("{login}@{text}"), Names::Dotted).ok_or(code),
        (None, Ok(server)) => Ok((server, None)),
        (None, Err(code)) => {
            let with_login = address::with_login(text, Names::Any).filter(|(_, login)| login.is_some());
            let code = if text.contains(':') { code } else { RejectCode::BadEncoding };
            with_login.or_else(|| encoded(text)).ok_or(code)
        }
    }
}

/// `base64(user:password@host:port)`, whose parts are not escaped.
fn encoded(text: &str) -> Option<Endpoint> {
    let text = field::base64_text(&unescape(text))?;
    let (login, server) = text.rsplit_once('@').unwrap_or(("", &text));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Some((Uri::split(server).server().ok()?, field::credentials(user, password)))
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
        SocksVersion::Tor => "tor",
    };
    let mut pairs = Pairs::default();
    if let Some(tls) = &socks.tls {
        pairs.text("security", "tls");
        security::write_tls(tls, &security::STREAM, &mut pairs);
    }
    let userinfo = socks.credentials.as_ref().map(userinfo);
    assemble(scheme, userinfo.as_deref(), server, &pairs, label)
}
