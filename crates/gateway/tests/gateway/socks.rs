//! SOCKS4, SOCKS4a and SOCKS5.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    clients::*,
    world::{Does, config, world},
};

#[tokio::test]
async fn socks5_with_every_address_type() {
    let world = world(config(), &[Does::Echo]).await;
    let v6 = [&[5, 1, 0, 4][..], &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], &[1, 187]].concat();
    for request in [by_name("example.com", 443), vec![5, 1, 0, 1, 192, 0, 2, 9, 0, 80], v6] {
        let (stream, reply) = socks5(&world, None, &request).await;
        assert_eq!(reply, Some(0));
        expect_echo(stream, b"hello").await;
    }
    let targets = world.fakes[0].targets.lock().clone();
    assert_eq!(targets, ["example.com:443", "192.0.2.9:80", "[2001:db8::1]:443"]);
}

#[tokio::test]
async fn socks4_and_4a() {
    let world = world(config(), &[Does::Echo]).await;
    for request in
        [&b"\x04\x01\x00\x50\xc0\x00\x02\x09me\x00"[..], b"\x04\x01\x00\x50\x00\x00\x00\x01\x00example.com\x00"]
    {
        let mut stream = connect(&world).await;
        // The first bytes for the target may come with the request.
        stream.write_all(&[request, b"early "].concat()).await.unwrap();
        let mut reply = [0; 8];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(reply[..2], [0, 90]);
        let mut early = [0; 6];
        stream.read_exact(&mut early).await.unwrap();
        assert_eq!(&early, b"early ");
        expect_echo(stream, b"hello").await;
    }
    assert_eq!(world.fakes[0].targets.lock().clone(), ["192.0.2.9:80", "example.com:80"]);
}

#[tokio::test]
async fn one_byte_at_a_time() {
    let world = world(config(), &[Does::Echo]).await;
    let mut stream = connect(&world).await;
    stream.set_nodelay(true).unwrap();
    for byte in [&[5, 1, 0][..], &by_name("example.com", 80)].concat() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut reply = [0; 12];
    stream.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply[..4], [5, 0, 5, 0]);
    expect_echo(stream, b"hello").await;
}

#[tokio::test]
async fn replies_name_the_cause() {
    for (nodes, reply, code) in [
        (&[][..], 1, "pool-empty"),
        (&[Does::Refuse][..], 1, "all-attempts-failed"),
        (&[Does::NoTarget, Does::NoTarget][..], 4, "target-unreachable"),
    ] {
        let world = world(config(), nodes).await;
        let (_, found) = socks5(&world, None, &by_name("example.com", 80)).await;
        assert_eq!(found, Some(reply), "{code}");
        assert!(world.metrics().contains(&format!("code=\"{code}\"")), "{code}");
    }
}

#[tokio::test]
async fn bind_is_refused() {
    let world = world(config(), &[Does::Echo]).await;
    for command in [2, 9] {
        let (_, reply) = socks5(&world, None, &[5, command, 0, 1, 1, 2, 3, 4, 0, 80]).await;
        assert_eq!(reply, Some(7));
    }
    assert_eq!(world.connects(), [0]);
}

#[tokio::test]
async fn greeting_without_a_method_that_fits() {
    let world = world(config(), &[Does::Echo]).await;
    assert_eq!(say(&world, &[5, 1, 1]).await, [5, 0xff]);
}
