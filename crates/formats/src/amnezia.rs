//! AmneziaWG: WireGuard whose packets look different, in links and in the configurations of Clash, sing-box and wg-quick.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::{ClashKind, ClashOnly, Outbound, Secret};

use crate::{
    RejectCode, clash_only,
    tree::{MapBuilder, Tree},
};

/// A WireGuard node with AmneziaWG's options, whose names may be in upper case. It stays plain WireGuard where they are absent, or change
/// nothing that the server has to know.
pub(crate) fn with_options(plain: Outbound, options: &Tree) -> Result<Outbound, RejectCode> {
    let Outbound::WireGuard(node) = &plain else { return Ok(plain) };
    if !changes_packets(options) {
        return Ok(plain);
    }
    let mut map = MapBuilder::default();
    map.text("private-key", node.private_key.expose())
        .text("public-key", node.public_key.as_deref().unwrap_or_default());
    map.text("pre-shared-key", node.pre_shared_key.as_ref().map_or("", Secret::expose));
    for address in &node.addresses {
        map.text(if address.contains(':') { "ipv6" } else { "ip" }, address);
    }
    if node.reserved != [0; 3] {
        map.text("reserved", &STANDARD.encode(node.reserved));
    }
    map.number("mtu", node.mtu).number("persistent-keepalive", node.keepalive);
    let lower = options.pairs().iter().map(|(name, value)| (name.to_ascii_lowercase().into(), value.clone())).collect();
    map.put("amnezia-wg-option", Tree::Map(lower));
    let settings = clash_only::settings(ClashKind::AmneziaWg, &map.into_tree())?;
    Ok(Outbound::ClashOnly(Box::new(ClashOnly { kind: ClashKind::AmneziaWg, settings })))
}

/// Whether the packets change so that plain WireGuard cannot be spoken; junk packets before the handshake (`jc`) may be omitted.
fn changes_packets(options: &Tree) -> bool {
    let text = |name: &str| options.text(&[name, &name.to_ascii_uppercase()]);
    let sizes = ["s1", "s2", "s3", "s4"].iter().any(|name| text(name).trim().parse::<u64>().is_ok_and(|size| size > 0));
    let kinds = [("h1", "1"), ("h2", "2"), ("h3", "3"), ("h4", "4")];
    sizes || kinds.iter().any(|(name, standard)| !["", standard].contains(&text(name).trim()))
}
