//! Serves one client connection; its first byte tells the protocol.

use std::{net::SocketAddr, sync::Arc};

use tokio::net::TcpStream;

use crate::{Refusal, context::Context};

mod client_buffer;
mod http;
mod socks;

use client_buffer::ClientBuffer;
#[cfg(feature = "fuzzing")]
pub(crate) use http::reads_request;
#[cfg(feature = "fuzzing")]
pub(crate) use socks::reads_datagram;

/// The first byte of a TLS record that carries a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Serves one connection to its end.
pub(crate) async fn serve(context: &Arc<Context>, stream: TcpStream, client: SocketAddr) {
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
        }
        Ok(_) => http::serve(context, buffer, client).await,
        Err(refusal) => context.telemetry.reject(client, &refusal),
    }
}
