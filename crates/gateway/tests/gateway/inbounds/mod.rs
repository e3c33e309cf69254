//! Encrypted inbounds, with clients of the engine's own: what they reach, and what bounds them.

mod bounds;
mod hysteria2;
mod reality;
mod secured;
mod serving;
mod shadowsocks;

use std::{ops::Deref, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::{
    Carrier, Grpc, HttpUpgrade, NodeSpec, Outbound, PacketEncoding, Security, Shadowsocks, StreamProtocol, Target,
    Trojan, Vless, WebSocket, Xhttp,
};
use hezar_engine::{AddressPolicy, Attempt, BoxDatagram, BoxStream, Dialer, Engine, NativeEngine, NativeEngineConfig};
use hezar_gateway::{
    GatewayConfig, InboundConfig, InboundFallback, InboundProtocol, InboundShadowsocks, InboundTransport,
    InboundTransportKind, ShadowsocksMethod, User, UserKey, credential,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::world::{World, config};

/// Long enough for a busy machine; what ends does so within a second or two.
const SOON: Duration = Duration::from_secs(60);
/// The server's own key of a Shadowsocks listener.
const SERVER_KEY: [u8; 16] = [3; 16];
/// Where the transports over HTTP are found.
const PATH: &str = "/q7f0c2";

/// A user with a key.
fn ali() -> User {
    User { key: Some(key()), ..User::new("ali", "p") }
}

/// A user for each of these keys.
fn users(keys: &[u8]) -> Vec<User> {
    let user = |key: &u8| User { key: Some(UserKey::new([*key; 32])), ..User::new(format!("user-{key}"), "p") };
    keys.iter().map(user).collect()
}

fn key() -> UserKey {
    UserKey::new([7; 32])
}

/// An inbound without TLS, as behind a web server that ends it.
fn inbound(protocol: InboundProtocol, kind: InboundTransportKind) -> InboundConfig {
    let path = match kind {
        InboundTransportKind::Tcp => None,
        InboundTransportKind::Grpc => Some("q7f0c2".into()),
        _ => Some(PATH.into()),
    };
    let transport = InboundTransport { kind, path, ..InboundTransport::default() };
    InboundConfig { protocol, transport, reality: None, fallback: InboundFallback::default() }
}

fn trojan() -> InboundConfig {
    inbound(InboundProtocol::Trojan, InboundTransportKind::Tcp)
}

/// One of each way in which requests reach the gateway: a connection for each, a session of many, and packets.
fn inbounds() -> impl Iterator<Item = InboundConfig> {
    let shadowsocks = |method| {
        let key = Some(STANDARD.encode(SERVER_KEY).into());
        inbound(InboundProtocol::Shadowsocks(InboundShadowsocks { method, key }), InboundTransportKind::Tcp)
    };
    let vless = |kind| inbound(InboundProtocol::Vless, kind);
    let all = [
        trojan(),
        vless(InboundTransportKind::Tcp),
        vless(InboundTransportKind::WebSocket),
        vless(InboundTransportKind::HttpUpgrade),
        vless(InboundTransportKind::Grpc),
        vless(InboundTransportKind::Xhttp),
        shadowsocks(ShadowsocksMethod::Aes128Gcm2022),
        shadowsocks(ShadowsocksMethod::Chacha20Poly1305),
    ];
    // A test that fails has told at which of them.
    all.into_iter().inspect(|inbound| println!("{} over {:?}", name(inbound), inbound.transport.kind))
}

/// A listener with this inbound.
fn with(inbound: &InboundConfig, users: impl Into<Vec<User>>) -> GatewayConfig {
    GatewayConfig { users: users.into(), inbound: Some(inbound.clone()), ..config() }
}

/// What the metrics call it.
fn name(inbound: &InboundConfig) -> &'static str {
    inbound.protocol.kind().name()
}

/// A client, with the engine that owns the connections which its streams share.
struct Phone {
    dialer: Arc<dyn Dialer>,
    _engine: NativeEngine,
}

impl Deref for Phone {
    type Target = dyn Dialer;

    fn deref(&self) -> &Self::Target {
        &*self.dialer
    }
}

/// A phone with one of the links of a key.
fn phone(world: &World, inbound: &InboundConfig, key: &UserKey, link: &str) -> Phone {
    let credential = credential(&inbound.protocol, key, link);
    let credential = credential.expose();
    let text = || std::str::from_utf8(credential).unwrap().to_owned();
    let outbound = match &inbound.protocol {
        InboundProtocol::Trojan => {
            let trojan = Trojan { password: text().into(), inner_shadowsocks: None };
            Outbound::stream(StreamProtocol::Trojan(trojan), carrier(inbound.transport.kind, Security::None)).unwrap()
        }
        InboundProtocol::Vless => {
            let id = uuid::Uuid::from_slice(credential).unwrap();
            let vless = Vless { id, flow: None, encryption: None, packet_encoding: PacketEncoding::default() };
            Outbound::stream(StreamProtocol::Vless(vless), carrier(inbound.transport.kind, Security::None)).unwrap()
        }
        InboundProtocol::Shadowsocks(settings) => {
            let keys = || format!("{}:{}", STANDARD.encode(SERVER_KEY), STANDARD.encode(credential));
            let password = if settings.method.has_identities() { keys() } else { text() };
            let method = settings.method.name().into();
            // The listener of these tests has no UDP socket.
            let shadowsocks = Shadowsocks { method, password: password.into(), plugin: None, udp_over_tcp: false };
            Outbound::Shadowsocks(shadowsocks)
        }
        other => panic!("no phone for {other:?}"),
    };
    let server = Target::parse(&world.address.to_string()).unwrap();
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    let dialer = engine.dialer(&NodeSpec::new(server, outbound), AddressPolicy::Any).unwrap();
    Phone { dialer, _engine: engine }
}

/// A transport with this security; those of HTTP/1.1 are without TLS.
fn carrier(kind: InboundTransportKind, security: Security) -> Carrier {
    match kind {
        InboundTransportKind::WebSocket => {
            Carrier::WebSocket { websocket: WebSocket { path: PATH.into(), ..WebSocket::default() }, tls: None }
        }
        InboundTransportKind::HttpUpgrade => {
            Carrier::HttpUpgrade { upgrade: HttpUpgrade { path: PATH.into(), ..HttpUpgrade::default() }, tls: None }
        }
        InboundTransportKind::Grpc => {
            Carrier::Grpc { grpc: Grpc { service_name: PATH[1..].into(), ..Grpc::default() }, security }
        }
        InboundTransportKind::Xhttp => {
            Carrier::Xhttp { xhttp: Xhttp { path: PATH.into(), ..Xhttp::default() }, security }
        }
        _ => Carrier::Tcp { header: None, security },
    }
}

/// Whether a client can end its direction alone: what XHTTP uploads in packets has no end.
fn passes_ends(inbound: &InboundConfig) -> bool {
    inbound.transport.kind != InboundTransportKind::Xhttp
}

/// Whether datagrams go over its connections.
fn carries_datagrams(inbound: &InboundConfig) -> bool {
    !matches!(inbound.protocol, InboundProtocol::Shadowsocks(_))
}

fn attempt() -> Attempt {
    Attempt::within(SOON)
}

async fn stream_to(phone: &impl Deref<Target = dyn Dialer>, target: &str) -> BoxStream {
    phone.connect(&Target::parse(target).unwrap(), &attempt()).await.unwrap()
}

async fn ping(stream: &mut BoxStream, data: &[u8]) {
    stream.write_all(data).await.unwrap();
    stream.flush().await.unwrap();
    let mut back = vec![0; data.len()];
    timeout(SOON, stream.read_exact(&mut back)).await.expect("in time").unwrap();
    assert_eq!(back, data);
}

async fn echo_datagram(association: &BoxDatagram, payload: &[u8]) {
    let target = Target::parse("a.example:53").unwrap();
    association.send_to(payload, &target).await.unwrap();
    let mut buffer = [0; 2000];
    let (length, from) = timeout(SOON, association.recv_from(&mut buffer)).await.expect("in time").unwrap();
    assert_eq!((&buffer[..length], from), (payload, target));
}

/// The stream ends, whatever else comes.
async fn expect_end(mut stream: BoxStream) {
    let mut rest = Vec::new();
    assert!(timeout(SOON, stream.read_to_end(&mut rest)).await.is_ok(), "it is ended");
}

/// The stream ends, and no node has answered through it; a site may have.
async fn expect_no_node(mut stream: BoxStream) {
    let _ = stream.write_all(b"hello").await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it is ended");
    assert!(!answer.ends_with(b"hello"), "{answer:?}");
}

/// The client is refused: it gets no byte, and the log has this code.
async fn expect_refused(
    world: &World,
    phone: &impl Deref<Target = dyn Dialer>,
    target: &str,
    (inbound, code): (&str, &str),
) {
    if let Ok(mut stream) = phone.connect(&Target::parse(target).unwrap(), &attempt()).await {
        let _ = stream.write_all(b"hello").await;
        let _ = stream.flush().await;
        let mut answer = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it is ended");
        assert!(answer.is_empty(), "{inbound} {code}: {answer:?}");
    }
    let counted = format!("hezar_requests_total{{inbound=\"{inbound}\",outcome=\"refused\",code=\"{code}\"");
    assert!(world.metrics().contains(&counted), "{counted}: {}", world.metrics());
}
