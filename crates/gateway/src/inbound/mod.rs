//! Serves one client connection; its first byte tells the protocol.

use std::{net::SocketAddr, sync::Arc};

use tokio::net::TcpStream;

use crate::{Refusal, context::Context};

mod client_buffer;
mod handover;
mod http;
mod socks;

use client_buffer::ClientBuffer;
use handover::Handover;
#[cfg(feature = "fuzzing")]
pub(crate) use http::reads_request;
#[cfg(feature = "fuzzing")]
pub(crate) use socks::reads_datagram;

/// The first byte of a TLS record that carries a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Serves one connection to its end.
pub(crate) async fn serve(context: &Arc<Context>, stream: TcpStream, client: SocketAddr) {
    // Each phase is in a box of its own, which is freed when the phase is over. Otherwise a tunnel would hold the state of
    // the largest phase for as long as it lives, and most of its life it is idle.
    if let Some(handover) = Box::pin(open(context, stream, client)).await {
        Box::pin(handover.run(context)).await;
    }
}

/// Speaks the client's protocol until the connection is over, or is to be carried on without that protocol.
async fn open(context: &Arc<Context>, stream: TcpStream, client: SocketAddr) -> Option<Handover> {
    let mut buffer = ClientBuffer::new(stream, context.config().setup_timeout);
    let first = tokio::select! {
        first = buffer.peek() => first,
        () = context.drain.cancelled() => Err(Refusal::ShuttingDown),
    };
    match first {
        Ok(5) => socks::serve5(context, buffer, client).await,
        Ok(4) => socks::serve4(context, buffer, client).await,
        Ok(TLS_HANDSHAKE) => {
            let refusal = Refusal::TlsOnPlainPort;
            if let Some(left_out) = context.access.log.permits(refusal.code(), client.ip()) {
                tracing::info!(%client, code = refusal.code(), left_out, "{refusal}");
            }
            context.telemetry.reject(client, &refusal);
            None
        }
        Ok(_) => http::serve(context, buffer, client).await,
        Err(refusal) => {
            context.telemetry.reject(client, &refusal);
            None
        }
    }
}
