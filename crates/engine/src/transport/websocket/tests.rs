//! Tests of the WebSocket transport: golden bytes, a server written here, cut streams.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, BufMut, BytesMut};
use hezar_core::{EarlyData, Fault, Host, Stage, Tls, WebSocket};
use proptest::prelude::*;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    time::{Instant, timeout},
};

use super::{
    MOST_EARLY, QUIET, WebSocketClient,
    opening::{Opened, Opening, expected},
    stream::{Deferred, WebSocketStream},
    wire::{self, FrameError, Header, Opcode, Side},
};
use crate::{Attempt, BoxStream, DialError, testing::chopped_pair};

fn server() -> Host {
    Host::new("203.0.113.9").unwrap()
}

fn client(settings: &WebSocket) -> WebSocketClient {
    WebSocketClient::new(settings, None, &server())
}

fn early(max_bytes: u32, header: Option<&str>) -> WebSocket {
    let early_data = Some(EarlyData { max_bytes, header: header.map(Into::into) });
    WebSocket { path: "/ws".into(), early_data, ..WebSocket::default() }
}

/// The server's end: requests and frames in, frames out.
struct Peer {
    stream: DuplexStream,
    input: BytesMut,
}

impl Peer {
    async fn request(&mut self) -> String {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(self.stream.read_u8().await.unwrap());
        }
        String::from_utf8(request).unwrap()
    }

    async fn accept(&mut self) -> String {
        let request = self.request().await;
        let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            expected(key)
        );
        self.stream.write_all(answer.as_bytes()).await.unwrap();
        request
    }

    /// The next frame of the client: first byte and unmasked payload. `None` at the end of the stream.
    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = self.parse() {
                return Some(frame);
            }
            if self.stream.read_buf(&mut self.input).await.unwrap() == 0 {
                return None;
            }
        }
    }

    fn parse(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.input.first()?, *self.input.get(1)?);
        assert_eq!(second & 0x80, 0x80, "clients mask");
        let (header, size) = wire::decode(&self.input, Side::Server).unwrap()?;
        let (length, key) = (usize::try_from(header.length).unwrap(), header.key.unwrap());
        if self.input.len() < size + length {
            return None;
        }
        self.input.advance(size);
        let mut payload = self.input.split_to(length).to_vec();
        wire::mask(&mut payload, key);
        Some((first, payload))
    }

    async fn send(&mut self, first: u8, payload: &[u8]) {
        self.stream.write_all(&server_frame(first, payload)).await.unwrap();
    }
}

fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..=125 => out.put_u8(u8::try_from(short).unwrap()),
        middle @ 126..=65535 => {
            out.put_u8(126);
            out.put_u16(u16::try_from(middle).unwrap());
        }
        long => {
            out.put_u8(127);
            out.put_u64(long as u64);
        }
    }
    out.extend_from_slice(payload);
    out
}

fn pair(seed: u64, most: usize) -> (BoxStream, Peer) {
    let (ours, stream) = chopped_pair(seed, most);
    (ours, Peer { stream, input: BytesMut::new() })
}

async fn connected(settings: &WebSocket, seed: u64, most: usize) -> (BoxStream, Peer, String) {
    let (ours, mut peer) = pair(seed, most);
    let (client, attempt) = (client(settings), Attempt::within(Duration::from_secs(60)));
    let (stream, request) = tokio::join!(client.open(ours, &attempt), peer.accept());
    (stream.unwrap(), peer, request)
}

#[test]
fn the_opening_request() {
    // The key and its answer are the example of RFC 6455 §1.3.
    assert_eq!(expected("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let settings = WebSocket {
        path: "chat room/ü?x=1".into(),
        headers: vec![
            ("User-Agent".into(), "me".into()),
            ("X-Mine".into(), "yes".into()),
            ("connection".into(), "no".into()),
            ("Bad".into(), "a\r\nInjected: b".into()),
            ("Bad Name".into(), "x".into()),
        ],
        ..WebSocket::default()
    };
    let request = Opening::new(&settings, None, &server()).request("KEY", b"");
    let expected = "GET /chat%20room/%C3%BC?x=1 HTTP/1.1\r\nHost: 203.0.113.9\r\nUser-Agent: me\r\nX-Mine: yes\r\n\
                    Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: KEY\r\n\r\n";
    assert_eq!(request, expected);
}

#[test]
fn the_host_header_has_an_order_of_choice() {
    let tls = Tls { server_name: Some("sni.example".into()), ..Tls::default() };
    let host = |host: Option<&str>, header: Option<&str>, tls| {
        let headers = header.map(|value| ("Host".into(), value.into())).into_iter().collect();
        let settings = WebSocket { host: host.map(Into::into), headers, ..WebSocket::default() };
        let request = Opening::new(&settings, tls, &Host::new("2001:db8::1").unwrap()).request("K", b"");
        request.split("Host: ").nth(1).unwrap().split("\r\n").next().unwrap().to_owned()
    };
    assert_eq!(host(Some("a.example"), Some("b.example"), Some(&tls)), "a.example");
    assert_eq!(host(None, Some("b.example"), Some(&tls)), "b.example");
    assert_eq!(host(Some(""), None, Some(&tls)), "sni.example");
    assert_eq!(host(Some("x\r\ny"), None, None), "[2001:db8::1]");
}

#[test]
fn golden_frames() {
    let mut out = BytesMut::new();
    wire::encode(&mut out, Opcode::Text, Some([0x37, 0xfa, 0x21, 0x3d]), b"Hello");
    // RFC 6455 §5.7: a masked "Hello".
    assert_eq!(out[..], [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    let header = Header { last: true, opcode: Opcode::Text, length: 5, key: Some([0x37, 0xfa, 0x21, 0x3d]) };
    assert_eq!(wire::decode(&out, Side::Server), Ok(Some((header, 6))));
    assert_eq!(wire::decode(&out[..5], Side::Server), Ok(None));
    // The same, unmasked.
    out.clear();
    wire::encode(&mut out, Opcode::Text, None, b"Hello");
    assert_eq!(out[..], *b"\x81\x05Hello");
    let decode = |bytes| wire::decode(bytes, Side::Client);
    let header = Header { last: true, opcode: Opcode::Binary, length: 256, key: None };
    assert_eq!(decode(&[0x82, 0x7e, 1, 0]), Ok(Some((header, 4))));
    assert_eq!(decode(&[0x02, 0x7f, 0, 0, 0, 0, 0, 1, 0]), Ok(None));
    assert_eq!(decode(&[0xc2, 0]), Err(FrameError::Reserved));
    assert_eq!(decode(&[0x83, 0]), Err(FrameError::Opcode));
    assert_eq!(decode(&[0x82, 0x80]), Err(FrameError::Masked));
    assert_eq!(wire::decode(&[0x82, 0], Side::Server), Err(FrameError::Bare));
    assert_eq!(decode(&[0x09, 0]), Err(FrameError::Control));
    assert_eq!(decode(&[0x89, 126]), Err(FrameError::Control));
    assert_eq!(decode(&[0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err(FrameError::Length));
}

#[tokio::test]
async fn bytes_pings_and_fragments() {
    for seed in 0..10 {
        let (mut stream, mut peer, request) = connected(&WebSocket::default(), seed, 40).await;
        assert!(request.starts_with("GET / HTTP/1.1\r\n"));
        stream.write_all(b"question").await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(peer.frame().await.unwrap(), (0x82, b"question".to_vec()));
        peer.send(0x02, b"an").await;
        peer.send(0x89, b"are you there?").await;
        peer.send(0x00, b"").await;
        peer.send(0x80, b"swer").await;
        let mut got = [0; 6];
        stream.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"answer");
        stream.flush().await.unwrap();
        assert_eq!(peer.frame().await.unwrap(), (0x8a, b"are you there?".to_vec()));
        peer.send(0x88, &1001_u16.to_be_bytes()).await;
        assert_eq!(stream.read(&mut got).await.unwrap(), 0);
        stream.shutdown().await.unwrap();
        assert_eq!(peer.frame().await.unwrap(), (0x88, 1001_u16.to_be_bytes().to_vec()));
        assert!(stream.write_all(b"more").await.is_err());
    }
}

#[tokio::test]
async fn large_both_ways_at_once() {
    let data: Vec<u8> = (0..1_000_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let (stream, mut peer, _) = connected(&WebSocket::default(), 5, 30_000).await;
    let (mut read, mut write) = tokio::io::split(stream);
    let echo = async {
        let mut left = data.len();
        while left > 0 {
            let (first, payload) = peer.frame().await.unwrap();
            assert_eq!(first, 0x82);
            left -= payload.len();
            peer.send(0x82, &payload).await;
        }
        peer
    };
    let send = async {
        write.write_all(&data).await.unwrap();
        write.flush().await.unwrap();
    };
    let receive = async {
        let mut got = vec![0; data.len()];
        read.read_exact(&mut got).await.unwrap();
        got
    };
    let (_peer, (), got) = tokio::join!(echo, send, receive);
    assert!(got == data);
}

#[tokio::test(start_paused = true)]
async fn our_end_leaves_the_other_direction_open() {
    let (mut stream, mut peer, _) = connected(&WebSocket::default(), 1, 99).await;
    stream.write_all(b"last question").await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(stream.write_all(b"x").await.is_err());
    assert_eq!(peer.frame().await.unwrap().1, b"last question");
    let mut got = [0; 6];
    // While the server answers within the quiet time, no Close frame is sent.
    for _ in 0..3 {
        let (read, ()) = tokio::join!(stream.read_exact(&mut got), async {
            tokio::time::sleep(QUIET - Duration::from_millis(100)).await;
            peer.send(0x82, b"answer").await;
        });
        read.unwrap();
        assert_eq!(&got, b"answer");
    }
    let started = Instant::now();
    let server = async {
        assert_eq!(peer.frame().await.unwrap(), (0x88, 1000_u16.to_be_bytes().to_vec()));
        assert_eq!(started.elapsed().as_secs(), QUIET.as_secs());
        // What sing-box does: confirm, and still send what is left.
        peer.send(0x88, &1000_u16.to_be_bytes()).await;
        peer.send(0x82, b"rest").await;
    };
    let mut rest = Vec::new();
    let (read, ()) = tokio::join!(stream.read_to_end(&mut rest), server);
    read.unwrap();
    assert_eq!(rest, b"rest");
}

#[tokio::test]
async fn ends_and_violations() {
    let cases: [(&[u8], Option<&str>); 7] = [
        (&[], None),
        (&[0x82, 5, b'a'], Some("closed")),
        (&[0x82], Some("closed")),
        (&[0xf2, 1, 1], Some("protocol")),
        (&[0x80, 1, 1], Some("protocol")),
        (&[0x02, 1, 1, 0x82, 1, 1], Some("protocol")),
        (&[0x82, 0x81, 1, 1, 1, 1, 1], Some("protocol")),
    ];
    for (bytes, code) in cases {
        let (mut stream, mut peer, _) = connected(&WebSocket::default(), 3, 9).await;
        peer.stream.write_all(bytes).await.unwrap();
        peer.stream.shutdown().await.unwrap();
        let result = stream.read_to_end(&mut Vec::new()).await;
        assert_eq!(result.err().map(|error| crate::Cause::from(error).code()), code, "{bytes:?}");
    }
}

async fn refused(answer: &[u8]) -> DialError {
    let (ours, mut peer) = pair(1, 50);
    let (client, attempt) = (client(&WebSocket::default()), Attempt::within(Duration::from_secs(5)));
    let server = async {
        peer.request().await;
        let _ = peer.stream.write_all(answer).await;
        if !answer.is_empty() {
            let _ = peer.stream.shutdown().await;
        }
    };
    tokio::join!(client.open(ours, &attempt), server).0.err().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_refused_opening() {
    let long = [b"HTTP/1.1 101 Yes\r\n".to_vec(), b"A: b\r\n".repeat(20_000)].concat();
    let cases: [(&[u8], &str); 6] = [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "transport-status"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "transport-status"),
        (b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: bm8=\r\n\r\n", "protocol"),
        (b"SSH-2.0\r\n", "protocol"),
        (&long, "protocol"),
        (b"", "timeout"),
    ];
    for (answer, code) in cases {
        let error = refused(answer).await;
        assert_eq!((error.stage, error.code(), error.fault()), (Stage::Transport, code, Fault::Node));
    }
    assert_eq!(refused(b"HTTP/1.1 101 half").await.code(), "closed");
}

#[tokio::test]
async fn early_data_rides_in_the_header_or_the_path() {
    let cases = [
        (early(4, Some("Sec-WebSocket-Protocol")), "GET /ws HTTP/1.1", "\r\nSec-WebSocket-Protocol: -_8AAQ\r\n"),
        (early(4, None), "GET /ws-_8AAQ HTTP/1.1", ""),
        (early(u32::MAX, Some("bad header")), "GET /ws-_8AAQI HTTP/1.1", ""),
    ];
    for (settings, line, header) in cases {
        let (ours, mut peer) = pair(2, 30);
        let mut stream = client(&settings).open(ours, &Attempt::within(Duration::from_secs(60))).await.unwrap();
        let whole = if line.contains("QI ") { 5 } else { 4 };
        let payload = &[0xfb, 0xff, 0, 1, 2][..];
        let talk = async {
            stream.write_all(payload).await.unwrap();
            stream.flush().await.unwrap();
            let mut got = [0; 2];
            stream.read_exact(&mut got).await.unwrap();
            got
        };
        let serve = async {
            let request = peer.accept().await;
            assert!(request.starts_with(line), "{request}");
            assert!(request.contains(header), "{request}");
            if whole < payload.len() {
                assert_eq!(peer.frame().await.unwrap(), (0x82, payload[whole..].to_vec()));
            }
            peer.send(0x82, b"ok").await;
        };
        assert_eq!(tokio::join!(talk, serve).0, *b"ok");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_speaks_first_does_not_wait_for_early_data() {
    let (ours, mut peer) = pair(2, 30);
    let settings = early(2048, Some("Sec-WebSocket-Protocol"));
    let mut stream = client(&settings).open(ours, &Attempt::within(Duration::from_secs(60))).await.unwrap();
    let mut got = [0; 7];
    let serve = async {
        let request = peer.accept().await;
        assert!(!request.contains("Sec-WebSocket-Protocol"));
        peer.send(0x82, b"SSH-2.0").await;
    };
    let (read, ()) = tokio::join!(timeout(Duration::from_secs(1), stream.read_exact(&mut got)), serve);
    read.unwrap().unwrap();
    assert_eq!(&got, b"SSH-2.0");
}

#[tokio::test(start_paused = true)]
async fn a_late_opening_still_fails_by_its_name() {
    for (answer, code) in [("HTTP/1.1 403 No\r\n\r\n", "transport-status"), ("", "timeout")] {
        let (ours, mut peer) = pair(2, 30);
        let mut stream = client(&early(99, None)).open(ours, &Attempt::within(Duration::from_secs(5))).await.unwrap();
        stream.write_all(b"first").await.unwrap();
        let serve = async {
            peer.request().await;
            peer.stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let (read, ()) = tokio::join!(stream.read_u8(), serve);
        assert_eq!(crate::Cause::from(read.unwrap_err()).code(), code);
        assert!(stream.write_all(b"second").await.is_err());
    }
}

#[tokio::test]
async fn early_data_is_bounded() {
    let (ours, mut peer) = pair(2, 3000);
    let mut stream = client(&early(1 << 30, None)).open(ours, &Attempt::within(Duration::from_secs(60))).await.unwrap();
    let (written, request) = tokio::join!(stream.write(&[0; 100_000]), peer.accept());
    assert_eq!(written.unwrap(), MOST_EARLY);
    assert!(request.len() < 8192);
}

proptest! {
    #[test]
    fn masking_twice_is_nothing(data in proptest::collection::vec(any::<u8>(), 0..200), key: [u8; 4], offset in 0usize..17) {
        let mut masked = data.clone();
        let offset = offset.min(masked.len());
        wire::mask(&mut masked[offset..], key);
        for (i, (a, b)) in masked[offset..].iter().zip(&data[offset..]).enumerate() {
            prop_assert_eq!(*a, b ^ key[i % 4]);
        }
    }

    #[test]
    fn any_front_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
        for side in [Side::Client, Side::Server] {
            if let Ok(Some((header, size))) = wire::decode(&bytes, side) {
                prop_assert!(size <= bytes.len() && header.length >> 63 == 0);
                prop_assert_eq!(header.key.is_some(), side == Side::Server);
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn frames_round_trip_however_they_are_cut(
        messages in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..70_000), 0u8..4), 0..6),
        seed: u64,
        most in 1usize..60_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let most = most.max(messages.iter().map(|(m, _)| m.len()).sum::<usize>() / 200);
        runtime.block_on(async {
            let (mut stream, mut peer, _) = connected(&WebSocket::default(), seed, most).await;
            let sent: Vec<u8> = messages.iter().flat_map(|(m, _)| m.clone()).collect();
            let mut frames = Vec::new();
            for (message, how) in &messages {
                match how {
                    0 => frames.extend(server_frame(0x82, message)),
                    1 => frames.extend([server_frame(0x01, message), server_frame(0x80, b"")].concat()),
                    2 => frames.extend([server_frame(0x8a, b"pong"), server_frame(0x82, message)].concat()),
                    _ => {
                        let (a, b) = message.split_at(message.len() / 2);
                        frames.extend([server_frame(0x02, a), server_frame(0x89, b"?"), server_frame(0x80, b)].concat());
                    }
                }
            }
            let server = async {
                peer.stream.write_all(&frames).await.unwrap();
                peer.stream.shutdown().await.unwrap();
                // Takes the pongs, so that the client is never stuck.
                let _ = tokio::io::copy(&mut peer.stream, &mut tokio::io::sink()).await;
            };
            let receive = async {
                let mut got = Vec::new();
                stream.read_to_end(&mut got).await.unwrap();
                drop(stream);
                got
            };
            let ((), got) = tokio::join!(server, receive);
            assert!(got == sent);
        });
    }
}

/// A server whose answer, with the first message behind it, is there before the writer looks for it.
#[derive(Default)]
struct Prompt {
    request: Vec<u8>,
    answer: io::Cursor<Vec<u8>>,
}

impl AsyncRead for Prompt {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.answer.get_ref().is_empty() {
            let request = String::from_utf8(std::mem::take(&mut self.request)).unwrap();
            let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
            let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
            let accept = expected(key);
            *self.answer.get_mut() =
                [format!("{head}Sec-WebSocket-Accept: {accept}\r\n\r\n").as_bytes(), b"\x82\x05hello"].concat();
        }
        let length = io::Read::read(&mut self.answer, buf.initialize_unfilled())?;
        buf.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl crate::Stream for Prompt {}

impl AsyncWrite for Prompt {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.request.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_waits_for_early_data_is_woken_by_the_writer() {
    let opening = Opening::new(&WebSocket::default(), None, &server());
    let deadline = Instant::now() + Duration::from_secs(5);
    let stream = WebSocketStream::deferred(Prompt::default(), Deferred::new(opening, 100, deadline));
    // Two halves in two tasks: the writer's handshake ends within its own poll, and nothing else would wake the reader.
    let (mut reader, mut writer) = tokio::io::split(stream);
    let reading = tokio::spawn(async move {
        let mut got = [0; 5];
        reader.read_exact(&mut got).await.unwrap();
        got
    });
    tokio::task::yield_now().await;
    writer.write_all(b"early").await.unwrap();
    let got = timeout(Duration::from_secs(5), reading).await.expect("the reader sleeps for ever");
    assert_eq!(&got.unwrap(), b"hello");
}

#[tokio::test(start_paused = true)]
async fn a_client_hears_of_the_end_although_the_server_had_read_before_it() {
    let (ours, mut client) = duplex(1024);
    let mut stream = WebSocketStream::answering(Opened { stream: ours, rest: BytesMut::new() });
    let serving = async {
        let mut is_shut = false;
        // As a relay does in one task: it reads, then shuts down, and is polled again only when something wakes it.
        std::future::poll_fn(|cx| {
            let mut buffer = [0; 16];
            let read = Pin::new(&mut stream).poll_read(cx, &mut ReadBuf::new(&mut buffer));
            if !std::mem::replace(&mut is_shut, true) {
                assert!(Pin::new(&mut stream).poll_shutdown(cx).is_ready());
            }
            read
        })
        .await
    };
    let mut close = [0; 4];
    let hearing = async { timeout(Duration::from_secs(5), client.read_exact(&mut close)).await };
    tokio::select! {
        heard = hearing => assert!(heard.expect("the client hears of no end").is_ok()),
        _ = serving => panic!("the client has not ended"),
    }
    assert_eq!(close, [0x88, 2, 0x03, 0xe8]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_in_another_task_hears_of_the_end_as_well() {
    let (ours, mut peer) = duplex(1024);
    let stream = WebSocketStream::answering(Opened { stream: ours, rest: BytesMut::new() });
    let (mut reader, mut writer) = tokio::io::split(stream);
    let reading = tokio::spawn(async move { reader.read(&mut [0; 16]).await.unwrap() });
    tokio::task::yield_now().await;
    writer.shutdown().await.unwrap();
    let mut close = [0; 4];
    timeout(Duration::from_secs(5), peer.read_exact(&mut close)).await.expect("the client hears of no end").unwrap();
    assert_eq!(close, [0x88, 2, 0x03, 0xe8]);
    assert_eq!(reading.await.unwrap(), 0, "silent twice");
}
