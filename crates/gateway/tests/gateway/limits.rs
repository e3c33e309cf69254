//! Clients that are slow, huge, confused or too many.

use std::time::Duration;

use hezar_gateway::GatewayConfig;
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    clients::*,
    world::{Does, config, eventually, world},
};

fn impatient() -> GatewayConfig {
    GatewayConfig { setup_timeout: Duration::from_secs(1), ..config() }
}

#[tokio::test]
async fn silence_and_halves_are_cut_off() {
    let world = world(impatient(), &[Does::Echo]).await;
    let (nothing, greeting, four, request, head) = tokio::join!(
        say(&world, b""),
        say(&world, &[5, 3, 0]),
        say(&world, &[4, 1, 0]),
        say(&world, &[5, 1, 0, 5, 1]),
        say(&world, b"GET http://example.com/ HTTP/1.1\r\nHos"),
    );
    assert!(nothing.is_empty() && greeting.is_empty() && four.is_empty());
    assert_eq!(request, [5, 0]);
    let answer = String::from_utf8(head).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("details=\"client-timeout\""), "{answer}");
    eventually("all are counted", || {
        world.metrics().contains("hezar_connections_rejected_total{code=\"client-timeout\",listener=\"proxy\"} 5")
    })
    .await;
    eventually("all are gone", || world.metrics().contains("hezar_connections{listener=\"proxy\"} 0")).await;
}

#[tokio::test]
async fn a_megabyte_of_headers() {
    let world = world(config(), &[Does::Web]).await;
    let head = format!("GET http://example.com/ HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    let answer = String::from_utf8(say(&world, head.as_bytes()).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains("details=\"header-too-large\""), "{answer}");
    // Later requests on a connection are bounded too.
    let mut client = http(&world).await;
    let response = client.send_request(request("GET", "http://origin.test/who", "")).await.unwrap();
    assert_eq!(whole(response).await.0, 200);
    let mut large = request("GET", "http://origin.test/who", "");
    large.headers_mut().insert("x", "a".repeat(100 << 10).parse().unwrap());
    let second = client.send_request(large).await;
    assert!(second.is_err() || second.is_ok_and(|response| response.status() == 431));
    assert_eq!(world.origin_requests(), 1);
}

#[tokio::test]
async fn other_protocols() {
    let world = world(config(), &[Does::Web]).await;
    let answer = String::from_utf8(say(&world, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 505 ") && answer.contains("details=\"http2\""), "{answer}");
    assert!(say(&world, &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]).await.is_empty());
    let answer = String::from_utf8(say(&world, b"\x01\x02\x03").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let answer = String::from_utf8(say(&world, b"EHLO mail.example.com\r\n\r\n").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        world.metrics().contains("hezar_connections_rejected_total{code=\"tls-on-plain-port\",listener=\"proxy\"} 1")
    );
}

#[tokio::test]
async fn too_many_connections() {
    let world = world(GatewayConfig { max_connections: 2, ..config() }, &[Does::Echo]).await;
    let mut first = tunnel(&world, "example.com:443").await;
    let mut second = tunnel(&world, "example.com:443").await;
    let mut third = connect(&world).await;
    assert!(matches!(third.read(&mut [0; 10]).await, Ok(0) | Err(_)));
    ping(&mut first, b"still").await;
    ping(&mut second, b"here").await;
    assert!(
        world.metrics().contains("hezar_connections_rejected_total{code=\"connection-limit\",listener=\"proxy\"} 1")
    );
    drop(first);
    eventually("a place is free", || world.metrics().contains("hezar_connections{listener=\"proxy\"} 1")).await;
    ping(&mut tunnel(&world, "example.com:443").await, b"again").await;
}

#[tokio::test]
async fn an_idle_tunnel_is_closed() {
    let config = GatewayConfig { idle_timeout: Duration::from_millis(50), ..config() };
    let world = world(config, &[Does::Echo]).await;
    let mut stream = tunnel(&world, "example.com:443").await;
    assert!(matches!(stream.read(&mut [0; 10]).await, Ok(0) | Err(_)));
    eventually("no tunnel is open", || world.metrics().contains("hezar_tunnels{listener=\"proxy\"} 0")).await;
}

#[test]
fn garbage_never_harms() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(world(impatient(), &[Does::Web]));
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() });
    let start = prop::sample::select(vec![
        &b""[..],
        b"\x05\x01\x00",
        b"\x05\x01\x00\x05\x01\x00\x03",
        b"\x04\x01",
        b"GET http://origin.test/who HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST http://origin.test/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"CONNECT origin.test:80 HTTP/1.1\r\n\r\n",
    ]);
    let garbage = prop::collection::vec(any::<u8>(), 0..300);
    runner
        .run(&(start, garbage), |(start, garbage)| {
            runtime.block_on(async {
                let mut stream = connect(&world).await;
                let _ = stream.write_all(&[start, &garbage].concat()).await;
                let _ = stream.shutdown().await;
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer).await;
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(async {
        let mut client = http(&world).await;
        let response = client.send_request(request("GET", "http://origin.test/who", "")).await.unwrap();
        assert_eq!(whole(response).await.0, 200);
    });
    assert!(!world.serving.is_finished());
}
