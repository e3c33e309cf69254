//! Reads JSON entries that belong to no single client: SIP008 servers, the objects of `vmess://` links, addresses of free proxy
//! lists.

use hezar_core::{Credentials, Host, HttpProxy, NodeSpec, Outbound, SocksProxy, SocksVersion};

use crate::{
    ListScheme, RejectCode,
    address::{self, Endpoint, Names},
    field,
    outbound::{self, ShadowsocksRText},
    parse_link,
    tree::Tree,
};

const HOST: &[&str] = &[
    "ip",
    "host",
    "address",
    "addr",
    "server",
    "hostname",
    "proxy_address",
    "proxyAddress",
    "proxy_ip",
    "IP",
    "Ip",
    "Host",
];
/// Keys under which address and port stand in one text; those of [`HOST`] may hold both as well.
const HOST_PORT: &[&str] = &["proxy", "Proxy", "ipPort", "ip_port", "ipport"];
const PORT: &[&str] = &["port", "proxy_port", "proxyPort", "PORT", "Port"];
const PROTOCOL: &[&str] = &["protocol", "protocols", "type", "types", "scheme", "Protocol", "Type", "proxy_type"];
const USER: &[&str] = &["username", "user", "login", "proxy_username"];
const PASSWORD: &[&str] = &["password", "pass", "proxy_password"];

/// Keys that only lists of proxies have beside an address.
const PROXY_SIGNS: &[&str] = &[
    "proxy_address",
    "proxyAddress",
    "proxy_ip",
    "proxy_port",
    "proxyPort",
    "anonymity",
    "anonymityLevel",
    "anonymous",
];

/// One server of SIP008, or of the configuration of shadowsocks itself.
pub(super) fn sip008(entry: &Tree) -> Result<NodeSpec, RejectCode> {
    let server = field::server(entry.text(&["server", "address"]), entry.text(&["server_port", "port"]))?;
    // The configuration of a server names the address that it listens on.
    if matches!(server.host(), Host::Ip(ip) if ip.is_unspecified()) {
        return Err(RejectCode::BadHost);
    }
    let (method, password) = (entry.text(&["method"]), entry.text(&["password"]));
    let plugin = outbound::plugin(entry.text(&["plugin"]), entry.text(&["plugin_opts"]));
    let outbound = if plugin.is_some() {
        outbound::shadowsocks(method, password, plugin, false)?
    } else {
        // ShadowsocksR's clients use the same keys and add two.
        let text = ShadowsocksRText {
            method,
            password,
            protocol: entry.text(&["protocol"]),
            protocol_param: entry.text(&["protocol_param", "protocolparam"]),
            obfs: entry.text(&["obfs"]),
            obfs_param: entry.text(&["obfs_param", "obfsparam"]),
        };
        text.outbound()?
    };
    Ok(NodeSpec::new(server, outbound))
}

/// The object that `vmess://` links hold in base64.
pub(super) fn vmess(entry: &Tree) -> Result<NodeSpec, RejectCode> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    parse_link(&format!("vmess://{}", STANDARD.encode(entry.json()))).map(|(spec, _)| spec)
}

/// Whether an object names an address, a port and a protocol of free proxy lists.
pub(super) fn is_address(tree: &Tree) -> bool {
    let known = tree.any(PROTOCOL).words().iter().any(|name| proxy(name, None).is_some());
    known && has_address(tree)
}

/// Whether an object has an address and a port.
pub(super) fn has_address(tree: &Tree) -> bool {
    (!tree.text(HOST).is_empty() && !tree.any(PORT).is_null()) || joined(tree).is_some()
}

/// Whether an object that names a protocol of free proxy lists and an address has no port.
pub(super) fn lacks_port(tree: &Tree) -> bool {
    let known = tree.any(PROTOCOL).words().iter().any(|name| proxy(name, None).is_some());
    known && !tree.text(HOST).is_empty() && tree.any(PORT).is_null()
}

/// Address and port in one text, perhaps with a login.
fn joined(tree: &Tree) -> Option<Endpoint> {
    if !tree.any(PORT).is_null() {
        return None;
    }
    let texts = HOST_PORT.iter().chain(HOST).map(|key| tree.get(key).scalar());
    texts.filter(|text| text.contains(':')).find_map(|text| address::read(text.trim(), Names::Dotted))
}

/// The server and the login of an entry, wherever they stand.
fn endpoint(entry: &Tree) -> Result<Endpoint, RejectCode> {
    let login = field::credentials(entry.text(USER), entry.text(PASSWORD));
    match joined(entry) {
        Some((server, own)) => Ok((server, login.or(own))),
        None => Ok((field::server(entry.text(HOST), entry.text(PORT))?, login)),
    }
}

/// Whether an object with an address shows that it is a proxy by other fields than the name of a protocol.
pub(super) fn is_proxy(tree: &Tree) -> bool {
    has_address(tree) && tree.any(PROTOCOL).is_null() && PROXY_SIGNS.iter().any(|key| !tree.get(key).is_null())
}

/// A proxy whose protocol it does not name itself. Without a sign that it is one at all, or a key around it that names
/// the protocol, it is refused.
pub(super) fn nameless(entry: &Tree, default: Option<ListScheme>, named: bool) -> Result<NodeSpec, RejectCode> {
    let (server, login) = endpoint(entry)?;
    let named = named && entry.any(PROTOCOL).is_null();
    match default {
        Some(default) if named || is_proxy(entry) => Ok(default.node(server, login)),
        _ => Err(RejectCode::BadField),
    }
}

/// One node for each protocol that the address speaks.
pub(super) fn address(entry: &Tree) -> Vec<Result<NodeSpec, RejectCode>> {
    let (server, login) = match endpoint(entry) {
        Ok(endpoint) => endpoint,
        Err(code) => return vec![Err(code)],
    };
    let mut outbounds: Vec<Outbound> =
        entry.any(PROTOCOL).words().iter().filter_map(|name| proxy(name, login.clone())).collect();
    outbounds.dedup();
    outbounds.into_iter().map(|outbound| Ok(NodeSpec::new(server.clone(), outbound))).collect()
}

/// `https` in these lists says that the proxy can CONNECT to such sites, not that it speaks TLS itself.
fn proxy(name: &str, credentials: Option<Credentials>) -> Option<Outbound> {
    let socks = |version, credentials| Some(Outbound::Socks(SocksProxy { version, credentials, tls: None }));
    match name.to_ascii_lowercase().as_str() {
        "http" | "https" => Some(Outbound::Http(HttpProxy { credentials, tls: None })),
        "socks4" => socks(SocksVersion::V4, credentials),
        "socks4a" => socks(SocksVersion::V4a, credentials),
        "socks5" | "socks" | "socks5h" => socks(SocksVersion::V5, credentials),
        _ => None,
    }
}
