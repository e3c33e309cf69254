//! `ss://`: SIP002, SIP022's plain userinfo, the legacy form that is base64 as a whole, and their mixtures.

use hezar_core::{Label, NodeSpec, Shadowsocks, Target};
use uuid::Uuid;

use super::{Named, assemble, plugin};
use crate::{
    RejectCode, field, outbound,
    uri::{
        self, Uri, escape,
        query::{Pairs, Query},
    },
};

/// How often a publisher may have wrapped one link in base64.
const MAX_LAYERS: usize = 3;

/// A method as published and a password.
type User = (Box<str>, Box<str>);

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    read_layer(body, MAX_LAYERS)
}

fn read_layer(body: &str, layers: usize) -> Result<Named, RejectCode> {
    let uri = Uri::split(body);
    let Some(userinfo) = uri.userinfo else { return read_legacy(&uri, layers) };
    let (method, password) = user(userinfo)?;
    finish(uri.server()?, &method, &password, &uri.query, uri.label())
}

/// The plain or base64 userinfo.
fn user(userinfo: &str) -> Result<User, RejectCode> {
    let text = uri::unescape(userinfo);
    if text.contains(':') {
        return method_password(&text);
    }
    // This is a VLESS link whose scheme was cut off.
    if Uuid::try_parse(&text).is_ok() {
        return Err(RejectCode::BadCredential);
    }
    let mut text = text.into_owned();
    for _ in 0..MAX_LAYERS {
        // Some publishers leave the scheme inside the base64, or a link without its server.
        let blob = text.strip_prefix("ss://").unwrap_or(&text);
        let bytes = field::base64_bytes(blob).ok_or(RejectCode::BadEncoding)?;
        text = String::from_utf8(bytes).map_err(|_| RejectCode::BadEncoding)?;
        if text.contains(':') && !text.starts_with("ss://") {
            return method_password(&text);
        }
    }
    Err(RejectCode::BadEncoding)
}

/// A password may hold colons: a 2022 password is several keys joined by them.
fn method_password(text: &str) -> Result<User, RejectCode> {
    let (method, password) = text.split_once(':').ok_or(RejectCode::BadCredential)?;
    Ok((method.into(), password.into()))
}

/// `base64(method:password@host:port)`, where the password is not escaped and may hold every sign.
fn read_legacy(uri: &Uri<'_>, layers: usize) -> Result<Named, RejectCode> {
    let blob = uri::unescape(uri.authority.trim());
    let bytes = field::base64_bytes(&blob)
        .or_else(|| field::base64_bytes(blob.trim_end_matches('/')))
        .ok_or(RejectCode::BadEncoding)?;
    let text = String::from_utf8(bytes).map_err(|_| RejectCode::BadEncoding)?;
    let text = text.trim();
    let outer_name = |named: Named| if uri.fragment.is_empty() { named } else { (named.0, uri.label()) };
    if let Some(inner) = text.strip_prefix("ss://") {
        let layers = layers.checked_sub(1).ok_or(RejectCode::BadEncoding)?;
        return read_layer(inner, layers).map(outer_name);
    }
    let Some((userinfo, server)) = text.rsplit_once('@') else {
        let layers = layers.checked_sub(1).ok_or(RejectCode::BadEncoding)?;
        return if text.contains(':') { Err(RejectCode::BadHost) } else { read_layer(text, layers).map(outer_name) };
    };
    let (method, password) = if userinfo.contains(':') { method_password(userinfo)? } else { user(userinfo)? };
    let inner = Uri::split(server);
    let query = if inner.query.is_empty() { &uri.query } else { &inner.query };
    let label = if uri.fragment.is_empty() { inner.label() } else { uri.label() };
    finish(inner.server()?, &method, &password, query, label)
}

fn finish(server: Target, method: &str, password: &str, query: &Query<'_>, label: Label) -> Result<Named, RejectCode> {
    let found = plugin::read(query);
    let server = found.server.unwrap_or(server);
    let udp_over_tcp = query.flag(&["uot", "udpovertcp"]);
    let outbound = outbound::shadowsocks(method, password, found.plugin, udp_over_tcp)?;
    Ok((NodeSpec::new(server, outbound), label))
}

pub(super) fn write(shadowsocks: &Shadowsocks, server: &Target, label: &Label) -> String {
    let (method, password) = (&shadowsocks.method, shadowsocks.password.expose());
    // SIP022 forbids base64 for its methods; for the other methods clients expect it.
    let userinfo = if method.starts_with("2022-") {
        format!("{}:{}", escape(method), escape(password))
    } else {
        field::base64_url(format!("{method}:{password}"))
    };
    let mut pairs = Pairs::default();
    if let Some(found) = &shadowsocks.plugin {
        pairs.text("plugin", plugin::write(found));
    }
    pairs.flag("uot", shadowsocks.udp_over_tcp);
    assemble("ss", Some(&userinfo), server, &pairs, label)
}
