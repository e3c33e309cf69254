//! `vless://uuid@host:port?…#name`, after XTLS's share-link proposal (Xray-core discussion 716).

use hezar_core::{Carrier, Label, NodeSpec, PacketEncoding, Secret, SecurityKind, Target, Vision, Vless};

use super::{Named, assemble, shadowrocket, transport};
use crate::{
    RejectCode, field,
    outbound::UserText,
    uri::{Uri, query::Pairs},
};

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let uri = Uri::split(body);
    let query = &uri.query;
    let server = uri.server()?;
    let user = uri.required_user()?;
    let user = UserText {
        id: without_cipher(&user),
        flow: if shadowrocket::is_vision(query) { "xtls-rprx-vision" } else { query.get(&["flow"]) },
        encryption: encryption(query.get(&["encryption"])),
        packet_encoding: query.get(&["packetencoding"]),
        ..UserText::default()
    };
    let carrier = if shadowrocket::is_spoken(query) {
        shadowrocket::carrier(query)?
    } else {
        transport::read(query, SecurityKind::None)?
    };
    let outbound = user.vless(carrier)?;
    Ok((NodeSpec::new(server, outbound), uri.label()))
}

/// Shadowrocket writes VMess's cipher in front of the id.
fn without_cipher(user: &str) -> &str {
    user.split_once(':').map_or(user, |(_, id)| id)
}

/// Every VLESS encryption has dots in its name; other words (`auto`, `zero`) are left-overs of VMess links.
fn encryption(text: &str) -> &str {
    if text.contains('.') { text } else { "" }
}

pub(super) fn write(vless: &Vless, carrier: &Carrier, server: &Target, label: &Label) -> String {
    let mut pairs = Pairs::default();
    pairs.text("encryption", vless.encryption.as_ref().map_or("none", Secret::expose));
    pairs.optional(
        "flow",
        vless.flow.map(|flow| match flow {
            Vision::Plain => "xtls-rprx-vision",
            Vision::Udp443 => "xtls-rprx-vision-udp443",
        }),
    );
    if vless.packet_encoding != PacketEncoding::Xudp {
        pairs.text("packetEncoding", field::packet_encoding_name(vless.packet_encoding));
    }
    transport::write(carrier, &mut pairs);
    assemble("vless", Some(&vless.id.to_string()), server, &pairs, label)
}
