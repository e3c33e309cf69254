//! Share links: one file per scheme, and the table that finds it.

pub(crate) mod admission;
mod amnezia;
mod anytls;
pub(crate) mod chain;
mod clash_only;
mod http;
mod hysteria;
mod hysteria2;
mod mieru;
mod plugin;
mod security;
mod shadowrocket;
mod shadowsocks;
mod snell;
mod socks;
mod ssh;
mod ssr;
mod transport;
mod trojan;
mod tuic;
mod vless;
mod vmess;
mod wireguard;

use hezar_core::{Label, NodeSpec, Outbound, SocksVersion, StreamProtocol, Target};

use crate::{
    RejectCode, markup,
    uri::{self, query::Pairs},
};

/// The longest link read, in bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// A node with its published name.
type Named = (NodeSpec, Label);

/// The schemes of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Vless,
    Vmess,
    Trojan,
    Shadowsocks,
    ShadowsocksR,
    Hysteria,
    Hysteria2,
    Tuic,
    AnyTls,
    WireGuard,
    Snell,
    Ssh,
    Mieru,
    /// A protocol that only Clash cores speak.
    ClashOnly,
    /// A server that AmneziaVPN shares.
    Amnezia,
    Socks(SocksVersion),
    /// SOCKS inside TLS.
    SocksTls(SocksVersion),
    Http,
    Https,
    /// Several nodes, each dialled through the one before.
    Chain,
    /// `tg://`, a Telegram deep link.
    Telegram,
    /// A proxy scheme that Hezar has no protocol for.
    Foreign,
}

impl Scheme {
    /// Finds a scheme; letter case does not matter.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        Some(match lower.as_str() {
            "vless" => Self::Vless,
            "vmess" | "vmess1" => Self::Vmess,
            "trojan" | "trojan-go" => Self::Trojan,
            "ss" | "shadowsocks" => Self::Shadowsocks,
            "ssr" => Self::ShadowsocksR,
            "hysteria" | "hy" => Self::Hysteria,
            "hysteria2" | "hy2" => Self::Hysteria2,
            "tuic" => Self::Tuic,
            "anytls" => Self::AnyTls,
            "wireguard" | "wg" => Self::WireGuard,
            "snell" => Self::Snell,
            "ssh" => Self::Ssh,
            "mierus" => Self::Mieru,
            clash_only::SCHEME => Self::ClashOnly,
            "vpn" => Self::Amnezia,
            "socks" | "socks5" | "socks5h" => Self::Socks(SocksVersion::V5),
            "socks4" => Self::Socks(SocksVersion::V4),
            "socks4a" => Self::Socks(SocksVersion::V4a),
            "socks5+tls" | "socks+tls" | "socks5h+tls" | "socks5s" | "sockss" | "socks5-tls" => {
                Self::SocksTls(SocksVersion::V5)
            }
            "tor" => Self::Socks(SocksVersion::Tor),
            "socks4+tls" => Self::SocksTls(SocksVersion::V4),
            "socks4a+tls" => Self::SocksTls(SocksVersion::V4a),
            "http" => Self::Http,
            "https" | "http+tls" | "https+tls" => Self::Https,
            chain::SCHEME => Self::Chain,
            "tg" => Self::Telegram,
            name if FOREIGN.contains(&name) => Self::Foreign,
            _ => return None,
        })
    }

    /// Whether links of this scheme are base64 as a whole, or used to be.
    pub(crate) const fn is_often_base64(self) -> bool {
        matches!(self, Self::Vmess | Self::Vless | Self::Shadowsocks | Self::ShadowsocksR)
    }

    /// Whether the authority may be in base64; the other schemes have readers of their own for that.
    const fn may_be_expanded(self) -> bool {
        matches!(self, Self::Vless | Self::Trojan | Self::Tuic | Self::AnyTls | Self::Hysteria | Self::Hysteria2)
    }

    /// Whether the scheme also means things that are not proxies, so that it does not end another link.
    pub(crate) const fn is_ambiguous(self) -> bool {
        matches!(self, Self::Http | Self::Https | Self::Telegram | Self::Ssh)
    }
}

/// Schemes of other proxy protocols and vendors' private containers.
const FOREIGN: &[&str] = &[
    "brook",
    "exclave",
    "hysteria2+realm",
    "juicity",
    "masque",
    "mieru",
    "mtproto",
    "naive",
    "naive+https",
    "naive+quic",
    "nekoray",
    "shadowtls",
    "slipnet",
    "sn",
    "ssconf",
    "warp",
];

/// Splits a link into its scheme's name and the rest.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, body) = text.split_once("://")?;
    let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    (!scheme.is_empty() && scheme.len() <= 32 && scheme.bytes().all(name)).then_some((scheme, body))
}

/// Reads one link of any scheme in any dialect.
///
/// # Errors
/// The stable reason why the text is not a link of a protocol that Hezar has.
pub fn parse_link(text: &str) -> Result<(NodeSpec, Label), RejectCode> {
    LinkReader::default().read(text)
}

/// Reads many links; those that go through the same nodes share them.
#[derive(Debug, Default)]
pub struct LinkReader {
    chains: chain::Chains,
}

impl LinkReader {
    /// As [`parse_link`].
    ///
    /// # Errors
    /// The same.
    pub fn read(&mut self, text: &str) -> Result<(NodeSpec, Label), RejectCode> {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control() || markup::is_invisible(c));
        if text.len() > MAX_BYTES {
            return Err(RejectCode::TooLong);
        }
        let text = markup::unescape(text);
        // Hiddify says this way that a node is dialled through another one. Without that one it would be dialled directly.
        if text.contains("&&detour=") {
            return Err(RejectCode::BadChain);
        }
        let (name, body) = split_scheme(&text).ok_or(RejectCode::NotALink)?;
        let (node, label) = match Scheme::find(name).ok_or(RejectCode::UnsupportedScheme)? {
            Scheme::Chain => self.chains.read(body)?,
            scheme => read_alone(scheme, body)?,
        };
        admission::check_text(&node, text.len())?;
        Ok((node, label))
    }
}

/// Reads what follows the scheme, for every scheme but that of chains.
fn read_alone(scheme: Scheme, body: &str) -> Result<Named, RejectCode> {
    let expanded = if scheme.may_be_expanded() { shadowrocket::expanded(body) } else { None };
    let body = expanded.as_deref().unwrap_or(body);
    match scheme {
        Scheme::Vless => vless::read(body),
        Scheme::Vmess => vmess::read(body),
        Scheme::Trojan => trojan::read(body),
        Scheme::Shadowsocks => shadowsocks::read(body),
        Scheme::ShadowsocksR => ssr::read(body),
        Scheme::Hysteria => hysteria::read(body),
        Scheme::Hysteria2 => hysteria2::read(body),
        Scheme::Tuic => tuic::read(body),
        Scheme::AnyTls => anytls::read(body),
        Scheme::WireGuard => wireguard::read(body),
        Scheme::Snell => snell::read(body),
        Scheme::Ssh => ssh::read(body),
        Scheme::Mieru => mieru::read(body),
        Scheme::ClashOnly => clash_only::read(body),
        Scheme::Amnezia => amnezia::read(body),
        Scheme::Socks(version) => socks::read(body, version, false),
        Scheme::SocksTls(version) => socks::read(body, version, true),
        Scheme::Http => http::read(body, false),
        Scheme::Https => http::read(body, true),
        Scheme::Telegram => socks::read_telegram(body),
        Scheme::Chain => Err(RejectCode::BadChain),
        Scheme::Foreign => Err(RejectCode::UnsupportedScheme),
    }
}

/// Writes the node as the standard link of its scheme, with keys of our own where the standard has none, so that
/// [`parse_link`] gives back exactly this node and name. A node that goes through others is a `hezar-chain` link.
///
/// That holds for every node in the form in which this crate's readers give nodes: an absent text is `None` and never
/// `Some("")`, names of ciphers and plugins are the standard ones, keys are standard base64, early data stands in its
/// field and not in the path.
#[must_use]
pub fn to_link(node: &NodeSpec, label: &Label) -> String {
    if node.via().is_some() { chain::write(node, label) } else { write_alone(node, label) }
}

/// Writes the node as if it were dialled directly.
pub(crate) fn write_alone(node: &NodeSpec, label: &Label) -> String {
    let server = &node.server;
    match &node.outbound {
        Outbound::Socks(socks) => socks::write(socks, server, label),
        Outbound::Http(http) => http::write(http, server, label),
        Outbound::Shadowsocks(shadowsocks) => shadowsocks::write(shadowsocks, server, label),
        Outbound::ShadowsocksR(ssr) => ssr::write(ssr, server, label),
        Outbound::Stream(node) => match node.protocol() {
            StreamProtocol::Vless(vless) => vless::write(vless, node.carrier(), server, label),
            StreamProtocol::Vmess(vmess) => vmess::write(vmess, node.carrier(), server, label),
            StreamProtocol::Trojan(trojan) => trojan::write(trojan, node.carrier(), server, label),
        },
        Outbound::AnyTls(anytls) => anytls::write(anytls, server, label),
        Outbound::Hysteria2(hysteria) => hysteria2::write(hysteria, server, label),
        Outbound::Hysteria(hysteria) => hysteria::write(hysteria, server, label),
        Outbound::Tuic(tuic) => tuic::write(tuic, server, label),
        Outbound::WireGuard(wireguard) => wireguard::write(wireguard, server, label),
        Outbound::Snell(snell) => snell::write(snell, server, label),
        Outbound::Ssh(ssh) => ssh::write(ssh, server, label),
        Outbound::Mieru(mieru) => mieru::write(mieru, server, label),
        Outbound::ClashOnly(node) => clash_only::write(node, server, label),
    }
}

/// Puts a link together; `userinfo` is already escaped.
fn assemble(scheme: &str, userinfo: Option<&str>, server: &Target, pairs: &Pairs<'_>, label: &Label) -> String {
    let (userinfo, at) = userinfo.map_or(("", ""), |userinfo| (userinfo, "@"));
    with_parameters(format!("{scheme}://{userinfo}{at}{server}"), pairs, label)
}

/// Appends the parameters and the name to a link.
fn with_parameters(mut link: String, pairs: &Pairs<'_>, label: &Label) -> String {
    pairs.append(&mut link);
    if !label.is_empty() {
        link.push('#');
        link.extend(uri::escape(label.as_str()));
    }
    link
}
