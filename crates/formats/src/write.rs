//! Writes whole lists: links, base64, Clash and sing-box configurations.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::{Label, NodeSpec};

pub use crate::document::write::Written;
use crate::{document, to_link};

/// One link per line.
pub fn links<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> String {
    let mut text = String::new();
    for (node, label) in nodes {
        text.push_str(&to_link(node, label));
        text.push('\n');
    }
    text
}

/// The links as a base64 subscription.
pub fn base64<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> String {
    STANDARD.encode(links(nodes))
}

/// A Clash configuration that mihomo accepts: `proxies`, each under a name of its own, one per line.
///
/// A node is written only if reading the entry gives the same node again, save for what no other client knows: REALITY's
/// `spider_x`, and a fingerprint inside QUIC. The others are counted in [`Written::left_out`].
pub fn clash<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    document::clash::write::document(nodes)
}

/// A sing-box configuration (1.12 or newer): `outbounds`, and `endpoints` for WireGuard. As for [`clash`], what it has
/// no words for is left out and counted.
pub fn sing_box<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    document::sing_box::write::document(nodes)
}
