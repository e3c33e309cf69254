//! Stopping, and handing over: no new connections, running tunnels finish, and what does not finish is ended.

use std::time::Duration;

use hezar_gateway::GatewayConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    clients::*,
    world::{Does, config, world},
};

#[tokio::test]
async fn running_tunnels_finish() {
    let world = world(config(), &[Does::Echo]).await;
    let mut stream = tunnel(&world, "example.com:443").await;
    ping(&mut stream, b"before").await;
    let mut silent = connect(&world).await;
    world.drain.cancel();
    // A client that has not asked for anything is let go, and the port closes.
    assert!(matches!(silent.read(&mut [0; 10]).await, Ok(0) | Err(_)));
    crate::world::eventually("the port is closed", || {
        std::net::TcpStream::connect_timeout(&world.address, Duration::from_secs(5)).is_err()
    })
    .await;
    ping(&mut stream, b"after").await;
    assert!(!world.serving.is_finished());
    expect_echo(stream, b"the end").await;
    world.serving.await.unwrap();
}

#[tokio::test]
async fn an_idle_http_connection_does_not_hold_the_drain() {
    let world = world(config(), &[Does::Web]).await;
    let mut client = http(&world).await;
    let response = client.send_request(request("GET", "http://origin.test/who", "")).await.unwrap();
    assert_eq!(whole(response).await.0, 200);
    world.drain.cancel();
    world.serving.await.unwrap();
}

#[tokio::test]
async fn the_grace_period_ends() {
    let config = GatewayConfig { grace: Duration::from_millis(50), ..config() };
    let world = world(config, &[Does::Echo]).await;
    let mut stream: TcpStream = tunnel(&world, "example.com:443").await;
    ping(&mut stream, b"before").await;
    world.drain.cancel();
    world.serving.await.unwrap();
    assert!(matches!(stream.read(&mut [0; 10]).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn clients_wait_at_the_socket_while_accepting_pauses() {
    let world = world(config(), &[Does::Web, Does::Echo]).await;
    world.gateway.pause_accepting();
    // The system takes the connection; nobody answers before accepting goes on.
    let mut early = connect(&world).await;
    early
        .write_all(b"GET http://origin.test/who HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let silent = tokio::time::timeout(Duration::from_millis(200), early.read_buf(&mut answer)).await;
    assert!(silent.is_err() && world.origin_requests() == 0, "{silent:?}");
    world.gateway.resume_accepting();
    early.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    world.drain.cancel();
    world.serving.await.unwrap();
}

#[tokio::test]
async fn what_is_open_when_a_successor_accepts_is_served_to_its_end() {
    let world = world(config(), &[Does::Web]).await;
    let mut client = http(&world).await;
    let response = client.send_request(request("GET", "http://origin.test/who", "")).await.unwrap();
    assert_eq!(whole(response).await.0, 200);
    let mut silent = connect(&world).await;
    // One that still waits at the socket would be the successor's, which this test does not have.
    let accepted = || world.metrics().contains("hezar_connections{listener=\"proxy\"} 2");
    crate::world::eventually("both are accepted", accepted).await;
    world.gateway.hand_over();
    crate::world::eventually("the port is closed", || {
        std::net::TcpStream::connect_timeout(&world.address, Duration::from_secs(5)).is_err()
    })
    .await;
    // It cannot be taken back.
    world.gateway.resume_accepting();
    // An idle connection is served once more, and told to come back on another one.
    let response = client.send_request(request("GET", "http://origin.test/who", "")).await.unwrap();
    assert_eq!(response.headers().get("connection").map(|value| value.as_bytes()), Some(&b"close"[..]));
    assert_eq!(whole(response).await.0, 200);
    // So is one that has not said anything yet.
    silent.write_all(b"GET http://origin.test/who HTTP/1.1\r\nHost: origin.test\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    silent.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    world.serving.await.unwrap();
}

#[tokio::test]
async fn what_outlives_the_time_of_a_hand_over_is_ended_and_an_end_gives_the_grace_period() {
    for is_ended in [false, true] {
        let takeover_drain = if is_ended { Duration::from_secs(3600) } else { Duration::from_millis(50) };
        let config = GatewayConfig { grace: Duration::from_millis(50), takeover_drain, ..config() };
        let world = world(config, &[Does::Echo]).await;
        let mut stream = tunnel(&world, "example.com:443").await;
        ping(&mut stream, b"before").await;
        world.gateway.hand_over();
        if is_ended {
            world.drain.cancel();
        }
        world.serving.await.unwrap();
        assert!(matches!(stream.read(&mut [0; 10]).await, Ok(0) | Err(_)), "{is_ended}");
    }
}
