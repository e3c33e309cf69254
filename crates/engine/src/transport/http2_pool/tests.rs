//! Tests of shared connections: an HTTP/2 server in memory, paused time.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use h2::server::SendResponse;
use hezar_core::{Host, Target};
use http::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, split},
    sync::mpsc::UnboundedReceiver,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    Http2Pool, Limits, MuxStream, request,
    watch::{IDLE, IDLE_FOR_EACH, KEEPALIVE, PATIENCE},
};
use crate::{
    Attempt, Cause, DialError,
    budget::{ConnectionBudget, IdleConnections, WindowBudget},
    security::{Secure, SecureConnector},
    testing::Many,
    transport::http2_body::Raw,
};

type Served = (Request<h2::RecvStream>, SendResponse<Bytes>);

/// Connections to a server, and the server's ends.
struct World {
    connections: Http2Pool,
    connector: SecureConnector,
    peers: UnboundedReceiver<DuplexStream>,
}

impl World {
    fn new(limits: Limits, seed: u64, most: usize) -> Self {
        Self::within(ConnectionBudget::default(), limits, seed, most)
    }

    fn within(budget: ConnectionBudget, limits: Limits, seed: u64, most: usize) -> Self {
        let (dialer, peers) = Many::new(seed, most);
        let server = Target::parse("192.0.2.1:443").unwrap();
        let connector = SecureConnector::new(server, Arc::new(dialer), Secure::Nothing);
        Self { connections: Http2Pool::new(limits, budget), connector, peers }
    }

    async fn open(&self) -> Result<MuxStream<Raw>, DialError> {
        let request = request("PUT", false, &[None], &Host::new("192.0.2.1").unwrap(), "/p").unwrap();
        let attempt = Attempt::within(Duration::from_secs(5));
        let (permit, exchange) = self.connections.request(&self.connector, &request, false, &attempt).await?;
        Ok(MuxStream::new(permit, exchange, Raw))
    }

    fn alive(&self) -> usize {
        self.connections.alive()
    }
}

fn limits(slots: u32) -> Limits {
    Limits { slots, ..Limits::default() }
}

/// Serves one connection: every request is echoed.
fn echo(peer: DuplexStream) -> JoinHandle<usize> {
    tokio::spawn(async move {
        // Like Go's servers, it lets the connection carry more than one stream's window.
        let mut builder = h2::server::Builder::new();
        let mut wire = builder.initial_connection_window_size(1 << 20).handshake(peer).await.unwrap();
        let mut served = 0;
        while let Some(Ok(exchange)) = wire.accept().await {
            served += 1;
            tokio::spawn(repeat(exchange));
        }
        served
    })
}

async fn repeat((request, mut answer): Served) {
    assert_eq!((request.method().as_str(), request.uri().path()), ("PUT", "/p"));
    let mut sending = answer.send_response(Response::new(()), false).unwrap();
    let mut body = request.into_body();
    while let Some(Ok(bytes)) = body.data().await {
        body.flow_control().release_capacity(bytes.len()).unwrap();
        let mut bytes = bytes;
        while !bytes.is_empty() {
            sending.reserve_capacity(bytes.len());
            let Some(Ok(room)) = std::future::poll_fn(|cx| sending.poll_capacity(cx)).await else { return };
            sending.send_data(bytes.split_to(room.min(bytes.len())), false).unwrap();
        }
    }
    sending.send_data(Bytes::new(), true).unwrap();
}

async fn ping(stream: &mut MuxStream<Raw>) {
    stream.write_all(b"ping").await.unwrap();
    stream.flush().await.unwrap();
    let mut back = [0; 4];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"ping");
}

#[tokio::test(start_paused = true)]
async fn streams_share_connections_up_to_a_bound() {
    let mut world = World::new(limits(3), 1, 4096);
    let mut open = Vec::new();
    for _ in 0..7 {
        open.push(world.open().await.unwrap());
    }
    let mut servers = Vec::new();
    while let Ok(peer) = world.peers.try_recv() {
        servers.push(echo(peer));
    }
    assert_eq!((servers.len(), world.alive()), (3, 3));
    for stream in &mut open {
        ping(stream).await;
    }
    open.truncate(2);
    // A permit that was left is taken again.
    ping(&mut world.open().await.unwrap()).await;
    assert!(world.peers.try_recv().is_err());
    drop(open);
    sleep(IDLE + Duration::from_secs(1)).await;
    assert_eq!(world.alive(), 0);
    let mut served = 0;
    for server in servers {
        served += server.await.unwrap();
    }
    assert_eq!(served, 8);
}

#[tokio::test(start_paused = true)]
async fn many_at_once_open_no_more_than_they_need() {
    let mut world = World::new(limits(10), 1, 4096);
    let opened = futures_util::future::join_all((0..20).map(|_| world.open())).await;
    assert!(opened.iter().all(Result::is_ok));
    let mut peers = 0;
    while world.peers.try_recv().is_ok() {
        peers += 1;
    }
    assert_eq!(peers, 2);
}

#[tokio::test]
async fn much_both_ways_and_half_closes() {
    for (seed, most) in [(1, 100), (2, 64 * 1024)] {
        let mut world = World::new(limits(8), seed, most);
        let stream = world.open().await.unwrap();
        let server = echo(world.peers.try_recv().unwrap());
        let data: Vec<u8> = (0..600_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        let (mut read, mut write) = split(stream);
        let send = async {
            write.write_all(&data).await.unwrap();
            write.shutdown().await.unwrap();
            assert!(write.write_all(b"more").await.is_err());
        };
        let receive = async {
            let mut got = Vec::new();
            read.read_to_end(&mut got).await.unwrap();
            got
        };
        let ((), got) = tokio::join!(send, receive);
        assert!(got == data);
        drop((read, write, world));
        assert_eq!(server.await.unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_stops_nobody_else() {
    let mut world = World::new(limits(2), 1, 64 * 1024);
    let mut stalled = world.open().await.unwrap();
    let mut other = world.open().await.unwrap();
    let _server = echo(world.peers.try_recv().unwrap());
    // The echo fills the stalled stream's window, and the upload stops when its window is full too.
    let filling = async {
        let chunk = vec![7; 64 * 1024];
        loop {
            stalled.write_all(&chunk).await.unwrap();
        }
    };
    assert!(timeout(Duration::from_secs(5), filling).await.is_err());
    timeout(Duration::from_secs(5), ping(&mut other)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dead_connection_is_replaced() {
    let mut world = World::new(limits(8), 1, 4096);
    let mut first = world.open().await.unwrap();
    let server = echo(world.peers.try_recv().unwrap());
    ping(&mut first).await;
    server.abort();
    assert!(server.await.is_err());
    let error = first.read_u8().await.unwrap_err();
    assert!(matches!(Cause::from(error).code(), "closed" | "reset" | "io"));
    let mut second = world.open().await.unwrap();
    let _server = echo(world.peers.try_recv().unwrap());
    ping(&mut second).await;
    assert_eq!(world.alive(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_found_out() {
    let mut world = World::new(limits(8), 1, 4096);
    let mut stream = world.open().await.unwrap();
    // Takes what comes and never answers, not even a ping.
    let mut peer = world.peers.try_recv().unwrap();
    let swallowing = tokio::spawn(async move { tokio::io::copy(&mut peer, &mut tokio::io::sink()).await });
    let limit = KEEPALIVE + PATIENCE + Duration::from_secs(1);
    assert!(timeout(limit, stream.read_u8()).await.unwrap().is_err());
    assert_eq!(world.alive(), 0);
    swallowing.await.unwrap().unwrap();
}

/// A server whose pongs are lost, and whose data comes slowly, is alive; when that stops too it is not.
#[tokio::test(start_paused = true)]
async fn slow_data_is_a_sign_of_life() {
    let mut world = World::new(limits(8), 1, 4096);
    let mut stream = world.open().await.unwrap();
    let mut peer = world.peers.try_recv().unwrap();
    // Settings; the head of the answer with status 200; then a byte of the first stream now and then.
    peer.write_all(b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01\x88").await.unwrap();
    let slow = tokio::spawn(async move {
        let (mut from, mut to) = split(peer);
        let swallowing = tokio::spawn(async move { tokio::io::copy(&mut from, &mut tokio::io::sink()).await });
        for _ in 0..20 {
            to.write_all(b"\0\0\x01\0\0\0\0\0\x01x").await.unwrap();
            sleep(PATIENCE / 2).await;
        }
        swallowing.await.unwrap().unwrap();
        drop(to);
    });
    for _ in 0..20 {
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
    }
    assert!(timeout(KEEPALIVE + PATIENCE * 2, stream.read_u8()).await.unwrap().is_err());
    slow.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_used_once_is_soon_closed() {
    let mut world = World::new(limits(8), 1, 4096);
    ping_once(&mut world).await;
    sleep(IDLE_FOR_EACH + Duration::from_secs(1)).await;
    assert_eq!(world.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_doubt_is_not_handed_out() {
    let mut world = World::new(limits(8), 1, 4096);
    drop(world.open().await.unwrap());
    let _silent = world.peers.try_recv().unwrap();
    let mut second = world.open().await.unwrap();
    let _server = echo(world.peers.try_recv().unwrap());
    ping(&mut second).await;
}

#[tokio::test(start_paused = true)]
async fn doubt_ends_when_the_server_answers() {
    let mut world = World::new(limits(8), 1, 4096);
    let mut first = world.open().await.unwrap();
    let _server = echo(world.peers.try_recv().unwrap());
    ping(&mut first).await;
    drop(world.open().await.unwrap());
    sleep(Duration::from_secs(1)).await;
    ping(&mut world.open().await.unwrap()).await;
    assert!(world.peers.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_connection_wears_out_and_grows_old() {
    for limits in [Limits { uses: 2, ..limits(8) }, Limits { age: Some(Duration::from_secs(60)), ..limits(8) }] {
        let mut world = World::new(limits, 1, 4096);
        let mut kept = world.open().await.unwrap();
        let _server = echo(world.peers.try_recv().unwrap());
        ping(&mut world.open().await.unwrap()).await;
        assert!(world.peers.try_recv().is_err());
        sleep(Duration::from_secs(61)).await;
        ping(&mut kept).await;
        let _next = world.open().await.unwrap();
        assert!(world.peers.try_recv().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_http2_is_no_connection() {
    for (answer, codes) in
        [(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], ["protocol", "reset"]), (b"", ["closed", "reset"])]
    {
        let mut world = World::new(limits(8), 1, 4096);
        let mut stream = world.open().await.unwrap();
        let mut peer = world.peers.try_recv().unwrap();
        peer.write_all(answer).await.unwrap();
        peer.shutdown().await.unwrap();
        let code = Cause::from(stream.read_u8().await.unwrap_err()).code();
        assert!(codes.contains(&code), "{code}");
        assert!(stream.read_u8().await.is_err(), "an error is not forgotten");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_stays_when_the_node_is_gone() {
    let mut world = World::new(limits(8), 1, 4096);
    ping_once(&mut world).await;
    let World { connections, .. } = world;
    let slots = Arc::downgrade(&connections.open.lock()[0].slots);
    drop(connections);
    sleep(Duration::from_secs(1)).await;
    assert!(slots.upgrade().is_none(), "the connection's task ended");
}

async fn ping_once(world: &mut World) {
    let mut stream = world.open().await.unwrap();
    echo(world.peers.try_recv().unwrap());
    ping(&mut stream).await;
}

#[tokio::test(start_paused = true)]
async fn of_all_nodes_connections_only_so_many_stay_open_unused() {
    let budget = ConnectionBudget { idle: Arc::new(IdleConnections::new(2)), ..ConnectionBudget::default() };
    let mut worlds: Vec<_> = (0..4).map(|n| World::within(budget.clone(), limits(3), n, 4096)).collect();
    for world in &mut worlds {
        let mut stream = world.open().await.unwrap();
        let _server = echo(world.peers.recv().await.unwrap());
        ping(&mut stream).await;
        drop(stream);
        // Each is unused for longer than the next one.
        sleep(Duration::from_millis(10)).await;
    }
    let alive: Vec<_> = worlds.iter().map(World::alive).collect();
    assert_eq!(alive, [0, 0, 1, 1], "long before their time the ones that were unused for longest are closed");
    sleep(IDLE + Duration::from_secs(1)).await;
    assert!(worlds.iter().all(|world| world.alive() == 0) && budget.idle.len() == 0);
}

#[tokio::test(start_paused = true)]
async fn where_no_room_for_windows_is_left_a_connection_carries_one_stream() {
    let budget = ConnectionBudget { windows: Arc::new(WindowBudget::new(3 << 20)), ..ConnectionBudget::default() };
    let first = World::within(budget.clone(), limits(3), 1, 4096);
    let mut second = World::within(budget.clone(), limits(3), 2, 4096);
    let held = [first.open().await.unwrap(), first.open().await.unwrap()];
    assert_eq!((first.alive(), budget.windows.left()), (1, 0));
    let mut streams = [second.open().await.unwrap(), second.open().await.unwrap()];
    assert_eq!(second.alive(), 2, "they do not share a window");
    let mut servers = Vec::new();
    while let Ok(peer) = second.peers.try_recv() {
        servers.push(echo(peer));
    }
    for stream in &mut streams {
        ping(stream).await;
    }
    drop((held, streams));
    sleep(IDLE + PATIENCE).await;
    assert_eq!(budget.windows.left(), 3 << 20, "what is given back is there again");
}
