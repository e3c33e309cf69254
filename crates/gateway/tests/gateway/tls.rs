//! Ports that speak TLS, and headers of proxies in front.

use std::time::{Duration, Instant};

use hezar_accept::{Certificate, CertificateSlot, ServerTls};
use hezar_core::settings::{Given, Networks, SettingValue};
use hezar_gateway::{GatewayConfig, Limits, User};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    clients::*,
    world::{Does, World, config, eventually, world},
};

const GET: &[u8] = b"GET http://origin.test/who HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n";
/// A client of a proxy, in both versions.
const HEADER_1: &[u8] = b"PROXY TCP4 192.0.2.7 203.0.113.1 50000 443\r\n";
const HEADER_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xcb\x00\x71\x01\xc3\x50\x01\xbb";

/// TLS with a self-signed certificate for this name.
pub(crate) fn self_signed(name: &str) -> ServerTls {
    let slot = CertificateSlot::new();
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let pems = (made.cert.pem(), made.signing_key.serialize_pem());
    slot.set(Certificate::from_pem(pems.0.as_bytes(), pems.1.as_bytes()).unwrap());
    ServerTls::new(slot).unwrap()
}

fn port() -> ServerTls {
    self_signed("proxy.example.org")
}

fn networks(text: &str) -> Networks {
    Networks::parse(&Given::Text(text.to_owned()), &()).unwrap()
}

/// All that is said until the end.
async fn rest(mut stream: impl AsyncRead + Unpin) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// What is said to these bytes until the end.
async fn told(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
    rest(stream).await
}

async fn secured(world: &World, tls: &ServerTls) -> impl AsyncRead + AsyncWrite + Unpin + use<> {
    tls.connect(connect(world).await).await.unwrap()
}

fn counted(world: &World, code: &str) -> bool {
    world.metrics().contains(&format!("code=\"{code}\""))
}

#[tokio::test]
async fn http_and_socks_are_spoken_inside_tls() {
    let tls = port();
    let world = world(GatewayConfig { server_tls: Some(tls.clone()), ..config() }, &[Does::Web]).await;
    let answer = told(secured(&world, &tls).await, GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut stream = secured(&world, &tls).await;
    stream.write_all(b"\x05\x01\x00\x05\x01\x00\x03\x0borigin.test\x00\x50").await.unwrap();
    let mut replies = [0; 12];
    stream.read_exact(&mut replies).await.unwrap();
    assert_eq!((&replies[..2], &replies[2..4]), (&[5, 0][..], &[5, 0][..]));
    let answer = told(stream, b"GET /who HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_tunnel_inside_tls_carries_megabytes_and_keeps_its_half_close() {
    let tls = port();
    let world = world(GatewayConfig { server_tls: Some(tls.clone()), ..config() }, &[Does::Echo]).await;
    let mut stream = secured(&world, &tls).await;
    stream.write_all(b"CONNECT echo.test:443 HTTP/1.1\r\nHost: echo.test:443\r\n\r\n").await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "));
    let sent: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    let (mut reading, mut writing) = tokio::io::split(stream);
    let mut received = Vec::new();
    let write = async {
        writing.write_all(&sent).await.unwrap();
        writing.shutdown().await.unwrap();
    };
    let (read, ()) = tokio::join!(reading.read_to_end(&mut received), write);
    read.unwrap();
    assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
}

#[tokio::test]
async fn who_speaks_plainly_to_a_tls_port_is_told_so() {
    let world = world(GatewayConfig { server_tls: Some(port()), ..config() }, &[Does::Web]).await;
    let answer = String::from_utf8(say(&world, GET).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("code: plain-on-tls-port"), "{answer}");
    for socks in [&b"\x05\x01\x00"[..], b"\x04\x01\x00\x50\x01\x02\x03\x04\0"] {
        assert_eq!(told(connect(&world).await, socks).await, "");
    }
    assert!(counted(&world, "plain-on-tls-port"));
    // A record that is longer than TLS allows.
    assert!(!told(connect(&world).await, b"\x16\x03\x01\xff\xff").await.starts_with("HTTP"));
    eventually("tls-handshake is counted", || counted(&world, "tls-handshake")).await;
}

#[tokio::test]
async fn without_a_certificate_handshakes_fail_with_their_own_code() {
    let tls = ServerTls::new(CertificateSlot::new()).unwrap();
    let world = world(GatewayConfig { server_tls: Some(tls), ..config() }, &[Does::Web]).await;
    assert!(port().connect(connect(&world).await).await.is_err());
    eventually("no-certificate is counted", || counted(&world, "no-certificate")).await;
}

#[tokio::test]
async fn slow_handshakes_and_headers_are_bounded_in_time() {
    let short = Duration::from_millis(300);
    let config = GatewayConfig {
        server_tls: Some(port()),
        proxy_protocol: networks("127.0.0.1"),
        setup_timeout: short,
        ..config()
    };
    let world = world(config, &[Does::Web]).await;
    let began = Instant::now();
    for sent in [&b""[..], &HEADER_1[..9], HEADER_1, &[HEADER_1, b"\x16\x03\x01\x02\x00"].concat()] {
        assert_eq!(told(connect(&world).await, sent).await, "", "{sent:?}");
    }
    assert!(began.elapsed() >= 4 * short, "nobody was shut out before the time");
    eventually("client-timeout is counted", || counted(&world, "client-timeout")).await;
}

#[tokio::test]
async fn silent_clients_of_a_tls_port_make_room_for_others() {
    let tls = port();
    let config = GatewayConfig { server_tls: Some(tls.clone()), max_connections: 8, ..config() };
    let world = world(config, &[Does::Web]).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut stream = connect(&world).await;
        stream.write_all(b"\x16\x03").await.unwrap();
        silent.push(stream);
    }
    let answer = told(secured(&world, &tls).await, GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn the_client_that_a_trusted_proxy_names_is_the_one_that_counts() {
    let limits = Limits { requests: Some(1), ..Limits::default() };
    let users = vec![User::new("alice", "right")];
    let config = GatewayConfig { proxy_protocol: networks("127.0.0.1"), users, client_limits: limits, ..config() };
    let world = world(config, &[Does::Web]).await;
    let get = b"GET http://origin.test/who HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\
        Proxy-Authorization: Basic YWxpY2U6cmlnaHQ=\r\n\r\n";
    let through = async |header: &[u8]| told(connect(&world).await, &[header, get].concat()).await;
    // Each client has a rate of its own: the limit of one is not the limit of another.
    assert!(through(HEADER_1).await.starts_with("HTTP/1.1 200 "));
    assert!(through(HEADER_2).await.starts_with("HTTP/1.1 429 "), "the same client, in the other version");
    let other = b"PROXY TCP6 2001:db8::7 2001:db8::1 50000 443\r\n";
    assert!(through(other).await.starts_with("HTTP/1.1 200 "));
    // The proxy itself, such as a health check, is a client too.
    assert!(through(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").await.starts_with("HTTP/1.1 200 "));
    assert!(through(b"PROXY UNKNOWN\r\n").await.starts_with("HTTP/1.1 429 "));
}

#[tokio::test]
async fn a_header_may_come_in_any_pieces_and_before_tls() {
    let tls = port();
    let config = GatewayConfig {
        server_tls: Some(tls.clone()),
        proxy_protocol: networks("127.0.0.1"),
        users: vec![User::new("alice", "right")],
        ..config()
    };
    let world = world(config, &[Does::Web]).await;
    for header in [HEADER_1, HEADER_2] {
        let mut stream = connect(&world).await;
        stream.set_nodelay(true).unwrap();
        for byte in header {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let answer = told(tls.connect(stream).await.unwrap(), GET).await;
        assert!(answer.starts_with("HTTP/1.1 407 "), "{answer}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_must_send_a_header_and_others_must_not() {
    let trusting = GatewayConfig { proxy_protocol: networks("127.0.0.1"), ..config() };
    let world_with_proxy = world(trusting, &[Does::Web]).await;
    for sent in [GET, b"\x05\x01\x00", b"PROXY TCP4 nonsense\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0"] {
        assert_eq!(told(connect(&world_with_proxy).await, sent).await, "", "{sent:?}");
    }
    assert!(counted(&world_with_proxy, "proxy-header"));
    let elsewhere = GatewayConfig { proxy_protocol: networks("192.0.2.1"), ..config() };
    for config in [elsewhere, config()] {
        let world = world(config, &[Does::Web]).await;
        for header in [HEADER_1, HEADER_2] {
            let answer = told(connect(&world).await, &[header, GET].concat()).await;
            assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("code: untrusted-proxy"), "{answer}");
        }
        // What begins like a header and is none is served.
        let put = b"PUT http://origin.test/who HTTP/1.1\r\nHost: origin.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        for request in [&[b"\r\n", GET].concat()[..], put] {
            let answer = told(connect(&world).await, request).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        assert!(counted(&world, "untrusted-proxy"));
    }
}

#[tokio::test]
async fn strangers_behind_a_proxy_need_a_user_also_where_the_address_is_a_loopback_one() {
    let config = GatewayConfig { proxy_protocol: networks("127.0.0.1"), ..config() };
    let world = world(config, &[Does::Web]).await;
    let answer = told(connect(&world).await, &[HEADER_1, GET].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("client-denied"), "{answer}");
    let own = b"PROXY TCP4 127.0.0.1 127.0.0.1 50000 443\r\n";
    assert!(told(connect(&world).await, &[own, GET].concat()).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn many_clients_of_one_proxy_are_not_taken_for_one() {
    let config = GatewayConfig {
        proxy_protocol: networks("127.0.0.1"),
        users: vec![User::new("alice", "right")],
        max_pending_per_client: 4,
        ..config()
    };
    let world = world(config, &[Does::Web]).await;
    let named = async |client: u8, port: u16| -> TcpStream {
        let mut stream = connect(&world).await;
        let header = format!("PROXY TCP4 192.0.2.{client} 203.0.113.1 {port} 443\r\n");
        stream.write_all(header.as_bytes()).await.unwrap();
        stream
    };
    let mut waiting = Vec::new();
    for client in 1..=20 {
        waiting.push(named(client, 1000).await);
    }
    // Of one client the oldest one makes room.
    for port in 2000..2005 {
        waiting.push(named(100, port).await);
    }
    eventually("one makes room", || counted(&world, "connection-limit")).await;
    let mut refused = 0;
    for stream in &mut waiting {
        let _ = stream.write_all(GET).await;
        refused += usize::from(rest(stream).await.starts_with("HTTP/1.1 407 "));
    }
    assert_eq!((waiting.len(), refused), (25, 24));
}
