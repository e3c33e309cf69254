//! Tests of the XHTTP server: our own client in every mode, raw requests, strangers, sessions that come to nothing.

mod parts;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use hezar_core::{Security, XhttpMode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    runtime::Handle,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use super::{ServerXhttp, XhttpServer};
use crate::{
    Attempt, BoxStream,
    served::{Opening, StrangerReason},
    testing::{Chopped, Many, until},
    transport::{
        http_server::testing::{Gateway, SITE, opener},
        xhttp::{
            Version, XhttpClient,
            tests::{EVERY, built_on, settings, tls},
        },
    },
};

fn server() -> XhttpServer {
    XhttpServer::new(&ServerXhttp { path: "/x".into(), host: Some("a.example".into()) })
}

/// Our client, and one server behind all of its connections.
struct World {
    client: XhttpClient,
    server: Arc<XhttpServer>,
    gateway: Arc<Gateway>,
    /// How many connections the client has opened.
    connections: Arc<AtomicUsize>,
}

impl World {
    fn new(mode: XhttpMode, version: Version, extra: &str, seed: u64, most: usize) -> Self {
        let security = if version == Version::Http1 { Security::None } else { tls(&[]) };
        let (dialer, mut peers) = Many::new(seed, most);
        let client = built_on(Arc::new(dialer), &settings(mode, extra), &security).unwrap();
        let (server, gateway) = (Arc::new(server()), Arc::<Gateway>::default());
        let (accepting, serving) = (Arc::clone(&server), Arc::clone(&gateway));
        let connections = Arc::<AtomicUsize>::default();
        let opened = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Some(peer) = peers.recv().await {
                opened.fetch_add(1, SeqCst);
                let stream: BoxStream = Box::new(Chopped::new(peer, seed + 1, most));
                let (accepting, serving) = (Arc::clone(&accepting), Arc::clone(&serving));
                tokio::spawn(async move {
                    // A connection may be closed before anything was asked.
                    if let Ok(opening) = accepting.accept(stream, opener()).await {
                        serving.serve(opening).await;
                    }
                });
            }
        });
        Self { client, server, gateway, connections }
    }

    async fn open(&self) -> BoxStream {
        self.client.open(&Attempt::within(Duration::from_secs(60))).await.unwrap()
    }

    /// Waits until nothing of any session is left.
    async fn settled(&self) {
        until(|| self.gateway.alive.load(SeqCst) == 0 && self.server.handler.sessions.load() == (0, 0)).await;
    }
}

async fn say(stream: &mut BoxStream, data: &[u8]) {
    stream.write_all(data).await.unwrap();
    stream.flush().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn our_client_is_served_in_every_mode() {
    for (mode, version) in EVERY {
        for (seed, most) in [(1, 50), (2, 64 * 1024)] {
            let world = World::new(mode, version, "", seed, most);
            let mut stream = world.open().await;
            stream.write_all(b"!").await.unwrap();
            for _ in 0..3 {
                stream.write_all(b"question").await.unwrap();
                stream.flush().await.unwrap();
                let mut back = [0; 8];
                timeout(Duration::from_secs(20), stream.read_exact(&mut back)).await.unwrap().unwrap();
                assert_eq!(&back, b"question", "{mode:?} {version:?}");
            }
            drop(stream);
            world.settled().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn much_both_ways_on_several_streams() {
    let data: Vec<u8> = (0..900_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    for (mode, version) in EVERY {
        let world = World::new(mode, version, r#"{"scMinPostsIntervalMs":5}"#, 3, 64 * 1024);
        let streams = futures_util::future::join_all((0..5).map(|_| async {
            let (mut read, mut write) = split(world.open().await);
            let writing = async {
                write.write_all(b"!").await.unwrap();
                write.write_all(&data).await.unwrap();
                write.flush().await.unwrap();
            };
            let reading = async {
                let mut back = vec![0; data.len()];
                read.read_exact(&mut back).await.unwrap();
                assert!(back == data, "{mode:?} {version:?} damages");
            };
            tokio::join!(writing, reading);
        }));
        timeout(Duration::from_secs(600), streams).await.unwrap();
        assert_eq!(world.gateway.requests.load(SeqCst), 5);
        world.settled().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_streamed_upload_is_told() {
    for mode in [XhttpMode::StreamOne, XhttpMode::StreamUp] {
        let world = World::new(mode, Version::Http2, "", 3, 1000);
        let mut stream = world.open().await;
        stream.write_all(b"!last words").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut all = Vec::new();
        timeout(Duration::from_secs(20), stream.read_to_end(&mut all)).await.unwrap().unwrap();
        assert_eq!(all, b"last words");
        drop(stream);
        world.settled().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_closes_leaves_its_sessions_their_connections() {
    for (mode, version) in EVERY {
        let world = World::new(mode, version, "", 1, 64 * 1024);
        let mut stream = world.open().await;
        say(&mut stream, b"!a").await;
        assert_eq!(stream.read_u8().await.unwrap(), b'a');
        let opened = world.connections.load(SeqCst);
        world.gateway.closing.notify_waiters();
        for _ in 0..3 {
            say(&mut stream, b"b").await;
            assert_eq!(stream.read_u8().await.unwrap(), b'b');
        }
        assert_eq!(world.connections.load(SeqCst), opened, "{mode:?} {version:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_piece_of_the_successors_session_is_left_to_it() {
    let (server, gateway) = (Arc::new(server()), Arc::<Gateway>::default());
    let mut up = connected(&server, &gateway);
    up.write_all(piece(0, "!a").as_bytes()).await.unwrap();
    assert!(answer(&mut up).await.starts_with("http/1.1 200"));
    gateway.closing.notify_waiters();
    tokio::task::yield_now().await;
    up.write_all(piece(1, "b").as_bytes()).await.unwrap();
    assert!(answer(&mut up).await.starts_with("http/1.1 200"), "its session is here");
    up.write_all(piece(0, "!a").replace("/x/S/", "/x/T/").as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(20), up.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.is_empty() && !server.handler.sessions.has("T"));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_streamed_upload_is_padded() {
    let world = World::new(XhttpMode::StreamUp, Version::Http2, "", 3, 64 * 1024);
    let mut stream = world.open().await;
    say(&mut stream, b"!q").await;
    assert_eq!(stream.read_u8().await.unwrap(), b'q');
    // Half an hour of padding is no byte of the stream, and ends nothing.
    let nothing = timeout(Duration::from_secs(1800), stream.read_u8()).await;
    assert!(nothing.is_err());
    say(&mut stream, b"q").await;
    assert_eq!(stream.read_u8().await.unwrap(), b'q');
}

#[tokio::test(start_paused = true)]
async fn a_wrong_credential_ends_the_download() {
    for (mode, version) in EVERY {
        let world = World::new(mode, version, "", 1, 4096);
        let mut stream = world.open().await;
        say(&mut stream, b"?question").await;
        let mut all = Vec::new();
        let ended = timeout(Duration::from_secs(60), stream.read_to_end(&mut all)).await.unwrap();
        assert!(ended.is_err() && all.is_empty(), "{mode:?} {version:?}");
        drop(stream);
        world.settled().await;
        assert_eq!((world.gateway.requests.load(SeqCst), world.gateway.strangers.load(SeqCst)), (0, 1));
    }
}

/// A raw connection to a server.
fn connected(server: &Arc<XhttpServer>, gateway: &Arc<Gateway>) -> DuplexStream {
    let (ours, theirs) = duplex(1 << 20);
    let (server, gateway) = (Arc::clone(server), Arc::clone(gateway));
    tokio::spawn(async move {
        if let Ok(opening) = server.accept(Box::new(theirs), opener()).await {
            gateway.serve(opening).await;
        }
    });
    ours
}

/// The head of a request with enough padding.
fn head(method: &str, path: &str, more: &str) -> String {
    let padding = "X".repeat(100);
    format!(
        "{method} {path} HTTP/1.1\r\nHost: a.example\r\nReferer: http://a.example/x/?x_padding={padding}\r\n{more}\r\n"
    )
}

fn piece(number: u64, body: &str) -> String {
    head("POST", &format!("/x/S/{number}"), &format!("Content-Length: {}\r\n", body.len())) + body
}

/// The head of one answer.
async fn answer(stream: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

/// One piece of a chunked body.
async fn chunk(stream: &mut DuplexStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await.unwrap());
    }
    let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes).await.unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn pieces_in_disorder_and_twice_before_their_download() {
    let (server, gateway) = (Arc::new(server()), Arc::<Gateway>::default());
    let mut up = connected(&server, &gateway);
    for (number, body) in [(2, "c"), (0, "!a"), (0, "!a"), (1, "b"), (2, "c"), (1, "b")] {
        up.write_all(piece(number, body).as_bytes()).await.unwrap();
        let said = answer(&mut up).await;
        assert!(said.starts_with("http/1.1 200"), "{said}");
        assert!(said.contains("x-padding: xxx"), "{said}");
    }
    let mut down = connected(&server, &gateway);
    down.write_all(head("GET", "/x/S", "").as_bytes()).await.unwrap();
    let said = answer(&mut down).await;
    for line in ["content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"] {
        assert!(said.contains(line), "{said}");
    }
    let mut all = String::new();
    while all.len() < 3 {
        all += &chunk(&mut down).await;
    }
    assert_eq!(all, "abc");
    // A second download of the session is a request for the site.
    let mut other = connected(&server, &gateway);
    other.write_all(head("GET", "/x/S", "").as_bytes()).await.unwrap();
    assert!(answer(&mut other).await.starts_with("http/1.1 404"));
    drop(down);
    until(|| gateway.alive.load(SeqCst) == 0 && server.handler.sessions.load() == (0, 0)).await;
    assert_eq!(gateway.requests.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn pieces_behind_the_end_of_the_download_are_heard() {
    let (server, gateway) = (Arc::new(server()), Arc::<Gateway>::default());
    let mut up = connected(&server, &gateway);
    up.write_all(piece(0, "<a").as_bytes()).await.unwrap();
    answer(&mut up).await;
    let mut down = connected(&server, &gateway);
    down.write_all(head("GET", "/x/S", "").as_bytes()).await.unwrap();
    answer(&mut down).await;
    assert_eq!(chunk(&mut down).await, "", "it has ended");
    for (number, body) in [(1, "b"), (2, "c")] {
        tokio::time::sleep(Duration::from_secs(4)).await;
        up.write_all(piece(number, body).as_bytes()).await.unwrap();
        assert!(answer(&mut up).await.starts_with("http/1.1 200"));
    }
    until(|| gateway.alive.load(SeqCst) == 0 && server.handler.sessions.load() == (0, 0)).await;
    assert_eq!(*gateway.heard.lock(), b"abc");
}

/// Clients say no word when their download has ended.
#[tokio::test(start_paused = true)]
async fn an_upload_in_pieces_ends_soon_after_its_download() {
    for version in [Version::Http1, Version::Http2] {
        let world = World::new(XhttpMode::PacketUp, version, "", 1, 4096);
        let mut stream = world.open().await;
        say(&mut stream, b"<a").await;
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        timeout(Duration::from_secs(20), world.settled()).await.expect("it goes on");
        assert_eq!(*world.gateway.heard.lock(), b"a");
    }
}

/// Xray's client streams over HTTP/1.1, too: it writes on while the answer comes.
#[tokio::test(start_paused = true)]
async fn streamed_uploads_over_http1() {
    let (server, gateway) = (Arc::new(server()), Arc::<Gateway>::default());
    let chunked = |path: &str| head("POST", path, "Transfer-Encoding: chunked\r\n");
    for session in ["", "S"] {
        let mut up = connected(&server, &gateway);
        up.write_all(chunked(&format!("/x/{session}")).as_bytes()).await.unwrap();
        assert!(answer(&mut up).await.starts_with("http/1.1 200"));
        let mut other = (!session.is_empty()).then(|| connected(&server, &gateway));
        if let Some(down) = &mut other {
            let padding = chunk(&mut up).await;
            assert!((100..=1000).contains(&padding.len()) && padding.bytes().all(|byte| byte == b'X'));
            down.write_all(head("GET", "/x/S", "").as_bytes()).await.unwrap();
            assert!(answer(down).await.starts_with("http/1.1 200"));
        }
        for (sent, back) in [("3\r\n!ab\r\n", "ab"), ("1\r\nc\r\n", "c")] {
            up.write_all(sent.as_bytes()).await.unwrap();
            assert_eq!(chunk(other.as_mut().unwrap_or(&mut up)).await, back);
        }
        up.write_all(b"0\r\n\r\n").await.unwrap();
        assert_eq!(chunk(other.as_mut().unwrap_or(&mut up)).await, "", "the download ends");
        if other.is_some() {
            assert_eq!(chunk(&mut up).await, "", "so does the answer to the upload");
        }
        until(|| gateway.alive.load(SeqCst) == 0 && server.handler.sessions.load() == (0, 0)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_without_a_download_is_given_up() {
    let (server, gateway) = (Arc::new(server()), Arc::<Gateway>::default());
    let mut up = connected(&server, &gateway);
    up.write_all(piece(0, "!a").as_bytes()).await.unwrap();
    answer(&mut up).await;
    assert_eq!(server.handler.sessions.load(), (1, 2));
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(server.handler.sessions.load(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn many_uploads_without_a_download_are_bounded() {
    let (server, gateway) = (Arc::new(server()), Arc::<Gateway>::default());
    let mut up = connected(&server, &gateway);
    for session in 0..600 {
        let request = head("POST", &format!("/x/{session}/0"), "Content-Length: 1\r\n") + "!";
        up.write_all(request.as_bytes()).await.unwrap();
        answer(&mut up).await;
    }
    assert_eq!(server.handler.sessions.load(), (256, 256));
    assert!(Handle::current().metrics().num_alive_tasks() < 300, "those that were given up have left nothing");
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_is_too_long_or_does_not_come() {
    let (server, gateway) = (Arc::new(server()), Arc::<Gateway>::default());
    let mut up = connected(&server, &gateway);
    up.write_all(head("POST", "/x/S/0", "Content-Length: 1000001\r\n").as_bytes()).await.unwrap();
    assert!(answer(&mut up).await.starts_with("http/1.1 413"));
    let mut slow = connected(&server, &gateway);
    slow.write_all((head("POST", "/x/S/0", "Content-Length: 10\r\n") + "short").as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(60), slow.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.is_empty());
    until(|| server.handler.sessions.load() == (0, 0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_piece_that_was_taken_back_is_not_read() {
    let (server, gateway) = (Arc::new(server()), Arc::<Gateway>::default());
    let (client, wire) = h2::client::handshake(connected(&server, &gateway)).await.unwrap();
    let _wire = AbortOnDropHandle::new(tokio::spawn(wire));
    let mut client = client.ready().await.unwrap();
    let body = "!a whole piece";
    let mut post = |part: &'static str, ends: bool| {
        let padding = format!("https://a.example/x/?x_padding={}", "X".repeat(100));
        let request = http::Request::post("https://a.example/x/S/0").header("referer", padding);
        let request = request.header("content-length", body.len()).body(()).unwrap();
        let (answer, mut upload) = client.send_request(request, false).unwrap();
        upload.send_data(part.into(), ends).unwrap();
        (answer, upload)
    };
    let (_, mut upload) = post("!a", false);
    until(|| server.handler.sessions.load() == (1, body.len())).await;
    upload.send_reset(h2::Reason::NO_ERROR);
    until(|| server.handler.sessions.load() == (1, 0)).await;
    let (said, _) = post(body, true);
    assert_eq!(said.await.unwrap().status(), 200);
    let mut down = connected(&server, &gateway);
    down.write_all(head("GET", "/x/S", "").as_bytes()).await.unwrap();
    answer(&mut down).await;
    assert_eq!(chunk(&mut down).await, body[1..]);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_of_http1_loses_no_byte() {
    let get = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_owned();
    let unpadded = "POST /x/S HTTP/1.1\r\nHost: a.example\r\n\r\n".to_owned();
    let elsewhere = head("GET", "/y/S", "");
    let other_host = head("GET", "/x/S", "").replace("Host: a.example", "Host: b.example");
    for (sent, why) in [
        (get, StrangerReason::Protocol),
        (unpadded, StrangerReason::Protocol),
        (elsewhere, StrangerReason::Protocol),
        (other_host, StrangerReason::Protocol),
        ("garbage\r\n".to_owned(), StrangerReason::Protocol),
        ("GET / HT".to_owned(), StrangerReason::TooShort),
        ("x".repeat(20_000), StrangerReason::Protocol),
    ] {
        let (mut ours, theirs) = duplex(64 * 1024);
        ours.write_all(sent.as_bytes()).await.unwrap();
        ours.shutdown().await.unwrap();
        let Opening::Stranger(mut stranger) = server().accept(Box::new(theirs), opener()).await.unwrap() else {
            panic!("{sent:?}")
        };
        assert_eq!(stranger.why, why, "{sent:?}");
        let mut all = String::new();
        stranger.stream.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, sent);
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_request_may_be_the_sites() {
    let (server, gateway) = (Arc::new(server()), Arc::<Gateway>::default());
    let mut stream = connected(&server, &gateway);
    stream.write_all(head("OPTIONS", "/x/S", "Origin: http://b.example\r\n").as_bytes()).await.unwrap();
    let said = answer(&mut stream).await;
    assert!(said.contains("access-control-allow-origin: http://b.example"), "{said}");
    assert!(said.contains("access-control-allow-methods: *"), "{said}");
    stream.write_all(head("GET", "/", "").as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("http/1.1 404"));
    let mut body = vec![0; SITE.len()];
    stream.read_exact(&mut body).await.unwrap();
    assert_eq!(body, SITE.as_bytes());
    assert_eq!(gateway.web.load(SeqCst), 1);
}
