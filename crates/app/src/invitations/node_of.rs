//! The node that a client dials to come in by a listener: the client's side of the listener's settings.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::{
    AnyTls, Carrier, Fingerprint, Grpc, Host, HttpUpgrade, Hysteria2, NodeSpec, Obfs2, Outbound, PacketEncoding,
    Reality, Secret, Security, Shadowsocks, StreamProtocol, Target, Tls, Trojan, Vision, Vless, WebSocket, Xhttp,
};
use hezar_gateway::{
    InboundConfig, InboundHysteria2, InboundKey, InboundProtocol, InboundReality, InboundShadowsocks,
    InboundTransportKind, User,
};
use uuid::Uuid;

use crate::config::{ListenerConfig, link_server};

/// The shape of ClientHello that links ask for: that of most browsers.
const FINGERPRINT: Fingerprint = Fingerprint::Chrome;

/// The node behind a link of a user at a listener with this address; `None` where the user has no key, or where nothing names the
/// address.
pub(super) fn node_of(listener: &ListenerConfig, listen: SocketAddr, user: &User, link: &str) -> Option<NodeSpec> {
    let inbound = listener.inbound.as_ref()?;
    let server = link_server(listener, listen)?;
    let key = user.credential(&inbound.protocol, link)?;
    let tls = || Tls { server_name: server_name(listener, &server), ..Tls::default() };
    let browser_tls = || Tls { fingerprint: Some(FINGERPRINT), ..tls() };
    let outbound = match &inbound.protocol {
        InboundProtocol::Shadowsocks(settings) => shadowsocks(settings, &key)?,
        InboundProtocol::Trojan => {
            let trojan = Trojan { password: password(&key)?, inner_shadowsocks: None };
            let carrier = Carrier::Tcp { header: None, security: Security::Tls(browser_tls()) };
            Outbound::stream(StreamProtocol::Trojan(trojan), carrier).ok()?
        }
        InboundProtocol::Vless => vless(inbound, &key, browser_tls(), !listener.insecure_plain)?,
        InboundProtocol::Hysteria2(settings) => hysteria2(settings, &key, tls())?,
        InboundProtocol::AnyTls => Outbound::AnyTls(Box::new(AnyTls { password: password(&key)?, tls: browser_tls() })),
    };
    Some(NodeSpec::new(server, outbound))
}

/// The name that clients ask for: what the listener says, else the first one of an ACME certificate, else that of the server. A bare
/// address is not asked for (RFC 6066, section 3), and names in other scripts are asked for as DNS has them.
fn server_name(listener: &ListenerConfig, server: &Target) -> Option<Box<str>> {
    let said = listener.server_name.as_deref().or_else(|| listener.tls.acme.first().map(String::as_str));
    let said = said.and_then(|name| Host::new(name.trim()).ok());
    match said.as_ref().unwrap_or(server.host()) {
        Host::Name(name) => Some(name.as_str().into()),
        Host::Ip(_) => None,
    }
}

/// A password as text; of keys that are no text there is none.
fn password(key: &InboundKey) -> Option<Secret> {
    std::str::from_utf8(key.expose()).ok().map(Secret::new)
}

fn shadowsocks(settings: &InboundShadowsocks, key: &InboundKey) -> Option<Outbound> {
    let password = match settings.server_key() {
        Some(server) => Secret::new(format!("{}:{}", STANDARD.encode(server), STANDARD.encode(key.expose()))),
        None if settings.method.key_length().is_some() => return None,
        None => password(key)?,
    };
    let method = settings.method.name().into();
    Some(Outbound::Shadowsocks(Shadowsocks { method, password, plugin: None, udp_over_tcp: false }))
}

fn hysteria2(settings: &InboundHysteria2, key: &InboundKey, tls: Tls) -> Option<Outbound> {
    let obfs = settings.obfs_password.clone().map(|password| Obfs2::Salamander { password });
    Some(Outbound::Hysteria2(Box::new(Hysteria2 {
        auth: password(key)?,
        ports: Vec::new(),
        hop_interval: None,
        obfs,
        // What a client promises is its own network's; the server bounds it anyway.
        up_mbps: None,
        down_mbps: None,
        tls,
    })))
}

/// `ends_tls` says whether the listener itself is the end of the client's TLS: another program in front of it cannot leave its own TLS,
/// as Vision asks.
fn vless(inbound: &InboundConfig, key: &InboundKey, tls: Tls, ends_tls: bool) -> Option<Outbound> {
    let security = match &inbound.reality {
        Some(settings) => Security::Reality(reality(settings)?),
        None => Security::Tls(tls),
    };
    let transport = &inbound.transport;
    let (path, host) = (transport.path.clone().unwrap_or_default(), transport.host.clone());
    let flow = (ends_tls && transport.kind == InboundTransportKind::Tcp).then_some(Vision::Plain);
    let carrier = match (transport.kind, security) {
        (InboundTransportKind::Tcp, security) => Carrier::Tcp { header: None, security },
        (InboundTransportKind::Grpc, security) => {
            let grpc = Grpc { service_name: path, authority: host, ..Grpc::default() };
            Carrier::Grpc { grpc, security }
        }
        (InboundTransportKind::Xhttp, security) => {
            let xhttp = Xhttp { path, host, mode: transport.mode, ..Xhttp::default() };
            Carrier::Xhttp { xhttp, security }
        }
        (InboundTransportKind::WebSocket, Security::Tls(tls)) => {
            Carrier::WebSocket { websocket: WebSocket { path, host, ..WebSocket::default() }, tls: Some(tls) }
        }
        (InboundTransportKind::HttpUpgrade, Security::Tls(tls)) => {
            Carrier::HttpUpgrade { upgrade: HttpUpgrade { path, host, ..HttpUpgrade::default() }, tls: Some(tls) }
        }
        (InboundTransportKind::WebSocket | InboundTransportKind::HttpUpgrade, _) => return None,
    };
    let id = Uuid::from_slice(key.expose()).ok()?;
    let vless = Vless { id, flow, encryption: None, packet_encoding: PacketEncoding::Xudp };
    Outbound::stream(StreamProtocol::Vless(vless), carrier).ok()
}

fn reality(settings: &InboundReality) -> Option<Reality> {
    Some(Reality {
        server_name: settings.server_names.first().map(|name| name.as_str().into()),
        public_key: settings.private_key.as_ref()?.public_key()?,
        short_id: settings.short_ids.first(),
        spider_x: None,
        mldsa65_verify: None,
        fingerprint: Some(FINGERPRINT),
        own_hello: false,
        alpn: Vec::new(),
    })
}
