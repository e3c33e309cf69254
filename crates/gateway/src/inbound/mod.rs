//! Serves one client connection; its first byte tells the protocol, unless the listener has an encrypted inbound.

use std::{net::SocketAddr, sync::Arc};

use hezar_accept::TLS_HANDSHAKE;
use hezar_engine::server::BoxSession;

use crate::{Refusal, context::Context, encrypted_inbound::EncryptedInbound};

mod client_buffer;
mod client_socket;
mod connect;
mod encrypted;
mod handover;
mod http;
mod preamble;
mod socks;

pub(crate) use client_buffer::ClientBuffer;
pub(crate) use client_socket::ClientSocket;
pub(crate) use encrypted::serve_packets;
use handover::Handover;
#[cfg(feature = "fuzzing")]
pub(crate) use http::reads_request;
pub(crate) use preamble::proxied_client;
#[cfg(feature = "fuzzing")]
pub(crate) use socks::reads_datagram;

/// Serves one connection to its end.
pub(crate) async fn serve(context: &Arc<Context>, buffer: ClientBuffer, client: SocketAddr) {
    // Each phase is in a box of its own, which is freed when the phase is over. Otherwise a tunnel would hold the state of
    // the largest phase for as long as it lives, and most of its life it is idle.
    if let Some(handover) = Box::pin(open(context, buffer, client)).await {
        Box::pin(handover.run(context)).await;
    }
}

/// Serves the session of a client whose connection came over UDP, to its end.
pub(crate) async fn serve_session(
    context: &Arc<Context>,
    inbound: Arc<EncryptedInbound>,
    session: BoxSession,
    client: SocketAddr,
) {
    Handover::Session { session, inbound, client }.run(context).await;
}

/// Speaks the client's protocol until the connection is over, or is to be carried on without that protocol.
async fn open(context: &Arc<Context>, mut buffer: ClientBuffer, client: SocketAddr) -> Option<Handover> {
    if let Some(inbound) = context.encrypted() {
        return encrypted::open(context, inbound, buffer, client).await;
    }
    if let Some(tls) = &context.config().server_tls {
        buffer = Box::pin(preamble::secure(context, buffer, client, tls)).await?;
    }
    let first = tokio::select! {
        first = protocol(&mut buffer) => first,
        () = context.drain.cancelled() => Err(Refusal::ShuttingDown),
    };
    match first {
        Ok(5) => socks::serve5(context, buffer, client).await,
        Ok(4) => socks::serve4(context, buffer, client).await,
        Ok(TLS_HANDSHAKE) => {
            context.note_rejected(client, &Refusal::TlsOnPlainPort);
            None
        }
        Ok(_) => http::serve(context, buffer, client).await,
        Err(refusal @ Refusal::UntrustedProxy) => {
            context.note_rejected(client, &refusal);
            http::refuse(context, buffer, &refusal).await;
            None
        }
        Err(refusal) => {
            context.telemetry.reject(client, &refusal);
            None
        }
    }
}

/// The first byte of the protocol, which tells what it is.
///
/// # Errors
/// [`Refusal::UntrustedProxy`] when it is the header of a proxy, and those of reading.
async fn protocol(buffer: &mut ClientBuffer) -> Result<u8, Refusal> {
    let first = buffer.peek().await?;
    // Either version of the header begins with one of these, and so do some requests.
    if matches!(first, b'P' | b'\r') && preamble::brings_proxy_header(buffer).await? {
        return Err(Refusal::UntrustedProxy);
    }
    Ok(first)
}
