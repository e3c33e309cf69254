//! Builds protocols from texts, with the checks that all links and documents share.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::{
    Carrier, Congestion, HysteriaTransport, Obfs2, Outbound, Plugin, Secret, Shadowsocks, ShadowsocksR, StreamProtocol,
    Trojan, TuicUser, UdpRelayMode, Vless, Vmess, WireGuard,
};
use uuid::Uuid;

use crate::{RejectCode, field};

/// The settings of a VLESS or VMess user in a link or document; empty texts are absent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UserText<'a> {
    pub(crate) id: &'a str,
    /// VLESS only.
    pub(crate) flow: &'a str,
    /// VLESS only.
    pub(crate) encryption: &'a str,
    /// VMess only.
    pub(crate) alter_id: &'a str,
    /// VMess only.
    pub(crate) cipher: &'a str,
    pub(crate) packet_encoding: &'a str,
}

impl UserText<'_> {
    /// VLESS on a carrier; a flow that the carrier cannot have is dropped, as other clients do.
    pub(crate) fn vless(self, carrier: Carrier) -> Result<Outbound, RejectCode> {
        let mut vless = Vless {
            id: field::user_id(self.id)?,
            flow: field::flow(self.flow),
            encryption: field::encryption(self.encryption),
            packet_encoding: field::packet_encoding(self.packet_encoding),
        };
        if vless.flow.is_some() {
            if let Ok(outbound) = Outbound::stream(StreamProtocol::Vless(vless.clone()), carrier.clone()) {
                return Ok(outbound);
            }
            vless.flow = None;
        }
        stream(StreamProtocol::Vless(vless), carrier)
    }

    /// VMess on a carrier.
    pub(crate) fn vmess(self, carrier: Carrier) -> Result<Outbound, RejectCode> {
        let vmess = Vmess {
            id: field::user_id(self.id)?,
            alter_id: self.alter_id.trim().parse().unwrap_or(0),
            cipher: field::vmess_cipher(self.cipher),
            packet_encoding: field::packet_encoding(self.packet_encoding),
        };
        stream(StreamProtocol::Vmess(vmess), carrier)
    }
}

/// Trojan on a carrier; `inner` is trojan-go's Shadowsocks layer.
pub(crate) fn trojan(password: &str, inner: Option<Secret>, carrier: Carrier) -> Result<Outbound, RejectCode> {
    let trojan = Trojan { password: credential(password)?, inner_shadowsocks: inner };
    stream(StreamProtocol::Trojan(trojan), carrier)
}

fn stream(protocol: StreamProtocol, carrier: Carrier) -> Result<Outbound, RejectCode> {
    Outbound::stream(protocol, carrier).map_err(|_| RejectCode::ImpossiblePair)
}

/// A password, token or key that must be there.
pub(crate) fn credential(text: &str) -> Result<Secret, RejectCode> {
    field::secret(text).ok_or(RejectCode::BadCredential)
}

/// Shadowsocks; only the method `none` does without a password.
pub(crate) fn shadowsocks(
    method: &str,
    password: &str,
    plugin: Option<Plugin>,
    udp_over_tcp: bool,
) -> Result<Outbound, RejectCode> {
    let method = field::method(method)?;
    if password.is_empty() && method.as_ref() != "none" {
        return Err(RejectCode::BadCredential);
    }
    Ok(Outbound::Shadowsocks(Shadowsocks {
        method,
        password: Secret::new(password),
        plugin: plugin.map(Box::new),
        udp_over_tcp,
    }))
}

/// A plugin from its name and its options in the text form of SIP003; no name means no plugin.
pub(crate) fn plugin(name: &str, options: &str) -> Option<Plugin> {
    let name = field::plugin_name(name);
    if name.is_empty() {
        return None;
    }
    let mut options = field::plugin_options(options);
    field::plugin_words(&name, &mut options);
    Some(Plugin { name, options })
}

/// The settings of ShadowsocksR in a link or document; empty texts are absent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ShadowsocksRText<'a> {
    pub(crate) method: &'a str,
    pub(crate) password: &'a str,
    pub(crate) protocol: &'a str,
    pub(crate) protocol_param: &'a str,
    pub(crate) obfs: &'a str,
    pub(crate) obfs_param: &'a str,
}

impl ShadowsocksRText<'_> {
    /// ShadowsocksR; with protocol `origin` and obfs `plain` it is plain Shadowsocks, if the method is one of its.
    pub(crate) fn outbound(self) -> Result<Outbound, RejectCode> {
        let or = |text: &str, default: &str| -> Box<str> {
            let text = text.trim().to_ascii_lowercase();
            if text.is_empty() { default.into() } else { text.into() }
        };
        let (protocol, obfs) = (or(self.protocol, "origin"), or(self.obfs, "plain"));
        if protocol.as_ref() == "origin" && obfs.as_ref() == "plain" {
            return shadowsocks(self.method, self.password, None, false);
        }
        Ok(Outbound::ShadowsocksR(Box::new(ShadowsocksR {
            method: field::method(self.method)?,
            password: credential(self.password)?,
            protocol,
            protocol_param: self.protocol_param.into(),
            obfs,
            obfs_param: self.obfs_param.into(),
        })))
    }
}

/// Hysteria 2's disguise; unknown names and a missing password mean none.
pub(crate) fn obfs2(kind: &str, password: &str, min_packet: &str, max_packet: &str) -> Option<Obfs2> {
    let password = field::secret(password)?;
    match kind.trim().to_ascii_lowercase().as_str() {
        "salamander" => Some(Obfs2::Salamander { password }),
        "gecko" => Some(Obfs2::Gecko {
            password,
            min_packet: min_packet.trim().parse().ok(),
            max_packet: max_packet.trim().parse().ok(),
        }),
        _ => None,
    }
}

/// Inclusive ranges of ports.
pub(crate) type PortRanges = Vec<(u16, u16)>;

/// Where a hopping client starts and where else it goes: the server's own port is not repeated, and without one the
/// first port of the ranges is it.
pub(crate) fn hopping(port: &str, ports: &str) -> Result<(Box<str>, PortRanges), RejectCode> {
    let mut ranges = field::port_ranges(ports).ok_or(RejectCode::BadPort)?;
    let port: Box<str> = match ranges.first() {
        Some((first, _)) if port.trim().is_empty() => first.to_string().into(),
        _ => port.trim().into(),
    };
    if let Ok(own) = port.parse::<u16>() {
        // Only one repetition is dropped, so that even `443,443-443` can be written back.
        if let Some(at) = ranges.iter().position(|range| *range == (own, own)) {
            ranges.remove(at);
        }
    }
    Ok((port, ranges))
}

/// The disguise of Hysteria 1's carrier.
pub(crate) fn hysteria_transport(text: &str) -> HysteriaTransport {
    match text.trim() {
        "wechat-video" => HysteriaTransport::WechatVideo,
        "faketcp" => HysteriaTransport::FakeTcp,
        _ => HysteriaTransport::Udp,
    }
}

/// TUIC's congestion control; unknown names mean cubic.
pub(crate) fn congestion(text: &str) -> Congestion {
    match text.trim().to_ascii_lowercase().replace('-', "_").as_str() {
        "bbr" => Congestion::Bbr,
        "new_reno" | "newreno" => Congestion::NewReno,
        _ => Congestion::Cubic,
    }
}

/// TUIC's relay of UDP; unknown names mean native.
pub(crate) fn udp_relay(text: &str) -> UdpRelayMode {
    if text.trim().eq_ignore_ascii_case("quic") { UdpRelayMode::Quic } else { UdpRelayMode::Native }
}

/// Hysteria 1's login: in plain words, or in base64 under a key of its own.
pub(crate) fn hysteria_auth(plain: &str, base64: &str) -> Result<Secret, RejectCode> {
    if !plain.is_empty() || base64.is_empty() {
        return Ok(Secret::new(plain));
    }
    field::base64_text(base64).map(Secret::new).ok_or(RejectCode::BadCredential)
}

/// TUIC's user: a UUID with a password, or version 4's token.
pub(crate) fn tuic_user(id: &str, password: &str, token: &str) -> Result<TuicUser, RejectCode> {
    if id.is_empty() {
        return Ok(TuicUser::V4 { token: credential(token)? });
    }
    let id = Uuid::try_parse(id.trim()).map_err(|_| RejectCode::BadCredential)?;
    Ok(TuicUser::V5 { id, password: Secret::new(password) })
}

/// The settings of WireGuard in a link or document; empty texts are absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct WireGuardText<'a> {
    pub(crate) private_key: &'a str,
    pub(crate) public_key: &'a str,
    pub(crate) pre_shared_key: &'a str,
    pub(crate) addresses: Vec<Box<str>>,
    pub(crate) reserved: &'a str,
    pub(crate) mtu: &'a str,
    pub(crate) keepalive: &'a str,
}

impl WireGuardText<'_> {
    /// WireGuard; keys must be 32 bytes and become padded base64, and only the peer's may be missing.
    pub(crate) fn outbound(&self) -> Result<Outbound, RejectCode> {
        Ok(Outbound::WireGuard(Box::new(WireGuard {
            private_key: wireguard_key(self.private_key)?.map(Secret::new).ok_or(RejectCode::BadCredential)?,
            public_key: wireguard_key(self.public_key)?.map(Into::into),
            pre_shared_key: wireguard_key(self.pre_shared_key)?.map(Secret::new),
            addresses: self.addresses.iter().filter_map(|address| field::cidr(address)).collect(),
            reserved: field::reserved(self.reserved).unwrap_or_default(),
            mtu: self.mtu.trim().parse().ok().filter(|mtu| *mtu > 0),
            keepalive: field::seconds(self.keepalive).and_then(|seconds| u16::try_from(seconds).ok()),
        })))
    }
}

/// A key in its one standard spelling, so that a node keeps its identity however its key is written.
fn wireguard_key(text: &str) -> Result<Option<String>, RejectCode> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let key = field::key32(text).ok_or(RejectCode::BadCredential)?;
    Ok(Some(STANDARD.encode(key)))
}
