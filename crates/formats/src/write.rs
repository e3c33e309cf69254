//! Writes whole lists: links, base64, bare addresses, and configurations of clients.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::{Label, NodeSpec};

pub use crate::document::{
    write::{OmittedNode, Unwritable, Written},
    writers::xray::XrayDialect,
};
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
/// `spider_x`, and a fingerprint inside QUIC. The others are named in [`Written::left_out`].
pub fn clash<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    document::clash::write::document(nodes)
}

/// One node for a Clash core, as entries of its `proxies` in JSON, which YAML includes: the last one is the node under `name`, and
/// those before it are the nodes that it is dialled through, under `name.1`, `name.2` and so on.
///
/// # Errors
/// Why mihomo would not take one of them.
pub fn clash_proxies(name: &str, node: &NodeSpec) -> Result<Vec<String>, Unwritable> {
    document::clash::write::proxies(name, node)
}

/// The same as [`clash`] as a whole profile: a group to choose from, one that tests all nodes, and a rule for everything.
pub fn clash_profile<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    document::clash::write::profile(nodes)
}

/// The same as [`sing_box`] with a group to choose from, one that tests all nodes, and a route for everything; without
/// inbounds.
pub fn sing_box_routed<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    document::sing_box::write::routed(nodes)
}

/// The same as [`sing_box_routed`] with a TUN inbound and resolvers: a profile for the clients of phones and desktops.
pub fn sing_box_profile<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    document::sing_box::write::profile(nodes)
}

/// An Xray configuration: `outbounds`, of which the first one is used unless rules say otherwise. As for [`clash`], what it
/// has no words for is left out and named; so are nodes that take any certificate, which its newer versions refuse.
pub fn xray<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    document::writers::xray::document(nodes)
}

/// One outbound of Xray with this tag, as JSON.
///
/// # Errors
/// Why Xray would not take it: chains, and nodes that take any certificate, are refused, too.
pub fn xray_outbound(node: &NodeSpec, tag: &str, dialect: XrayDialect) -> Result<String, Unwritable> {
    document::writers::xray::outbound(node, tag, dialect)
}

/// A Surge configuration: `[Proxy]` rows, a group that tests them, and a rule that leads everything there. As for [`clash`],
/// what it has no words for is left out and named.
pub fn surge<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    document::writers::surge::document(nodes)
}

/// Bare addresses, one `host:port` or `host:port:user:password` per line, of HTTP and SOCKS proxies without TLS; the others
/// are left out and named.
pub fn addresses<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    document::writers::addresses::document(nodes)
}

/// A sing-box configuration (1.12 or newer): `outbounds`, and `endpoints` for WireGuard. As for [`clash`], what it has
/// no words for is left out and named.
pub fn sing_box<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    document::sing_box::write::document(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entries_of_a_node_name_the_ones_that_it_goes_through() {
        let node = |link: &str| crate::parse_link(link).unwrap().0;
        let chain =
            node("trojan://p@192.0.2.2:443").through(node("ss://YWVzLTEyOC1nY206cA@192.0.2.1:1").into()).unwrap();
        let entries = clash_proxies("s1", &chain).unwrap();
        let [near, last] = entries.as_slice() else { panic!("{entries:?}") };
        assert!(near.contains(r#""name":"s1.1""#) && !near.contains("dialer-proxy"), "{near}");
        assert!(last.contains(r#""name":"s1""#) && last.contains(r#""dialer-proxy":"s1.1""#), "{last}");
        let tor = clash_proxies("s1", &node("tor://192.0.2.1:9050")).unwrap_err();
        assert_eq!(tor.to_string(), "a protocol that the client does not speak");
    }

    #[test]
    fn a_profile_without_nodes_lets_nothing_out_directly() {
        let none = std::iter::empty;
        let clash = clash_profile(none()).text;
        assert!(clash.starts_with("proxies: []\n") && clash.ends_with("rules:\n  - \"MATCH,REJECT\"\n"), "{clash}");
        let surge = surge(none()).text;
        assert!(surge.ends_with("[Rule]\nFINAL,REJECT\n"), "{surge}");
        // Port 9 (discard, RFC 863) of the client's own machine.
        let nowhere = r#""tag":"Hezar","server":"127.0.0.1","server_port":9"#;
        for text in [sing_box_routed(none()).text, sing_box_profile(none()).text] {
            assert!(text.contains(nowhere) && text.contains(r#""final":"Hezar""#), "{text}");
        }
        assert_eq!(base64(none()), "");
    }
}
