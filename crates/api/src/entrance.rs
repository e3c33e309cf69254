//! What a connection to the API brings before HTTP: TLS where the port has it, or plain HTTP from this machine.

use std::{net::SocketAddr, time::Duration};

use hezar_accept::{Accepted, ServerTls, TLS_HANDSHAKE};
use hezar_core::settings::Networks;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long a client may take for the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a refused client is heard out, so that it can read the answer, and how much of it is read.
const LINGER: Duration = Duration::from_secs(1);
const MOST_LINGERED: u64 = 64 << 10;
/// What a client hears that speaks plainly to a port with TLS.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n\
    content-length: 66\r\n\r\nhezar: this port speaks TLS: use https://\ncode: plain-on-tls-port\n";

/// How connections begin; it can change while the API serves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entrance {
    /// The TLS of the port.
    pub(crate) tls: Option<ServerTls>,
    /// Reverse proxies that may name the client, and that have no limit of their own.
    pub(crate) trusted_proxies: Networks,
}

/// The stream beneath HTTP.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

impl Entrance {
    /// The stream beneath HTTP; `None` when the connection is over.
    ///
    /// Programs on this machine may speak plainly also where the port has TLS: the commands, health checks and reverse proxies need
    /// no certificate then, and nothing of it leaves the machine.
    pub(crate) async fn open(&self, stream: TcpStream, peer: SocketAddr) -> Option<Box<dyn Socket>> {
        let Some(tls) = &self.tls else { return Some(Box::new(stream)) };
        let opening = async {
            let mut first = [0];
            stream.peek(&mut first).await?;
            if first != [TLS_HANDSHAKE] {
                return Ok(Err(stream));
            }
            tls.accept(stream).await.map(Ok)
        };
        match timeout(HANDSHAKE_TIMEOUT, opening).await {
            Ok(Ok(Ok(Accepted::Client(stream)))) => Some(stream),
            Ok(Ok(Ok(Accepted::Challenge))) => None,
            Ok(Ok(Err(plain))) if is_this_machine(&plain, peer) => Some(Box::new(plain)),
            Ok(Ok(Err(plain))) => {
                tracing::debug!(%peer, "a plain request came to the API's TLS port");
                refuse(plain).await;
                None
            }
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "the TLS handshake with a client of the API failed");
                None
            }
            Err(_) => None,
        }
    }
}

/// Whether a connection comes from this machine.
fn is_this_machine(stream: &TcpStream, peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback() || stream.local_addr().is_ok_and(|local| local.ip() == peer.ip())
}

/// Tells a client that the port speaks TLS, and lets it read that.
async fn refuse(mut stream: TcpStream) {
    let answer = async {
        stream.write_all(PLAIN).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(MOST_LINGERED), &mut tokio::io::sink()).await
    };
    // Whether the client took it or not, the connection ends here.
    let _ = timeout(LINGER, answer).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_answer_says_its_own_length() {
        let text = std::str::from_utf8(PLAIN).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
