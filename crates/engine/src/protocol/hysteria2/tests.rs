//! Hysteria 2 against its definition and against a server written down from it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hezar_core::{Secret, Target};
use http::Response;
use proptest::prelude::*;
use quinn::Connection;
use rand::{SeedableRng, rngs::SmallRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::Handle,
    time::sleep,
};

use super::{
    wire::{self, Accepted, Message},
    *,
};
use crate::{
    Cause,
    io::header_stream::AnswerHead,
    protocol::contract::{self, Served, pump},
    quic::{peer::Peer, varint},
    testing::until,
    transport::TransportConnector,
};

/// The request and answer of one stream, over any other stream.
#[derive(Debug)]
struct Inner(TransportConnector);

#[async_trait]
impl Dialer for Inner {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let stream = self.0.open(attempt).await?;
        Ok(Box::new(HeaderStream::new(stream, wire::request(target, &mut random()), wire::ConnectResponse)))
    }
}

fn inner(connector: TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    Ok(Arc::new(Inner(connector)))
}

fn random() -> SmallRng {
    SmallRng::seed_from_u64(1)
}

/// Reads an integer byte by byte.
async fn integer(stream: &mut (impl AsyncReadExt + Unpin)) -> u64 {
    let first = stream.read_u8().await.unwrap();
    let mut bytes = vec![first; 1];
    bytes.resize(1 << (first >> 6), 0);
    stream.read_exact(&mut bytes[1..]).await.unwrap();
    varint::take(&mut &bytes[..]).unwrap()
}

async fn text(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut text = vec![0; integer(stream).await as usize];
    stream.read_exact(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

fn answer(status: u8, message: &str, padding: usize) -> Vec<u8> {
    let mut bytes = vec![status];
    varint::put(message.len() as u64, &mut bytes);
    bytes.extend_from_slice(message.as_bytes());
    varint::put(padding as u64, &mut bytes);
    bytes.resize(bytes.len() + padding, b'p');
    bytes
}

async fn serve(mut peer: DuplexStream) -> Served {
    assert_eq!(integer(&mut peer).await, 0x401);
    let target = Target::parse(&text(&mut peer).await).unwrap();
    let padding = text(&mut peer).await;
    assert!((64..512).contains(&padding.len()) && padding.bytes().all(|b| b.is_ascii_alphanumeric()));
    peer.write_all(&answer(0, "Connected", 700)).await.unwrap();
    (target, pump(peer))
}

#[tokio::test(start_paused = true)]
async fn keeps_the_laws() {
    contract::all(inner, serve).await;
}

#[test]
fn golden_request() {
    let bytes = wire::request(&contract::target(), &mut random());
    assert_eq!(bytes[..18], *b"\x44\x01\x0fexample.com:443");
    let mut rest = &bytes[18..];
    let length = varint::take(&mut rest).unwrap();
    assert_eq!(rest.len() as u64, length);
    let v6 = wire::request(&Target::parse("[2001:db8::1]:53").unwrap(), &mut random());
    assert_eq!(v6[..19], *b"\x44\x01\x10[2001:db8::1]:53");
}

#[test]
fn golden_message() {
    let bytes = wire::message(0x0102_0304, 0x0506, (7, 8), "192.0.2.1:53", b"query");
    assert_eq!(bytes, &b"\x01\x02\x03\x04\x05\x06\x07\x08\x0c192.0.2.1:53query"[..]);
    assert_eq!(wire::header("192.0.2.1:53"), 21);
    let address = Target::parse("192.0.2.1:53").unwrap();
    let read = Message::read(&bytes).unwrap();
    let payload = Bytes::from_static(b"query");
    assert_eq!(read, Message { session: 0x0102_0304, packet: 0x0506, piece: 7, pieces: 8, address, payload });
}

#[test]
fn golden_auth() {
    let request = wire::auth("user:pässword", 12_500_000, &mut random()).unwrap();
    assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("POST", "https://hysteria/auth"));
    assert_eq!(request.headers()["hysteria-auth"].as_bytes(), "user:pässword".as_bytes());
    assert_eq!(request.headers()["hysteria-cc-rx"], "12500000");
    assert!((256..2048).contains(&request.headers()["hysteria-padding"].len()));
    assert!(wire::auth("line\nbreak", 0, &mut random()).is_err());
}

#[test]
fn rates_are_settled() {
    let answer = |status: u16, udp: &str, rate: &str| {
        let builder = Response::builder().status(status).header("Hysteria-UDP", udp).header("Hysteria-CC-RX", rate);
        wire::accepted(&builder.body(()).unwrap())
    };
    assert_eq!(answer(233, "true", "auto").unwrap(), Accepted { udp: true, receives: None });
    assert_eq!(answer(233, "false", "77").unwrap(), Accepted { udp: false, receives: Some(77) });
    assert_eq!(answer(233, "", "many").unwrap(), Accepted { udp: false, receives: Some(0) });
    assert!(matches!(answer(404, "true", "0"), Err(Cause::Authentication)));
    // Ours, theirs: unknown and unlimited, limited, refused.
    assert_eq!([wire::rate(0, Some(0)), wire::rate(0, Some(9)), wire::rate(5, None)], [None, None, None]);
    assert_eq!([wire::rate(5, Some(0)), wire::rate(5, Some(9)), wire::rate(5, Some(3))], [Some(5), Some(5), Some(3)]);
}

#[tokio::test(start_paused = true)]
async fn refusals_have_their_causes() {
    let cause = async |bytes: &[u8]| contract::cause_of_answer(inner, bytes, 1, 64).await;
    let said = async |message: &str| cause(&answer(1, message, 100)).await;
    assert!(matches!(
        said("dial tcp 192.0.2.1:1: connect: connection refused").await,
        Some(Cause::TargetUnreachable("connection refused"))
    ));
    let lost = said("lookup example.invalid: no such host").await;
    assert!(matches!(lost, Some(Cause::TargetUnreachable("the name does not resolve"))));
    assert!(matches!(said("i/o timeout").await, Some(Cause::TargetUnreachable("timed out"))));
    assert!(matches!(said("network is unreachable").await, Some(Cause::TargetUnreachable("no route"))));
    assert!(matches!(said("rejected by ACL").await, Some(Cause::Forbidden)));
    assert!(matches!(said("").await, Some(Cause::TargetUnreachable("rejected or failed"))));
    assert!(matches!(cause(&[2, 0, 0]).await, Some(Cause::Protocol(_))));
    assert!(matches!(cause(&[0, 0x7f, 0xff]).await, Some(Cause::Protocol(_))));
    assert!(matches!(cause(&[0, 0]).await, Some(Cause::Closed)));
    assert!(matches!(cause(b"").await, Some(Cause::Closed)));
}

const AUTH: &str = "user:password";

/// A server: accepts `AUTH`, echoes every stream and datagram.
fn start(udp: bool) -> (Peer, Target) {
    let peer = Peer::start(&["h3"], None);
    let target = Target::try_from(peer.address).unwrap();
    let endpoint = peer.endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move { speak(incoming.await.unwrap(), udp).await });
        }
    });
    (peer, target)
}

async fn speak(connection: Connection, udp: bool) {
    let mut http =
        h3::server::Connection::<_, Bytes>::new(h3_quinn::Connection::new(connection.clone())).await.unwrap();
    let (request, mut stream) = http.accept().await.unwrap().unwrap().resolve_request().await.unwrap();
    let known = request.uri().path() == "/auth" && request.headers()["hysteria-auth"] == AUTH;
    let accepted = Response::builder().status(if known { 233 } else { 404 }).header("Hysteria-UDP", udp.to_string());
    stream.send_response(accepted.header("Hysteria-CC-RX", "auto").body(()).unwrap()).await.unwrap();
    stream.finish().await.unwrap();
    if !known {
        connection.closed().await;
        return;
    }
    let datagrams = connection.clone();
    tokio::spawn(async move {
        while let Ok(datagram) = datagrams.read_datagram().await {
            datagrams.send_datagram(datagram).unwrap();
        }
    });
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        tokio::spawn(async move {
            assert_eq!(integer(&mut receive).await, 0x401);
            assert_eq!(text(&mut receive).await, contract::target().to_string());
            text(&mut receive).await;
            send.write_all(&answer(0, "", 300)).await.unwrap();
            let _ = tokio::io::copy(&mut receive, &mut send).await;
        });
    }
}

fn dialer(peer: &Peer, target: &Target, auth: &str) -> Hysteria2Dialer {
    let server = peer.server(target);
    let pool = QuicPool::closing_after(Duration::from_millis(300));
    Hysteria2Dialer { server, auth: Secret::new(auth), sends: 0, receives: 0, pool }
}

#[tokio::test]
async fn a_whole_life() {
    let (peer, target) = start(true);
    let dialer = dialer(&peer, &target, AUTH);
    sleep(Duration::from_millis(1)).await;
    let before = Handle::current().metrics().num_alive_tasks();
    let mut stream = dialer.connect(&contract::target(), &contract::attempt()).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut buffer = [0; 4];
    stream.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"ping");

    let datagrams = dialer.associate(&contract::attempt()).await.unwrap();
    let mut buffer = vec![0; 65_536];
    for length in [1, 1000, 1200, 5000, 60_000] {
        let payload: Vec<u8> = (0..length).map(|n: u32| (n % 251) as u8).collect();
        datagrams.send_to(&payload, &contract::target()).await.unwrap();
        let (received, from) = datagrams.recv_from(&mut buffer).await.unwrap();
        assert_eq!(from, contract::target());
        assert!(buffer[..received] == payload, "{length}");
    }
    // What does not fit is cut off.
    datagrams.send_to(&[1; 100], &contract::target()).await.unwrap();
    assert_eq!(datagrams.recv_from(&mut [0; 10]).await.unwrap().0, 10);

    drop((stream, datagrams));
    until(|| dialer.pool.len() == 0).await;
    until(|| Handle::current().metrics().num_alive_tasks() == before).await;
}

#[tokio::test]
async fn a_wrong_password_is_named() {
    let (peer, target) = start(true);
    let failed =
        dialer(&peer, &target, "wrong").connect(&contract::target(), &contract::attempt()).await.err().unwrap();
    assert!(matches!(failed.cause, Cause::Authentication), "{failed}");
}

#[tokio::test]
async fn no_datagrams_where_the_server_has_none() {
    let (peer, target) = start(false);
    let failed = dialer(&peer, &target, AUTH).associate(&contract::attempt()).await.err().unwrap();
    assert!(matches!(failed.cause, Cause::Unsupported(_)), "{failed}");
}

#[tokio::test]
async fn an_association_ends_with_its_connection() {
    let (peer, target) = start(true);
    let dialer = dialer(&peer, &target, AUTH);
    let datagrams = dialer.associate(&contract::attempt()).await.unwrap();
    peer.endpoint.close(VarInt::from_u32(0), b"");
    assert!(datagrams.recv_from(&mut [0; 10]).await.is_err());
    assert!(datagrams.send_to(&[0; 10], &contract::target()).await.is_err());
}

proptest! {
    #[test]
    fn any_datagram(bytes in any::<Vec<u8>>()) {
        if let Some(message) = Message::read(&Bytes::from(bytes)) {
            let address = message.address.to_string();
            let piece = (message.piece, message.pieces);
            let again = wire::message(message.session, message.packet, piece, &address, &message.payload);
            prop_assert_eq!(Message::read(&again).unwrap(), message);
        }
    }

    #[test]
    fn any_request(rest in any::<Vec<u8>>(), is_begun: bool) {
        let bytes = if is_begun { [&b"\x44\x01"[..], &rest].concat() } else { rest };
        if let Ok(Some((target, length))) = wire::take_request(&bytes) {
            prop_assert!(length <= bytes.len());
            for end in 0..length {
                prop_assert!(matches!(wire::take_request(&bytes[..end]), Ok(None)));
            }
            let again = wire::request(&target, &mut random());
            prop_assert_eq!(wire::take_request(&again).unwrap(), Some((target, again.len())));
        }
    }

    #[test]
    fn any_answer(bytes in any::<Vec<u8>>()) {
        if let Ok(Some(length)) = wire::ConnectResponse.length(&bytes) {
            prop_assert!(length <= bytes.len());
            for end in 0..length {
                prop_assert!(matches!(wire::ConnectResponse.length(&bytes[..end]), Ok(None)));
            }
        }
    }
}

#[test]
fn golden_request_is_read_in_any_pieces() {
    let bytes = wire::request(&contract::target(), &mut random());
    for end in 0..bytes.len() {
        assert!(matches!(wire::take_request(&bytes[..end]), Ok(None)), "{end}");
    }
    let more = [&bytes[..], b"payload"].concat();
    assert_eq!(wire::take_request(&more).unwrap(), Some((contract::target(), bytes.len())));
    assert!(bytes.len() <= wire::MOST_REQUEST);
    // Another frame, no address, one that is too long, padding that is too long.
    assert!(wire::take_request(b"\x01\x00").is_err());
    assert!(wire::take_request(b"\x44\x01\x00\x00").is_err());
    assert!(wire::take_request(b"\x44\x01\x48\x01").is_err());
    assert!(wire::take_request(b"\x44\x01\x03a:1\x50\x01").is_err());
}

#[test]
fn golden_answers() {
    let mut bytes = Vec::new();
    wire::put_answer(true, "Connected", &mut bytes, &mut random());
    assert_eq!(bytes[..11], *b"\x00\x09Connected");
    assert_eq!(wire::ConnectResponse.length(&bytes).unwrap(), Some(bytes.len()));
    let mut bytes = Vec::new();
    wire::put_answer(false, "forbidden", &mut bytes, &mut random());
    assert!(matches!(wire::ConnectResponse.length(&bytes), Err(Cause::Forbidden)));
}

#[test]
fn an_authentication_is_told_from_other_requests() {
    let request = wire::auth("user:password", 77, &mut random()).unwrap();
    let read = wire::read_auth(&request).unwrap();
    assert_eq!(read, wire::AuthRequest { credential: b"user:password", receives: 77 });
    for (method, uri) in
        [("GET", "https://hysteria/auth"), ("POST", "https://hysteria/"), ("POST", "https://other/auth")]
    {
        let request = http::Request::builder().method(method).uri(uri).header("hysteria-auth", "x").body(()).unwrap();
        assert_eq!(wire::read_auth(&request), None, "{method} {uri}");
    }
    let answer = wire::accepted_answer(Some(9), &mut random()).unwrap();
    assert_eq!(wire::accepted(&answer).unwrap(), Accepted { udp: true, receives: Some(9) });
    let answer = wire::accepted_answer(None, &mut random()).unwrap();
    assert_eq!(wire::accepted(&answer).unwrap(), Accepted { udp: true, receives: None });
    // The server's limit, what the client can receive.
    assert_eq!([wire::server_rate(None, 5), wire::server_rate(Some(9), 0)], [None, None]);
    assert_eq!([wire::server_rate(Some(9), 5), wire::server_rate(Some(3), 5)], [Some(5), Some(3)]);
}
