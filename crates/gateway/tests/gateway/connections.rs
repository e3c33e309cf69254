//! What is alive can be listed, counts its bytes while they flow, and can be ended, whatever it is.

use hezar_gateway::{ConnectionInfo, GatewayConfig, User};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    clients::{connect, ping, say, tunnel},
    datagrams::associate,
    world::{Does, World, config, eventually, world},
};

/// The one connection that is alive.
fn only(world: &World) -> ConnectionInfo {
    let mut all = world.connections.list(0, 10);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[tokio::test]
async fn a_tunnel_is_listed_with_its_bytes_and_ends_when_told_to() {
    let world = world(config(), &[Does::Echo]).await;
    let mut stream = tunnel(&world, "example.com:443").await;
    ping(&mut stream, &[7; 100_000]).await;
    eventually("its bytes are counted", || (only(&world).up, only(&world).down) == (100_000, 100_000)).await;
    let info = only(&world);
    assert_eq!((&*info.listener, info.inbound, info.node), ("proxy", "connect", Some(world.ids[0])));
    assert_eq!(info.target.unwrap().to_string(), "example.com:443");
    assert_eq!((info.client.is_loopback(), info.exit), (true, "192.0.2.77".parse().ok()));
    assert!(!world.connections.end(info.id + 1) && world.connections.end(info.id));
    assert!(matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_)), "the tunnel is closed");
    eventually("it is gone", || world.connections.is_empty()).await;
}

#[tokio::test]
async fn the_body_of_a_request_counts_while_it_flows_and_the_exchange_can_be_ended() {
    let world = world(config(), &[Does::Web]).await;
    let mut stream = connect(&world).await;
    let head = "POST http://origin.test/echo HTTP/1.1\r\nHost: origin.test\r\nContent-Length: 200000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[7; 100_000]).await.unwrap();
    // Half of the body is still to come.
    eventually("the upload is counted", || world.connections.list(0, 10).iter().any(|info| info.up >= 100_000)).await;
    assert_eq!(only(&world).inbound, "http");
    assert_eq!(world.connections.end_matching(|info| info.inbound == "http"), 1);
    let mut rest = Vec::new();
    // The answer is cut, or says why there is none; either way the connection ends.
    let _ = stream.read_to_end(&mut rest).await;
    eventually("it is gone", || world.connections.is_empty()).await;
}

#[tokio::test]
async fn datagrams_count_while_they_flow_and_the_association_can_be_ended() {
    let world = world(config(), &[Does::Echo]).await;
    let client = associate(&world).await;
    client.expect_echo("a.example", &[7; 1000]).await;
    eventually("they are counted", || (only(&world).up, only(&world).down) == (1000, 1000)).await;
    let info = only(&world);
    assert_eq!((info.inbound, info.target.is_none(), info.node), ("socks5-udp", true, Some(world.ids[0])));
    assert!(world.connections.end(info.id));
    eventually("it is gone", || world.connections.is_empty()).await;
    assert!(world.metrics().contains("hezar_associations{listener=\"proxy\"} 0"));
}

#[tokio::test]
async fn a_request_that_is_refused_leaves_nothing_behind() {
    let world = world(config(), &[Does::Refuse]).await;
    let mut stream = connect(&world).await;
    stream.write_all(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n").await.unwrap();
    assert!(stream.read(&mut [0; 16]).await.unwrap() > 0);
    eventually("it is gone", || world.connections.is_empty()).await;
}

#[tokio::test]
async fn bytes_are_counted_for_users_that_are_configured_and_for_no_other_name() {
    let ask =
        b"GET http://origin.test/who HTTP/1.1\r\nHost: origin.test\r\nProxy-Authorization: Basic YWxpY2U6cmlnaHQ=\r\n\
                Connection: close\r\n\r\n";
    let alice = User::new("alice", "right");
    let known = world(GatewayConfig { users: vec![alice], ..config() }, &[Does::Web]).await;
    let open = world(config(), &[Does::Web]).await;
    for world in [&known, &open] {
        assert!(say(world, ask).await.starts_with(b"HTTP/1.1 200 "));
    }
    let counted = "hezar_user_bytes_total{user=\"alice\",direction=\"down\",listener=\"proxy\"}";
    eventually("they are counted", || known.metrics().contains(counted)).await;
    assert!(
        known.metrics().contains("hezar_user_requests_total{user=\"alice\",outcome=\"ok\",listener=\"proxy\"} 1\n")
    );
    assert!(!open.metrics().contains("hezar_user_"), "anybody can invent names there");
}
