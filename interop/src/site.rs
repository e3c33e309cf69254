//! The targets behind the peers, in this process: a small page, bytes down, bytes up, an echo.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::pattern::{LARGE, pattern};

/// The small page's body.
pub(crate) const PAGE: &str = "a small page";

/// What is said before an upload that is asked for with this word.
pub(crate) const READY: &[u8] = b"READY";

/// A running site. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    _server: AbortOnDropHandle<()>,
}

impl Site {
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = AbortOnDropHandle::new(tokio::spawn(accept(listener, CancellationToken::new())));
        Ok(Self { address, _server: server })
    }
}

async fn accept(listener: TcpListener, stop: CancellationToken) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = open.join_next() => {}
            Ok((stream, _)) = listener.accept() => { open.spawn(serve(stream)); }
        }
    }
}

/// The line that asks for something, as long as a real first message: Xray without a cipher waits for 50 bytes.
pub(crate) fn request(verb: &str, length: usize) -> String {
    format!("{verb:8} {length:8} {:48}\n", '.')
}

/// The first line says what the client wants.
async fn serve(stream: TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    (&mut stream).take(1024).read_line(&mut line).await?;
    let mut words = line.split_whitespace();
    let verb = words.next().unwrap_or_default();
    let length: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    match verb {
        "GET" => page(&mut stream).await?,
        "DOWN" => stream.write_all(pattern(length)).await?,
        "UP" | "READY" => {
            if verb == "READY" {
                stream.write_all(READY).await?;
            }
            let mut bytes = vec![0; length.min(LARGE)];
            stream.read_exact(&mut bytes).await?;
            let verdict = if bytes == pattern(length) { "intact\n" } else { "damaged\n" };
            stream.write_all(verdict.as_bytes()).await?;
        }
        "ECHO" => {
            let (mut from, mut to) = tokio::io::split(&mut stream);
            tokio::io::copy(&mut from, &mut to).await?;
        }
        _ => {}
    }
    stream.shutdown().await?;
    // A close with unread bytes would be a reset, which may overtake what was sent.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop)
}

async fn page(stream: &mut BufReader<TcpStream>) -> io::Result<()> {
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 2 {
        line.clear();
    }
    let length = PAGE.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{PAGE}");
    stream.write_all(answer.as_bytes()).await
}
