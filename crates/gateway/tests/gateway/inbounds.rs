//! Encrypted inbounds: a client of the engine's own reaches nodes through them as through the mixed port, within the same bounds.

use std::{sync::Arc, time::Duration};

use hezar_core::{
    Carrier, NodeSpec, Outbound, Security, StreamProtocol, Target, Timestamp, Trojan, settings::ByteCount,
};
use hezar_engine::{
    AddressPolicy, Attempt, BoxDatagram, BoxStream, Clock, Dialer, Engine, NativeEngine, NativeEngineConfig,
};
use hezar_gateway::{
    AccessRules, DefaultOptions, GatewayConfig, InboundConfig, InboundFallback, InboundProtocol, InboundTransport,
    Limits, LinkSession, PortSet, Quota, User, UserKey, UserLink, credential,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    clients::{connect, say},
    world::{Does, World, config, eventually, world},
};

/// Long enough for a busy machine; what ends does so within a second or two.
const SOON: Duration = Duration::from_secs(60);

/// A user with a key.
fn ali() -> User {
    User { key: Some(key()), ..User::new("ali", "p") }
}

fn key() -> UserKey {
    UserKey::new([7; 32])
}

/// A Trojan listener without TLS, as behind a web server that ends it.
fn with(users: impl Into<Vec<User>>) -> GatewayConfig {
    let inbound = InboundConfig {
        protocol: InboundProtocol::Trojan,
        transport: InboundTransport::default(),
        reality: None,
        fallback: InboundFallback::default(),
    };
    GatewayConfig { users: users.into(), inbound: Some(inbound), ..config() }
}

/// What a phone with this password dials.
fn dialer(world: &World, password: &str) -> Arc<dyn Dialer> {
    let trojan = Trojan { password: password.into(), inner_shadowsocks: None };
    let carrier = Carrier::Tcp { header: None, security: Security::None };
    let outbound = Outbound::stream(StreamProtocol::Trojan(trojan), carrier).unwrap();
    let server = Target::parse(&world.address.to_string()).unwrap();
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    engine.dialer(&NodeSpec::new(server, outbound), AddressPolicy::Any).unwrap()
}

/// A phone with one of the user's links.
fn phone(world: &World, key: &UserKey, link: &str) -> Arc<dyn Dialer> {
    let password = credential(&InboundProtocol::Trojan, key, link);
    dialer(world, std::str::from_utf8(password.expose()).unwrap())
}

fn attempt() -> Attempt {
    Attempt::within(SOON)
}

async fn stream_to(phone: &Arc<dyn Dialer>, target: &str) -> BoxStream {
    phone.connect(&Target::parse(target).unwrap(), &attempt()).await.unwrap()
}

async fn ping(stream: &mut BoxStream, data: &[u8]) {
    stream.write_all(data).await.unwrap();
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

/// The client is refused: it gets no byte, and the log has this code.
async fn expect_refused(world: &World, phone: &Arc<dyn Dialer>, target: &str, code: &str) {
    let mut stream = stream_to(phone, target).await;
    stream.write_all(b"hello").await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it is ended");
    assert!(answer.is_empty(), "{code}: {answer:?}");
    let counted = format!("hezar_requests_total{{inbound=\"trojan\",outcome=\"refused\",code=\"{code}\"");
    assert!(world.metrics().contains(&counted), "{counted}: {}", world.metrics());
}

#[tokio::test]
async fn a_client_is_served_as_at_the_mixed_port() {
    let world = world(with([ali()]), &[Does::Echo]).await;
    let phone = phone(&world, &key(), "");
    let mut stream = stream_to(&phone, "example.com:443").await;
    ping(&mut stream, &[7; 100_000]).await;
    assert_eq!(world.fakes[0].targets.lock().as_slice(), ["example.com:443"]);
    let [info] = &world.connections.list(0, 10)[..] else { panic!("one connection") };
    assert_eq!((info.inbound, &*info.user, info.target.is_some()), ("trojan", "ali", true));
    // A closed half is passed on, and the other one still carries the rest.
    stream.write_all(b"the end").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"the end");
    eventually("it is gone", || world.connections.is_empty()).await;
    let served = "hezar_requests_total{inbound=\"trojan\",outcome=\"ok\",code=\"ok\",listener=\"proxy\"} 1";
    assert!(world.metrics().contains(served), "{}", world.metrics());
}

#[tokio::test]
async fn datagrams_go_over_a_node_that_carries_them() {
    let world = world(with([ali()]), &[Does::Web, Does::Echo]).await;
    let association = phone(&world, &key(), "").associate(&attempt()).await.unwrap();
    for payload in [&b"one"[..], &[7; 1200], b""] {
        echo_datagram(&association, payload).await;
    }
    assert_eq!(world.associates()[1], 1);
    let [info] = &world.connections.list(0, 10)[..] else { panic!("one connection") };
    assert_eq!((info.inbound, info.up, info.down), ("trojan-udp", 1203, 1203));
    drop(association);
    eventually("the association ends", || world.metrics().contains("hezar_associations{listener=\"proxy\"} 0")).await;
    let served = "hezar_requests_total{inbound=\"trojan-udp\",outcome=\"ok\",code=\"ok\",listener=\"proxy\"} 1";
    assert!(world.metrics().contains(served), "{}", world.metrics());
}

/// The request inside is held and given to another node, as on the mixed port: HTTP and a TLS hello.
#[tokio::test]
async fn another_node_takes_over_before_the_client_notices() {
    let world = world(with([ali()]), &[Does::Refuse, Does::HangUp, Does::Lie, Does::Web]).await;
    let phone = phone(&world, &key(), "");
    for _ in 0..4 {
        let mut stream = stream_to(&phone, "origin.test:80").await;
        stream.write_all(b"GET /who HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        timeout(SOON, stream.read_to_string(&mut answer)).await.expect("in time").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("node-3"), "{answer}");
    }
    assert_eq!(world.origin_requests(), 4);
    let connects = world.connects();
    assert!(connects[..3].iter().sum::<usize>() >= 1, "at least one bad node was tried first: {connects:?}");
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard() {
    // Nothing comes of the client, and the node's bytes reach it all the same.
    let world = world(with([ali()]), &[Does::Drips]).await;
    let mut stream = stream_to(&phone(&world, &key(), ""), "mail.example:25").await;
    // The request leaves with the first write or flush.
    stream.flush().await.unwrap();
    let mut first = [0; 12];
    timeout(SOON, stream.read_exact(&mut first)).await.expect("in time").unwrap();
    assert_eq!(&first, b"HTTP/1.1 103");
}

#[tokio::test]
async fn strangers_get_no_byte_and_reach_no_node() {
    let world = world(with([ali()]), &[Does::Echo]).await;
    let wrong = dialer(&world, "wrong");
    let mut stream = stream_to(&wrong, "example.com:443").await;
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{answer:?}");
    for garbage in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01", b"\x05\x01\x00", b"00"] {
        let mut stream = connect(&world).await;
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it is ended");
        assert!(answer.is_empty(), "{garbage:?}: {answer:?}");
    }
    assert!(world.connections.is_empty() && world.connects() == [0]);
    let counted = "hezar_connections_rejected_total{code=\"stranger\",listener=\"proxy\"} 5";
    eventually("all are counted", || world.metrics().contains(counted)).await;
    // A port scan says nothing at all.
    drop(connect(&world).await);
    let gone = "hezar_connections_rejected_total{code=\"client-gone\",listener=\"proxy\"} 1";
    eventually("it is counted", || world.metrics().contains(gone)).await;
    ping(&mut stream_to(&phone(&world, &key(), ""), "example.com:443").await, b"still").await;
}

#[tokio::test]
async fn each_reason_to_refuse_a_user_has_its_code() {
    let used_up = Quota { total: Some(ByteCount(0)), ..Quota::default() };
    for (user, code) in [
        (User { enabled: false, ..ali() }, "user-disabled"),
        (User { expires: Some(Timestamp(1)), ..ali() }, "user-expired"),
        (User { listeners: vec!["other".to_owned()], ..ali() }, "listener-denied"),
        (User { quota: used_up, ..ali() }, "quota-exceeded"),
    ] {
        let world = world(with([user]), &[Does::Echo]).await;
        expect_refused(&world, &phone(&world, &key(), ""), "example.com:443", code).await;
        assert_eq!(world.connects(), [0]);
    }
}

#[tokio::test]
async fn access_rules_and_limits_hold() {
    let rules = AccessRules { deny_ports: Some(PortSet::new(&[25])), ..AccessRules::default() };
    let limits = Limits { connections: Some(1), ..Limits::default() };
    let world = world(GatewayConfig { rules, ..with([User { limits, ..ali() }]) }, &[Does::Echo]).await;
    let phone = phone(&world, &key(), "");
    expect_refused(&world, &phone, "example.com:25", "port-denied").await;
    let mut first = stream_to(&phone, "example.com:443").await;
    ping(&mut first, b"one").await;
    expect_refused(&world, &phone, "example.com:443", "user-limit").await;
    ping(&mut first, b"still here").await;
    drop(first);
    eventually("it is gone", || world.connections.is_empty()).await;
    // Each datagram names its target.
    let association = phone.associate(&attempt()).await.unwrap();
    association.send_to(b"denied", &Target::parse("a.example:25").unwrap()).await.unwrap();
    echo_datagram(&association, b"allowed").await;
    let dropped = "hezar_datagrams_dropped_total{reason=\"port-denied\",listener=\"proxy\"} 1";
    assert!(world.metrics().contains(dropped), "{}", world.metrics());
}

/// Within a second, for streams and associations; another user goes on.
#[tokio::test]
async fn what_runs_of_a_refused_user_ends() {
    let sara_key = UserKey::new([8; 32]);
    let sara = || User { key: Some(sara_key.clone()), ..User::new("sara", "p") };
    let world = world(with([ali(), sara()]), &[Does::Echo]).await;
    let (phone, others) = (phone(&world, &key(), ""), phone(&world, &sara_key, ""));
    let mut others = stream_to(&others, "example.com:443").await;
    ping(&mut others, b"before").await;
    let used_up = Quota { day: Some(ByteCount(1)), ..Quota::default() };
    for refused in [
        Some(User { enabled: false, ..ali() }),
        Some(User { expires: Some(Timestamp(1)), ..ali() }),
        Some(User { quota: used_up, ..ali() }),
        None,
    ] {
        let mut stream = stream_to(&phone, "example.com:443").await;
        ping(&mut stream, b"ping").await;
        let association = phone.associate(&attempt()).await.unwrap();
        echo_datagram(&association, b"ping").await;
        let users: Vec<_> = refused.into_iter().chain([sara()]).collect();
        world.gateway.configure(with(users)).unwrap();
        expect_end(stream).await;
        eventually("only one is left", || world.connections.len() == 1).await;
        ping(&mut others, b"still here").await;
        world.gateway.configure(with([ali(), sara()])).unwrap();
    }
    // A key that was made anew shuts the old links out.
    let renewed = User { key: Some(UserKey::new([9; 32])), ..ali() };
    world.gateway.configure(with([renewed, sara()])).unwrap();
    let mut stream = stream_to(&phone, "example.com:443").await;
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
}

#[tokio::test]
async fn usage_is_what_the_client_counted_and_the_quota_ends_a_stream() {
    let quota = Quota { total: Some(ByteCount(1_000_000)), ..Quota::default() };
    let world = world(with([User { quota, ..ali() }]), &[Does::Echo]).await;
    let phone = phone(&world, &key(), "");
    let mut stream = stream_to(&phone, "example.com:443").await;
    let mut counted = 0;
    for _ in 0..4 {
        ping(&mut stream, &[7; 50_000]).await;
        counted += 2 * 50_000;
    }
    let used = || world.gateway.usage().summary("ali", Clock::start().now()).total.sum();
    assert_eq!(used(), counted, "exactly, without the bytes of the protocol");
    let (mut read, mut write) = tokio::io::split(stream);
    let send = async { while write.write_all(&[7; 64 * 1024]).await.is_ok() {} };
    let mut nowhere = tokio::io::sink();
    let both = async { tokio::join!(send, tokio::io::copy(&mut read, &mut nowhere)) };
    timeout(SOON, both).await.expect("it is ended").1.ok();
    eventually("it is gone", || world.connections.is_empty()).await;
    assert!((1_000_000..1_200_000).contains(&used()), "{}", used());
    expect_refused(&world, &phone, "example.com:443", "quota-exceeded").await;
}

#[tokio::test]
async fn links_have_options_of_their_own() {
    let link = |name: &str, options: &str, session| UserLink {
        name: name.into(),
        options: DefaultOptions::parse_text(options).unwrap(),
        session,
        enabled: true,
    };
    let links = vec![link("america", "country-us", LinkSession::None), link("home", "", LinkSession::Link)];
    let world = world(with([User { links, ..ali() }]), &[Does::Echo; 4]).await;
    let america = phone(&world, &key(), "america");
    for _ in 0..4 {
        ping(&mut stream_to(&america, "example.com:443").await, b"hello").await;
    }
    let connects = world.connects();
    assert_eq!((connects[0], connects[2]), (0, 0), "the odd nodes are in the United States: {connects:?}");
    let home = phone(&world, &key(), "home");
    for _ in 0..6 {
        ping(&mut stream_to(&home, "example.com:443").await, b"hello").await;
    }
    let now = world.connects();
    let grown = now.iter().zip(&connects).filter(|(now, before)| now > before).count();
    assert_eq!(grown, 1, "a session keeps its node: {connects:?}, then {now:?}");
}

#[tokio::test]
async fn running_streams_finish_when_the_listener_drains() {
    let world = world(with([ali()]), &[Does::Echo]).await;
    let mut stream = stream_to(&phone(&world, &key(), ""), "example.com:443").await;
    ping(&mut stream, b"before").await;
    let mut silent = connect(&world).await;
    world.drain.cancel();
    assert!(matches!(timeout(SOON, silent.read(&mut [0; 10])).await.expect("it is let go"), Ok(0) | Err(_)));
    ping(&mut stream, b"after").await;
    assert!(!world.serving.is_finished());
    stream.shutdown().await.unwrap();
    expect_end(stream).await;
    world.serving.await.unwrap();
}

#[tokio::test]
async fn the_grace_period_ends() {
    let config = GatewayConfig { grace: Duration::from_millis(50), ..with([ali()]) };
    let world = world(config, &[Does::Echo]).await;
    let phone = phone(&world, &key(), "");
    let mut stream = stream_to(&phone, "example.com:443").await;
    ping(&mut stream, b"before").await;
    let association = phone.associate(&attempt()).await.unwrap();
    echo_datagram(&association, b"before").await;
    world.drain.cancel();
    world.serving.await.unwrap();
    expect_end(stream).await;
}

#[tokio::test]
async fn a_listener_becomes_encrypted_and_mixed_again() {
    let world = world(with([ali()]), &[Does::Web]).await;
    world.gateway.configure(GatewayConfig { inbound: None, ..with([ali()]) }).unwrap();
    let answer = String::from_utf8(say(&world, b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    world.gateway.configure(with([ali()])).unwrap();
    let mut stream = stream_to(&phone(&world, &key(), ""), "origin.test:80").await;
    stream.write_all(b"GET /who HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("node-0"), "{answer}");
}
