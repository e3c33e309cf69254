//! Recognises by its keys the client for which an entry was written.

use super::plain;
use crate::tree::Tree;

/// The client or format that an entry was written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Clash,
    SingBox,
    Xray,
    Sip008,
    /// The object inside a `vmess://` link.
    VmessLink,
    /// An address with a protocol's name, as free proxy lists have it.
    Address,
    /// An address without one.
    Nameless,
}

impl Shape {
    /// Recognises it by the keys; `None` for a map that is not an entry.
    pub(super) fn of(tree: &Tree) -> Option<Self> {
        let has = |key: &str| !tree.get(key).is_null();
        let server = has("server");
        if has("protocol") && (tree.get("settings").is_map() || tree.get("streamSettings").is_map()) {
            Some(Self::Xray)
        } else if has("type") && (has("server_port") || has("server_ports") || (has("tag") && server)) {
            Some(Self::SingBox)
        } else if has("type") && server && (has("port") || has("ports")) {
            Some(Self::Clash)
        } else if (server || has("address")) && has("method") && has("password") {
            Some(Self::Sip008)
        } else if has("add") && has("port") && has("id") {
            Some(Self::VmessLink)
        } else if plain::is_address(tree) {
            Some(Self::Address)
        } else if plain::is_proxy(tree) {
            Some(Self::Nameless)
        } else {
            None
        }
    }
}
