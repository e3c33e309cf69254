//! The plugins against servers written down from their definitions, and against what must never work.

use std::sync::Arc;

use hezar_core::{Carrier, Host, Plugin, Secret, Shadowsocks, Target, TransportKind};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};

use super::{Disguise, Plan, mux, obfs_http, obfs_tls, plan};
use crate::{
    BuildError, Cause, Dialer,
    io::codec_stream::Codec,
    protocol::{
        contract::{self, Served, pump},
        shadowsocks::build,
    },
    transport::TransportConnector,
};

fn plugin(text: &str) -> Plugin {
    let mut parts = text.split(';').map(|part| part.split_once('=').unwrap_or((part, "")));
    let name = parts.next().unwrap().0.into();
    Plugin { name, options: parts.map(|(key, value)| (key.into(), value.into())).collect() }
}

fn settings(text: &str) -> Shadowsocks {
    Shadowsocks {
        method: "none".into(),
        password: Secret::default(),
        plugin: Some(Box::new(plugin(text))),
        udp_over_tcp: false,
    }
}

fn dialer(text: &'static str) -> impl Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    move |connector| build(&settings(text), connector)
}

/// Reads the address that Shadowsocks without a cipher sends.
async fn asked(stream: &mut DuplexStream) -> Target {
    assert_eq!(stream.read_u8().await.unwrap(), 3);
    let mut name = vec![0; usize::from(stream.read_u8().await.unwrap())];
    stream.read_exact(&mut name).await.unwrap();
    let port = stream.read_u16().await.unwrap();
    Target::new(Host::new(std::str::from_utf8(&name).unwrap()).unwrap(), port).unwrap()
}

async fn serve_http(mut peer: DuplexStream) -> Served {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(peer.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("GET / HTTP/1.1\r\nHost: cover.example\r\n"), "{head}");
    let target = asked(&mut peer).await;
    peer.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n").await.unwrap();
    (target, pump(peer))
}

/// Runs both directions of a server that takes the disguise off.
fn undisguise<U, D, F, G>(peer: DuplexStream, up: U, down: D) -> DuplexStream
where
    U: FnOnce(ReadHalf<DuplexStream>, WriteHalf<DuplexStream>) -> F,
    D: FnOnce(ReadHalf<DuplexStream>, WriteHalf<DuplexStream>) -> G,
    F: Future<Output = ()> + Send + 'static,
    G: Future<Output = ()> + Send + 'static,
{
    let (ours, theirs) = duplex(16 * 1024);
    let (peer_reader, peer_writer) = split(peer);
    let (app_reader, app_writer) = split(theirs);
    tokio::spawn(up(peer_reader, app_writer));
    tokio::spawn(down(app_reader, peer_writer));
    ours
}

async fn record(from: &mut ReadHalf<DuplexStream>, kind: u8) -> Option<Vec<u8>> {
    let mut header = [0; 5];
    from.read_exact(&mut header).await.ok()?;
    assert_eq!(header[0], kind);
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    from.read_exact(&mut body).await.ok()?;
    Some(body)
}

async fn tls_up(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>) {
    let hello = record(&mut from, 0x16).await.unwrap();
    // Behind type, length, version, random, session id, ciphers, compression and the extensions' length.
    let ticket = &hello[4 + 2 + 32 + 33 + 2 + 56 + 2 + 2..];
    assert_eq!(&ticket[..2], [0, 0x23]);
    let length = usize::from(u16::from_be_bytes([ticket[2], ticket[3]]));
    to.write_all(&ticket[4..4 + length]).await.unwrap();
    while let Some(body) = record(&mut from, 0x17).await {
        to.write_all(&body).await.unwrap();
    }
    let _ = to.shutdown().await;
}

async fn tls_down(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>) {
    let mut buffer = [0; 9000];
    let mut first = true;
    loop {
        let read = from.read(&mut buffer).await.unwrap();
        if read == 0 {
            break;
        }
        let mut wire = Vec::new();
        if first {
            wire.extend_from_slice(&[0x16, 3, 1, 0, 91]);
            wire.extend_from_slice(&[7; 91]);
            wire.extend_from_slice(&[0x14, 3, 3, 0, 1, 1, 0x16, 3, 3]);
        } else {
            wire.extend_from_slice(&[0x17, 3, 3]);
        }
        first = false;
        wire.extend_from_slice(&(read as u16).to_be_bytes());
        wire.extend_from_slice(&buffer[..read]);
        if to.write_all(&wire).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

async fn mux_up(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>) {
    let mut first = true;
    while let Ok(length) = from.read_u16().await {
        let mut meta = vec![0; usize::from(length)];
        from.read_exact(&mut meta).await.unwrap();
        assert_eq!((meta[..2].to_vec(), meta[2]), (vec![0, 1], if first { 1 } else { 2 }));
        first = false;
        if meta[3] & 1 != 0 {
            let mut data = vec![0; usize::from(from.read_u16().await.unwrap())];
            from.read_exact(&mut data).await.unwrap();
            to.write_all(&data).await.unwrap();
        }
    }
    let _ = to.shutdown().await;
}

async fn mux_down(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>) {
    let mut buffer = [0; 9000];
    loop {
        let read = from.read(&mut buffer).await.unwrap();
        let mut wire = vec![0, 4, 0, 1, 4, 0];
        if read == 0 {
            wire.extend_from_slice(&[0, 4, 0, 1, 3, 0]);
        } else {
            wire.extend_from_slice(&[0, 4, 0, 1, 2, 1]);
            wire.extend_from_slice(&(read as u16).to_be_bytes());
            wire.extend_from_slice(&buffer[..read]);
        }
        if to.write_all(&wire).await.is_err() || read == 0 {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn http_keeps_the_laws() {
    contract::all(dialer("obfs-local;obfs=http;obfs-host=cover.example"), serve_http).await;
}

#[tokio::test(start_paused = true)]
async fn tls_keeps_the_laws() {
    let serve = |peer| async {
        let mut app = undisguise(peer, tls_up, tls_down);
        (asked(&mut app).await, app)
    };
    contract::all(dialer("obfs-local;obfs=tls"), serve).await;
}

/// The codec of the multiplexer, whatever carries it.
#[tokio::test(start_paused = true)]
async fn mux_keeps_the_laws() {
    let build = |connector| build_with(Disguise::Mux, connector);
    let serve = |peer| async {
        let mut app = undisguise(peer, mux_up, mux_down);
        (asked(&mut app).await, app)
    };
    contract::all(build, serve).await;
}

fn build_with(disguise: Disguise, connector: TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    let cipher = super::super::cipher("none", "")?;
    Ok(Arc::new(super::super::ShadowsocksDialer {
        cipher,
        disguise,
        datagrams: super::super::Carriage::Nowhere,
        connector,
    }))
}

#[test]
fn golden_hello() {
    let mut codec = obfs_tls::ObfsTlsCodec::new("a.example", 0x6000_0000, [1; 28], [2; 32]);
    let mut wire = Vec::new();
    assert_eq!(codec.seal(b"payload", &mut wire).unwrap(), 7);
    let length = wire.len();
    assert_eq!(wire[..11], [0x16, 3, 1, 0, (length - 5) as u8, 1, 0, 0, (length - 9) as u8, 3, 3]);
    assert_eq!(wire[11..15], [0x60, 0, 0, 0]);
    assert_eq!(&wire[138..138 + 11], b"\0\x23\0\x07payload");
    assert_eq!(&wire[149..149 + 18], b"\0\0\0\x0e\0\x0c\0\0\x09a.example");
    wire.clear();
    codec.seal(b"more", &mut wire).unwrap();
    assert_eq!(wire, b"\x17\x03\x03\0\x04more");
}

#[test]
fn golden_frames() {
    let mut codec = mux::MuxCodec::default();
    let mut wire = Vec::new();
    codec.seal(b"one", &mut wire).unwrap();
    codec.seal(b"two", &mut wire).unwrap();
    assert_eq!(wire, b"\0\x0c\0\x01\x01\x01\x01\0\0\x01\x7f\0\0\x01\0\x03one\0\x04\0\x01\x02\x01\0\x03two");
}

#[test]
fn a_host_cannot_end_the_head() {
    let request = String::from_utf8(obfs_http::request("a\r\nX: y", [0; 16])).unwrap();
    assert!(request.contains("Host: aX: y\r\n"), "{request}");
}

#[tokio::test(start_paused = true)]
async fn names_what_went_wrong() {
    let http = |answer| contract::cause_of_answer(dialer("obfs-local;obfs=http"), answer, 1, 64);
    assert!(matches!(http(b"HTTP/1.1 400 Bad Request\r\n\r\n").await, Some(Cause::TransportStatus(400))));
    assert!(matches!(http(b"").await, Some(Cause::Closed)));
    let tls = |answer| contract::cause_of_answer(dialer("obfs-local;obfs=tls"), answer, 1, 64);
    assert!(matches!(tls(b"\x15\x03\x01\x00\x02\x02\x28").await, Some(Cause::Protocol(_))));
    assert!(matches!(tls(b"\x16\x03\x01\x00").await, Some(Cause::Closed)));
}

#[test]
fn what_is_built_and_what_is_not() {
    let plan = |text: &str| plan(Some(&plugin(text)));
    let around = |text: &str| match plan(text).unwrap() {
        Plan::Around(carrier, disguise) => (carrier, disguise),
        other => panic!("{other:?}"),
    };
    let (carrier, disguise) = around("v2ray-plugin;tls;host=h.example;path=/p");
    assert_eq!(disguise, Disguise::Mux);
    let Carrier::WebSocket { websocket, tls: Some(tls) } = carrier else { panic!("{carrier:?}") };
    assert_eq!((websocket.path.as_ref(), websocket.host.as_deref()), ("/p", Some("h.example")));
    assert_eq!((tls.server_name.as_deref(), tls.skip_verify), (Some("h.example"), false));
    let (carrier, disguise) = around("v2ray-plugin;mode=websocket;mux=0");
    assert_eq!((carrier.transport(), disguise), (TransportKind::WebSocket, Disguise::None));
    assert_eq!(around("obfs-local;obfs-host=x").1, Disguise::Http(Some("x".into())));
    // Other clients write one plugin's options in the words of the other.
    let (carrier, _) = around("v2ray-plugin;obfs=websocket;obfs-host=h.example;obfs-uri=/p;tls");
    let Carrier::WebSocket { websocket, tls: Some(tls) } = carrier else { panic!("{carrier:?}") };
    assert_eq!((websocket.path.as_ref(), websocket.host.as_deref()), ("/p", Some("h.example")));
    assert_eq!(tls.server_name.as_deref(), Some("h.example"));
    assert_eq!(around("obfs-local;mode=tls;host=x").1, Disguise::Tls(Some("x".into())));
    for text in [
        "v2ray-plugin;mode=quic",
        "v2ray-plugin;obfs=quic",
        "v2ray-plugin;certRaw=x",
        "xray-plugin;mode=grpc",
        "obfs-local;obfs=salamander",
        "shadow-tls;version=3;password=x;fingerprint=00",
        "restls",
        "gost-plugin",
        "kcptun",
        "",
    ] {
        assert!(matches!(plan(text), Err(BuildError::Unsupported(_))), "{text}");
    }
}

#[test]
fn shadow_tls_of_version_3() {
    let plan = |text: &str| plan(Some(&plugin(text)));
    for text in [
        "shadow-tls;version=3;host=w.example;password=p;alpn=h2,http/1.1",
        "shadow-tls;v3;host=w.example;passwd=p;alpn=h2,http/1.1",
    ] {
        let Ok(Plan::ShadowTls(site, password)) = plan(text) else { panic!("{text}") };
        assert_eq!((site.server_name.as_deref(), password.expose()), (Some("w.example"), "p"));
        assert_eq!((site.alpn.len(), site.skip_verify), (2, false));
    }
    let Ok(Plan::ShadowTls(site, _)) = plan("shadow-tls;version=3;password=p;skip-cert-verify") else { panic!() };
    assert_eq!((site.server_name, site.skip_verify), (None, true));
    for (text, reason) in [
        ("shadow-tls;version=1;password=p", "version 1 of shadow-tls is not supported"),
        ("shadow-tls;version=2;password=p", "version 2 of shadow-tls is not supported"),
        ("shadow-tls;password=p", "version 2 of shadow-tls is not supported"),
        ("shadow-tls;version=4;password=p", "this version of shadow-tls is not supported"),
        ("shadow-tls;version=3", "shadow-tls needs a password"),
        ("shadow-tls;version=3;password", "shadow-tls needs a password"),
    ] {
        assert_eq!(plan(text).unwrap_err().to_string(), reason);
    }
}

proptest! {
    #[test]
    fn garbage_does_not_panic(answer in proptest::collection::vec(any::<u8>(), 0..200), seed: u64, most in 1..300_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for text in ["obfs-local;obfs=http", "obfs-local;obfs=tls"] {
            runtime.block_on(contract::cause_of_answer(dialer(text), &answer, seed, most));
        }
        runtime.block_on(contract::cause_of_answer(|connector| build_with(Disguise::Mux, connector), &answer, seed, most));
    }
}
