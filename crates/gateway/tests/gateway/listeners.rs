//! Listeners are opened, configured and closed while others serve, and cut nobody who is there.

use hezar_gateway::{GatewayConfig, ServeError, User};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::{
    clients::{ping, say, tunnel},
    world::{Does, config, eventually, world},
};

fn named(name: &str) -> GatewayConfig {
    GatewayConfig { name: name.into(), ..config() }
}

fn alice() -> User {
    User::new("alice", "right")
}

const ASKS: &[u8] = b"GET http://origin.test/who HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn new_settings_hold_for_new_requests_and_cut_no_tunnel() {
    let world = world(config(), &[Does::Echo]).await;
    let mut stream = tunnel(&world, "example.com:443").await;
    ping(&mut stream, b"before").await;
    let impossible = GatewayConfig { users: vec![alice()], attempts: 0, ..named("proxy") };
    assert!(matches!(world.gateway.configure(impossible), Err(ServeError::Config(_))));
    assert!(!say(&world, ASKS).await.starts_with(b"HTTP/1.1 407 "), "the old settings stay");
    world.gateway.configure(GatewayConfig { users: vec![alice()], ..named("proxy") }).unwrap();
    assert!(say(&world, ASKS).await.starts_with(b"HTTP/1.1 407 "), "now a password is needed");
    ping(&mut stream, b"after").await;
    assert!(matches!(world.gateway.configure(named("other")), Err(ServeError::UnknownListener(_))));
}

#[tokio::test]
async fn listeners_come_and_go_beside_each_other() {
    let world = world(config(), &[Does::Echo]).await;
    let mut stream = tunnel(&world, "example.com:443").await;
    let (drain, socket) = (CancellationToken::new(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = socket.local_addr().unwrap();
    let serving = tokio::spawn(world.gateway.open(named("second"), socket.into(), &drain).unwrap());
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert!(matches!(world.gateway.open(named("second"), socket.into(), &drain), Err(ServeError::NameTaken(_))));
    assert_eq!(world.gateway.listeners(), [("proxy".into(), world.address), ("second".into(), address)]);
    assert!(TcpStream::connect(address).await.is_ok());
    assert!(world.gateway.close("second") && !world.gateway.close("second"));
    serving.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "its socket is closed");
    assert!(!drain.is_cancelled(), "the others are not concerned");
    ping(&mut stream, b"still there").await;
    // The name is free, for another address.
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = tokio::spawn(world.gateway.open(named("second"), socket.into(), &drain).unwrap());
    drain.cancel();
    serving.await.unwrap();
    eventually("the listener is gone", || world.gateway.listeners().len() == 1).await;
}
