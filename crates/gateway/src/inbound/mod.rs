//! One client connection: which protocol it speaks, told by its first byte.

use std::{net::SocketAddr, sync::Arc};

use tokio::net::TcpStream;

use crate::{
    Refusal,
    gateway::{Shared, reject},
};

mod http;
mod inbox;
mod socks;

pub(crate) use http::reads_request;
use inbox::Inbox;
pub(crate) use socks::reads_datagram;

/// The first byte of a TLS record that carries a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Serves one connection to its end.
pub(crate) async fn serve(shared: &Arc<Shared>, stream: TcpStream, client: SocketAddr) {
    let mut inbox = Inbox::new(stream, shared.config.setup_timeout);
    let first = tokio::select! {
        first = inbox.first() => first,
        () = shared.drain.cancelled() => Err(Refusal::ShuttingDown),
    };
    match first {
        Ok(5) => socks::serve5(shared, inbox, client).await,
        Ok(4) => socks::serve4(shared, inbox, client).await,
        Ok(TLS_HANDSHAKE) => {
            let refusal = Refusal::TlsOnPlainPort;
            if let Some(left_out) = shared.log.tells(refusal.code(), client.ip()) {
                tracing::info!(%client, code = refusal.code(), left_out, "{refusal}");
            }
            reject(shared, client, &refusal);
        }
        Ok(_) => http::serve(shared, inbox, client).await,
        Err(refusal) => reject(shared, client, &refusal),
    }
}
