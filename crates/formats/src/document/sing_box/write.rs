//! Writes nodes as `outbounds` and `endpoints` that sing-box accepts.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hezar_core::{
    Carrier, Credentials, EarlyData, GrpcMode, Hysteria, Hysteria2, HysteriaTransport, Label, NodeSpec, Obfs2,
    Outbound, PacketEncoding, QuicTransport, Secret, SocksVersion, StreamNode, StreamProtocol, Tls, Tuic, TuicUser,
    UdpRelayMode, Vision, WireGuard,
};

use super::{
    super::write::{
        Chains, FASTEST_GROUP, Named, Names, SELECT_GROUP, Written, ech_ok, headers_ok, method_ok, path_ok, plugin_ok,
    },
    profile::{Entries, PROFILE, ROUTE},
    read, shadow_tls,
};
use crate::{
    field,
    tree::{MapBuilder, Tree, headers},
};

/// Writes every node that sing-box has words for; one entry per line.
pub(crate) fn document<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    entries(nodes).text("")
}

/// The same with a group to choose from, one that tests all of them, and a route that leads everything there.
pub(crate) fn routed<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    let mut entries = entries(nodes);
    entries.add_groups();
    entries.text(ROUTE)
}

/// The same as a whole profile of the clients for phones and desktops, which take the traffic of the whole device.
pub(crate) fn profile<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    let mut entries = entries(nodes);
    entries.add_groups();
    entries.text(PROFILE)
}

fn entries<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Entries {
    let mut chains = Chains::new(Names::reserving(&[SELECT_GROUP, FASTEST_GROUP, "direct"]), entry);
    let (mut outbounds, mut endpoints, mut tags, mut left_out) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (spec, label) in nodes {
        let Some(entries) = chains.entries(spec, label) else {
            left_out += 1;
            continue;
        };
        tags.extend(entries.last().map(|entry| Box::from(entry.name.as_str())));
        for Named { name, via, spec, body } in entries {
            let mut map = MapBuilder::default();
            map.text("tag", &name);
            map.append(body);
            let beneath = shadow_tls::write(&spec).map(|beneath| (chains.beneath(&name), beneath));
            map.text("detour", beneath.as_ref().map_or(&via, |(tag, _)| tag));
            if let Some((tag, beneath)) = beneath {
                let mut map = MapBuilder::default();
                map.text("tag", &tag).append(beneath).text("detour", &via);
                outbounds.push(map.into_tree().json());
            }
            let is_endpoint = matches!(spec.outbound, Outbound::WireGuard(_));
            let list = if is_endpoint { &mut endpoints } else { &mut outbounds };
            list.push(map.into_tree().json());
        }
    }
    Entries { outbounds, endpoints, tags, left_out }
}

/// A portable node's entry without a tag; `None` when sing-box cannot say it. The proof is reading it back.
fn entry(spec: &NodeSpec) -> Option<MapBuilder> {
    let mut map = MapBuilder::default();
    let kind = match &spec.outbound {
        Outbound::Socks(_) => "socks",
        Outbound::Http(_) => "http",
        Outbound::Shadowsocks(_) => "shadowsocks",
        // Removed in 1.6.
        Outbound::ShadowsocksR(_) => return None,
        outbound => outbound.scheme(),
    };
    map.text("type", kind);
    let beneath = shadow_tls::write(spec).map(MapBuilder::into_tree);
    match &spec.outbound {
        Outbound::WireGuard(node) => wireguard(&mut map, spec, node)?,
        Outbound::Hysteria2(node) => {
            server(&mut map, spec, &node.ports);
            hysteria2(&mut map, node)?;
        }
        Outbound::Hysteria(node) => {
            server(&mut map, spec, &node.ports);
            hysteria(&mut map, node)?;
        }
        outbound => {
            if beneath.is_none() {
                server(&mut map, spec, &[]);
            }
            body(&mut map, outbound)?;
        }
    }
    let tree = map.into_tree();
    let faithful = matches!(read::entry(&tree, beneath.as_ref()), Ok(Some(back)) if back == *spec);
    faithful.then(|| MapBuilder::from_tree(tree))
}

/// Where the server is; `server_ports` takes the place of `server_port`.
fn server(map: &mut MapBuilder, spec: &NodeSpec, ports: &[(u16, u16)]) {
    map.text("server", &spec.server.host().to_string());
    let own = spec.server.port();
    if ports.is_empty() {
        map.number("server_port", Some(own));
        return;
    }
    let range = |(first, last): (u16, u16)| Tree::Quoted(format!("{first}:{last}").into());
    let ranges = std::iter::once((own, own)).chain(ports.iter().copied()).map(range).collect();
    map.put("server_ports", Tree::List(ranges));
}

fn body(map: &mut MapBuilder, outbound: &Outbound) -> Option<()> {
    match outbound {
        Outbound::Socks(socks) => {
            // There is no TLS around SOCKS.
            if socks.tls.is_some() {
                return None;
            }
            map.text(
                "version",
                match socks.version {
                    SocksVersion::V4 => "4",
                    SocksVersion::V4a => "4a",
                    SocksVersion::V5 => "5",
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
            // It speaks two plugins itself, has another one beneath, and knows no others.
            let plugin_known = shadowsocks.plugin.as_ref().is_none_or(|plugin| {
                matches!(plugin.name.as_ref(), "obfs-local" | "v2ray-plugin" | shadow_tls::NAME) && plugin_ok(plugin)
            });
            if !method_ok(shadowsocks) || !plugin_known {
                return None;
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
        Outbound::ShadowsocksR(_) | Outbound::Hysteria2(_) | Outbound::Hysteria(_) | Outbound::WireGuard(_) => {
            return None;
        }
    }
    Some(())
}

fn credentials(map: &mut MapBuilder, credentials: Option<&Credentials>) {
    if let Some(credentials) = credentials {
        map.text("username", &credentials.username).text("password", credentials.password.expose());
    }
}

fn tls(map: &mut MapBuilder, tls: &Tls, quic: bool) -> Option<()> {
    if !tls.pins.is_empty() || !tls.verify_names.is_empty() {
        return None;
    }
    let mut opts = MapBuilder::default();
    opts.flag("enabled", true).flag("disable_sni", tls.disable_sni);
    opts.text("server_name", tls.server_name.as_deref().unwrap_or_default());
    opts.flag("insecure", tls.skip_verify).texts("alpn", &tls.alpn);
    if let Some(fingerprint) = tls.fingerprint.filter(|_| !quic) {
        opts.map("utls", utls(fingerprint.name()));
    }
    if let Some(config) = &tls.ech {
        if !ech_ok(config) {
            return None;
        }
        let pem = ["-----BEGIN ECH CONFIGS-----".into(), config.clone(), "-----END ECH CONFIGS-----".into()];
        let mut ech = MapBuilder::default();
        ech.flag("enabled", true).texts("config", &pem);
        opts.map("ech", ech);
    }
    map.map("tls", opts);
    Some(())
}

fn utls(fingerprint: &str) -> MapBuilder {
    let mut utls = MapBuilder::default();
    utls.flag("enabled", true).text("fingerprint", fingerprint);
    utls
}

fn security(map: &mut MapBuilder, carrier: &Carrier) -> Option<()> {
    let Some(reality) = carrier.reality() else {
        return carrier.tls().map_or(Some(()), |layer| tls(map, layer, false));
    };
    // Its hello is always a browser's.
    if reality.mldsa65_verify.is_some() || reality.own_hello {
        return None;
    }
    let mut keys = MapBuilder::default();
    keys.flag("enabled", true).text("public_key", &URL_SAFE_NO_PAD.encode(reality.public_key));
    keys.text("short_id", &hex::encode(reality.short_id.as_bytes()));
    let mut opts = MapBuilder::default();
    opts.flag("enabled", true).text("server_name", reality.server_name.as_deref().unwrap_or_default());
    opts.texts("alpn", &reality.alpn);
    opts.map("utls", utls(reality.fingerprint.map_or("", |f| f.name()))).map("reality", keys);
    map.map("tls", opts);
    Some(())
}

fn stream(map: &mut MapBuilder, node: &StreamNode) -> Option<()> {
    match node.protocol() {
        StreamProtocol::Vless(vless) => {
            // It has no VLESS encryption and one flow.
            if vless.encryption.is_some() || vless.flow == Some(Vision::Udp443) {
                return None;
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
                return None;
            }
            map.text("password", trojan.password.expose());
        }
    }
    security(map, node.carrier())?;
    if let Some(opts) = transport(node.carrier())? {
        map.map("transport", opts);
    }
    Some(())
}

/// An empty text switches the packing off; the default differs between protocols, so it is always said.
fn packet_encoding(map: &mut MapBuilder, encoding: PacketEncoding) {
    let name = if encoding == PacketEncoding::None { "" } else { field::packet_encoding_name(encoding) };
    map.required("packet_encoding", name);
}

/// `None` when there are no words for it, `Some(None)` for raw TCP.
fn transport(carrier: &Carrier) -> Option<Option<MapBuilder>> {
    let mut opts = MapBuilder::default();
    match carrier {
        Carrier::Tcp { header: None, .. } => return Some(None),
        Carrier::Tcp { header: Some(header), security: hezar_core::Security::None } => {
            let path = match header.paths.as_slice() {
                [] => "",
                [path] if path_ok(path) => path,
                _ => return None,
            };
            opts.text("type", "http").texts("host", &header.hosts).text("path", path);
        }
        Carrier::WebSocket { websocket: w, .. } => {
            if !headers_ok(&w.headers) || !path_ok(&w.path) {
                return None;
            }
            opts.text("type", "ws").text("path", &w.path);
            opts.map("headers", headers::join(w.host.as_deref(), &w.headers));
            if let Some(EarlyData { max_bytes, header }) = &w.early_data {
                opts.number("max_early_data", Some(max_bytes));
                opts.text("early_data_header_name", header.as_deref().unwrap_or_default());
            }
        }
        Carrier::HttpUpgrade { upgrade: u, .. } => {
            if !headers_ok(&u.headers) || !path_ok(&u.path) || u.early_data.is_some() {
                return None;
            }
            opts.text("type", "httpupgrade").text("host", u.host.as_deref().unwrap_or_default());
            opts.text("path", &u.path).map("headers", headers::join(None, &u.headers));
        }
        Carrier::Grpc { grpc, .. } => {
            if grpc.authority.is_some() || grpc.mode != GrpcMode::Gun {
                return None;
            }
            opts.text("type", "grpc").text("service_name", &grpc.service_name);
        }
        // Without TLS the same word means HTTP/1.1.
        Carrier::Http2 { http2, tls: Some(_) } if path_ok(&http2.path) => {
            opts.text("type", "http").texts("host", &http2.hosts).text("path", &http2.path);
        }
        Carrier::Quic { quic, tls: Some(_) } if *quic == QuicTransport::default() => {
            opts.text("type", "quic");
        }
        _ => return None,
    }
    Some(Some(opts))
}

fn hysteria2(map: &mut MapBuilder, node: &Hysteria2) -> Option<()> {
    hop_interval(map, node.hop_interval);
    map.number("up_mbps", node.up_mbps).number("down_mbps", node.down_mbps);
    match &node.obfs {
        None => {}
        Some(Obfs2::Salamander { password }) => {
            let mut obfs = MapBuilder::default();
            obfs.text("type", "salamander").text("password", password.expose());
            map.map("obfs", obfs);
        }
        Some(Obfs2::Gecko { .. }) => return None,
    }
    map.text("password", node.auth.expose());
    tls(map, &node.tls, true)
}

fn hop_interval(map: &mut MapBuilder, seconds: Option<u32>) {
    if let Some(seconds) = seconds {
        map.text("hop_interval", &format!("{seconds}s"));
    }
}

fn hysteria(map: &mut MapBuilder, node: &Hysteria) -> Option<()> {
    // Both speeds are mandatory, and plain UDP is all there is.
    if node.up_mbps.is_none() || node.down_mbps.is_none() || node.transport != HysteriaTransport::Udp {
        return None;
    }
    map.number("up_mbps", node.up_mbps).number("down_mbps", node.down_mbps);
    map.text("obfs", node.obfs.as_ref().map_or("", |obfs| obfs.0.expose()));
    map.text("auth_str", node.auth.expose());
    tls(map, &node.tls, true)
}

fn tuic_body(map: &mut MapBuilder, tuic: &Tuic) -> Option<()> {
    let TuicUser::V5 { id, password } = &tuic.user else { return None };
    map.text("uuid", &id.to_string()).text("password", password.expose());
    map.text("congestion_control", tuic.congestion.name());
    map.text("udp_relay_mode", if tuic.udp_relay == UdpRelayMode::Quic { "quic" } else { "native" });
    map.flag("zero_rtt_handshake", tuic.reduce_rtt);
    tls(map, &tuic.tls, true)
}

fn wireguard(map: &mut MapBuilder, spec: &NodeSpec, node: &WireGuard) -> Option<()> {
    if node.addresses.is_empty() {
        return None;
    }
    map.texts("address", &node.addresses).text("private_key", node.private_key.expose()).number("mtu", node.mtu);
    let mut peer = MapBuilder::default();
    peer.text("address", &spec.server.host().to_string()).number("port", Some(spec.server.port()));
    peer.text("public_key", node.public_key.as_deref()?);
    peer.text("pre_shared_key", node.pre_shared_key.as_ref().map_or("", Secret::expose));
    peer.texts("allowed_ips", &["0.0.0.0/0".into(), "::/0".into()]);
    peer.number("persistent_keepalive_interval", node.keepalive);
    if node.reserved != [0; 3] {
        peer.put("reserved", Tree::List(node.reserved.iter().map(|b| Tree::Plain(b.to_string().into())).collect()));
    }
    map.put("peers", Tree::List(vec![peer.into_tree()]));
    Some(())
}
