//! Hysteria 2 listeners: what the engine's own client gets through, and what becomes of its connection when the listener changes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hezar_core::{Hysteria2, NodeSpec, Obfs2, Outbound, Secret, Target, Tls};
use hezar_engine::{
    AddressPolicy, Attempt, BoxDatagram, BoxStream, Cause, Dialer, Engine, NativeEngine, NativeEngineConfig,
};
use hezar_gateway::{
    GatewayConfig, InboundHysteria2, InboundProtocol, InboundTransportKind, ListenerSockets, UserKey, credential,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UdpSocket,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{SOON, attempt, inbound, secured::secured, users};
use crate::{
    tls::self_signed,
    world::{Does, World, config, eventually, world},
};

/// The name of the listener.
const NAME: &str = "hy2";
const HOST: &str = "vps.example.org";

fn settings(obfs: Option<&str>) -> InboundHysteria2 {
    InboundHysteria2 { obfs_password: obfs.map(Secret::new), ..InboundHysteria2::default() }
}

/// A listener with these settings and a user for each key.
fn with(settings: InboundHysteria2, keys: &[u8]) -> GatewayConfig {
    let inbound = inbound(InboundProtocol::Hysteria2(settings), InboundTransportKind::Tcp);
    GatewayConfig { name: NAME.into(), ..secured(&inbound, &self_signed(HOST), users(keys)) }
}

/// An open listener beside the mixed one of the world.
struct Listener {
    address: SocketAddr,
    /// A second descriptor of its socket.
    socket: std::net::UdpSocket,
    drain: CancellationToken,
    serving: JoinHandle<()>,
}

impl Listener {
    fn open(world: &World, config: GatewayConfig) -> Self {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self::open_at(world, config, socket)
    }

    fn open_at(world: &World, config: GatewayConfig, socket: std::net::UdpSocket) -> Self {
        let udp = UdpSocket::from_std(socket.try_clone().unwrap()).unwrap();
        let (address, drain) = (socket.local_addr().unwrap(), CancellationToken::new());
        let sockets = ListenerSockets { tcp: None, udp: Some(udp) };
        let serving = tokio::spawn(world.gateway.open(config, sockets, &drain).unwrap());
        Self { address, socket, drain, serving }
    }

    /// A phone with a user's link.
    fn phone(&self, settings: &InboundHysteria2, key: u8) -> Arc<dyn Dialer> {
        let protocol = InboundProtocol::Hysteria2(settings.clone());
        let own = credential(&protocol, &UserKey::new([key; 32]), "");
        let outbound = Outbound::Hysteria2(Box::new(Hysteria2 {
            auth: Secret::new(std::str::from_utf8(own.expose()).unwrap()),
            ports: Vec::new(),
            hop_interval: None,
            obfs: settings.obfs_password.clone().map(|password| Obfs2::Salamander { password }),
            up_mbps: None,
            down_mbps: Some(100),
            tls: Tls { server_name: Some(HOST.into()), skip_verify: true, ..Tls::default() },
        }));
        let spec = NodeSpec::new(Target::try_from(self.address).unwrap(), outbound);
        NativeEngine::new(&NativeEngineConfig::default()).dialer(&spec, AddressPolicy::Any).unwrap()
    }
}

fn target() -> Target {
    Target::parse("a.example:443").unwrap()
}

/// A stream through which something has come back.
async fn stream(phone: &Arc<dyn Dialer>) -> BoxStream {
    let mut stream = phone.connect(&target(), &attempt()).await.unwrap();
    ping(&mut stream).await;
    stream
}

async fn ping(stream: &mut BoxStream) {
    stream.write_all(b"ping").await.unwrap();
    let mut back = [0; 4];
    timeout(SOON, stream.read_exact(&mut back)).await.expect("in time").unwrap();
    assert_eq!(&back, b"ping");
}

async fn echo(association: &BoxDatagram, payload: &[u8]) {
    association.send_to(payload, &target()).await.unwrap();
    let mut buffer = vec![0; 65_536];
    let (length, from) = timeout(SOON, association.recv_from(&mut buffer)).await.expect("in time").unwrap();
    assert!(buffer[..length] == *payload && from == target(), "{length} bytes from {from}");
}

#[tokio::test]
async fn streams_and_packets_are_served() {
    let world = world(config(), &[Does::Echo]).await;
    for obfs in [None, Some("a lizard on the wall")] {
        let settings = settings(obfs);
        let listener = Listener::open(&world, with(settings.clone(), &[1, 2]));
        let phone = listener.phone(&settings, 2);
        let mut open = stream(&phone).await;
        let [info] = &world.connections.list(0, 10)[..] else { panic!("one connection") };
        assert_eq!((info.inbound, &*info.user, info.up, info.down), ("hysteria2", "user-2", 4, 4));
        // The other direction goes on after one has ended.
        open.write_all(&[7; 100_000]).await.unwrap();
        open.shutdown().await.unwrap();
        let mut back = Vec::new();
        timeout(SOON, open.read_to_end(&mut back)).await.expect("it ends").unwrap();
        assert!(back == [7; 100_000]);
        let association = phone.associate(&attempt()).await.unwrap();
        for payload in [&b"one"[..], &[7; 1200], &[8; 9000]] {
            echo(&association, payload).await;
        }
        eventually("only the association is open", || world.connections.len() == 1).await;
        let [info] = &world.connections.list(0, 10)[..] else { panic!("one connection") };
        assert_eq!((info.inbound, info.up), ("hysteria2-udp", 10_203));
        world.gateway.close(NAME);
        eventually("the association has ended with its listener", || world.connections.is_empty()).await;
        timeout(SOON, listener.serving).await.expect("the listener ends").unwrap();
    }
}

/// All that a phone does goes over one connection.
#[tokio::test]
async fn one_connection_carries_hundreds_of_requests() {
    let world = world(config(), &[Does::Echo]).await;
    let listener = Listener::open(&world, with(settings(None), &[1]));
    let phone = listener.phone(&settings(None), 1);
    let mut open = Vec::new();
    for _ in 0..400 {
        open.push(stream(&phone).await);
    }
    assert_eq!(world.connections.len(), 400);
    for stream in &mut open {
        ping(stream).await;
    }
}

#[tokio::test]
async fn a_wrong_credential_reaches_no_node() {
    let world = world(config(), &[Does::Echo]).await;
    let settings = settings(None);
    let listener = Listener::open(&world, with(settings.clone(), &[1]));
    let phone = listener.phone(&settings, 2);
    let failed = phone.connect(&target(), &attempt()).await.err().unwrap();
    assert!(matches!(failed.cause, Cause::Authentication), "{failed}");
    assert_eq!(world.connects(), [0]);
}

/// Users come and go while the connections of the others stay.
#[tokio::test]
async fn settings_change_while_it_serves() {
    let world = world(config(), &[Does::Echo]).await;
    let settings = settings(None);
    let first_config = with(settings.clone(), &[1]);
    let listener = Listener::open(&world, first_config.clone());
    let (first, second) = (listener.phone(&settings, 1), listener.phone(&settings, 2));
    let mut before = stream(&first).await;
    let with = |keys| GatewayConfig { server_tls: first_config.server_tls.clone(), ..with(settings.clone(), keys) };
    world.gateway.configure(with(&[2, 1])).unwrap();
    let mut other = stream(&second).await;
    ping(&mut before).await;
    stream(&first).await;
    // One that is gone gets nothing more, also over the connection that it has.
    world.gateway.configure(with(&[2])).unwrap();
    let ended = timeout(SOON, before.read_u8()).await.expect("within seconds");
    assert!(ended.is_err(), "it is cut, not ended");
    let mut refused = first.connect(&target(), &attempt()).await.unwrap();
    refused.write_all(b"ping").await.unwrap();
    assert!(timeout(SOON, refused.read_u8()).await.expect("it is told").is_err());
    ping(&mut other).await;
}

#[tokio::test]
async fn what_runs_finishes_when_the_program_stops() {
    let world = world(config(), &[Does::Echo]).await;
    let settings = settings(None);
    let listener = Listener::open(&world, with(settings.clone(), &[1]));
    let phone = listener.phone(&settings, 1);
    let mut open = stream(&phone).await;
    listener.drain.cancel();
    // Nobody else comes in.
    let late = listener.phone(&settings, 1).connect(&target(), &Attempt::within(Duration::from_millis(300))).await;
    assert!(late.is_err());
    ping(&mut open).await;
    assert!(!listener.serving.is_finished());
    open.shutdown().await.unwrap();
    assert_eq!(timeout(SOON, open.read(&mut [0; 4])).await.expect("it ends").unwrap(), 0);
    timeout(SOON, listener.serving).await.expect("the listener ends").unwrap();
}

#[tokio::test]
async fn the_grace_period_ends() {
    let world = world(config(), &[Does::Echo]).await;
    let settings = settings(None);
    let grace = Duration::from_millis(50);
    let listener = Listener::open(&world, GatewayConfig { grace, ..with(settings.clone(), &[1]) });
    let mut open = stream(&listener.phone(&settings, 1)).await;
    listener.drain.cancel();
    timeout(SOON, listener.serving).await.expect("the listener ends").unwrap();
    assert!(timeout(SOON, open.read_u8()).await.expect("it is told").is_err());
}

/// Two cannot read from one socket: whoever leaves it ends its connections, and the clients come back.
#[tokio::test]
async fn the_socket_passes_to_another_listener_and_to_a_successor() {
    let world = world(config(), &[Does::Echo]).await;
    let settings = settings(None);
    let listener = Listener::open(&world, with(settings.clone(), &[1]));
    let phone = listener.phone(&settings, 1);
    let mut open = stream(&phone).await;
    let next = GatewayConfig { name: "next".into(), ..with(settings.clone(), &[1]) };
    let next = Listener::open_at(&world, next, listener.socket);
    world.gateway.close(NAME);
    assert!(timeout(SOON, open.read_u8()).await.expect("it is told").is_err());
    timeout(SOON, listener.serving).await.expect("the listener ends").unwrap();
    for _ in 0..5 {
        stream(&next.phone(&settings, 1)).await;
    }
    let mut open = stream(&phone).await;
    world.gateway.hand_over();
    assert!(timeout(SOON, open.read_u8()).await.expect("it is told").is_err());
    timeout(SOON, next.serving).await.expect("the listener ends").unwrap();
}

#[tokio::test]
async fn a_listener_without_tls_is_refused() {
    let world = world(config(), &[Does::Echo]).await;
    let config = GatewayConfig { server_tls: None, ..with(settings(None), &[1]) };
    let udp = Some(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let opened = world.gateway.open(config, ListenerSockets { tcp: None, udp }, &world.drain);
    assert!(opened.err().is_some_and(|error| error.to_string().contains("TLS")));
}
