//! What users may do: who is refused with which code, and what of a user ends while it runs.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::{Timestamp, settings::ByteCount};
use hezar_engine::Clock;
use hezar_gateway::{AccessRules, DefaultOptions, GatewayConfig, HostPatterns, PasswordHash, PortSet, Quota, User};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    clients::*,
    datagrams::{associate_as, packet},
    world::{Does, World, config, eventually, world},
};

/// Long enough for a busy machine; what ends does so within a second or two.
const SOON: Duration = Duration::from_secs(60);

fn alice() -> User {
    User::new("alice", "right")
}

fn with(users: impl Into<Vec<User>>) -> GatewayConfig {
    GatewayConfig { users: users.into(), ..config() }
}

/// Asks for a tunnel; gives the stream and the head of the answer.
async fn connect_as(world: &World, name: &str, target: &str) -> (TcpStream, String) {
    let login = STANDARD.encode(format!("{name}:right"));
    let mut stream = connect(world).await;
    let asks = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {login}\r\n\r\n");
    let head = ask(&mut stream, asks.as_bytes()).await;
    (stream, head)
}

async fn expect_refused(world: &World, name: &str, target: &str, code: &str) {
    let (_, head) = connect_as(world, name, target).await;
    assert!(head.starts_with("HTTP/1.1 403 ") && head.contains(&format!("details=\"{code}\"")), "{code}: {head}");
    let (host, port) = target.rsplit_once(':').unwrap();
    let reply = socks5(world, Some((name, "right")), &by_name(host, port.parse().unwrap())).await.1;
    assert_eq!(reply, Some(2), "{code}: not allowed by the rules");
}

async fn expect_tunnel(world: &World, name: &str, target: &str) -> TcpStream {
    let (mut stream, head) = connect_as(world, name, target).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    ping(&mut stream, b"ping").await;
    stream
}

async fn expect_closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    assert!(timeout(SOON, stream.read_to_end(&mut rest)).await.is_ok(), "the tunnel is ended");
}

#[tokio::test]
async fn each_reason_to_refuse_a_user_has_its_code() {
    let used_up = Quota { total: Some(ByteCount(0)), ..Quota::default() };
    for (user, name, code) in [
        (User { enabled: false, ..alice() }, "alice", "user-disabled"),
        (User { expires: Some(Timestamp(1)), ..alice() }, "alice", "user-expired"),
        (User { listeners: vec!["other".to_owned()], ..alice() }, "alice", "listener-denied"),
        (User { countries: vec![*b"DE"], ..alice() }, "alice-country-us", "country-denied"),
        (User { quota: used_up, ..alice() }, "alice", "quota-exceeded"),
    ] {
        let world = world(with([user]), &[Does::Echo]).await;
        expect_refused(&world, name, "example.com:443", code).await;
        let (_, head) = connect_as(&world, "bob", "example.com:443").await;
        assert!(head.starts_with("HTTP/1.1 407 "), "a stranger learns nothing: {head}");
        assert_eq!(world.connects(), [0]);
    }
    let far = Timestamp(u64::MAX);
    let listeners = vec!["other".to_owned(), "proxy".to_owned()];
    let world = world(with([User { expires: Some(far), listeners, ..alice() }]), &[Does::Echo]).await;
    expect_tunnel(&world, "alice", "example.com:443").await;
}

#[tokio::test]
async fn targets_are_allowed_by_user_and_listener() {
    let hosts = |texts: &[&str]| HostPatterns::read(texts.iter().copied());
    let rules = AccessRules {
        deny_ports: Some(PortSet::new(&[25])),
        deny_hosts: hosts(&[".blocked.example"]),
        allow_private_targets: Some(false),
        ..AccessRules::default()
    };
    let mail = AccessRules { deny_ports: Some(PortSet::default()), ..AccessRules::default() };
    let users = [alice(), User { rules: mail, ..User::new("mail", "right") }];
    let world = world(GatewayConfig { rules, ..with(users) }, &[Does::Echo]).await;
    for (target, code) in [
        ("example.com:25", "port-denied"),
        ("www.blocked.example:443", "host-denied"),
        ("localhost:443", "private-denied"),
    ] {
        expect_refused(&world, "alice", target, code).await;
    }
    assert_eq!(world.connects(), [0]);
    expect_tunnel(&world, "alice", "example.com:443").await;
    expect_tunnel(&world, "mail", "example.com:25").await;
    expect_refused(&world, "mail", "www.blocked.example:443", "host-denied").await;

    // Each datagram names its target.
    let client = associate_as(&world, Some(("alice", "right")), 0).await.ok().unwrap();
    client.send(&packet("www.blocked.example", 53, b"denied")).await;
    client.expect_echo("example.com", b"allowed").await;
    let dropped = "hezar_datagrams_dropped_total{reason=\"host-denied\",listener=\"proxy\"} 1";
    assert!(world.metrics().contains(dropped), "{}", world.metrics());
}

#[tokio::test]
async fn what_runs_of_a_refused_user_ends_and_the_others_go_on() {
    let bob = || User::new("bob", "right");
    let world = world(with([alice(), bob()]), &[Does::Echo]).await;
    let mut others = expect_tunnel(&world, "bob", "example.com:443").await;
    let used_up = Quota { day: Some(ByteCount(1)), ..Quota::default() };
    for refused in [
        Some(User { enabled: false, ..alice() }),
        Some(User { expires: Some(Timestamp(1)), ..alice() }),
        Some(User { listeners: vec!["other".to_owned()], ..alice() }),
        Some(User { quota: used_up, ..alice() }),
        None,
    ] {
        let tunnel = expect_tunnel(&world, "alice", "example.com:443").await;
        let association = associate_as(&world, Some(("alice", "right")), 0).await.ok().unwrap();
        association.expect_echo("example.com", b"ping").await;
        let users: Vec<_> = refused.into_iter().chain([bob()]).collect();
        world.gateway.configure(with(users)).unwrap();
        expect_closed(tunnel).await;
        eventually("only one is left", || world.connections.len() == 1).await;
        ping(&mut others, b"still here").await;
        world.gateway.configure(with([alice(), bob()])).unwrap();
    }
}

#[tokio::test]
async fn many_tunnels_together_stay_within_the_quota() {
    const QUOTA: u64 = 4 << 20;
    let quota = Quota { month: Some(ByteCount(QUOTA)), ..Quota::default() };
    let world = world(with([User { quota, ..alice() }]), &[Does::Echo; 4]).await;
    let mut tunnels = Vec::new();
    for _ in 0..10 {
        tunnels.push(expect_tunnel(&world, "alice", "example.com:443").await);
    }
    let busy = tunnels.into_iter().map(|mut tunnel| {
        tokio::spawn(async move {
            let (mut read, mut write) = tunnel.split();
            let send = async { while write.write_all(&[7; 64 * 1024]).await.is_ok() {} };
            let mut nowhere = tokio::io::sink();
            let _ = tokio::join!(send, tokio::io::copy(&mut read, &mut nowhere));
        })
    });
    for tunnel in busy.collect::<Vec<_>>() {
        timeout(SOON, tunnel).await.expect("it is ended").unwrap();
    }
    eventually("all are gone", || world.connections.is_empty()).await;
    let used = world.gateway.usage().summary("alice", Clock::start().now()).total.sum();
    assert!((QUOTA..=QUOTA + QUOTA / 20).contains(&used), "{used} of {QUOTA}");
    expect_refused(&world, "alice", "example.com:443", "quota-exceeded").await;
}

#[tokio::test]
async fn a_body_and_an_association_end_with_the_quota() {
    let quota = |bytes| Quota { total: Some(ByteCount(bytes)), ..Quota::default() };
    let web = world(with([User { quota: quota(100_000), ..alice() }]), &[Does::Web]).await;
    let mut client = http(&web).await;
    let mut asked = request("POST", "http://origin.test/echo", vec![7; 400_000]);
    let login = format!("Basic {}", STANDARD.encode("alice:right"));
    asked.headers_mut().insert("proxy-authorization", login.parse().unwrap());
    let answer = client.send_request(asked).await;
    let whole = match answer {
        Ok(answer) => http_body_util::BodyExt::collect(answer.into_body()).await.is_ok(),
        Err(_) => false,
    };
    assert!(!whole, "the echo of 400,000 bytes does not fit into the quota");
    let used = web.gateway.usage().summary("alice", Clock::start().now()).total.sum();
    assert!((100_000..300_000).contains(&used), "{used}");

    let world = world(with([User { quota: quota(3000), ..alice() }]), &[Does::Echo]).await;
    let association = associate_as(&world, Some(("alice", "right")), 0).await.ok().unwrap();
    association.expect_echo("example.com", &[7; 1000]).await;
    association.send(&packet("example.com", 53, &[7; 1000])).await;
    eventually("it is gone", || world.connections.is_empty()).await;
}

#[tokio::test]
async fn a_hashed_password_opens_every_door_and_default_options_count() {
    let user = User {
        name: "alice".into(),
        password_hash: PasswordHash::make("right").ok(),
        options: DefaultOptions::parse_text("country-us").unwrap(),
        ..User::default()
    };
    let world = world(with([user]), &[Does::Echo; 4]).await;
    for _ in 0..4 {
        expect_tunnel(&world, "alice", "example.com:443").await;
    }
    let request = by_name("example.com", 443);
    assert_eq!(socks5(&world, Some(("alice", "wrong")), &request).await.1, None);
    assert_eq!(socks5(&world, Some(("alice", "right")), &request).await.1, Some(0));
    let connects = world.connects();
    assert_eq!((connects[0], connects[2]), (0, 0), "the odd nodes are in the United States: {connects:?}");
    assert_eq!(socks5(&world, Some(("alice-country-de", "right")), &request).await.1, Some(0));
    assert_eq!(socks5(&world, Some(("alice", "right_country-de")), &request).await.1, Some(0));
    let connects = world.connects();
    assert_eq!(connects[0] + connects[2], 2, "{connects:?}");
}
