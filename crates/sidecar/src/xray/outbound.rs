//! A node as an outbound of Xray.

use std::net::IpAddr;

use hezar_core::{Carrier, Host, NodeSpec, Outbound, Target, Tls};
use hezar_engine::BuildError;
use hezar_formats::write::{Unwritable, XrayDialect, xray_outbound};

use crate::slots::CoreNode;

/// Whether Xray is to dial a node: mKCP, which no other core has for every protocol.
///
/// # Errors
/// [`BuildError::Unsupported`] when it is not.
pub(crate) fn check(name: &str, node: &NodeSpec) -> Result<Vec<String>, BuildError> {
    let is_kcp = matches!(&node.outbound, Outbound::Stream(stream) if matches!(stream.carrier(), Carrier::Kcp { .. }));
    let outbound = if is_kcp { xray_outbound(node, name, XrayDialect::default()).ok() } else { None };
    outbound.map(|json| vec![json]).ok_or(BuildError::Unsupported("a node that Xray cannot dial either"))
}

/// The outbound with this tag. Xray gets the address that this machine has looked up, and looks nothing up itself.
///
/// # Errors
/// Why Xray would not take it.
pub(super) fn render(
    tag: &str,
    node: &CoreNode,
    addresses: &[IpAddr],
    dialect: XrayDialect,
) -> Result<String, Unwritable> {
    let resolved = addresses.first().and_then(|address| at_address(&node.spec, *address));
    xray_outbound(resolved.as_ref().unwrap_or(&node.spec), tag, dialect)
}

/// The node at an address of its server; the name stays what TLS asks for. `None` when its server has no name.
fn at_address(node: &NodeSpec, address: IpAddr) -> Option<NodeSpec> {
    let Host::Name(name) = node.server.host() else { return None };
    let Outbound::Stream(stream) = &node.outbound else { return None };
    let Carrier::Kcp { kcp, tls } = stream.carrier() else { return None };
    let named =
        |tls: &Tls| Tls { server_name: tls.server_name.clone().or_else(|| Some(name.as_str().into())), ..tls.clone() };
    let carrier = Carrier::Kcp { kcp: kcp.clone(), tls: tls.as_ref().map(named) };
    let server = Target::new(Host::Ip(address), node.server.port()).ok()?;
    Some(NodeSpec::new(server, Outbound::stream(stream.protocol().clone(), carrier).ok()?))
}

#[cfg(test)]
mod tests {
    use hezar_engine::AddressPolicy;
    use hezar_formats::parse_link;

    use super::*;

    const ID: &str = "7d4f4b57-6d0a-4e0f-9a43-1f0d4cf0a5b1";

    fn node(link: &str) -> NodeSpec {
        parse_link(link).unwrap().0
    }

    #[test]
    fn names_are_looked_up_here_and_stay_in_tls() {
        let link = format!("vless://{ID}@a.example.test:443?encryption=none&type=kcp&security=tls");
        let node = CoreNode::new(node(&link), AddressPolicy::PublicOnly);
        let render = |addresses: &[IpAddr]| render("s1", &node, addresses, XrayDialect::FinalMask).unwrap();
        let outbound: serde_json::Value =
            serde_json::from_str(&render(&["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()])).unwrap();
        assert_eq!(outbound["settings"]["vnext"][0]["address"], "192.0.2.1");
        assert_eq!(outbound["streamSettings"]["tlsSettings"]["serverName"], "a.example.test");
    }

    #[test]
    fn only_mkcp_goes_through_xray() {
        let kcp = format!("vless://{ID}@192.0.2.1:443?encryption=none&type=kcp");
        assert!(check("s1", &node(&kcp)).is_ok());
        assert!(check("s1", &node(&kcp.replace("kcp", "ws"))).is_err());
        assert!(check("s1", &node(&format!("{kcp}&security=tls&allowInsecure=1"))).is_err());
    }
}
