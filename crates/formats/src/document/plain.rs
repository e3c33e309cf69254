//! JSON entries without a client: SIP008 servers, the objects of `vmess://` links, and addresses of free proxy lists.

use hezar_core::{HttpProxy, NodeSpec, Outbound, SocksProxy, SocksVersion};

use super::tree::Tree;
use crate::{RejectCode, field, outbound, parse_link};

const HOST: &[&str] = &["ip", "host", "address", "addr", "server", "hostname"];
const PROTOCOL: &[&str] = &["protocol", "protocols", "type", "types", "scheme"];

/// One server of SIP008, or of the configuration of shadowsocks itself.
pub(super) fn sip008(entry: &Tree) -> Result<NodeSpec, RejectCode> {
    let plugin = outbound::plugin(entry.text(&["plugin"]), entry.text(&["plugin_opts"]));
    let outbound = outbound::shadowsocks(entry.text(&["method"]), entry.text(&["password"]), plugin, false)?;
    Ok(NodeSpec::new(field::server(entry.text(&["server"]), entry.text(&["server_port", "port"]))?, outbound))
}

/// The object that `vmess://` links hold in base64.
pub(super) fn vmess(entry: &Tree) -> Result<NodeSpec, RejectCode> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    parse_link(&format!("vmess://{}", STANDARD.encode(entry.json()))).map(|(spec, _)| spec)
}

/// Whether an object names an address, a port and a protocol of free proxy lists.
pub(super) fn is_address(tree: &Tree) -> bool {
    let known = tree.any(PROTOCOL).words().iter().any(|name| proxy(name, tree).is_some());
    known && !tree.text(HOST).is_empty() && !tree.get("port").is_null()
}

/// One node for each protocol that the address speaks.
pub(super) fn address(entry: &Tree) -> Vec<Result<NodeSpec, RejectCode>> {
    let server = field::server(entry.text(HOST), entry.text(&["port"]));
    let mut outbounds: Vec<Outbound> =
        entry.any(PROTOCOL).words().iter().filter_map(|name| proxy(name, entry)).collect();
    outbounds.dedup();
    outbounds.into_iter().map(|outbound| server.clone().map(|server| NodeSpec::new(server, outbound))).collect()
}

/// `https` in these lists says that the proxy can CONNECT to such sites, not that it speaks TLS itself.
fn proxy(name: &str, entry: &Tree) -> Option<Outbound> {
    let credentials = field::credentials(entry.text(&["username", "user"]), entry.text(&["password", "pass"]));
    let socks = |version, credentials| Some(Outbound::Socks(SocksProxy { version, credentials, tls: None }));
    match name.to_ascii_lowercase().as_str() {
        "http" | "https" => Some(Outbound::Http(HttpProxy { credentials, tls: None })),
        "socks4" => socks(SocksVersion::V4, credentials),
        "socks4a" => socks(SocksVersion::V4a, credentials),
        "socks5" | "socks" | "socks5h" => socks(SocksVersion::V5, credentials),
        _ => None,
    }
}
