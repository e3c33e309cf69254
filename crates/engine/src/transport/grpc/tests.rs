//! Tests of gRPC: golden messages, any chunking, a server in memory, statuses.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hezar_core::{Grpc, GrpcMode, Host, Target};
use http::{HeaderMap, Request, Response};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc::UnboundedReceiver,
};

use super::{GrpcClient, path, wire};
use crate::{
    Attempt, BoxStream, Cause, budget::ConnectionBudget, security::Secure, security::SecureConnector, testing::Many,
};

/// Everything that a decoder takes out of these pieces.
fn decoded(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool), Cause> {
    let (mut decoder, mut payload) = (wire::Decoder::new(), Vec::new());
    for piece in pieces {
        let mut bytes = Bytes::copy_from_slice(piece);
        while let Some(taken) = decoder.take(&mut bytes)? {
            assert!(!taken.is_empty());
            payload.extend_from_slice(&taken);
        }
        assert!(bytes.is_empty());
    }
    Ok((payload, decoder.whole()))
}

#[test]
fn golden_messages() {
    assert_eq!(wire::message(b"hi")[..], *b"\0\0\0\0\x04\x0a\x02hi");
    let long = wire::message(&[7; 300]);
    assert_eq!(long[..8], *b"\0\0\0\x01\x2f\x0a\xac\x02");
    assert_eq!(decoded(&[&long]).unwrap(), (vec![7; 300], true));
    // A MultiHunk of three pieces, one empty; an empty message; fields of no account of every kind.
    let multi = b"\0\0\0\0\x09\x0a\x02ab\x0a\0\x0a\x01c\0\0\0\0\0";
    assert_eq!(decoded(&[multi]).unwrap(), (b"abc".to_vec(), true));
    let others = b"\0\0\0\0\x18\x10\x96\x01\x19AAAAAAAA\x25AAAA\x12\x02no\x0a\x01d";
    assert_eq!(decoded(&[others]).unwrap(), (b"d".to_vec(), true));
    assert_eq!(decoded(&[b"\0\0\0\0\x04\x0a\x02h"]).unwrap(), (b"h".to_vec(), false));
}

#[test]
fn what_is_no_message() {
    let cases: [&[u8]; 7] = [
        b"\x01\0\0\0\x04\x0a\x02hi",
        b"\0\0\0\0\x04\x0a\x03hi",
        b"\0\0\0\0\x04\x0b\x02hi",
        b"\0\0\0\0\x01\x0a\x02hi",
        b"\0\0\0\0\x02\x0a\x82",
        b"\0\0\0\0\x0f\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\0\0\0\0\x0c\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ];
    for bytes in cases {
        assert!(matches!(decoded(&[bytes]), Err(Cause::Protocol(_))), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 0..6),
        cuts in proptest::collection::vec(1_usize..50, 1..40),
    ) {
        let whole: Vec<u8> = payloads.iter().flat_map(|payload| wire::message(payload)).collect();
        let (mut pieces, mut rest) = (Vec::new(), &whole[..]);
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, later) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = later;
        }
        prop_assert_eq!(decoded(&pieces).unwrap(), (payloads.concat(), true));
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
        match (decoded(&[&bytes]), decoded(&bytewise)) {
            (Ok(whole), Ok(cut)) => prop_assert_eq!(whole, cut),
            (Err(_), Err(_)) => {}
            _ => prop_assert!(false, "the chunking matters"),
        }
    }
}

#[test]
fn paths_as_xray_and_sing_box_write_them() {
    let cases = [
        ("GunService", "/GunService/Tun", "/GunService/TunMulti"),
        ("", "//Tun", "//TunMulti"),
        ("a/b c@1", "/a%2Fb%20c@1/Tun", "/a%2Fb%20c@1/TunMulti"),
        ("/my/sample/path1|path2", "/my/sample/path1", "/my/sample/path2"),
        ("/my/sample/path1", "/my/sample/path1", "/my/sample/path1"),
        ("/hello/sp ace", "/hello/sp%20ace", "/hello/sp%20ace"),
        ("/one", "//one", "//one"),
    ];
    for (service, gun, multi) in cases {
        assert_eq!((path(service, GrpcMode::Gun), path(service, GrpcMode::Multi)), (gun.into(), multi.into()));
    }
}

struct World {
    client: GrpcClient,
    connector: SecureConnector,
    peers: UnboundedReceiver<DuplexStream>,
}

impl World {
    fn new(settings: &Grpc, seed: u64, most: usize) -> Self {
        let (dialer, peers) = Many::new(seed, most);
        let server = Target::parse("node.example:443").unwrap();
        let client =
            GrpcClient::new(settings, None, &Host::new("node.example").unwrap(), false, ConnectionBudget::default())
                .unwrap();
        Self { client, connector: SecureConnector::new(server, Arc::new(dialer), Secure::Nothing), peers }
    }

    async fn open(&mut self) -> (BoxStream, DuplexStream) {
        let attempt = Attempt::within(Duration::from_secs(60));
        let stream = self.client.open(&self.connector, &attempt).await.unwrap();
        (stream, self.peers.try_recv().unwrap())
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

type Answer = h2::server::SendResponse<Bytes>;

/// Serves the first call of a connection, and then the connection until it ends.
async fn serve<F, T>(peer: DuplexStream, answer: F)
where
    F: FnOnce(Request<h2::RecvStream>, Answer) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let mut wire = h2::server::handshake(peer).await.unwrap();
    let (request, respond) = wire.accept().await.unwrap().unwrap();
    let answering = tokio::spawn(answer(request, respond));
    while wire.accept().await.is_some() {}
    answering.await.unwrap();
}

#[tokio::test]
async fn a_call_and_its_half_close() {
    for (seed, most) in [(1, 3), (2, 4096)] {
        let mut world = World::new(&Grpc { service_name: "svc".into(), ..Grpc::default() }, seed, most);
        let (mut stream, peer) = world.open().await;
        let server = tokio::spawn(serve(peer, |request, mut respond| async move {
            assert_eq!(request.uri(), "http://node.example/svc/Tun");
            assert_eq!(
                (request.headers()["content-type"].as_bytes(), request.headers()["te"].as_bytes()),
                (&b"application/grpc"[..], &b"trailers"[..])
            );
            let mut body = request.into_body();
            let mut sent = Vec::new();
            while let Some(bytes) = body.data().await {
                let bytes = bytes.unwrap();
                body.flow_control().release_capacity(bytes.len()).unwrap();
                sent.extend_from_slice(&bytes);
            }
            assert_eq!(decoded(&[&sent]).unwrap(), (b"question".to_vec(), true));
            let mut sending = respond.send_response(Response::new(()), false).unwrap();
            sending.send_data(wire::message(b"an answer"), false).unwrap();
            sending.send_trailers(headers(&[("grpc-status", "0")])).unwrap();
        }));
        stream.write_all(b"question").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"an answer");
        drop((stream, world));
        server.await.unwrap();
    }
}

/// The code of reading an answer with this HTTP status, these headers, this body and these trailers.
async fn code_of(
    status: u16,
    head: &[(&'static str, &str)],
    body: &[u8],
    trailers: &[(&'static str, &str)],
) -> Option<&'static str> {
    let mut world = World::new(&Grpc::default(), 1, 4096);
    let (mut stream, peer) = world.open().await;
    let (head, body, trailers) = (headers(head), Bytes::copy_from_slice(body), headers(trailers));
    let server = tokio::spawn(serve(peer, move |_, mut respond| async move {
        let mut response = Response::builder().status(status).body(()).unwrap();
        *response.headers_mut() = head;
        let mut sending = respond.send_response(response, false).unwrap();
        // A client that has seen enough may be gone.
        let _ = sending.send_data(body, false);
        let _ = sending.send_trailers(trailers);
    }));
    let result = stream.read_to_end(&mut Vec::new()).await;
    if result.is_err() {
        assert!(stream.read_u8().await.is_err(), "an error is not forgotten");
    }
    drop((stream, world));
    server.await.unwrap();
    result.err().map(|error| Cause::from(error).code())
}

#[tokio::test]
async fn refusals_and_their_codes() {
    assert_eq!(code_of(200, &[], b"\0\0\0\0\x03\x0a\x01x", &[("grpc-status", "0")]).await, None);
    assert_eq!(code_of(200, &[], b"", &[]).await, None);
    assert_eq!(code_of(404, &[], b"", &[]).await, Some("transport-status"));
    assert_eq!(code_of(200, &[("grpc-status", "12")], b"", &[]).await, Some("server-failure"));
    assert_eq!(code_of(200, &[], b"", &[("grpc-status", "16")]).await, Some("authentication"));
    assert_eq!(code_of(200, &[], b"", &[("grpc-status", "7")]).await, Some("forbidden"));
    assert_eq!(code_of(200, &[], b"\0\0\0\0\x03\x0a", &[("grpc-status", "0")]).await, Some("closed"));
    assert_eq!(code_of(200, &[], b"<html>", &[]).await, Some("protocol"));
}
