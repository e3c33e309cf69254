//! Stopping: no new connections, running tunnels finish, and what does not finish is ended.

use std::time::Duration;

use hezar_gateway::GatewayConfig;
use tokio::{io::AsyncReadExt, net::TcpStream};

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
