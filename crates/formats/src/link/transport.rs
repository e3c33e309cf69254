//! Transports in the parameters of a link, after XTLS's share-link proposal (Xray-core discussion 716).

use std::borrow::Cow;

use hezar_core::{Carrier, EarlyData, GrpcMode, Secret, SecurityKind};
use percent_encoding::percent_decode_str;

use super::security;
use crate::{
    RejectCode,
    carrier::{CarrierText, EARLY_DATA_HEADER, split_early_data},
    field,
    uri::{
        escape,
        query::{Pairs, Query},
    },
};

/// The `eh` of early data that goes into the path instead of a header.
const NO_HEADER: &str = "-";

/// Reads the transport and its security; without a `security` key it is `default`.
pub(super) fn read(query: &Query<'_>, default: SecurityKind) -> Result<Carrier, RejectCode> {
    let network = query.get(&["type", "net", "network"]);
    let default =
        if default == SecurityKind::None && asks_for_reality(query, network) { SecurityKind::Reality } else { default };
    let kind = security::kind(query.get(&["security", "tls"]), default);
    // Old Trojan links.
    let network = if network.is_empty() && query.flag(&["ws"]) { "ws" } else { network };
    read_as(query, network, kind)
}

/// Whether a link without a `security` key has a key that only REALITY uses, over a transport that REALITY can have.
fn asks_for_reality(query: &Query<'_>, network: &str) -> bool {
    let carries = ["", "tcp", "raw", "grpc", "xhttp"].iter().any(|name| network.eq_ignore_ascii_case(name));
    carries && field::key32(query.get(&["pbk"])).is_some()
}

/// Reads the transport of this name.
pub(super) fn read_as(query: &Query<'_>, network: &str, kind: SecurityKind) -> Result<Carrier, RejectCode> {
    let network = network.trim();
    let raw = ["", "tcp", "raw"].iter().any(|name| network.eq_ignore_ascii_case(name));
    let several = raw || ["h2", "http", "http2"].iter().any(|name| network.eq_ignore_ascii_case(name));
    let extra = json_compact(query.get(&["extra"]));
    let text = CarrierText {
        network,
        header_type: query.get(&["headertype"]),
        hosts: if several { query.list("host") } else { one(query.get(&["host", "wshost", "obfsparam"])) },
        paths: if raw { query.list("path") } else { one(query.get(&["path", "wspath"])) },
        headers: query.members("header").filter_map(header).collect(),
        early_data: early_data(query),
        service_name: query.get(&["servicename"]),
        authority: query.get(&["authority"]),
        mode: query.get(&["mode"]),
        extra: extra.as_deref().unwrap_or_default(),
        seed: query.get(&["seed"]),
        quic_security: query.get(&["quicsecurity"]),
        quic_key: query.get(&["key"]),
    };
    text.carrier(&security::read(query, kind))
}

fn one(text: &str) -> Vec<Box<str>> {
    field::filled(text).into_iter().collect()
}

fn early_data(query: &Query<'_>) -> Option<EarlyData> {
    let max_bytes = query.get(&["ed"]).trim().parse().ok().filter(|size| *size > 0)?;
    let header = match query.get(&["eh"]) {
        "" => Some(EARLY_DATA_HEADER.into()),
        NO_HEADER => None,
        name => Some(name.into()),
    };
    Some(EarlyData { max_bytes, header })
}

/// A header in our own `header[]=name:value`, the name escaped once more.
fn header(text: &str) -> Option<(Box<str>, Box<str>)> {
    let (name, value) = text.split_once(':')?;
    Some((percent_decode_str(name).decode_utf8_lossy().into(), value.into()))
}

/// A JSON object without the white space between its tokens; empty for any other text.
pub(crate) fn json_compact(text: &str) -> Option<String> {
    let text = text.trim();
    if !text.starts_with('{') || serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return None;
    }
    let (mut compact, mut quoted, mut escaped) = (String::with_capacity(text.len()), false, false);
    for c in text.chars() {
        if !quoted && c.is_ascii_whitespace() {
            continue;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => {}
        }
        compact.push(c);
    }
    Some(compact)
}

/// Writes the transport and its security.
pub(super) fn write<'a>(carrier: &'a Carrier, pairs: &mut Pairs<'a>) {
    match carrier {
        Carrier::Tcp { header, security } => {
            pairs.text("type", "tcp");
            if let Some(header) = header {
                pairs.text("headerType", "http");
                pairs.list("host", &header.hosts);
                pairs.list("path", &header.paths);
            }
            security::write(security, pairs);
        }
        Carrier::WebSocket { websocket: w, tls } => {
            pairs.text("type", "ws");
            write_upgrade(&w.path, w.host.as_deref(), &w.headers, w.early_data.as_ref(), pairs);
            security::write_optional(tls.as_ref(), pairs);
        }
        Carrier::HttpUpgrade { upgrade: u, tls } => {
            pairs.text("type", "httpupgrade");
            write_upgrade(&u.path, u.host.as_deref(), &u.headers, u.early_data.as_ref(), pairs);
            security::write_optional(tls.as_ref(), pairs);
        }
        Carrier::Grpc { grpc, security } => {
            pairs.text("type", "grpc");
            pairs.text("serviceName", grpc.service_name.as_ref());
            pairs.optional("authority", grpc.authority.as_deref());
            pairs.text("mode", if grpc.mode == GrpcMode::Multi { "multi" } else { "gun" });
            security::write(security, pairs);
        }
        Carrier::Http2 { http2, tls } => {
            pairs.text("type", "http");
            pairs.text("path", http2.path.as_ref());
            pairs.list("host", &http2.hosts);
            security::write_optional(tls.as_ref(), pairs);
        }
        Carrier::Xhttp { xhttp, security } => {
            pairs.text("type", "xhttp");
            pairs.text("path", xhttp.path.as_ref());
            pairs.optional("host", xhttp.host.as_deref());
            pairs.text("mode", xhttp.mode.name());
            pairs.optional("extra", xhttp.extra.as_deref());
            security::write(security, pairs);
        }
        Carrier::Kcp { kcp, tls } => {
            pairs.text("type", "kcp");
            pairs.text("headerType", kcp.header.as_ref());
            pairs.optional("host", kcp.domain.as_deref());
            pairs.optional("seed", kcp.seed.as_ref().map(Secret::expose));
            security::write_optional(tls.as_ref(), pairs);
        }
        Carrier::Quic { quic, tls } => {
            pairs.text("type", "quic");
            pairs.text("headerType", quic.header.as_ref());
            pairs.text("quicSecurity", quic.encryption.as_ref());
            pairs.optional("key", quic.key.as_ref().map(Secret::expose));
            security::write_optional(tls.as_ref(), pairs);
        }
    }
}

fn write_upgrade<'a>(
    path: &'a str,
    host: Option<&'a str>,
    headers: &'a [(Box<str>, Box<str>)],
    early: Option<&'a EarlyData>,
    pairs: &mut Pairs<'a>,
) {
    let (path, early) = path_and_early_data(path, early);
    pairs.text("path", path);
    pairs.optional("host", host);
    for (name, value) in headers {
        pairs.member("header", Cow::Owned(format!("{}:{value}", escape(name))));
    }
    if let Some(early) = early {
        pairs.number("ed", Some(early.max_bytes));
        match early.header.as_deref() {
            Some(EARLY_DATA_HEADER) => {}
            header => pairs.text("eh", header.unwrap_or(NO_HEADER)),
        }
    }
}

/// Early data inside the path, where every client looks for it, if it can be read back from there.
fn path_and_early_data<'a>(path: &'a str, early: Option<&'a EarlyData>) -> (Cow<'a, str>, Option<&'a EarlyData>) {
    let Some(data) = early else { return (path.into(), None) };
    let joined = format!("{path}{}ed={}", if path.contains('?') { '&' } else { '?' }, data.max_bytes);
    let (plain, found) = split_early_data(&joined);
    if plain.as_ref() == path && found.as_ref() == early { (joined.into(), None) } else { (path.into(), early) }
}
