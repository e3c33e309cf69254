//! Writes nodes as `outbounds` that Xray accepts.

use hezar_core::{
    Carrier, Credentials, GrpcMode, Kcp, Label, NodeSpec, Outbound, Reality, Secret, Security, Shadowsocks,
    SocksVersion, StreamNode, StreamProtocol, Tls, Vision,
};

use super::super::{
    accepted::{headers_ok, method_ok, path_ok},
    write::{Chains, Named, Names, Unwritable, Written, portable},
    xray,
};
use crate::{
    carrier::xray::{KCP_AES, KCP_MASKS, KCP_ORIGINAL},
    field,
    tree::{MapBuilder, Tree, headers},
};

/// How a version of Xray is told what hides mKCP's packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XrayDialect {
    /// By `finalmask`, since 2026; such versions refuse the older way.
    #[default]
    FinalMask,
    /// By `header` and `seed` in `kcpSettings`; such versions pass over `finalmask` without a word.
    KcpSettings,
}

/// Writes every node that Xray has words for; each line is one entry.
pub(crate) fn document<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    let entry = |spec: &NodeSpec| entry(spec).ok_or(Unwritable::UNFAITHFUL);
    let mut chains = Chains::new(Names::reserving(&["direct", "block"]), entry);
    let mut outbounds = Vec::new();
    for (index, (spec, label)) in nodes.enumerate() {
        let Some(entries) = chains.entries(index, spec, label) else { continue };
        for Named { name, via, body, .. } in entries {
            let mut map = MapBuilder::default();
            map.text("tag", &name);
            map.append(body);
            let mut through = MapBuilder::default();
            through.text("tag", &via);
            map.map("proxySettings", through);
            outbounds.push(map.into_tree().json());
        }
    }
    let lines = if outbounds.is_empty() { String::new() } else { format!("\n{}\n", outbounds.join(",\n")) };
    Written { text: format!("{{\n\"outbounds\": [{lines}]\n}}\n"), left_out: chains.into_left_out() }
}

/// A portable node's entry without a tag; `None` when Xray cannot say it. The proof is reading it back.
fn entry(spec: &NodeSpec) -> Option<MapBuilder> {
    let mut server = MapBuilder::default();
    server.text("address", &spec.server.host().to_string()).number("port", Some(spec.server.port()));
    let (mut stream, list) = (MapBuilder::default(), servers_key(&spec.outbound));
    let protocol = match &spec.outbound {
        Outbound::Socks(socks) if socks.version == SocksVersion::V5 => {
            login(&mut server, socks.credentials.as_ref());
            optional_tls(&mut stream, socks.tls.as_deref())?;
            "socks"
        }
        Outbound::Http(http) => {
            login(&mut server, http.credentials.as_ref());
            optional_tls(&mut stream, http.tls.as_deref())?;
            "http"
        }
        Outbound::Shadowsocks(node) => shadowsocks(&mut server, node)?,
        Outbound::Stream(node) => {
            carrier(&mut stream, node.carrier())?;
            protocol(&mut server, node)?
        }
        _ => return None,
    };
    let mut settings = MapBuilder::default();
    settings.put(list, Tree::List(vec![server.into_tree()]));
    let mut map = MapBuilder::default();
    map.text("protocol", protocol).map("settings", settings).map("streamSettings", stream);
    let tree = map.into_tree();
    let back = xray::entry(&tree);
    matches!(&back[..], [Ok(back)] if back == spec).then(|| MapBuilder::from_tree(tree))
}

/// One outbound with this tag.
pub(crate) fn outbound(spec: &NodeSpec, tag: &str, dialect: XrayDialect) -> Result<String, Unwritable> {
    if spec.via().is_some() {
        return Err(Unwritable::CHAIN);
    }
    let spec = portable(spec);
    let mut map = MapBuilder::default();
    map.text("tag", tag).append(entry(&spec).ok_or(Unwritable::UNFAITHFUL)?);
    let mut tree = map.into_tree();
    if let (XrayDialect::KcpSettings, Outbound::Stream(node)) = (dialect, &spec.outbound)
        && let Carrier::Kcp { kcp, .. } = node.carrier()
    {
        tree = with_kcp_settings(tree, kcp);
    }
    Ok(tree.json())
}

/// The outbound with what hides mKCP's packets in `kcpSettings`.
fn with_kcp_settings(outbound: Tree, kcp: &Kcp) -> Tree {
    let mut outbound = outbound;
    let Tree::Map(pairs) = &mut outbound else { return outbound };
    for (_, stream) in pairs.iter_mut().filter(|(name, _)| name.as_ref() == "streamSettings") {
        if let Tree::Map(settings) = stream {
            settings.retain(|(name, _)| name.as_ref() != "finalmask");
            settings.push(("kcpSettings".into(), kcp_settings(kcp).into_tree()));
        }
    }
    outbound
}

/// Where the servers of a protocol stand.
const fn servers_key(outbound: &Outbound) -> &'static str {
    match outbound {
        Outbound::Stream(node) if !matches!(node.protocol(), StreamProtocol::Trojan(_)) => "vnext",
        _ => "servers",
    }
}

fn login(server: &mut MapBuilder, credentials: Option<&Credentials>) {
    if let Some(credentials) = credentials {
        let mut user = MapBuilder::default();
        user.required("user", &credentials.username).required("pass", credentials.password.expose());
        server.put("users", Tree::List(vec![user.into_tree()]));
    }
}

/// Xray knows the methods with authentication alone, and no plugins.
fn shadowsocks(server: &mut MapBuilder, node: &Shadowsocks) -> Option<&'static str> {
    let has_tag = node.method.contains("-gcm") || node.method.contains("poly1305");
    if !has_tag || !method_ok(node) || node.plugin.is_some() || node.method.starts_with("aes-192") {
        return None;
    }
    server.text("method", &node.method).required("password", node.password.expose()).flag("uot", node.udp_over_tcp);
    Some("shadowsocks")
}

fn protocol(server: &mut MapBuilder, node: &StreamNode) -> Option<&'static str> {
    let mut user = MapBuilder::default();
    let protocol = match node.protocol() {
        StreamProtocol::Vless(vless) => {
            let encryption = vless.encryption.as_ref().map_or("none", |encryption| encryption.expose());
            user.text("id", &vless.id.to_string()).text("encryption", encryption);
            user.text(
                "flow",
                match vless.flow {
                    None => "",
                    Some(Vision::Plain) => "xtls-rprx-vision",
                    Some(Vision::Udp443) => "xtls-rprx-vision-udp443",
                },
            );
            "vless"
        }
        StreamProtocol::Vmess(vmess) if vmess.alter_id == 0 => {
            user.text("id", &vmess.id.to_string()).text("security", vmess.cipher.name());
            "vmess"
        }
        StreamProtocol::Trojan(trojan) if trojan.inner_shadowsocks.is_none() => {
            server.required("password", trojan.password.expose());
            return Some("trojan");
        }
        _ => return None,
    };
    server.put("users", Tree::List(vec![user.into_tree()]));
    Some(protocol)
}

fn carrier(stream: &mut MapBuilder, carrier: &Carrier) -> Option<()> {
    let mut opts = MapBuilder::default();
    match carrier {
        Carrier::Tcp { header, security } => {
            stream.text("network", "tcp");
            if let Some(header) = header {
                opts.map("header", disguise(&header.hosts, &header.paths));
            }
            stream.map("tcpSettings", opts);
            layer(stream, security)
        }
        Carrier::WebSocket { websocket, tls } if websocket.early_data.is_none() => {
            http(&mut opts, &websocket.path, websocket.host.as_deref(), &websocket.headers)?;
            stream.text("network", "ws").map("wsSettings", opts);
            optional_tls(stream, tls.as_ref())
        }
        Carrier::HttpUpgrade { upgrade, tls } if upgrade.early_data.is_none() => {
            http(&mut opts, &upgrade.path, upgrade.host.as_deref(), &upgrade.headers)?;
            stream.text("network", "httpupgrade").map("httpupgradeSettings", opts);
            optional_tls(stream, tls.as_ref())
        }
        Carrier::Grpc { grpc, security } => {
            opts.text("serviceName", &grpc.service_name)
                .text("authority", grpc.authority.as_deref().unwrap_or_default());
            opts.flag("multiMode", grpc.mode == GrpcMode::Multi);
            stream.text("network", "grpc").map("grpcSettings", opts);
            layer(stream, security)
        }
        Carrier::Xhttp { xhttp, security } if xhttp.extra.is_none() && xhttp.download.is_none() => {
            if !path_ok(&xhttp.path) {
                return None;
            }
            opts.text("path", &xhttp.path).text("host", xhttp.host.as_deref().unwrap_or_default());
            opts.text("mode", xhttp.mode.name());
            stream.text("network", "xhttp").map("xhttpSettings", opts);
            layer(stream, security)
        }
        Carrier::Kcp { kcp, tls } => {
            stream.text("network", "kcp").map("finalmask", kcp_masks(kcp));
            optional_tls(stream, tls.as_ref())
        }
        _ => None,
    }
}

/// What hides mKCP's packets, from the outermost to the innermost. Versions of 2026 have taken it out of `kcpSettings`, and put nothing around
/// packets by themselves.
fn kcp_masks(kcp: &Kcp) -> MapBuilder {
    let mut masks = Vec::new();
    let mut mask = |name: &str, setting: Option<(&str, &str)>| {
        let (mut mask, mut settings) = (MapBuilder::default(), MapBuilder::default());
        mask.text("type", name);
        if let Some((key, value)) = setting {
            settings.required(key, value);
            mask.map("settings", settings);
        }
        masks.push(mask.into_tree());
    };
    if let Some((_, name)) = KCP_MASKS.iter().find(|(header, _)| *header == kcp.header.as_ref()) {
        mask(name, kcp.domain.as_deref().map(|domain| ("domain", domain)));
    }
    match &kcp.seed {
        Some(seed) => mask(KCP_AES, Some(("password", seed.expose()))),
        None => mask(KCP_ORIGINAL, None),
    }
    let mut udp = MapBuilder::default();
    udp.put("udp", Tree::List(masks));
    udp
}

/// The same in the words of versions before 2026.
fn kcp_settings(kcp: &Kcp) -> MapBuilder {
    let (mut settings, mut header) = (MapBuilder::default(), MapBuilder::default());
    header.text("type", if kcp.header.is_empty() { "none" } else { &kcp.header });
    header.text("domain", kcp.domain.as_deref().unwrap_or_default());
    settings.map("header", header);
    settings.text("seed", kcp.seed.as_ref().map_or("", Secret::expose));
    settings
}

fn disguise(hosts: &[Box<str>], paths: &[Box<str>]) -> MapBuilder {
    let (mut request, mut header, mut names) = (MapBuilder::default(), MapBuilder::default(), MapBuilder::default());
    names.texts("Host", hosts);
    request.texts("path", paths).map("headers", names);
    header.text("type", "http").map("request", request);
    header
}

fn http(opts: &mut MapBuilder, path: &str, host: Option<&str>, others: &[(Box<str>, Box<str>)]) -> Option<()> {
    if !path_ok(path) || !headers_ok(others) {
        return None;
    }
    opts.text("path", path).text("host", host.unwrap_or_default()).map("headers", headers::join(None, others));
    Some(())
}

fn layer(stream: &mut MapBuilder, security: &Security) -> Option<()> {
    match security {
        Security::None => Some(()),
        Security::Tls(tls) => optional_tls(stream, Some(tls)),
        Security::Reality(reality) => reality_layer(stream, reality),
    }
}

/// Versions of this year refuse a configuration that takes any certificate.
fn optional_tls(stream: &mut MapBuilder, tls: Option<&Tls>) -> Option<()> {
    let Some(tls) = tls else { return Some(()) };
    if tls.skip_verify || tls.disable_sni || tls.ech.is_some() {
        return None;
    }
    let mut opts = MapBuilder::default();
    opts.text("serverName", tls.server_name.as_deref().unwrap_or_default()).texts("alpn", &tls.alpn);
    opts.text("fingerprint", tls.fingerprint.map_or("", |fingerprint| fingerprint.name()));
    opts.text("pinnedPeerCertSha256", &tls.pins.iter().map(hex::encode).collect::<Vec<_>>().join(","));
    opts.text("verifyPeerCertByName", &tls.verify_names.join(","));
    stream.text("security", "tls").map("tlsSettings", opts);
    Some(())
}

fn reality_layer(stream: &mut MapBuilder, reality: &Reality) -> Option<()> {
    if !reality.alpn.is_empty() {
        return None;
    }
    let mut opts = MapBuilder::default();
    opts.text("serverName", reality.server_name.as_deref().unwrap_or_default());
    opts.text("publicKey", &field::base64_url(reality.public_key));
    opts.text("shortId", &reality.short_id.to_hex());
    opts.text("fingerprint", reality.fingerprint_name().unwrap_or_default());
    opts.text("mldsa65Verify", reality.mldsa65_verify.as_ref().map_or("", |key| key.expose()));
    stream.text("security", "reality").map("realitySettings", opts);
    Some(())
}
