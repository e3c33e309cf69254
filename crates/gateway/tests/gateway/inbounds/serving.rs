//! A client reaches nodes through an encrypted inbound as through the mixed port, and a stranger does not.

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use hezar_core::Target;
use hezar_gateway::{
    GatewayConfig, InboundConfig, InboundFallback, InboundProtocol, InboundTransportKind, UserKey, credential,
};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode,
    client::conn::http2::{SendRequest, handshake},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

use super::{
    PATH, SOON, ali, attempt, carries_datagrams, echo_datagram, expect_no_node, inbound, inbounds, key, name,
    passes_ends, phone, ping, stream_to, trojan, users, with,
};
use crate::{
    clients::{ask, connect, say},
    world::{Does, World, eventually, world},
};

#[tokio::test]
async fn a_client_is_served_as_at_the_mixed_port() {
    for inbound in inbounds() {
        let world = world(with(&inbound, [ali()]), &[Does::Echo]).await;
        let phone = phone(&world, &inbound, &key(), "");
        let mut stream = stream_to(&phone, "example.com:443").await;
        ping(&mut stream, &[7; 100_000]).await;
        assert_eq!(world.fakes[0].targets.lock().as_slice(), ["example.com:443"]);
        let [info] = &world.connections.list(0, 10)[..] else { panic!("one connection") };
        assert_eq!((info.inbound, &*info.user, info.target.is_some()), (name(&inbound), "ali", true));
        if passes_ends(&inbound) {
            // A closed half is passed on, and the other one still carries the rest.
            stream.write_all(b"the end").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            timeout(SOON, stream.read_to_end(&mut rest)).await.expect("in time").unwrap();
            assert_eq!(rest, b"the end", "{inbound:?}");
        }
        drop(stream);
        eventually("it is gone", || world.connections.is_empty()).await;
        let served = format!("inbound=\"{}\",outcome=\"ok\",code=\"ok\",listener=\"proxy\"}} 1", name(&inbound));
        assert!(world.metrics().contains(&served), "{served}: {}", world.metrics());
    }
}

#[tokio::test]
async fn datagrams_go_over_a_node_that_carries_them() {
    for inbound in inbounds().filter(carries_datagrams) {
        let world = world(with(&inbound, [ali()]), &[Does::Web, Does::Echo]).await;
        let phone = phone(&world, &inbound, &key(), "");
        let association = phone.associate(&attempt()).await.unwrap();
        for payload in [&b"one"[..], &[7; 1200]] {
            echo_datagram(&association, payload).await;
        }
        assert_eq!(world.associates()[1], 1);
        let [info] = &world.connections.list(0, 10)[..] else { panic!("one connection") };
        let expected = format!("{}-udp", name(&inbound));
        assert_eq!((info.inbound, info.up, info.down), (&*expected, 1203, 1203));
        drop(association);
        let ended = || world.metrics().contains("hezar_associations{listener=\"proxy\"} 0");
        eventually("the association ends", ended).await;
        let served = format!("inbound=\"{expected}\",outcome=\"ok\",code=\"ok\",listener=\"proxy\"}} 1");
        assert!(world.metrics().contains(&served), "{served}: {}", world.metrics());
    }
}

/// The request inside is held and given to another node, as on the mixed port.
#[tokio::test]
async fn another_node_takes_over_before_the_client_notices() {
    for inbound in inbounds() {
        let nodes = [Does::Refuse, Does::HangUp, Does::Lie, Does::Web];
        let world = world(with(&inbound, [ali()]), &nodes).await;
        let phone = phone(&world, &inbound, &key(), "");
        for _ in 0..4 {
            let mut stream = stream_to(&phone, "origin.test:80").await;
            let asks = b"GET /who HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n";
            stream.write_all(asks).await.unwrap();
            stream.flush().await.unwrap();
            let mut answer = String::new();
            timeout(SOON, stream.read_to_string(&mut answer)).await.expect("in time").unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("node-3"), "{inbound:?}: {answer}");
        }
        assert_eq!(world.origin_requests(), 4);
        let connects = world.connects();
        assert!(connects[..3].iter().sum::<usize>() >= 1, "at least one bad node was tried first: {connects:?}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard() {
    for inbound in inbounds() {
        // Nothing comes of the client, and the node's bytes reach it all the same.
        let world = world(with(&inbound, [ali()]), &[Does::Drips]).await;
        let phone = phone(&world, &inbound, &key(), "");
        let mut stream = stream_to(&phone, "mail.example:25").await;
        stream.flush().await.unwrap();
        let mut first = [0; 12];
        timeout(SOON, stream.read_exact(&mut first)).await.expect("in time").unwrap();
        assert_eq!(&first, b"HTTP/1.1 103", "{inbound:?}");
    }
}

/// Clients of some protocols give up a stream that is not answered for a few seconds, and finding a node may take longer.
#[tokio::test]
async fn a_client_is_told_in_time_that_it_is_served() {
    let inbound = inbound(InboundProtocol::Vless, InboundTransportKind::Tcp);
    let world = world(with(&inbound, [ali()]), &[Does::Hang]).await;
    let id = credential(&inbound.protocol, &key(), "");
    let mut stream = connect(&world).await;
    let request = [&[0][..], id.expose(), b"\0\x01\x01\xbb\x02\x0bexample.com"].concat();
    stream.write_all(&request).await.unwrap();
    let mut answer = [9; 2];
    timeout(SOON, stream.read_exact(&mut answer)).await.expect("in time").unwrap();
    assert_eq!(answer, [0, 0]);
    let [info] = &world.connections.list(0, 10)[..] else { panic!("one connection") };
    assert_eq!(info.node, None, "no node is connected yet");
}

/// Who is no client may get a page of the site, and never a byte of a node.
#[tokio::test]
async fn strangers_reach_no_node() {
    let wrong = UserKey::new([9; 32]);
    for inbound in inbounds() {
        let world = world(with(&inbound, [ali()]), &[Does::Echo]).await;
        if let Ok(stream) =
            phone(&world, &inbound, &wrong, "").connect(&Target::parse("example.com:443").unwrap(), &attempt()).await
        {
            expect_no_node(stream).await;
        }
        for garbage in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01", b"\x05\x01\x00", b"00"]
        {
            let mut stream = connect(&world).await;
            stream.write_all(garbage).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it is ended");
            let is_silent = matches!(inbound.protocol, InboundProtocol::Shadowsocks(_));
            assert!(!is_silent || answer.is_empty(), "{garbage:?}: {answer:?}");
        }
        assert!(world.connections.is_empty() && world.connects() == [0], "{inbound:?}");
        // A port scan says nothing at all.
        drop(connect(&world).await);
        let known = phone(&world, &inbound, &key(), "");
        ping(&mut stream_to(&known, "example.com:443").await, b"still").await;
    }
}

#[tokio::test]
async fn a_site_answers_strangers_of_trojan_and_the_log_counts_them() {
    let inbound = trojan();
    let world = world(with(&inbound, [ali()]), &[Does::Echo]).await;
    let answer =
        String::from_utf8(say(&world, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let wrong = [&[b'0'; 56][..], b"\r\n\x01\x03\x0bexample.com\x01\xbb\r\n\r\n"].concat();
    let answer = String::from_utf8(say(&world, &wrong).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "as a web server answers what it cannot read: {answer}");
    let counted = "hezar_connections_rejected_total{code=\"stranger\",listener=\"proxy\"} 2";
    eventually("both are counted", || world.metrics().contains(counted)).await;
    drop(connect(&world).await);
    let gone = "hezar_connections_rejected_total{code=\"client-gone\",listener=\"proxy\"} 1";
    eventually("it is counted", || world.metrics().contains(gone)).await;
}

#[tokio::test]
async fn a_listener_becomes_encrypted_and_mixed_again() {
    let inbound = trojan();
    let world = world(with(&inbound, [ali()]), &[Does::Web]).await;
    drop(stream_to(&phone(&world, &inbound, &key(), ""), "origin.test:80").await);
    eventually("it listens", || world.gateway.listeners().len() == 1).await;
    world.gateway.configure(GatewayConfig { inbound: None, ..with(&inbound, [ali()]) }).unwrap();
    let answer = String::from_utf8(say(&world, b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 4") && answer.contains("hezar"), "{answer}");
    world.gateway.configure(with(&inbound, [ali()])).unwrap();
    let mut stream = stream_to(&phone(&world, &inbound, &key(), ""), "origin.test:80").await;
    stream.write_all(b"GET /who HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("node-0"), "{answer}");
}

/// What a client of VLESS sends first, and what comes back from an echo.
fn vless_ping(inbound: &InboundConfig, key: u8) -> Vec<u8> {
    let id = credential(&inbound.protocol, &UserKey::new([key; 32]), "");
    [&b"\0"[..], id.expose(), b"\0\x01\x01\xbb\x02\x0bexample.com", b"ping"].concat()
}

/// A CDN or a web server in front keeps its connections, and sends over each of them whoever comes.
#[tokio::test]
async fn who_comes_over_an_older_connection_is_judged_by_the_settings_of_now() {
    let inbound = inbound(InboundProtocol::Vless, InboundTransportKind::HttpUpgrade);
    let world = world(with(&inbound, users(&[1, 2])), &[Does::Echo]).await;
    let upgrade = format!("GET {PATH} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    let mut older = Vec::new();
    for _ in 0..3 {
        let mut connection = connect(&world).await;
        let answer = ask(&mut connection, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        older.push(connection);
    }
    world.gateway.configure(with(&inbound, users(&[3, 2]))).unwrap();
    for (mut connection, (key, is_user)) in older.into_iter().zip([(1, false), (2, true), (3, true)]) {
        let answer = ask(&mut connection, upgrade.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let _ = connection.write_all(&vless_ping(&inbound, key)).await;
        let mut heard = [0; 6];
        let read = timeout(SOON, connection.read_exact(&mut heard)).await.expect("in time");
        assert_eq!(read.is_ok() && heard == *b"\0\0ping", is_user, "user {key}: {heard:?}");
    }
    assert_eq!(world.connects(), [2]);
}

/// What is answered to a whole call of gRPC: its one message holds what a client says.
async fn call(http2: &mut SendRequest<Full<Bytes>>, said: &[u8]) -> Vec<u8> {
    let length = u8::try_from(said.len()).unwrap();
    let message = [&[0, 0, 0, 0, length + 2, 0x0a, length], said].concat();
    let request = Request::post(format!("http://a{PATH}/Tun")).header("content-type", "application/grpc");
    let answer = http2.send_request(request.body(Full::from(message)).unwrap()).await.unwrap();
    timeout(SOON, answer.into_body().collect()).await.expect("in time").unwrap().to_bytes().to_vec()
}

/// The same over HTTP/2, where the streams of all of them share a connection at a time.
#[tokio::test]
async fn users_share_a_connection_of_http2_that_is_older_than_they_are() {
    let inbound = inbound(InboundProtocol::Vless, InboundTransportKind::Grpc);
    let world = world(with(&inbound, users(&[1, 2])), &[Does::Echo]).await;
    let (mut http2, connection) = handshake(TokioExecutor::new(), TokioIo::new(connect(&world).await)).await.unwrap();
    let connection = tokio::spawn(connection);
    for (now, key, is_user) in
        [([1, 2], 1, true), ([1, 2], 3, false), ([3, 2], 3, true), ([3, 2], 2, true), ([3, 2], 1, false)]
    {
        world.gateway.configure(with(&inbound, users(&now))).unwrap();
        let heard = call(&mut http2, &vless_ping(&inbound, key)).await;
        assert_eq!(heard.ends_with(b"ping"), is_user, "user {key} of {now:?}: {heard:?}");
    }
    assert_eq!(world.connects(), [3]);
    drop(http2);
    timeout(SOON, connection).await.expect("in time").unwrap().unwrap();
}

/// A connection of HTTP/2 to the listener.
async fn http2(world: &World) -> SendRequest<Full<Bytes>> {
    let (http2, connection) = handshake(TokioExecutor::new(), TokioIo::new(connect(world).await)).await.unwrap();
    tokio::spawn(connection);
    http2
}

/// Asks for the site's first page.
async fn visit(mut http2: SendRequest<Full<Bytes>>) -> hyper::Result<StatusCode> {
    let request = Request::get("http://a/").body(Full::default()).unwrap();
    Ok(http2.send_request(request).await?.status())
}

/// One stranger with many requests leaves places for the others.
#[tokio::test]
async fn one_connection_takes_a_part_of_the_places_of_strangers() {
    let site = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Target::parse(&site.local_addr().unwrap().to_string()).unwrap();
    let mut inbound = inbound(InboundProtocol::Vless, InboundTransportKind::Grpc);
    inbound.fallback = InboundFallback { folder: None, address: Some(address) };
    let world = world(with(&inbound, [ali()]), &[Does::Echo]).await;
    let greedy = http2(&world).await;
    let mut visits: FuturesUnordered<_> = (0..80).map(|_| visit(greedy.clone())).collect();
    for _ in 0..16 {
        timeout(SOON, visits.next()).await.expect("in time").unwrap().unwrap_err();
    }
    // The web server is slow to answer.
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(timeout(SOON, site.accept()).await.expect("in time").unwrap());
    }
    assert!(visits.next().now_or_never().is_none());
    let other = tokio::spawn(visit(http2(&world).await));
    timeout(SOON, site.accept()).await.expect("in time").unwrap();
    // What it says to the other one is nothing.
    assert_eq!(timeout(SOON, other).await.expect("in time").unwrap().unwrap(), StatusCode::BAD_GATEWAY);
}
