//! SOCKS5 UDP ASSOCIATE: who is heard, over which node, and when it ends.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use hezar_core::Timestamp;
use hezar_gateway::GatewayConfig;
use hezar_pool::State;
use tokio::{
    io::AsyncReadExt,
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::{
    clients::*,
    world::{Does, World, config, eventually, world},
};

const ASK: [u8; 10] = [5, 3, 0, 1, 0, 0, 0, 0, 0, 0];

/// An association of a client.
pub(crate) struct Client {
    control: TcpStream,
    socket: UdpSocket,
    relay: SocketAddr,
}

pub(crate) async fn associate_as(world: &World, login: Option<(&str, &str)>, port: u16) -> Result<Client, u8> {
    let [high, low] = port.to_be_bytes();
    let (control, reply, bound) = socks5_reply(world, login, &[5, 3, 0, 1, 0, 0, 0, 0, high, low]).await;
    match reply.unwrap() {
        0 => {}
        refused => return Err(refused),
    }
    let relay = SocketAddr::from((
        Ipv4Addr::new(bound[0], bound[1], bound[2], bound[3]),
        u16::from_be_bytes([bound[4], bound[5]]),
    ));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    Ok(Client { control, socket, relay })
}

pub(crate) async fn associate(world: &World) -> Client {
    associate_as(world, None, 0).await.unwrap()
}

pub(crate) fn packet(host: &str, port: u16, payload: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 3, host.len() as u8], host.as_bytes(), &port.to_be_bytes(), payload].concat()
}

impl Client {
    pub(crate) async fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.relay).await.unwrap();
    }

    async fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; 70_000];
        let (length, from) =
            timeout(Duration::from_secs(60), self.socket.recv_from(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(from, self.relay);
        buffer.truncate(length);
        buffer
    }

    pub(crate) async fn expect_echo(&self, host: &str, payload: &[u8]) {
        let packet = packet(host, 53, payload);
        self.send(&packet).await;
        assert_eq!(self.receive().await, packet);
    }

    /// Nothing came, shown by an echo that was sent later.
    async fn expect_nothing_before(&self, payload: &[u8]) {
        self.expect_echo("marker.example", payload).await;
    }
}

#[tokio::test]
async fn several_targets_over_one_association() {
    let world = world(config(), &[Does::Echo]).await;
    let client = associate(&world).await;
    assert!(client.relay.ip().is_loopback());
    for (host, payload) in [("a.example", &b"one"[..]), ("b.example", &[7; 1200]), ("a.example", b"")] {
        client.expect_echo(host, payload).await;
    }
    // An answer may come from somewhere else than the question went to.
    client.send(&packet("moved.example", 1, b"who?")).await;
    assert_eq!(client.receive().await, packet("elsewhere.example", 2, b"who?"));
    assert_eq!((world.connects(), world.associates()), (vec![0], vec![1]));
    assert!(world.metrics().contains("hezar_associations{listener=\"proxy\"} 1"));
    drop(client);
    eventually("the association ends", || world.metrics().contains("hezar_associations{listener=\"proxy\"} 0")).await;
    let metrics = world.metrics();
    assert!(
        metrics
            .contains("hezar_requests_total{inbound=\"socks5-udp\",outcome=\"ok\",code=\"ok\",listener=\"proxy\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("hezar_bytes_total{direction=\"up\",listener=\"proxy\"} 1207"), "{metrics}");
    assert!(metrics.contains("hezar_datagrams_total{direction=\"down\",listener=\"proxy\"} 4"), "{metrics}");
}

#[tokio::test]
async fn only_the_client_is_heard() {
    let world = world(config(), &[Does::Echo]).await;
    let client = associate(&world).await;
    client.expect_echo("a.example", b"mine").await;
    let port = client.socket.local_addr().unwrap().port();
    // Another address, and another port of the same one.
    for address in ["127.0.0.2:0", "127.0.0.1:0"] {
        let Ok(stranger) = UdpSocket::bind(address).await else { continue };
        stranger.send_to(&packet("a.example", 53, b"not mine"), client.relay).await.unwrap();
    }
    client.expect_nothing_before(b"still mine").await;
    assert!(world.metrics().contains("reason=\"foreign\""));

    // The port that the client named counts, even when another one comes first.
    let second = associate_as(&world, None, port).await.unwrap();
    second.send(&packet("a.example", 53, b"too early")).await;
    client.socket.send_to(&packet("a.example", 53, b"named"), second.relay).await.unwrap();
    let mut buffer = [0; 100];
    let (length, from) = client.socket.recv_from(&mut buffer).await.unwrap();
    assert_eq!((&buffer[..length], from), (&packet("a.example", 53, b"named")[..], second.relay));
}

#[tokio::test]
async fn bad_datagrams_are_dropped_one_by_one() {
    let world = world(config(), &[Does::Echo]).await;
    let client = associate(&world).await;
    client.send(b"").await;
    client.send(&[0, 0, 0, 1, 1]).await;
    client.send(&[0, 0, 1, 1, 1, 2, 3, 4, 0, 53, 9]).await;
    client.send(&packet("a.example", 53, &[0; 20_000])).await;
    client.expect_nothing_before(b"fine").await;
    let metrics = world.metrics();
    for (reason, count) in [("malformed", 2), ("fragment", 1), ("unsendable", 1)] {
        assert!(
            metrics
                .contains(&format!("hezar_datagrams_dropped_total{{reason=\"{reason}\",listener=\"proxy\"}} {count}")),
            "{metrics}"
        );
    }
    assert_eq!(world.associates(), [1]);
}

#[tokio::test]
async fn failover_when_the_association_begins() {
    // Nodes without datagrams cost no attempt.
    let config = GatewayConfig { attempts: 2, ..config() };
    let mut nodes = vec![Does::Web; 20];
    nodes.extend([Does::Refuse, Does::Echo]);
    let world = world(config, &nodes).await;
    for _ in 0..3 {
        associate(&world).await.expect_echo("a.example", b"served").await;
    }
    assert_eq!(world.connects(), [0; 22]);
}

#[tokio::test]
async fn an_association_waits_for_the_first_node_that_is_probed() {
    let world = world(config(), &[Does::Echo]).await;
    world.exchange(Timestamp(1));
    let (client, ()) = tokio::join!(associate(&world), world.first_probe());
    client.expect_echo("a.example", b"served").await;
}

#[tokio::test]
async fn no_node_for_datagrams() {
    for (nodes, reply, code) in [
        (&[][..], 1, "pool-empty"),
        (&[Does::Web, Does::Web], 7, "no-datagrams"),
        (&[Does::Refuse], 1, "all-attempts-failed"),
    ] {
        let world = world(config(), nodes).await;
        assert_eq!(associate_as(&world, None, 0).await.err(), Some(reply), "{code}");
        assert!(
            world.metrics().contains(&format!("inbound=\"socks5-udp\",outcome=\"failed\",code=\"{code}\"")),
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_node_that_dies_before_any_answer_is_replaced() {
    let world = world(config(), &[Does::HangUp, Does::HangUp, Does::Echo]).await;
    let client = associate(&world).await;
    eventually_answered(&client).await;
    // The nodes take turns, so that some association begins on each of them.
    for _ in 0..3 {
        eventually_answered(&associate(&world).await).await;
    }
    assert!(world.associates()[..2].iter().any(|n| *n > 0));
    assert!(world.ids.iter().all(|id| world.pool.node(*id).unwrap().state() == State::Healthy), "streams may do well");
}

/// Datagrams may be lost on the way to another node.
async fn eventually_answered(client: &Client) {
    let question = packet("a.example", 53, b"anybody?");
    let mut buffer = [0; 100];
    let mut asked = 0;
    loop {
        client.send(&question).await;
        if timeout(Duration::from_millis(100), client.socket.recv_from(&mut buffer)).await.is_ok() {
            return;
        }
        asked += 1;
        assert!(asked < 600, "never answered");
    }
}

#[tokio::test]
async fn a_node_that_dies_later_is_replaced_at_the_next_datagram() {
    let world = world(config(), &[Does::Echo]).await;
    let client = associate(&world).await;
    for round in 1..4 {
        client.expect_echo("a.example", b"before").await;
        client.send(&packet("a.example", 53, b"end")).await;
        eventually_answered(&client).await;
        assert_eq!(world.associates(), [round + 1]);
        // What was sent while the old node was going may be answered too.
        let mut buffer = [0; 100];
        while timeout(Duration::from_millis(200), client.socket.recv_from(&mut buffer)).await.is_ok() {}
    }
}

#[tokio::test]
async fn a_silent_node_is_left_for_another_one() {
    let config = GatewayConfig { udp_patience: Duration::from_millis(300), ..config() };
    let world = world(config, &[Does::Mute, Does::Echo]).await;
    let first = associate(&world).await;
    let second = associate(&world).await;
    eventually_answered(&first).await;
    eventually_answered(&second).await;
    assert!(!world.metrics().contains("result=\"failed\""));
    assert!(
        (0..2).all(|node| world.pool.node(world.ids[node]).unwrap().state() == State::Healthy),
        "silence is no proof"
    );
    // The next ones know better.
    let before = world.associates()[0];
    for _ in 0..3 {
        associate(&world).await.expect_echo("a.example", b"at once").await;
    }
    assert_eq!(world.associates()[0], before);
    // A session keeps its node all the same, also past the patience.
    let total = |associates: &[usize]| associates.iter().sum::<usize>();
    let mut silent = 0;
    for login in [("x-session-a", "x"), ("x-session-b", "x")] {
        let before = world.associates();
        let client = associate_as(&world, Some(login), 0).await.unwrap();
        client.send(&packet("a.example", 53, b"1")).await;
        eventually("the session has a node", || total(&world.associates()) > total(&before)).await;
        if world.associates()[0] == before[0] {
            eventually_answered(&client).await;
            continue;
        }
        silent += 1;
        tokio::time::sleep(Duration::from_millis(400)).await;
        client.send(&packet("a.example", 53, b"2")).await;
        assert!(timeout(Duration::from_millis(300), client.receive()).await.is_err(), "another node has answered");
        assert_eq!(total(&world.associates()), total(&before) + 1);
    }
    assert_eq!(silent, 1, "one of two sessions is on the silent node");
}

#[tokio::test]
async fn associations_are_bounded_and_end_when_idle() {
    let bounded = world(GatewayConfig { max_associations: 1, ..config() }, &[Does::Echo]).await;
    let client = associate(&bounded).await;
    assert_eq!(associate_as(&bounded, None, 0).await.err(), Some(1));
    assert!(bounded.metrics().contains("code=\"association-limit\""));
    client.expect_echo("a.example", b"x").await;
    drop(client);
    eventually("the place is free", || bounded.metrics().contains("hezar_associations{listener=\"proxy\"} 0")).await;
    associate(&bounded).await.expect_echo("a.example", b"x").await;

    let config = GatewayConfig { udp_idle_timeout: Duration::from_millis(300), ..config() };
    let world = world(config, &[Does::Echo]).await;
    let mut client = associate(&world).await;
    assert_eq!(client.control.read(&mut [0; 1]).await.unwrap(), 0, "the stream ends with the association");
    eventually("it is over", || world.metrics().contains("hezar_associations{listener=\"proxy\"} 0")).await;
}

#[tokio::test]
async fn bytes_per_second_are_limited_in_both_directions() {
    let client_limits = hezar_gateway::Limits {
        bytes: Some(hezar_core::settings::ByteCount(20_000)),
        ..hezar_gateway::Limits::default()
    };
    let world = world(GatewayConfig { client_limits, ..config() }, &[Does::Echo]).await;
    let client = associate(&world).await;
    let begun = std::time::Instant::now();
    for number in 0..8 {
        client.expect_echo("a.example", &[number; 5000]).await;
    }
    // 80,000 bytes: the first second's worth comes at once, the last answer is waited for by nobody.
    assert!(begun.elapsed() >= Duration::from_millis(2500), "{:?}", begun.elapsed());
    // A stream of the same client pays from the same purse.
    let begun = std::time::Instant::now();
    let mut stream = tunnel(&world, "example.com:443").await;
    for _ in 0..4 {
        ping(&mut stream, &[7; 5000]).await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(1000), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn users_and_sessions_count() {
    let limits = hezar_gateway::Limits::default();
    let users = vec![hezar_gateway::User::new("bob", "secret").with_limits(limits)];
    let world = world(GatewayConfig { users, ..config() }, &[Does::Echo, Does::Echo, Does::Echo]).await;
    let (_, reply) = socks5(&world, Some(("bob", "wrong")), &ASK).await;
    assert_eq!(reply, None);
    for _ in 0..4 {
        let client = associate_as(&world, Some(("bob-session-one", "secret")), 0).await.unwrap();
        client.expect_echo("a.example", b"x").await;
    }
    let mut counts = world.associates();
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 4]);
    let german = associate_as(&world, Some(("bob-country-jp", "secret")), 0).await;
    assert_eq!(german.err(), Some(1));
}
