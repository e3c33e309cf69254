//! Writes what each protocol needs, in the words of sing-box.

use hezar_core::{
    Credentials, Hysteria, Hysteria2, HysteriaTransport, NodeSpec, Obfs2, Outbound, PacketEncoding, Secret,
    SocksVersion, Ssh, StreamNode, StreamProtocol, Tuic, TuicUser, UdpRelayMode, Vision, WireGuard,
};

use super::{
    super::{
        accepted::{method_ok, plugin_ok, tunnel_ok},
        write::Unwritable,
    },
    carrier::{security, tls, transport},
    shadow_tls,
};
use crate::{
    field,
    rare::exposed,
    tree::{MapBuilder, Tree},
};

/// Writes the fields of a protocol behind those of the server.
pub(super) fn body(map: &mut MapBuilder, outbound: &Outbound) -> Result<(), Unwritable> {
    match outbound {
        Outbound::Socks(socks) => {
            // sing-box has no TLS around SOCKS.
            if socks.tls.is_some() {
                return Err(Unwritable::SECURITY);
            }
            map.text(
                "version",
                match socks.version {
                    SocksVersion::V4 => "4",
                    SocksVersion::V4a => "4a",
                    SocksVersion::V5 => "5",
                    // Read back it would promise datagrams.
                    SocksVersion::Tor => return Err(Unwritable::PROTOCOL),
                },
            );
            credentials(map, socks.credentials.as_ref());
        }
        Outbound::Http(http) => {
            credentials(map, http.credentials.as_ref());
            if let Some(layer) = &http.tls {
                tls(map, layer, false)?;
            }
        }
        Outbound::Shadowsocks(shadowsocks) => {
            // sing-box has two plugins built in, and a third one as an outbound beneath. It knows no others.
            let plugin_known = shadowsocks.plugin.as_ref().is_none_or(|plugin| {
                matches!(plugin.name.as_ref(), "obfs-local" | "v2ray-plugin" | shadow_tls::NAME) && plugin_ok(plugin)
            });
            if !method_ok(shadowsocks) {
                return Err(Unwritable::METHOD);
            }
            if !plugin_known {
                return Err(Unwritable::PLUGIN);
            }
            map.text("method", &shadowsocks.method).required("password", shadowsocks.password.expose());
            if let Some(plugin) = shadowsocks.plugin.as_ref().filter(|plugin| plugin.name.as_ref() != shadow_tls::NAME)
            {
                map.text("plugin", &plugin.name);
                map.text("plugin_opts", &field::plugin_options_text(&plugin.options));
            }
            map.flag("udp_over_tcp", shadowsocks.udp_over_tcp);
        }
        Outbound::Stream(node) => stream(map, node)?,
        Outbound::AnyTls(anytls) => {
            map.text("password", anytls.password.expose());
            tls(map, &anytls.tls, false)?;
        }
        Outbound::Tuic(tuic) => tuic_body(map, tuic)?,
        Outbound::Ssh(node) => ssh(map, node),
        Outbound::ShadowsocksR(_)
        | Outbound::Hysteria2(_)
        | Outbound::Hysteria(_)
        | Outbound::WireGuard(_)
        | Outbound::Snell(_)
        | Outbound::Mieru(_)
        | Outbound::ClashOnly(_) => {
            return Err(Unwritable::PROTOCOL);
        }
    }
    Ok(())
}

fn ssh(map: &mut MapBuilder, ssh: &Ssh) {
    map.text("user", &ssh.username).text("password", exposed(ssh.password.as_ref()));
    map.text("private_key", exposed(ssh.private_key.as_ref()));
    map.text("private_key_passphrase", exposed(ssh.passphrase.as_ref()));
    map.texts("host_key", &ssh.host_keys).texts("host_key_algorithms", &ssh.host_key_algorithms);
}

fn credentials(map: &mut MapBuilder, credentials: Option<&Credentials>) {
    if let Some(credentials) = credentials {
        map.text("username", &credentials.username).text("password", credentials.password.expose());
    }
}

fn stream(map: &mut MapBuilder, node: &StreamNode) -> Result<(), Unwritable> {
    match node.protocol() {
        StreamProtocol::Vless(vless) => {
            // sing-box has no VLESS encryption, and only one flow.
            if vless.encryption.is_some() || vless.flow == Some(Vision::Udp443) {
                return Err(Unwritable::UNFAITHFUL);
            }
            map.text("uuid", &vless.id.to_string());
            map.text("flow", if vless.flow.is_some() { "xtls-rprx-vision" } else { "" });
            packet_encoding(map, vless.packet_encoding);
        }
        StreamProtocol::Vmess(vmess) => {
            map.text("uuid", &vmess.id.to_string()).text("security", vmess.cipher.name());
            map.number("alter_id", Some(vmess.alter_id));
            packet_encoding(map, vmess.packet_encoding);
        }
        StreamProtocol::Trojan(trojan) => {
            if trojan.inner_shadowsocks.is_some() {
                return Err(Unwritable::UNFAITHFUL);
            }
            map.text("password", trojan.password.expose());
        }
    }
    security(map, node.carrier())?;
    if let Some(opts) = transport(node.carrier())? {
        map.map("transport", opts);
    }
    Ok(())
}

/// Writes how datagrams are packed. An empty text switches the packing off. The default differs between protocols, so the
/// field is always written.
fn packet_encoding(map: &mut MapBuilder, encoding: PacketEncoding) {
    let name = if encoding == PacketEncoding::None { "" } else { field::packet_encoding_name(encoding) };
    map.required("packet_encoding", name);
}

/// Writes the fields of Hysteria 2.
pub(super) fn hysteria2(map: &mut MapBuilder, node: &Hysteria2) -> Result<(), Unwritable> {
    hop_interval(map, node.hop_interval);
    map.number("up_mbps", node.up_mbps).number("down_mbps", node.down_mbps);
    match &node.obfs {
        None => {}
        Some(Obfs2::Salamander { password }) => {
            let mut obfs = MapBuilder::default();
            obfs.text("type", "salamander").text("password", password.expose());
            map.map("obfs", obfs);
        }
        Some(Obfs2::Gecko { .. }) => return Err(Unwritable::UNFAITHFUL),
    }
    map.text("password", node.auth.expose());
    tls(map, &node.tls, true)
}

fn hop_interval(map: &mut MapBuilder, seconds: Option<u32>) {
    if let Some(seconds) = seconds {
        map.text("hop_interval", &format!("{seconds}s"));
    }
}

/// Writes the fields of Hysteria 1.
pub(super) fn hysteria(map: &mut MapBuilder, node: &Hysteria) -> Result<(), Unwritable> {
    // sing-box has no other transport than plain UDP.
    if node.transport != HysteriaTransport::Udp {
        return Err(Unwritable::TRANSPORT);
    }
    map.number("up_mbps", node.up_mbps).number("down_mbps", node.down_mbps);
    map.text("obfs", node.obfs.as_ref().map_or("", |obfs| obfs.0.expose()));
    map.text("auth_str", node.auth.expose());
    tls(map, &node.tls, true)
}

fn tuic_body(map: &mut MapBuilder, tuic: &Tuic) -> Result<(), Unwritable> {
    let TuicUser::V5 { id, password } = &tuic.user else { return Err(Unwritable::PROTOCOL) };
    map.text("uuid", &id.to_string()).text("password", password.expose());
    map.text("congestion_control", tuic.congestion.name());
    map.text("udp_relay_mode", if tuic.udp_relay == UdpRelayMode::Quic { "quic" } else { "native" });
    map.flag("zero_rtt_handshake", tuic.reduce_rtt);
    tls(map, &tuic.tls, true)
}

/// Writes the fields of a WireGuard endpoint.
pub(super) fn wireguard(map: &mut MapBuilder, spec: &NodeSpec, node: &WireGuard) -> Result<(), Unwritable> {
    if node.addresses.is_empty() {
        return Err(Unwritable::NO_ADDRESS);
    }
    if !tunnel_ok(node) {
        return Err(Unwritable::MTU);
    }
    map.texts("address", &node.addresses).text("private_key", node.private_key.expose()).number("mtu", node.mtu);
    let mut peer = MapBuilder::default();
    peer.text("address", &spec.server.host().to_string()).number("port", Some(spec.server.port()));
    peer.text("public_key", node.public_key.as_deref().ok_or(Unwritable::NO_PEER_KEY)?);
    peer.text("pre_shared_key", node.pre_shared_key.as_ref().map_or("", Secret::expose));
    peer.texts("allowed_ips", &["0.0.0.0/0".into(), "::/0".into()]);
    peer.number("persistent_keepalive_interval", node.keepalive);
    if node.reserved != [0; 3] {
        peer.put("reserved", Tree::List(node.reserved.iter().map(|b| Tree::Plain(b.to_string().into())).collect()));
    }
    map.put("peers", Tree::List(vec![peer.into_tree()]));
    Ok(())
}
