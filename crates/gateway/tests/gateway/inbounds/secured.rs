//! Encrypted inbounds behind TLS of their own: clients of each protocol, and strangers who get a site.

use std::{path::PathBuf, sync::Arc, time::Duration};

use hezar_accept::{CertificateSlot, ServerTls};
use hezar_core::{
    AnyTls, Carrier, NodeSpec, Outbound, PacketEncoding, Security, StreamProtocol, Target, Tls, Trojan, Vision, Vless,
};
use hezar_engine::{AddressPolicy, Dialer, Engine, NativeEngine, NativeEngineConfig};
use hezar_gateway::{
    GatewayConfig, InboundConfig, InboundFallback, InboundProtocol, InboundTransportKind, User, UserKey, credential,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, timeout},
};

use super::{
    SOON, ali, attempt, echo_datagram, expect_end, expect_no_node, expect_refused, inbound, key, name, ping, stream_to,
    with,
};
use crate::{
    clients::connect,
    tls::self_signed,
    world::{Does, World, eventually, world},
};

pub(super) fn server_tls() -> ServerTls {
    self_signed("vps.example.org")
}

/// A listener with this inbound behind TLS.
pub(super) fn secured(inbound: &InboundConfig, tls: &ServerTls, users: impl Into<Vec<User>>) -> GatewayConfig {
    GatewayConfig { server_tls: Some(tls.clone()), ..with(inbound, users) }
}

fn protocols() -> [InboundConfig; 3] {
    [InboundProtocol::Trojan, InboundProtocol::Vless, InboundProtocol::AnyTls]
        .map(|protocol| inbound(protocol, InboundTransportKind::Tcp))
}

/// A phone with the link of a key.
fn phone(world: &World, inbound: &InboundConfig, key: &UserKey) -> Arc<dyn Dialer> {
    phone_with(world, inbound, key, None)
}

/// The same; one of VLESS may have a flow.
fn phone_with(world: &World, inbound: &InboundConfig, key: &UserKey, flow: Option<Vision>) -> Arc<dyn Dialer> {
    let credential = credential(&inbound.protocol, key, "");
    let text = || std::str::from_utf8(credential.expose()).unwrap().to_owned();
    let tls = || Tls { skip_verify: true, ..Tls::default() };
    let carrier = || Carrier::Tcp { header: None, security: Security::Tls(tls()) };
    let outbound = match &inbound.protocol {
        InboundProtocol::Trojan => {
            let trojan = Trojan { password: text().into(), inner_shadowsocks: None };
            Outbound::stream(StreamProtocol::Trojan(trojan), carrier()).unwrap()
        }
        InboundProtocol::Vless => {
            let id = uuid::Uuid::from_slice(credential.expose()).unwrap();
            let vless = Vless { id, flow, encryption: None, packet_encoding: PacketEncoding::default() };
            Outbound::stream(StreamProtocol::Vless(vless), carrier()).unwrap()
        }
        InboundProtocol::AnyTls => Outbound::AnyTls(Box::new(AnyTls { password: text().into(), tls: tls() })),
        other => panic!("no phone for {other:?}"),
    };
    let server = Target::parse(&world.address.to_string()).unwrap();
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    engine.dialer(&NodeSpec::new(server, outbound), AddressPolicy::Any).unwrap()
}

/// Everything that a stranger hears behind TLS who says this and ends its side.
pub(super) async fn hear(world: &World, tls: &ServerTls, said: &[u8]) -> String {
    let mut stream = tls.connect(connect(world).await).await.unwrap();
    stream.write_all(said).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    timeout(SOON, stream.read_to_end(&mut heard)).await.expect("it is ended").unwrap();
    String::from_utf8_lossy(&heard).into_owned()
}

pub(super) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: vps.example.org\r\n\r\n";

#[tokio::test]
async fn clients_are_served_behind_tls() {
    let tls = server_tls();
    for inbound in protocols() {
        let world = world(secured(&inbound, &tls, [ali()]), &[Does::Echo]).await;
        let phone = phone(&world, &inbound, &key());
        let mut stream = stream_to(&phone, "example.com:443").await;
        ping(&mut stream, &[7; 300_000]).await;
        let [info] = &world.connections.list(0, 10)[..] else { panic!("one connection") };
        assert_eq!((info.inbound, &*info.user, info.up), (name(&inbound), "ali", 300_000));
        drop(stream);
        eventually("it is gone", || world.connections.is_empty()).await;
        let association = phone.associate(&attempt()).await.unwrap();
        for payload in [&b"one"[..], &[7; 1200]] {
            echo_datagram(&association, payload).await;
        }
        drop(association);
        let ended = || world.metrics().contains("hezar_associations{listener=\"proxy\"} 0");
        eventually("the association ends", ended).await;
        // Whatever the client keeps open is used for the next stream.
        ping(&mut stream_to(&phone, "example.org:443").await, b"again").await;
        assert_eq!(world.fakes[0].targets.lock().as_slice(), ["example.com:443", "example.org:443"]);
    }
}

/// Vision needs TLS that it can leave; datagrams come over it as XUDP.
#[tokio::test]
async fn vision_is_served_behind_tls() {
    let tls = server_tls();
    let inbound = inbound(InboundProtocol::Vless, InboundTransportKind::Tcp);
    let world = world(secured(&inbound, &tls, [ali()]), &[Does::Echo]).await;
    let phone = phone_with(&world, &inbound, &key(), Some(Vision::Plain));
    let mut stream = stream_to(&phone, "example.com:443").await;
    ping(&mut stream, &[7; 300_000]).await;
    stream.write_all(b"the end").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(SOON, stream.read_to_end(&mut rest)).await.expect("in time").unwrap();
    assert_eq!(rest, b"the end");
    echo_datagram(&phone.associate(&attempt()).await.unwrap(), b"one").await;
}

/// What a user may not do is refused in the words of the protocol, and a user who goes is shut out of its sessions.
#[tokio::test]
async fn users_are_refused_behind_tls() {
    let tls = server_tls();
    for inbound in protocols() {
        let world = world(secured(&inbound, &tls, [ali()]), &[Does::Echo]).await;
        let phone = phone(&world, &inbound, &key());
        // sing-box's way to many streams is no place that a node could reach.
        expect_refused(&world, &phone, "sp.mux.sing-box.arpa:444", (name(&inbound), "unsupported-command")).await;
        assert_eq!(world.connects(), [0]);
        let mut stream = stream_to(&phone, "example.com:443").await;
        ping(&mut stream, b"before").await;
        world.gateway.configure(secured(&inbound, &tls, [User { enabled: false, ..ali() }])).unwrap();
        expect_end(stream).await;
        eventually("it is gone", || world.connections.is_empty()).await;
        expect_refused(&world, &phone, "example.com:443", (name(&inbound), "user-disabled")).await;
        world.gateway.configure(secured(&inbound, &tls, [ali()])).unwrap();
        ping(&mut stream_to(&phone, "example.com:443").await, b"after").await;
    }
}

#[tokio::test]
async fn strangers_get_the_pages_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<p>welcome</p>").unwrap();
    let (tls, wrong) = (server_tls(), UserKey::new([9; 32]));
    for mut inbound in protocols() {
        inbound.fallback = InboundFallback { folder: Some(PathBuf::from(folder.path())), address: None };
        let world = world(secured(&inbound, &tls, [ali()]), &[Does::Echo]).await;
        let page = hear(&world, &tls, GET).await;
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("<p>welcome</p>"), "{inbound:?}: {page}");
        for garbage in [&b"\x01\x02\x03\x04\x05"[..], b"d63dc919e201d7bc4c825630d2cf25fd\r\n\r\n", &[0xee; 400]] {
            let answer = hear(&world, &tls, garbage).await;
            assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{inbound:?} {garbage:?}: {answer}");
        }
        // A link that nobody has: its request is a bad one to a web server, too.
        expect_no_node(stream_to(&phone(&world, &inbound, &wrong), "example.com:443").await).await;
        assert!(world.metrics().contains("hezar_connections_rejected_total{code=\"stranger\""), "{}", world.metrics());
        assert_eq!(world.connects(), [0]);
        // A client is served all the same.
        ping(&mut stream_to(&phone(&world, &inbound, &key()), "example.com:443").await, b"hello").await;
    }
}

#[tokio::test]
async fn strangers_are_led_to_a_web_server() {
    let tls = server_tls();
    for mut inbound in protocols() {
        let site = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Target::parse(&site.local_addr().unwrap().to_string()).unwrap();
        inbound.fallback = InboundFallback { folder: None, address: Some(address) };
        let world = world(secured(&inbound, &tls, [ali()]), &[Does::Echo]).await;
        for said in [GET, b"\x01\x02\x03\x04\x05"] {
            let serve = async {
                let (mut stream, _) = site.accept().await.unwrap();
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).await.unwrap();
                stream.write_all(b"own words").await.unwrap();
                heard
            };
            let (heard, answer) = tokio::join!(serve, hear(&world, &tls, said));
            assert_eq!((&heard[..], &*answer), (said, "own words"), "{inbound:?}");
        }
        drop(site);
        let answer = hear(&world, &tls, GET).await;
        assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
        assert_eq!(world.connects(), [0]);
    }
}

/// A stranger does not hold the drain up, and one that is silent costs a connection that is closed in its time.
#[tokio::test]
async fn strangers_go_with_the_listener() {
    let tls = server_tls();
    for inbound in protocols() {
        let world = world(secured(&inbound, &tls, [ali()]), &[Does::Echo]).await;
        let mut half = tls.connect(connect(&world).await).await.unwrap();
        half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        half.flush().await.unwrap();
        let mut silent = tls.connect(connect(&world).await).await.unwrap();
        let counted = || world.metrics().contains("hezar_connections_rejected_total{code=\"stranger\"");
        eventually("one is found out", counted).await;
        world.drain.cancel();
        timeout(SOON, world.serving).await.expect("the drain ends").unwrap();
        for stream in [&mut half, &mut silent] {
            let mut rest = Vec::new();
            let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("it is ended");
        }
    }
}

/// Silence, the digits of half a password's hash and half of somebody else's request: nothing is answered, and all of them end alike, at
/// the same time. Of the other protocols half a request begins no request to a web server, and is answered as one that is none.
#[tokio::test]
async fn half_a_request_ends_alike_whosever_it_is() {
    let tls = server_tls();
    for inbound in protocols() {
        let world = world(secured(&inbound, &tls, [ali()]), &[Does::Echo]).await;
        let mut halves = Vec::new();
        for said in [&b""[..], b"d63dc91", b"GET ", b"GET / HTTP/1.1\r\nHost: a\r\n"] {
            let mut stream = tls.connect(connect(&world).await).await.unwrap();
            stream.write_all(said).await.unwrap();
            stream.flush().await.unwrap();
            halves.push((said, stream));
        }
        let counted = || world.metrics().contains("hezar_connections_rejected_total{code=\"stranger\"");
        eventually("a stranger is found out", counted).await;
        if !matches!(inbound.protocol, InboundProtocol::Trojan) {
            for half in [&b"\0"[..], b"\x01\x02\x03"] {
                let mut stream = tls.connect(connect(&world).await).await.unwrap();
                stream.write_all(half).await.unwrap();
                stream.flush().await.unwrap();
                let mut heard = Vec::new();
                timeout(SOON, stream.read_to_end(&mut heard)).await.expect("it is ended").unwrap();
                assert!(heard.starts_with(b"HTTP/1.1 400 Bad Request\r\n"), "{inbound:?} {half:?}: {heard:?}");
            }
        }
        tokio::time::pause();
        let began = Instant::now();
        let ends = halves.into_iter().map(|(said, mut stream)| async move {
            let mut heard = Vec::new();
            let end = timeout(Duration::from_secs(600), stream.read_to_end(&mut heard)).await.expect("it is ended");
            assert!(heard.is_empty(), "{said:?}: {heard:?}");
            (said, began.elapsed(), end.map_err(|error| error.kind()))
        });
        let ends = futures_util::future::join_all(ends).await;
        tokio::time::resume();
        let first = ends[0];
        for (said, after, end) in ends {
            assert!(after.abs_diff(first.1) < Duration::from_secs(2), "{said:?}: {after:?} and {:?}", first.1);
            assert_eq!(end, first.2, "{said:?}");
        }
    }
}

#[tokio::test]
async fn a_listener_without_a_certificate_says_so() {
    let tls = ServerTls::new(CertificateSlot::new()).unwrap();
    for inbound in protocols() {
        let world = world(secured(&inbound, &tls, [ali()]), &[Does::Echo]).await;
        assert!(
            phone(&world, &inbound, &key()).connect(&Target::parse("a.example:80").unwrap(), &attempt()).await.is_err()
        );
        let counted = || world.metrics().contains("hezar_connections_rejected_total{code=\"no-certificate\"");
        eventually("it is counted", counted).await;
    }
}
