//! Feeds the client side of every proxy protocol with a server's answer.

use std::{
    cell::RefCell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use hezar_core::Target;
use hezar_engine::{
    Attempt, BoxStream, DialError, Dialer, TlsClients, build,
    http::{HttpRequest, ResponseLimits, send},
};
use hezar_formats::parse_link;
use tokio::{
    io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    runtime::{Builder, Runtime},
};

/// One link per way of reading an answer.
const LINKS: [&str; 22] = [
    "socks5://192.0.2.1:1",
    "socks5://u:p@192.0.2.1:1",
    "socks4://192.0.2.1:1",
    "http://u:p@192.0.2.1:1",
    "https://192.0.2.1:1?allowInsecure=1",
    "ss://none:p@192.0.2.1:1",
    "ss://aes-256-gcm:p@192.0.2.1:1",
    "ss://aes-256-cfb:p@192.0.2.1:1",
    "ss://2022-blake3-aes-128-gcm:AAAAAAAAAAAAAAAAAAAAAA%3D%3D@192.0.2.1:1",
    "trojan://p@192.0.2.1:1?security=none",
    "vless://00000000-0000-0000-0000-000000000000@192.0.2.1:1",
    "vless://00000000-0000-0000-0000-000000000000@192.0.2.1:1?type=ws&path=%2Fa%3Fed%3D16",
    "vmess://00000000-0000-0000-0000-000000000000@192.0.2.1:1?encryption=none",
    "trojan://p@192.0.2.1:1?security=none&type=ws",
    "ss://none:p@192.0.2.1:1?plugin=obfs-local%3Bobfs%3Dhttp",
    "ss://none:p@192.0.2.1:1?plugin=obfs-local%3Bobfs%3Dtls",
    "trojan://p@192.0.2.1:1?security=none&type=httpupgrade",
    "trojan://p@192.0.2.1:1?security=none&type=httpupgrade&path=%2Fa%3Fed%3D16",
    "trojan://p@192.0.2.1:1?security=none&type=tcp&headerType=http",
    "trojan://p@192.0.2.1:1?security=none&type=http",
    "trojan://p@192.0.2.1:1?security=none&type=xhttp&mode=packet-up",
    "trojan://p@192.0.2.1:1?security=none&type=xhttp&mode=stream-up",
];

/// gRPC, whose messages lie in HTTP/2.
const GRPC: &str = "trojan://p@192.0.2.1:1?security=none&type=grpc";

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

/// The first byte chooses the protocol, the second the size of the pieces; the rest is what the server says.
pub(crate) fn answer(data: &[u8]) {
    let [protocol, piece, bytes @ ..] = data else { return };
    let link = LINKS.get(usize::from(*protocol) % LINKS.len()).copied().unwrap_or_default();
    dial(link, bytes, *piece);
}

/// gRPC messages: the first byte is the size of the pieces, the second that of HTTP/2's frames.
pub(crate) fn grpc(data: &[u8]) {
    let [piece, size, bytes @ ..] = data else { return };
    // Settings; the head of the answer with status 200 (RFC 7541 A: 8); the rest as data of the first stream.
    let mut said = b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01\x88".to_vec();
    for piece in bytes.chunks(usize::from(*size) + 1) {
        put_frame(&mut said, 0, 0, piece);
    }
    dial(GRPC, &said, *piece);
}

/// Appends a frame of HTTP/2's first stream (RFC 9113 §4.1).
pub(crate) fn put_frame(out: &mut Vec<u8>, kind: u8, flags: u8, payload: &[u8]) {
    out.extend([0, (payload.len() >> 8) as u8, payload.len() as u8, kind, flags, 0, 0, 0, 1]);
    out.extend_from_slice(payload);
}

/// XHTTP's `extra`, and the requests that come of it.
pub(crate) fn xhttp(data: &[u8]) {
    let extra: String = data.iter().map(|byte| format!("%{byte:02x}")).collect();
    for mode in ["packet-up", "stream-up"] {
        dial(&format!("trojan://p@192.0.2.1:1?security=none&type=xhttp&mode={mode}&extra={extra}"), b"", u8::MAX);
    }
}

/// Dials through a server that says these bytes, and reads what comes of them.
fn dial(link: &str, bytes: &[u8], piece: u8) {
    let Ok((spec, _)) = parse_link(link) else { return };
    let server = Arc::new(Scripted { bytes: bytes.into(), piece: usize::from(piece) + 1 });
    let Ok(dialer) = build(&spec, server, &TlsClients::new(&[])) else { return };
    let most = bytes.len() + 2;
    block_on(async move {
        let Ok(target) = Target::parse("192.0.2.9:80") else { return };
        let Ok(mut stream) = dialer.connect(&target, &Attempt::within(Duration::from_secs(5))).await else { return };
        let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await;
        let _ = stream.flush().await;
        let mut sink = [0; 700];
        // A stream never gives more than its server sent, so this ends.
        for _ in 0..most {
            match stream.read(&mut sink).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        let _ = stream.shutdown().await;
    });
}

/// The HTTP exchange that probes and fetches share.
pub(crate) fn http(data: &[u8]) {
    let [piece, bytes @ ..] = data else { return };
    let server = Scripted { bytes: bytes.into(), piece: usize::from(*piece) + 1 };
    block_on(exchange(server));
}

async fn exchange(server: Scripted) {
    let Ok(request) = HttpRequest::get("http://192.0.2.9/") else { return };
    let attempt = Attempt::within(Duration::from_secs(5));
    let answer = send(&server, &TlsClients::new(&[]), &request, &attempt, ResponseLimits::default()).await;
    if let Ok(answer) = answer {
        let _ = answer.bytes().await;
    }
}

/// Time is paused: timers fire at once when nothing else is left to do.
pub(crate) fn block_on(task: impl Future<Output = ()>) {
    RUNTIME.with_borrow_mut(|runtime| {
        if runtime.is_none() {
            *runtime = Builder::new_current_thread().enable_time().start_paused(true).build().ok();
        }
        if let Some(runtime) = runtime {
            runtime.block_on(async {
                task.await;
                // The tasks that it has left are only given up once the runtime comes to them.
                tokio::task::yield_now().await;
            });
        }
    });
}

/// A server that says its piece whatever it is told.
#[derive(Clone, Debug)]
pub(crate) struct Scripted {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) piece: usize,
}

impl Scripted {
    /// A stream to it.
    pub(crate) fn stream(&self) -> BoxStream {
        Box::new(Script { server: self.clone(), said: 0 })
    }
}

#[async_trait]
impl Dialer for Scripted {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        Ok(self.stream())
    }
}

#[derive(Debug)]
struct Script {
    server: Scripted,
    said: usize,
}

impl hezar_engine::Stream for Script {}

impl AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = self.server.bytes.get(self.said..).unwrap_or_default();
        let length = rest.len().min(self.server.piece).min(buffer.remaining());
        buffer.put_slice(rest.get(..length).unwrap_or_default());
        self.said += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
