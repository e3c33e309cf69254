//! Tests of the gRPC server: our own client, other clients' ways, strangers, and what a client may cost.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use bytes::Bytes;
use hezar_core::{Grpc, GrpcMode, Host, Target};
use http::{HeaderMap, Method, Request, Response, Version};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    time::timeout,
};

use super::{GrpcServer, Http2Limits};
use crate::{
    Attempt, BoxStream, Cause,
    budget::{ConnectionBudget, WindowBudget},
    security::{Secure, SecureConnector},
    served::{Opening, StrangerReason},
    testing::{Chopped, Many, until},
    transport::{
        grpc::{GrpcClient, wire},
        http_server::testing::{Gateway, SITE, opener},
    },
};

/// Our client, and a server behind each of its connections.
struct World {
    client: GrpcClient,
    connector: SecureConnector,
    gateway: Arc<Gateway>,
}

impl World {
    fn new(mode: GrpcMode, seed: u64, most: usize) -> Self {
        let (dialer, mut peers) = Many::new(seed, most);
        let settings = Grpc { service_name: "svc".into(), mode, ..Grpc::default() };
        let host = Host::new("node.example").unwrap();
        let client = GrpcClient::new(&settings, None, &host, false, ConnectionBudget::default()).unwrap();
        let gateway = Arc::<Gateway>::default();
        let (server, serving) = (Arc::new(GrpcServer::new("svc")), Arc::clone(&gateway));
        tokio::spawn(async move {
            while let Some(peer) = peers.recv().await {
                let stream: BoxStream = Box::new(Chopped::new(peer, seed + 1, most));
                tokio::spawn(Arc::clone(&serving).serve(server.accept(stream, opener()).await.unwrap()));
            }
        });
        let target = Target::parse("node.example:443").unwrap();
        let connector = SecureConnector::new(target, Arc::new(dialer), Secure::Nothing);
        Self { client, connector, gateway }
    }

    async fn open(&self) -> BoxStream {
        self.client.open(&self.connector, &Attempt::within(Duration::from_secs(60))).await.unwrap()
    }
}

async fn say(stream: &mut BoxStream, data: &[u8]) {
    stream.write_all(data).await.unwrap();
    stream.flush().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn our_client_is_served_in_both_modes() {
    for (mode, seed, most) in [(GrpcMode::Gun, 1, 3), (GrpcMode::Multi, 2, 64 * 1024)] {
        let world = World::new(mode, seed, most);
        let mut stream = world.open().await;
        say(&mut stream, b"!question").await;
        let mut back = [0; 8];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"question");
        stream.write_all(b"last words").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"last words", "the other direction ends later");
        until(|| world.gateway.alive.load(SeqCst) == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn much_both_ways_on_many_streams_of_one_connection() {
    let data: Vec<u8> = (0..300_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let world = World::new(GrpcMode::Gun, 3, 64 * 1024);
    let streams = futures_util::future::join_all((0..20).map(|_| async {
        let (mut read, mut write) = split(world.open().await);
        let writing = async {
            write.write_all(b"!").await.unwrap();
            write.write_all(&data).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let reading = async {
            let mut back = Vec::new();
            read.read_to_end(&mut back).await.unwrap();
            assert!(back == data, "it is damaged");
        };
        tokio::join!(writing, reading);
    }));
    timeout(Duration::from_secs(600), streams).await.unwrap();
    assert_eq!(world.gateway.requests.load(SeqCst), 20);
}

#[tokio::test(start_paused = true)]
async fn a_session_inside_a_call_is_served() {
    let world = World::new(GrpcMode::Gun, 1, 4096);
    let mut stream = world.open().await;
    say(&mut stream, b"#question").await;
    let mut back = [0; 8];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!((&back, world.gateway.requests.load(SeqCst)), (b"question", 1));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_credential_gets_the_sites_answer() {
    let world = World::new(GrpcMode::Gun, 1, 4096);
    let mut stream = world.open().await;
    say(&mut stream, b"?question").await;
    let error = stream.read_u8().await.unwrap_err();
    assert!(matches!(Cause::from(error), Cause::TransportStatus(404)));
    let Gateway { requests, strangers, web, .. } = &*world.gateway;
    assert_eq!([requests, strangers, web].map(|count| count.load(SeqCst)), [0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_its_stream() {
    let world = World::new(GrpcMode::Gun, 1, 4096);
    let mut stream = world.open().await;
    say(&mut stream, b"!q").await;
    stream.read_u8().await.unwrap();
    drop(stream);
    until(|| world.gateway.alive.load(SeqCst) == 0).await;
}

/// A connection of HTTP/2 to a server.
async fn connected() -> (h2::client::SendRequest<Bytes>, Arc<Gateway>) {
    let (ours, theirs) = duplex(64 * 1024);
    let gateway = Arc::<Gateway>::default();
    let serving = Arc::clone(&gateway);
    tokio::spawn(async move {
        let opening = GrpcServer::new("svc").accept(Box::new(theirs), opener()).await.unwrap();
        serving.serve(opening).await;
    });
    let (sender, wire) = h2::client::handshake(ours).await.unwrap();
    tokio::spawn(wire);
    (sender, gateway)
}

fn request(method: Method, path: &str, content: &str) -> Request<()> {
    let uri = format!("http://node.example{path}");
    let request = Request::builder().method(method).uri(uri).version(Version::HTTP_2);
    request.header("content-type", content).body(()).unwrap()
}

/// Everything that comes back.
async fn whole(answer: Response<h2::RecvStream>) -> (Vec<u8>, Option<HeaderMap>) {
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend_from_slice(&data);
    }
    (bytes, body.trailers().await.unwrap())
}

#[tokio::test]
async fn answers_are_those_of_grpc() {
    let (mut sender, _) = connected().await;
    let (answer, mut upload) =
        sender.send_request(request(Method::POST, "/svc/Tun", "application/grpc"), false).unwrap();
    upload.send_data(wire::message(b"!hello"), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/grpc".parse().unwrap())
    );
    let (body, trailers) = whole(answer).await;
    assert_eq!((&body[..], &trailers.unwrap()["grpc-status"]), (&wire::message(b"hello")[..], &"0".parse().unwrap()));

    // Nothing is said: the status is in the only head.
    let (answer, mut upload) =
        sender.send_request(request(Method::POST, "/svc/TunMulti", "application/grpc+proto"), false).unwrap();
    upload.send_data(wire::message(b"!"), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "0");
    assert!(answer.body().is_end_stream());
}

#[tokio::test]
async fn other_requests_are_the_sites() {
    let (mut sender, gateway) = connected().await;
    for (method, path, content) in [
        (Method::GET, "/", "text/html"),
        (Method::GET, "/svc/Tun", "application/grpc"),
        (Method::POST, "/svc/Tun", "text/plain"),
        (Method::POST, "/svc/Other", "application/grpc"),
    ] {
        let (answer, _) = sender.send_request(request(method, path, content), true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 404);
        assert!(answer.headers().contains_key("date") && !answer.headers().contains_key("connection"));
        assert_eq!(whole(answer).await.0, SITE.as_bytes());
    }
    assert_eq!((gateway.requests.load(SeqCst), gateway.web.load(SeqCst)), (0, 4));
    // Calls without a client's words in them.
    for (sent, ends) in
        [(Bytes::new(), true), (Bytes::from_static(b"<html>"), true), (Bytes::from_static(b"<html>"), false)]
    {
        let (answer, mut upload) =
            sender.send_request(request(Method::POST, "/svc/Tun", "application/grpc"), false).unwrap();
        upload.send_data(sent, ends).unwrap();
        assert_eq!(answer.await.unwrap().status(), 404);
    }
    assert_eq!((gateway.requests.load(SeqCst), gateway.web.load(SeqCst)), (0, 7));
    // A body that no form has.
    let (answer, mut upload) = sender.send_request(request(Method::POST, "/form", "text/plain"), false).unwrap();
    upload.reserve_capacity(70_000);
    let mut left = 70_000_usize;
    while left > 0 {
        let Some(Ok(room)) = poll_fn(|cx| upload.poll_capacity(cx)).await else { break };
        let piece = room.min(left);
        left -= piece;
        if upload.send_data(vec![0; piece].into(), left == 0).is_err() {
            break;
        }
    }
    assert_eq!(answer.await.unwrap().status(), 413);
}

#[tokio::test]
async fn what_is_no_http2_is_a_strangers() {
    for (sent, why) in [
        (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], StrangerReason::Protocol),
        (b"\x16\x03\x01", StrangerReason::Protocol),
        (b"PRI * HTTP/2.1", StrangerReason::Protocol),
        (b"PRI *", StrangerReason::TooShort),
    ] {
        let (mut ours, theirs) = duplex(1024);
        ours.write_all(sent).await.unwrap();
        ours.shutdown().await.unwrap();
        let opening = GrpcServer::new("svc").accept(Box::new(theirs), opener()).await.unwrap();
        let Opening::Stranger(mut stranger) = opening else { panic!("{sent:?}") };
        assert_eq!(stranger.why, why, "{sent:?}");
        let mut all = Vec::new();
        stranger.stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, sent);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_and_one_in_use_does_not() {
    let (sender, _gateway) = connected().await;
    let mut kept = sender.clone();
    let (answer, mut upload) = kept.send_request(request(Method::POST, "/svc/Tun", "application/grpc"), false).unwrap();
    upload.send_data(wire::message(b"!x"), false).unwrap();
    let mut body = answer.await.unwrap().into_body();
    body.data().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(sender.clone().ready().await.is_ok(), "a stream is open");
    upload.send_data(Bytes::new(), true).unwrap();
    assert!(body.trailers().await.unwrap().is_some());
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert!(sender.ready().await.is_err(), "nobody uses it");
}

#[tokio::test]
async fn a_client_that_is_sent_away_keeps_its_requests() {
    let (mut sender, gateway) = connected().await;
    let request = || request(Method::POST, "/svc/Tun", "application/grpc");
    let (answer, mut upload) = sender.send_request(request(), false).unwrap();
    upload.send_data(wire::message(b"!x"), false).unwrap();
    let mut body = answer.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), wire::message(b"x"));
    gateway.closing.notify_one();
    timeout(Duration::from_secs(60), async {
        while sender.send_request(request(), true).is_ok() {
            tokio::task::yield_now().await
        }
    })
    .await
    .unwrap();
    upload.send_data(wire::message(b"more"), true).unwrap();
    assert_eq!(body.data().await.unwrap().unwrap(), wire::message(b"more"));
    assert!(body.data().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_for_nothing_ends() {
    for sent in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        let (mut ours, theirs): (DuplexStream, DuplexStream) = duplex(1024);
        ours.write_all(sent).await.unwrap();
        let opening = GrpcServer::new("svc").accept(Box::new(theirs), opener()).await.unwrap();
        let serving = Arc::<Gateway>::default().serve(opening);
        timeout(Duration::from_secs(100), serving).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_reads_does_not_stop_the_others() {
    let (ours, theirs) = duplex(64 * 1024);
    // The clients before this one have taken all room.
    let limits = Http2Limits { windows: Arc::new(WindowBudget::new(0)) };
    tokio::spawn(async move {
        let server = GrpcServer { limits, ..GrpcServer::new("svc") };
        let opening = server.accept(Box::new(theirs), opener()).await.unwrap();
        Arc::<Gateway>::default().serve(opening).await;
    });
    let mut client = h2::client::Builder::new();
    client.initial_connection_window_size(1 << 20);
    let (mut sender, connection): (h2::client::SendRequest<Bytes>, _) = client.handshake(ours).await.unwrap();
    tokio::spawn(connection);
    let call = || request(Method::POST, "/svc/Tun", "application/grpc");
    // Its echo is not read, so that the server stops reading it.
    let (_stuck, mut upload) = sender.send_request(call(), false).unwrap();
    upload.send_data(wire::message(b"!"), false).unwrap();
    upload.send_data(wire::message(&vec![0; 400_000]), false).unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (answer, mut other) = sender.send_request(call(), false).unwrap();
    other.send_data(wire::message(b"!hello"), true).unwrap();
    let answer = timeout(Duration::from_secs(60), answer).await.expect("the other call has no room").unwrap();
    assert_eq!(whole(answer).await.0, &wire::message(b"hello")[..]);
}

/// Its window stays shut, which nothing beneath HTTP/2 notices.
#[tokio::test(start_paused = true)]
async fn a_visitor_that_does_not_read_loses_its_answer() {
    let (ours, theirs) = duplex(64 * 1024);
    tokio::spawn(async move {
        let opening = GrpcServer::new("svc").accept(Box::new(theirs), opener()).await.unwrap();
        Arc::<Gateway>::default().serve(opening).await;
    });
    let mut client = h2::client::Builder::new();
    client.initial_window_size(0);
    let (mut sender, wire): (h2::client::SendRequest<Bytes>, _) = client.handshake(ours).await.unwrap();
    tokio::spawn(wire);
    let (answer, _) = sender.send_request(request(Method::GET, "/", "text/html"), true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    let ended = timeout(Duration::from_secs(600), body.data()).await.expect("the answer waits for ever");
    assert!(ended.unwrap().is_err());
}

#[tokio::test]
async fn requests_that_are_reset_at_once_do_not_pile_up() {
    let (mut sender, gateway) = connected().await;
    for _ in 0..3000 {
        let Ok(ready) = sender.clone().ready().await else { break };
        sender = ready;
        let Ok((_, mut upload)) = sender.send_request(request(Method::POST, "/svc/Tun", "application/grpc"), false)
        else {
            break;
        };
        upload.send_reset(h2::Reason::CANCEL);
        tokio::task::yield_now().await;
    }
    until(|| gateway.alive.load(SeqCst) == 0).await;
    assert_eq!(gateway.requests.load(SeqCst), 0);
}
