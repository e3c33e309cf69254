//! Shadowrocket's links: `scheme://base64(cipher:id@host:port)?remarks=…&obfs=websocket&obfsParam=…&tls=1`, and its
//! words for transports.

use std::borrow::Cow;

use hezar_core::{Carrier, SecurityKind};

use super::{security, transport, vmess::read_object};
use crate::{
    RejectCode, field,
    uri::{
        query::{self, Query},
        unescape,
    },
};

/// Takes the base64 off a link's authority; `None` when it has none.
pub(super) fn expanded(body: &str) -> Option<String> {
    let end = body.find(['?', '#']).unwrap_or(body.len());
    let (head, rest) = body.split_at_checked(end)?;
    if head.contains('@') {
        return None;
    }
    let text = field::base64_text(&unescape(head.trim_end_matches('/')))?;
    let text = text.trim();
    if !text.contains('@') || text.contains(char::is_control) {
        return None;
    }
    let rest = if text.contains('?') { rest.replacen('?', "&", 1) } else { rest.to_owned() };
    Some(format!("{text}{rest}"))
}

/// Whether the parameters are Shadowrocket's, whose transport is called `obfs`.
pub(super) fn is_spoken(query: &Query<'_>) -> bool {
    query.get(&["type", "net", "network"]).is_empty() && !query.get(&["obfs", "obfsparam", "xtls"]).is_empty()
}

/// Whether `xtls` names Vision.
pub(super) fn is_vision(query: &Query<'_>) -> bool {
    query.get(&["xtls"]) == "2"
}

/// Reads the transport and its security.
pub(super) fn carrier(query: &Query<'_>) -> Result<Carrier, RejectCode> {
    let (network, header_type) = match query.get(&["obfs", "type", "net"]) {
        "websocket" => ("ws", ""),
        "none" => ("tcp", ""),
        // HTTP/2 has a name of its own.
        "http" => ("tcp", "http"),
        other => (other, query.get(&["headertype"])),
    };
    let kind = match query.get(&["pbk", "publickey"]) {
        "" => security::kind(query.get(&["tls", "security"]), SecurityKind::None),
        _ => SecurityKind::Reality,
    };
    // A host, or a JSON object of headers.
    let host = query.get(&["obfsparam", "host"]);
    let headers = read_object(host);
    let host = headers.as_ref().map_or(host, |headers| headers.get(&["host"])).to_owned();
    let mut pairs = vec![(Cow::from("host"), Cow::from(host)), (Cow::from("headerType"), Cow::from(header_type))];
    if network == "grpc" {
        pairs.push(("serviceName".into(), query.get(&["path", "servicename"]).into()));
    }
    let own = |(key, _): &(&str, &str)| !["obfs", "obfsparam"].iter().any(|name| query::same(key, name));
    pairs.extend(query.pairs().filter(own).map(|(key, value)| (Cow::from(key), Cow::from(value))));
    transport::read_as(&Query::from_pairs(pairs), network, kind)
}

/// The transport that Trojan links of Shadowrocket write as a plugin:
/// `plugin=obfs-local;obfs=websocket;obfs-host=…;obfs-uri=…`.
pub(super) fn trojan_plugin(query: &Query<'_>) -> Option<Result<Carrier, RejectCode>> {
    let options = field::plugin_options(query.get(&["plugin"]));
    let option = |names: &[&str]| {
        let found = options.iter().find(|(key, value)| names.contains(&key.as_ref()) && !value.is_empty());
        found.map(|(_, value)| value.to_string()).unwrap_or_default()
    };
    if !["websocket", "ws"].contains(&option(&["obfs", "mode"]).as_str()) {
        return None;
    }
    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = vec![
        ("host".into(), option(&["obfs-host", "host"]).into()),
        ("path".into(), option(&["obfs-uri", "path"]).into()),
    ];
    pairs.extend(query.pairs().map(|(key, value)| (Cow::from(key), Cow::from(value))));
    Some(transport::read_as(&Query::from_pairs(pairs), "ws", SecurityKind::Tls))
}
