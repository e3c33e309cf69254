//! Shadowsocks listeners: streams and packets of the engine's own client, strangers, and settings that change meanwhile.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hezar_core::{NodeSpec, Outbound, Secret, Shadowsocks, Target};
use hezar_engine::{AddressPolicy, Dialer, Engine, NativeEngine, NativeEngineConfig};
use hezar_gateway::{
    GatewayConfig, InboundProtocol, InboundShadowsocks, InboundTransportKind, ListenerSockets, ShadowsocksMethod,
    UserKey, credential,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    time::{Instant, timeout},
};

use super::{SOON, attempt, echo_datagram, inbound, users};
use crate::world::{Does, World, config, eventually, world};

/// The name of the listener.
const NAME: &str = "ss";

fn settings(method: ShadowsocksMethod) -> InboundShadowsocks {
    let key = method.key_length().map(|length| Secret::new(BASE64_STANDARD.encode(vec![1; length])));
    InboundShadowsocks { method, key }
}

fn with(method: ShadowsocksMethod, keys: &[u8]) -> GatewayConfig {
    let inbound = inbound(InboundProtocol::Shadowsocks(settings(method)), InboundTransportKind::Tcp);
    GatewayConfig { name: NAME.into(), ..super::with(&inbound, users(keys)) }
}

/// Opens a listener over TCP and UDP, beside the mixed one of the world.
async fn open(world: &World, config: GatewayConfig) -> SocketAddr {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).await.unwrap();
    let sockets = ListenerSockets { tcp: Some(tcp), udp: Some(udp) };
    tokio::spawn(world.gateway.open(config, sockets, &world.drain).unwrap());
    address
}

/// A phone with a user's link.
fn phone(address: SocketAddr, method: ShadowsocksMethod, key: u8) -> Arc<dyn Dialer> {
    let settings = settings(method);
    let own = credential(&InboundProtocol::Shadowsocks(settings.clone()), &UserKey::new([key; 32]), "");
    let password = match &settings.key {
        Some(server) => format!("{}:{}", server.expose(), BASE64_STANDARD.encode(own.expose())),
        None => String::from_utf8(own.expose().to_vec()).unwrap(),
    };
    let (method, password) = (method.name().into(), Secret::new(password));
    let outbound = Outbound::Shadowsocks(Shadowsocks { method, password, plugin: None, udp_over_tcp: false });
    let spec = NodeSpec::new(Target::parse(&address.to_string()).unwrap(), outbound);
    NativeEngine::new(&NativeEngineConfig::default()).dialer(&spec, AddressPolicy::Any).unwrap()
}

/// What comes back through a stream for these bytes and an end.
async fn exchange(phone: &Arc<dyn Dialer>, data: &[u8]) -> Vec<u8> {
    let target = Target::parse("example.com:443").unwrap();
    let mut stream = phone.connect(&target, &attempt()).await.unwrap();
    stream.write_all(data).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut back)).await.expect("it ends");
    back
}

#[tokio::test]
async fn streams_and_packets_are_served() {
    let world = world(config(), &[Does::Echo]).await;
    for method in ShadowsocksMethod::ALL {
        let config = GatewayConfig { name: method.name().into(), ..with(method, &[1, 2, 3]) };
        let address = open(&world, config).await;
        let phone = phone(address, method, 2);
        assert!(exchange(&phone, &[7; 100_000]).await == [7; 100_000], "{}", method.name());
        let association = phone.associate(&attempt()).await.unwrap();
        for payload in [&b"one"[..], &[7; 1200], b""] {
            echo_datagram(&association, payload).await;
        }
        let [info] = &world.connections.list(0, 10)[..] else { panic!("one connection") };
        assert_eq!((info.inbound, &*info.user, info.up, info.down), ("shadowsocks-udp", "user-2", 1203, 1203));
        world.gateway.close(method.name());
        eventually("the association has ended with its listener", || world.connections.is_empty()).await;
    }
}

/// A wrong key, garbage, a request that was seen and half a request: nothing is answered, and all of them end at the same time.
#[tokio::test]
async fn all_strangers_have_the_same_end() {
    let world = world(config(), &[Does::Echo]).await;
    let method = ShadowsocksMethod::Aes128Gcm2022;
    let address = open(&world, with(method, &[1])).await;
    let mut strangers = Vec::new();
    for bytes in [vec![1; 10], vec![2; 59], vec![3; 100], vec![4; 5000], b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        strangers.push((bytes.len(), stream));
    }
    let counted = || world.metrics().contains("hezar_connections_rejected_total{code=\"stranger\",listener=\"ss\"} 3");
    eventually("those whose header is whole are counted", counted).await;
    // Meanwhile a client is served.
    assert_eq!(exchange(&phone(address, method, 1), b"hello").await, b"hello");
    tokio::time::pause();
    let began = Instant::now();
    let ends = strangers.into_iter().map(|(length, mut stream)| async move {
        let read = timeout(Duration::from_secs(600), stream.read(&mut [0; 16])).await;
        assert!(matches!(read, Ok(Ok(0))), "{length} bytes: {read:?}");
        (length, began.elapsed())
    });
    let ends = futures_util::future::join_all(ends).await;
    let first = ends[0].1;
    for (length, end) in ends {
        assert!(end > Duration::from_secs(30), "{length} bytes: {end:?}");
        assert!(end.abs_diff(first) < Duration::from_secs(5), "{length} bytes: {end:?} and {first:?}");
    }
    assert_eq!(world.fakes[0].targets.lock().len(), 1, "no stranger reaches a node");
}

/// A stranger that hangs up is let go, and one that leaves nothing is no stranger.
#[tokio::test]
async fn strangers_that_leave_are_let_go() {
    let world = world(config(), &[Does::Echo]).await;
    let address = open(&world, with(ShadowsocksMethod::Aes256Gcm, &[1])).await;
    for bytes in [vec![1; 10], vec![2; 5000]] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it is ended").unwrap();
        assert!(answer.is_empty());
    }
    let open = || world.metrics().contains("hezar_connections{listener=\"ss\"} 0");
    eventually("nobody is there any more", open).await;
}

/// Users come and go while the sockets stay.
#[tokio::test]
async fn settings_change_while_it_serves() {
    let world = world(config(), &[Does::Echo]).await;
    let method = ShadowsocksMethod::Aes256Gcm2022;
    let address = open(&world, with(method, &[1])).await;
    let (first, second) = (phone(address, method, 1), phone(address, method, 2));
    let association = first.associate(&attempt()).await.unwrap();
    echo_datagram(&association, b"before").await;
    // A new user is known at once, also to packets, and the session of the other one goes on.
    world.gateway.configure(with(method, &[2, 1])).unwrap();
    let other = second.associate(&attempt()).await.unwrap();
    echo_datagram(&other, b"the new one").await;
    echo_datagram(&association, b"goes on").await;
    assert_eq!(exchange(&second, b"hello").await, b"hello");
    // One that is gone gets nothing more.
    world.gateway.configure(with(method, &[2])).unwrap();
    eventually("its association has ended", || world.connections.len() == 1).await;
    association.send_to(b"gone", &Target::parse("a.example:443").unwrap()).await.unwrap();
    echo_datagram(&other, b"still here").await;
    assert!(exchange(&first, b"hello").await.is_empty());
    // Another cipher on the same sockets.
    let method = ShadowsocksMethod::Aes128Gcm;
    world.gateway.configure(with(method, &[2])).unwrap();
    let phone = phone(address, method, 2);
    assert_eq!(exchange(&phone, b"hello").await, b"hello");
    echo_datagram(&phone.associate(&attempt()).await.unwrap(), b"hello").await;
}
