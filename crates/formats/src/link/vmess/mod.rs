//! `vmess://`: base64 of v2rayN's JSON object, and the five other forms met in the wild.

mod json;

pub(super) use json::read as read_object;

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::{Carrier, Label, NodeSpec, PacketEncoding, SecurityKind, Target, Vmess};

use super::{Named, security, shadowrocket, transport};
use crate::{
    RejectCode, charset, field,
    outbound::UserText,
    uri::{
        self, Uri,
        query::{Pairs, Query},
    },
};

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let head = body.split(['#', '?']).next().unwrap_or_default();
    if head.contains('@') {
        return read_uri(body);
    }
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=' | '%');
    let end = body.find(|c| !is_base64(c)).unwrap_or(body.len());
    let (blob, rest) = body.split_at_checked(end).ok_or(RejectCode::BadEncoding)?;
    let blob = uri::unescape(blob);
    // A link cut off in the middle of a group still shows most of its text, which gives the better refusal.
    let bytes = field::base64_bytes(&blob)
        .or_else(|| field::base64_bytes(blob.get(..blob.len().checked_sub(1)?)?))
        .ok_or(RejectCode::BadEncoding)?;
    let text = charset::decode(&bytes);
    let text = text.trim();
    let (spec, name) = if text.starts_with('{') {
        read_json(text)?
    } else if text.contains(" = vmess,") || text.contains("= vmess ,") || text.contains("=vmess,") {
        read_quantumult(text)?
    } else if text.contains('@') {
        read_decoded(text.strip_prefix("vmess://").unwrap_or(text), rest)?
    } else {
        return Err(RejectCode::BadEncoding);
    };
    // The object's own name counts; links of the other forms carry it behind the base64.
    let name = if name.is_empty() { Uri::split(rest).label() } else { name };
    Ok((spec, name))
}

fn node(server: Target, user: UserText<'_>, carrier: Carrier) -> Result<NodeSpec, RejectCode> {
    Ok(NodeSpec::new(server, user.vmess(carrier)?))
}

fn read_json(text: &str) -> Result<Named, RejectCode> {
    let object = json::read(text).ok_or(RejectCode::BadEncoding)?;
    let server = uri::server(object.get(&["add", "address", "server"]), object.get(&["port"]))?;
    let (network, query) = json::to_query(&object);
    let kind = security::kind(object.get(&["tls"]), SecurityKind::None);
    let user = UserText {
        id: object.get(&["id", "uuid"]),
        alter_id: object.get(&["aid", "alterid"]),
        cipher: object.get(&["scy", "cipher"]),
        packet_encoding: object.get(&["packetencoding"]),
        ..UserText::default()
    };
    let label = Label::new(object.get(&["ps", "remark", "remarks"]));
    Ok((node(server, user, transport::read_as(&query, &network, kind)?)?, label))
}

/// `uuid@host:port?…` of XTLS's proposal, and V2RayNG's old `ws+tls:uuid-alterId@host:port`.
fn read_uri(body: &str) -> Result<Named, RejectCode> {
    let uri = Uri::split(body);
    let query = &uri.query;
    let user = uri.required_user()?;
    let server = uri.server()?;
    let with = |id, alter_id| UserText {
        id,
        alter_id,
        cipher: query.get(&["scy", "encryption", "cipher"]),
        packet_encoding: query.get(&["packetencoding"]),
        ..UserText::default()
    };
    let Some((network, old_user)) = user.split_once(':') else {
        let carrier = transport::read(query, SecurityKind::None)?;
        return Ok((node(server, with(&user, query.get(&["aid", "alterid"])), carrier)?, uri.label()));
    };
    let (id, alter_id) = old_user.rsplit_once('-').filter(|(id, _)| id.len() >= 32).unwrap_or((old_user, ""));
    let (network, tls) = network.split_once('+').unwrap_or((network, ""));
    let carrier = transport::read_as(query, network, security::kind(tls, SecurityKind::None))?;
    Ok((node(server, with(id, alter_id), carrier)?, uri.label()))
}

/// The text of a base64 body: `uuid@host:port?…`, or Shadowrocket's `cipher:uuid@host:port` with parameters outside.
fn read_decoded(text: &str, rest: &str) -> Result<Named, RejectCode> {
    let inner = Uri::split(text);
    let user = inner.required_user()?;
    let Some((cipher, id)) = user.split_once(':') else { return read_uri(text) };
    let outer = Uri::split(rest);
    let query = &outer.query;
    let user = UserText { id, alter_id: query.get(&["alterid", "aid"]), cipher, ..UserText::default() };
    let carrier = shadowrocket::carrier(query)?;
    let label = Label::new(query.get(&["remarks", "remark"]));
    Ok((node(inner.server()?, user, carrier)?, label))
}

/// Quantumult's `name = vmess, host, port, cipher, "uuid", over-tls=true, obfs=ws, obfs-path="/", …`.
fn read_quantumult(text: &str) -> Result<Named, RejectCode> {
    let (name, settings) = text.split_once('=').ok_or(RejectCode::BadEncoding)?;
    let bare = |part: &str| part.trim().trim_matches('"').to_owned();
    let mut parts = settings.split(',').map(bare).skip(1);
    let (host, port) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (cipher, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (mut network, mut kind, mut pairs) = (String::new(), SecurityKind::None, Vec::new());
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((&part, ""));
        let value = value.trim_matches('"');
        match key.trim() {
            "over-tls" => kind = security::kind(value, SecurityKind::None),
            "obfs" => network = value.to_owned(),
            "obfs-path" => pairs.push((Cow::from("path"), Cow::Owned(value.to_owned()))),
            "tls-host" => pairs.push((Cow::from("sni"), Cow::Owned(value.to_owned()))),
            "obfs-header" => {
                let host = value.split("[Rr][Nn]").find_map(|header| header.trim().strip_prefix("Host:"));
                pairs.push((Cow::from("host"), Cow::Owned(host.unwrap_or_default().trim().to_owned())));
            }
            _ => {}
        }
    }
    let user = UserText { id: &id, cipher: &cipher, ..UserText::default() };
    let server = uri::server(&host, &port)?;
    let carrier = transport::read_as(&Query::from_pairs(pairs), &network, kind)?;
    Ok((node(server, user, carrier)?, Label::new(name)))
}

pub(super) fn write(vmess: &Vmess, carrier: &Carrier, server: &Target, label: &Label) -> String {
    let mut pairs = Pairs::default();
    transport::write(carrier, &mut pairs);
    let mut object: Vec<(Cow<'_, str>, Cow<'_, str>)> = vec![
        ("v".into(), "2".into()),
        ("ps".into(), label.as_str().into()),
        ("add".into(), server.host().to_string().into()),
        ("port".into(), server.port().to_string().into()),
        ("id".into(), vmess.id.to_string().into()),
        ("aid".into(), vmess.alter_id.to_string().into()),
        ("scy".into(), vmess.cipher.name().into()),
    ];
    if vmess.packet_encoding != PacketEncoding::Xudp {
        object.push(("packetEncoding".into(), field::packet_encoding_name(vmess.packet_encoding).into()));
    }
    object.extend(json::from_pairs(pairs, carrier));
    format!("vmess://{}", STANDARD.encode(json::write(&object)))
}
