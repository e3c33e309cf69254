//! The tests that every stream protocol must pass, whatever pieces the network cuts its bytes into.

use std::{future::Future, io, sync::Arc, time::Duration};

use hezar_core::Target;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, copy_bidirectional, duplex, split},
    task::JoinHandle,
};

use crate::{Attempt, BoxStream, BuildError, Cause, Dialer, testing::connector_pair, transport::TransportConnector};

/// What a test server has received: the target that it was asked for, and a stream of the payload in both directions.
pub(crate) type Served = (Target, DuplexStream);

/// The target that all tests ask for.
pub(crate) fn target() -> Target {
    Target::parse("example.com:443").unwrap()
}

/// An attempt whose deadline is so far away that paused time does not reach it by accident.
pub(crate) fn attempt() -> Attempt {
    Attempt::within(Duration::from_secs(3600))
}

/// Copies the decoded stream of a server to one end of a pair, so that all servers have the same type.
pub(crate) fn pump<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(mut stream: S) -> DuplexStream {
    let (ours, mut theirs) = duplex(16 * 1024);
    tokio::spawn(async move {
        let _ = copy_bidirectional(&mut stream, &mut theirs).await;
    });
    ours
}

/// A client's stream and the server that will answer it.
pub(crate) async fn connect<B, S, F>(build: &B, serve: &S, seed: u64, most: usize) -> (BoxStream, JoinHandle<Served>)
where
    B: Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError>,
    S: Fn(DuplexStream) -> F,
    F: Future<Output = Served> + Send + 'static,
{
    let (connector, peer) = connector_pair(seed, most);
    let server = tokio::spawn(serve(peer));
    let stream = build(connector).unwrap().connect(&target(), &attempt()).await.unwrap();
    (stream, server)
}

/// Runs every test.
pub(crate) async fn all<B, S, F>(build: B, serve: S)
where
    B: Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError>,
    S: Fn(DuplexStream) -> F,
    F: Future<Output = Served> + Send + 'static,
{
    for (seed, most) in [(1, 1), (2, 3), (3, 100), (4, 64 * 1024)] {
        answers(connect(&build, &serve, seed, most).await).await;
        speaks_first(connect(&build, &serve, seed, most).await).await;
        half_closes(connect(&build, &serve, seed, most).await).await;
        closes_unused(connect(&build, &serve, seed, most).await).await;
    }
    for (seed, most) in [(5, 1500), (6, 64 * 1024)] {
        carries_much(connect(&build, &serve, seed, most).await).await;
    }
}

/// Runs the tests for protocols that have no end for one direction.
pub(crate) async fn all_without_half_close<B, S, F>(build: B, serve: S)
where
    B: Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError>,
    S: Fn(DuplexStream) -> F,
    F: Future<Output = Served> + Send + 'static,
{
    for (seed, most) in [(1, 1), (2, 3), (3, 100), (4, 64 * 1024)] {
        answers(connect(&build, &serve, seed, most).await).await;
        speaks_first(connect(&build, &serve, seed, most).await).await;
        if most > 3 {
            carries_much_down(connect(&build, &serve, seed, most).await).await;
        }
    }
}

/// A request and its answer, and another one.
async fn answers((mut client, server): (BoxStream, JoinHandle<Served>)) {
    client.write_all(b"ping").await.unwrap();
    client.flush().await.unwrap();
    let (asked, mut app) = server.await.unwrap();
    assert_eq!(asked, target());
    let mut buffer = [0; 4];
    for _ in 0..2 {
        app.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"ping");
        app.write_all(b"pong").await.unwrap();
        client.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"pong");
        client.write_all(b"ping").await.unwrap();
        client.flush().await.unwrap();
    }
}

/// The server greets; the client has written nothing.
pub(crate) async fn speaks_first((mut client, server): (BoxStream, JoinHandle<Served>)) {
    let greeting = tokio::spawn(async move {
        let (asked, mut app) = server.await.unwrap();
        assert_eq!(asked, target());
        app.write_all(b"220 ready\r\n").await.unwrap();
        let mut command = [0; 4];
        app.read_exact(&mut command).await.unwrap();
        assert_eq!(&command, b"QUIT");
    });
    let mut line = [0; 11];
    client.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"220 ready\r\n");
    client.write_all(b"QUIT").await.unwrap();
    client.flush().await.unwrap();
    greeting.await.unwrap();
}

/// The client ends its side, the server sees that, and answers afterwards.
async fn half_closes((mut client, server): (BoxStream, JoinHandle<Served>)) {
    let answering = tokio::spawn(async move {
        let (_, mut app) = server.await.unwrap();
        let mut request = Vec::new();
        app.read_to_end(&mut request).await.unwrap();
        app.write_all(&request.repeat(100)).await.unwrap();
        app.shutdown().await.unwrap();
        app
    });
    client.write_all(b"the whole request").await.unwrap();
    client.shutdown().await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"the whole request".repeat(100));
    assert!(client.write_all(b"more").await.is_err());
    drop(answering.await.unwrap());
}

/// The client ends its side before it has written anything. The header is sent all the same.
async fn closes_unused((mut client, server): (BoxStream, JoinHandle<Served>)) {
    let answering = tokio::spawn(async move {
        let (asked, mut app) = server.await.unwrap();
        assert_eq!(asked, target());
        assert_eq!(app.read(&mut [0; 1]).await.unwrap(), 0);
        app.write_all(b"bye").await.unwrap();
        app.shutdown().await.unwrap();
        app
    });
    client.shutdown().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"bye");
    drop(answering.await.unwrap());
}

/// A mebibyte travels each way at the same time, in uneven pieces, and nothing is lost or reordered.
async fn carries_much((client, server): (BoxStream, JoinHandle<Served>)) {
    const AMOUNT: usize = 1 << 20;
    let pattern = |step: usize| (0..AMOUNT).map(|i| ((i * step) >> 3) as u8).collect::<Vec<_>>();
    let (up, down) = (Arc::new(pattern(5)), Arc::new(pattern(7)));
    let (mut reader, mut writer) = split(client);
    let sent = Arc::clone(&up);
    let writing = tokio::spawn(async move {
        let mut rest = &sent[..];
        for size in (1..).map(|i: usize| i.pow(3) % 70_000 + 1) {
            let (piece, later) = rest.split_at(size.min(rest.len()));
            writer.write_all(piece).await.unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        writer.shutdown().await.unwrap();
        writer
    });
    let (expected, answer) = (Arc::clone(&up), Arc::clone(&down));
    let serving = tokio::spawn(async move {
        let (_, app) = server.await.unwrap();
        let (mut app_reader, mut app_writer) = split(app);
        let answering = tokio::spawn(async move {
            app_writer.write_all(&answer).await.unwrap();
            app_writer.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        app_reader.read_to_end(&mut received).await.unwrap();
        assert!(received == *expected, "what went up differs");
        answering.await.unwrap();
        app_reader
    });
    let mut received = Vec::new();
    reader.read_to_end(&mut received).await.unwrap();
    assert!(received == *down, "what came down differs");
    drop((writing.await.unwrap(), serving.await.unwrap()));
}

/// A mebibyte comes down after a request. This is for protocols that cannot end one direction alone.
async fn carries_much_down((mut client, server): (BoxStream, JoinHandle<Served>)) {
    let down: Vec<u8> = (0..1_usize << 20).map(|i| ((i * 7) >> 3) as u8).collect();
    client.write_all(b"go").await.unwrap();
    client.flush().await.unwrap();
    let answer = down.clone();
    let serving = tokio::spawn(async move {
        let (_, mut app) = server.await.unwrap();
        assert_eq!(app.read_u16().await.unwrap(), 0x676f);
        app.write_all(&answer).await.unwrap();
        app.shutdown().await.unwrap();
        app
    });
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    assert!(received == down, "what came down differs");
    drop(serving.await.unwrap());
}

/// Reads an answer that consists of these bytes and an end, and returns the cause of the failure. It must not panic, and must end.
pub(crate) async fn cause_of_answer<B>(build: B, answer: &[u8], seed: u64, most: usize) -> Option<Cause>
where
    B: Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError>,
{
    let (connector, mut peer) = connector_pair(seed, most);
    let mut client = build(connector).unwrap().connect(&target(), &attempt()).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    client.flush().await.unwrap();
    let answer = answer.to_vec();
    let peer = tokio::spawn(async move {
        peer.write_all(&answer).await.unwrap();
        peer.shutdown().await.unwrap();
        peer
    });
    let mut text = Vec::new();
    let result: io::Result<usize> = client.read_to_end(&mut text).await;
    let cause = result.err().map(Cause::from);
    if cause.is_some() {
        assert!(client.read(&mut [0; 16]).await.is_err(), "an error is not forgotten");
    }
    drop(peer.await.unwrap());
    cause
}
