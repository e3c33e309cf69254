//! HTTP/3 by its definition, and against a server of another library.

use std::{sync::atomic::AtomicUsize, time::Duration};

use bytes::{Buf, Bytes};
use hezar_core::Target;
use http::Response;
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Handle,
    time::sleep,
};

use super::*;
use crate::{
    quic::peer::{NAME, Peer},
    testing::{chopped_pair, until},
};

fn request(path: &str) -> Request<()> {
    Request::post(format!("https://a.example{path}")).header("X-Mine", "yes").body(()).unwrap()
}

#[test]
fn golden_request() {
    let lines = b"\0\0\x27\0:method\x04POST\x27\0:scheme\x05https\x27\x03:authority\x09a.example\x25:path\x04/p?q\x26x-mine\x03yes";
    let mut frame = vec![1, 0x40, lines.len() as u8];
    frame.extend_from_slice(lines);
    assert_eq!(wire::head(&request("/p?q")), frame);
    assert_eq!(wire::data(b"hi"), b"\0\x02hi");
    assert_eq!(wire::data(&[7; 300])[..3], [0, 0x41, 0x2c]);
}

/// The frame of a head with this content.
fn headers(section: &[u8]) -> Vec<u8> {
    let mut frame = vec![1, section.len() as u8];
    frame.extend_from_slice(section);
    frame
}

fn refusal(bytes: &[u8]) -> Result<(), Cause> {
    let mut answer = wire::ResponseReader::new();
    bytes.iter().try_for_each(|byte| answer.take(&[*byte]))
}

#[test]
fn statuses_in_every_spelling() {
    let good: [&[u8]; 4] = [
        b"\0\0\xd9",
        b"\0\0\x5f\x09\x82\x10\x01",
        b"\0\0\x5f\x09\x03200\x27\0a",
        b"\0\0\x2d\xb8\x84\x8d\x36\xa3\x82\x10\x01",
    ];
    for section in good {
        assert_eq!(decode(&headers(section), 1), Some((Vec::new(), true)), "{section:?}");
    }
    let other: [(&[u8], u16); 6] = [
        (b"\0\0\xdb", 404),
        (b"\0\0\xff\x08", 500),
        (b"\0\0\xff\0\0\0", 100),
        (b"\0\0\x5f\x09\x83\x68\x2f\x7f", 418),
        (b"\0\0\x27\0:status\x03999", 999),
        (b"\0\0\x5f\x09\x83\x7d\xf7\xdf", 999),
    ];
    for (section, status) in other {
        match refusal(&headers(section)) {
            Err(Cause::TransportStatus(said)) => assert_eq!(said, status),
            // More is to come after an interim answer.
            other => assert!(other.is_ok() && status == 100, "{status}: {other:?}"),
        }
    }
    let bad: [&[u8]; 9] = [
        b"\0",
        b"\x01\0\xd9",
        b"\0\0",
        b"\0\0\x99",
        b"\0\0\xc1",
        b"\0\0\x5f\x09\x82\x10",
        b"\0\0\x5f\x09\x0420 0",
        b"\0\0\x5f\x09\x82\x60\x01",
        b"\0\0\x27\0x-mine\x03200",
    ];
    for section in bad {
        assert!(matches!(refusal(&headers(section)), Err(Cause::Protocol(_))), "{section:?}");
    }
}

/// An answer with everything that may come: an interim head, unknown frames, empty ones, trailers.
const ANSWER: &[u8] =
    b"\x01\x04\0\0\xff\0\x21\x03abc\x01\x03\0\0\xd9\0\x02he\0\0\x40\x21\x40\x01x\0\x03llo\x01\x05\0\0\x21a\0";

#[test]
fn an_answer_however_it_is_cut() {
    for most in [1, 2, 3, 7, 100] {
        assert_eq!(decode(ANSWER, most), Some((b"hello".to_vec(), true)), "{most}");
        assert_eq!(decode(&ANSWER[..ANSWER.len() - 1], most), Some((b"hello".to_vec(), false)));
    }
    let bad: [&[u8]; 5] = [b"\0\x01a", b"\x04\0", b"\x01\0", b"\x01\x80\0\x40\x01", b"\x01\x03\0\0\xd9\x07\x01\0"];
    for bytes in bad {
        assert_eq!(decode(bytes, 9), None, "{bytes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_however_it_is_cut() {
    for (seed, most) in [(1, 1), (2, 3), (3, 64 * 1024)] {
        let (ours, mut theirs) = chopped_pair(seed, most);
        let mut stream = Http3Stream::new(ours, wire::head(&request("/")));
        let sent: Vec<u8> = (0..40_000_u32).map(|n| n as u8).collect();
        let writing = async {
            stream.write_all(&sent).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut body = Vec::new();
            stream.read_to_end(&mut body).await.unwrap();
            assert_eq!(body, b"hello");
        };
        let serving = async {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.unwrap();
            let mut expected = wire::head(&request("/"));
            sent.chunks(16 * 1024).for_each(|piece| expected.extend(wire::data(piece)));
            assert!(all == expected);
            theirs.write_all(ANSWER).await.unwrap();
            drop(theirs);
        };
        tokio::join!(writing, serving);
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_off() {
    for (bytes, code) in
        [(&b"\x01\x03\0\0\xdb"[..], "transport-status"), (b"", "closed"), (b"\x01\x03\0\0\xd9\0\x05he", "closed")]
    {
        let (ours, mut theirs) = chopped_pair(1, 5);
        let mut stream = Http3Stream::new(ours, Vec::new());
        theirs.write_all(bytes).await.unwrap();
        drop(theirs);
        let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(Cause::from(error).code(), code);
        assert!(stream.read_u8().await.is_err());
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in any::<Vec<u8>>(), most in 1_usize..9) {
        prop_assert_eq!(decode(&bytes, most), decode(&bytes, usize::MAX));
        let mut answer = b"\x01\x03\0\0\xd9".to_vec();
        answer.extend(&bytes);
        prop_assert_eq!(decode(&answer, most), decode(&answer, usize::MAX));
        let _ = refusal(&headers(&bytes[..bytes.len().min(63)]));
    }
}

/// What a server has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    /// Requests after which a connection says goodbye; 0 = never.
    goodbye: usize,
}

/// A server that echoes bodies, and answers with the status in the path.
fn start(seen: &Arc<Seen>) -> (Peer, Target) {
    let peer = Peer::start(&["h3"], None);
    let target = Target::try_from(peer.address).unwrap();
    let (endpoint, seen) = (peer.endpoint.clone(), Arc::clone(seen));
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            seen.connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(incoming.await.unwrap(), Arc::clone(&seen)));
        }
    });
    (peer, target)
}

async fn serve(connection: Connection, seen: Arc<Seen>) {
    let mut http = h3::server::Connection::<_, Bytes>::new(h3_quinn::Connection::new(connection)).await.unwrap();
    let mut requests = 0;
    while let Ok(Some(resolver)) = http.accept().await {
        requests += 1;
        tokio::spawn(async move {
            let (request, mut stream) = resolver.resolve_request().await.unwrap();
            assert_eq!((request.method().as_str(), request.headers()["x-mine"].as_bytes()), ("POST", &b"yes"[..]));
            assert_eq!(request.uri().authority().unwrap(), "a.example");
            let status = request.uri().path()[1..].parse::<u16>().unwrap();
            stream.send_response(Response::builder().status(status).body(()).unwrap()).await.unwrap();
            while let Ok(Some(mut data)) = stream.recv_data().await {
                let _ = stream.send_data(data.copy_to_bytes(data.remaining())).await;
            }
            let _ = stream.finish().await;
        });
        if requests == seen.goodbye {
            http.shutdown(0).await.unwrap();
        }
    }
}

fn connections(peer: &Peer, target: &Target, limits: Limits) -> Http3Pool {
    let server = peer.server(target);
    Http3Pool::new(server, limits).closing_after(Duration::from_millis(300))
}

fn attempt() -> Attempt {
    Attempt::within(Duration::from_secs(60))
}

async fn echoed(connections: &Http3Pool) -> Http3Stream<QuicStream> {
    let mut stream = connections.request(&request("/200"), false, &attempt()).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    stream.flush().await.unwrap();
    let mut back = [0; 4];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"ping");
    stream
}

#[tokio::test]
async fn a_whole_life() {
    let seen = Arc::<Seen>::default();
    let (peer, target) = start(&seen);
    let connections = connections(&peer, &target, Limits::default());
    sleep(Duration::from_millis(1)).await;
    let before = Handle::current().metrics().num_alive_tasks();
    let mut stream = echoed(&connections).await;
    let _other = echoed(&connections).await;
    assert_eq!((connections.alive(), seen.connections.load(Ordering::Relaxed)), (1, 1));
    // Much, and the end of one direction.
    let data: Vec<u8> = (0..2_000_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let writing = async {
        write.write_all(&data).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let reading = async {
        let mut back = Vec::new();
        read.read_to_end(&mut back).await.unwrap();
        assert!(back == data);
    };
    tokio::join!(writing, reading);
    // A request without a body, and a refusal.
    let mut refused = connections.request(&request("/503"), true, &attempt()).await.unwrap();
    let error = refused.read_u8().await.unwrap_err();
    assert!(matches!(Cause::from(error), Cause::TransportStatus(503)));
    drop((stream, _other, refused));
    until(|| connections.alive() == 0).await;
    until(|| Handle::current().metrics().num_alive_tasks() <= before).await;
    echoed(&connections).await;
    assert_eq!(seen.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_server_that_leaves_is_left() {
    let seen = Arc::new(Seen { goodbye: 2, ..Seen::default() });
    let (peer, target) = start(&seen);
    let connections = connections(&peer, &target, Limits::default());
    let mut first = echoed(&connections).await;
    let _second = echoed(&connections).await;
    // What it has said comes at some time; what it refuses until then is an error that it may be.
    until(|| connections.pool.any(|link| link.session.life.leaving.load(Ordering::Relaxed))).await;
    echoed(&connections).await;
    assert_eq!(seen.connections.load(Ordering::Relaxed), 2);
    // The old streams go on.
    first.write_all(b"more").await.unwrap();
    first.flush().await.unwrap();
    first.read_exact(&mut [0; 4]).await.unwrap();
}

#[tokio::test]
async fn a_worn_connection_is_replaced() {
    let seen = Arc::<Seen>::default();
    let (peer, target) = start(&seen);
    let connections = connections(&peer, &target, Limits { uses: 2, ..Limits::default() });
    for _ in 0..5 {
        echoed(&connections).await;
    }
    assert_eq!(seen.connections.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn streams_end_with_their_connection() {
    let seen = Arc::<Seen>::default();
    let (peer, target) = start(&seen);
    let connections = connections(&peer, &target, Limits::default());
    let mut stream = echoed(&connections).await;
    peer.endpoint.close(VarInt::from_u32(0x100), b"");
    assert!(stream.read_u8().await.is_err());
    until(|| connections.alive() == 0).await;
}

#[tokio::test]
async fn a_certificate_is_checked() {
    let seen = Arc::<Seen>::default();
    let (peer, target) = start(&seen);
    let mut connections = connections(&peer, &target, Limits::default());
    connections.server.tls.server_name = Some("other.example".into());
    assert_ne!(NAME, "other.example");
    let error = connections.request(&request("/200"), true, &attempt()).await.unwrap_err();
    assert_eq!((error.stage, error.cause.code()), (Stage::Security, "certificate"));
}
