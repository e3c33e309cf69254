//! What comes before the protocol of a client: the header of a trusted proxy, and the TLS handshake.

use std::{net::SocketAddr, sync::Arc};

use hezar_accept::{
    Accepted, HeaderError, ProxiedBy, ServerTls, TLS_HANDSHAKE, begins_proxy_header, read_proxy_header,
};
use hezar_engine::Prefixed;
use tokio::time::timeout_at;

use super::{ClientBuffer, ClientSocket, http};
use crate::{Refusal, context::Context};

/// Reads the header that a trusted proxy sends, and returns the address of its client; `None` when the proxy speaks for itself.
///
/// # Errors
/// [`Refusal::ProxyHeader`], [`Refusal::ClientTimeout`], [`Refusal::ClientGone`].
pub(crate) async fn proxied_client(buffer: &mut ClientBuffer) -> Result<Option<SocketAddr>, Refusal> {
    let header = buffer
        .read(|bytes| match read_proxy_header(bytes) {
            Ok(header) => Ok(header.map(|header| (header.by, header.length))),
            Err(error) => Err(Refusal::ProxyHeader(error)),
        })
        .await?;
    Ok(match header {
        ProxiedBy::Client(address) => Some(address),
        ProxiedBy::Proxy => None,
    })
}

/// Whether the first bytes of a client are the header of a proxy, which is not trusted here.
///
/// # Errors
/// [`Refusal::ClientTimeout`], [`Refusal::ClientGone`].
pub(super) async fn brings_proxy_header(buffer: &mut ClientBuffer) -> Result<bool, Refusal> {
    loop {
        if begins_proxy_header(buffer.bytes()) {
            return Ok(true);
        }
        if matches!(read_proxy_header(buffer.bytes()), Err(HeaderError::Absent)) {
            return Ok(false);
        }
        buffer.read_more().await?;
    }
}

/// Runs the TLS handshake; `None` when the connection is over. A client that speaks plainly is told so in HTTP.
pub(super) async fn secure(
    context: &Arc<Context>,
    mut buffer: ClientBuffer,
    client: SocketAddr,
    tls: &ServerTls,
) -> Option<ClientBuffer> {
    let first = tokio::select! {
        first = buffer.peek() => first,
        () = context.drain.cancelled() => Err(Refusal::ShuttingDown),
    };
    let refusal = match first {
        Ok(TLS_HANDSHAKE) => {
            let handshaken = tokio::select! {
                handshaken = handshake(buffer, tls) => handshaken,
                () = context.drain.cancelled() => Err(Refusal::ShuttingDown),
            };
            match handshaken {
                Ok(secured) => return secured,
                Err(refusal) => refusal,
            }
        }
        Ok(first) => {
            let refusal = Refusal::PlainOnTlsPort;
            context.note_rejected(client, &refusal);
            // A SOCKS client reads no HTTP.
            if !matches!(first, 4 | 5) {
                http::refuse(context, buffer, &refusal).await;
            }
            return None;
        }
        Err(refusal) => refusal,
    };
    context.note_rejected(client, &refusal);
    None
}

/// The client behind TLS; `None` when an ACME server has checked a challenge.
async fn handshake(buffer: ClientBuffer, tls: &ServerTls) -> Result<Option<ClientBuffer>, Refusal> {
    let deadline = buffer.deadline();
    let (socket, front) = buffer.into_parts();
    let ClientSocket::Plain(socket) = socket else { return Err(Refusal::ClientGone) };
    let accepted = timeout_at(deadline, tls.accept(Prefixed::new(front.freeze(), socket))).await;
    match accepted {
        Err(_) => Err(Refusal::ClientTimeout),
        Ok(Ok(Accepted::Client(stream))) => Ok(Some(ClientBuffer::new(ClientSocket::Tls(stream), deadline))),
        Ok(Ok(Accepted::Challenge)) => Ok(None),
        Ok(Err(_)) if !tls.slot().is_filled() => Err(Refusal::NoCertificate),
        Ok(Err(error)) => Err(Refusal::TlsHandshake(Arc::new(error))),
    }
}
