//! Megabytes per second of each protocol's client over an in-memory connection, up and down, beside a plain one.
//!
//! `up` is sealed by us and thrown away by the peer unopened. `down` is sealed once, before the clock starts, and
//! opened by us; it exists where a recorded answer can be replayed. `peer` rows are the `shadowsocks` crate's client.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{hint::black_box, sync::Arc, time::Duration};

use async_trait::async_trait;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hezar_core::{
    Carrier, NodeSpec, Outbound, PacketEncoding, Secret, Shadowsocks, StreamNode, StreamProtocol, Target, Trojan,
    Vless, Vmess, VmessCipher,
};
use hezar_engine::{Attempt, BoxStream, DialError, Dialer, TlsClients, build};
use shadowsocks::{
    ProxyClientStream,
    config::{ServerConfig, ServerType},
    context::Context,
    relay::tcprelay::ProxyServerStream,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    runtime::{Builder, Runtime},
    sync::Mutex,
};

/// What goes through in one measurement, in bytes.
const AMOUNT: usize = 4 << 20;
/// The relay's buffer, in bytes.
const PIECE: usize = 32 * 1024;
/// The in-memory connection's buffer, in bytes.
const PIPE: usize = 256 * 1024;
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";

/// Hands out one prepared connection.
#[derive(Debug)]
struct Given(Mutex<Option<DuplexStream>>);

#[async_trait]
impl Dialer for Given {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        Ok(Box::new(self.0.lock().await.take().unwrap()))
    }
}

fn target() -> Target {
    Target::parse("example.com:443").unwrap()
}

fn shadowsocks(method: &str) -> Outbound {
    let password = Secret::new(if method.starts_with("2022") { KEY } else { "password" });
    Outbound::Shadowsocks(Shadowsocks { method: method.into(), password, plugin: None, udp_over_tcp: false })
}

fn stream(protocol: StreamProtocol) -> Outbound {
    Outbound::Stream(Box::new(StreamNode::new(protocol, Carrier::plain()).unwrap()))
}

fn vmess(cipher: VmessCipher) -> Outbound {
    let id = uuid::Uuid::from_u128(7);
    stream(StreamProtocol::Vmess(Vmess { id, alter_id: 0, cipher, packet_encoding: PacketEncoding::Xudp }))
}

fn outbounds() -> Vec<(&'static str, Outbound)> {
    let id = uuid::Uuid::from_u128(7);
    vec![
        ("trojan", stream(StreamProtocol::Trojan(Trojan { password: Secret::new("x"), inner_shadowsocks: None }))),
        (
            "vless",
            stream(StreamProtocol::Vless(Vless {
                id,
                flow: None,
                encryption: None,
                packet_encoding: PacketEncoding::Xudp,
            })),
        ),
        ("vmess aes-128-gcm", vmess(VmessCipher::Aes128Gcm)),
        ("vmess chacha20-poly1305", vmess(VmessCipher::Chacha20Poly1305)),
        ("vmess none", vmess(VmessCipher::None)),
        ("ss none", shadowsocks("none")),
        ("ss aes-128-gcm", shadowsocks("aes-128-gcm")),
        ("ss aes-256-gcm", shadowsocks("aes-256-gcm")),
        ("ss chacha20-ietf-poly1305", shadowsocks("chacha20-ietf-poly1305")),
        ("ss 2022-blake3-aes-128-gcm", shadowsocks("2022-blake3-aes-128-gcm")),
        ("ss aes-256-cfb", shadowsocks("aes-256-cfb")),
    ]
}

/// A client's stream and the other end of its connection.
async fn open(outbound: Outbound) -> (BoxStream, DuplexStream) {
    let (ours, theirs) = duplex(PIPE);
    let spec = NodeSpec::new(Target::parse("192.0.2.1:443").unwrap(), outbound);
    let dialer = build(&spec, Arc::new(Given(Mutex::new(Some(ours)))), &TlsClients::new(&[])).unwrap();
    let stream = dialer.connect(&target(), &Attempt::within(Duration::from_secs(60))).await.unwrap();
    (stream, theirs)
}

/// Reads everything and throws it away.
async fn discard(mut from: impl tokio::io::AsyncRead + Unpin) -> usize {
    let mut buffer = vec![0; PIECE];
    let mut amount = 0;
    loop {
        match from.read(&mut buffer).await.unwrap() {
            0 => return amount,
            read => amount += black_box(&buffer[..read]).len(),
        }
    }
}

/// Writes the amount and ends.
async fn fill(to: &mut (impl tokio::io::AsyncWrite + Unpin), amount: usize) {
    let buffer = vec![7; PIECE];
    for _ in 0..amount / PIECE {
        to.write_all(&buffer).await.unwrap();
    }
    to.shutdown().await.unwrap();
}

fn up(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("up");
    group.throughput(Throughput::Bytes(AMOUNT as u64)).sample_size(10).warm_up_time(Duration::from_millis(500));
    group.bench_function("plain", |b| {
        b.to_async(runtime).iter(|| async {
            let (mut ours, theirs) = duplex(PIPE);
            tokio::join!(fill(&mut ours, AMOUNT), discard(theirs))
        });
    });
    for (name, outbound) in outbounds() {
        group.bench_function(name, |b| {
            b.to_async(runtime).iter(|| async {
                let (mut stream, peer) = open(outbound.clone()).await;
                tokio::join!(fill(&mut stream, AMOUNT), discard(peer))
            });
        });
    }
    for method in ["aes-128-gcm", "chacha20-ietf-poly1305"] {
        group.bench_function(format!("peer ss {method}"), |b| {
            b.to_async(runtime).iter(|| async {
                let (ours, theirs) = duplex(PIPE);
                let mut stream = peer_client(method, ours);
                tokio::join!(fill(&mut stream, AMOUNT), discard(theirs))
            });
        });
    }
    group.finish();
}

fn config(method: &str) -> ServerConfig {
    let password = if method.starts_with("2022") { KEY } else { "password" };
    ServerConfig::new(("192.0.2.1", 443), password, method.parse().unwrap()).unwrap()
}

fn peer_client(method: &str, io: DuplexStream) -> ProxyClientStream<DuplexStream> {
    let context = Context::new_shared(ServerType::Local);
    ProxyClientStream::from_stream(context, io, &config(method), ("example.com".to_owned(), 443))
}

/// The sealed answer of a server, recorded.
async fn record(method: &str) -> Vec<u8> {
    let (ours, mut theirs) = duplex(2 * AMOUNT);
    let config = config(method);
    let context = Context::new_shared(ServerType::Server);
    let mut server = ProxyServerStream::from_stream(context, ours, config.method(), config.key());
    fill(&mut server, AMOUNT).await;
    drop(server);
    let mut sealed = Vec::new();
    theirs.read_to_end(&mut sealed).await.unwrap();
    sealed
}

async fn replay(sealed: &[u8], mut to: DuplexStream) {
    to.write_all(sealed).await.unwrap();
}

fn down(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("down");
    group.throughput(Throughput::Bytes(AMOUNT as u64)).sample_size(10).warm_up_time(Duration::from_millis(500));
    for method in ["none", "aes-128-gcm", "aes-256-gcm", "chacha20-ietf-poly1305"] {
        let sealed = runtime.block_on(record(method));
        group.bench_function(format!("ss {method}"), |b| {
            b.to_async(runtime).iter(|| async {
                let (stream, peer) = open(shadowsocks(method)).await;
                tokio::join!(discard(stream), replay(&sealed, peer))
            });
        });
        group.bench_function(format!("peer ss {method}"), |b| {
            b.to_async(runtime).iter(|| async {
                let (ours, theirs) = duplex(PIPE);
                tokio::join!(discard(peer_client(method, ours)), replay(&sealed, theirs))
            });
        });
    }
    group.finish();
}

fn both(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    up(criterion, &runtime);
    down(criterion, &runtime);
}

criterion_group!(benches, both);
criterion_main!(benches);
