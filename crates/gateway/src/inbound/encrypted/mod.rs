//! Encrypted inbounds: who a client is and what it asks for is inside a protocol that the engine unwraps.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hezar_engine::server::{CurrentKeyring, Opening};
use tokio::time::{Instant, timeout_at};

use super::{ClientBuffer, Handover};
use crate::{Refusal, context::Context, encrypted_inbound::EncryptedInbound};

mod requests;
pub(super) mod session;
pub(super) mod stranger;
mod udp;

pub(super) use requests::ServedRequest;
pub(crate) use udp::serve_packets;

/// How long a connection may stay silent at least before its request is whole: as long as at a web server (60 s is the default
/// of nginx), so that the end of its patience does not tell what this is.
const LEAST_PATIENCE: Duration = Duration::from_secs(60);

/// Reads what a connection asks for, and finds a node for it.
pub(super) async fn open(
    context: &Arc<Context>,
    inbound: Arc<EncryptedInbound>,
    buffer: ClientBuffer,
    client: SocketAddr,
) -> Option<Handover> {
    let server = inbound.server()?;
    let patience = buffer.deadline().max(Instant::now() + LEAST_PATIENCE);
    let keyring = current_keyring(context, &inbound);
    let opening = tokio::select! {
        opening = timeout_at(patience, server.accept(Box::new(buffer.into_client()), &keyring)) => match opening {
            Ok(opening) => opening.map_err(|error| failed(context, error)),
            Err(_) => Err(Refusal::ClientTimeout),
        },
        () = context.drain.cancelled() => Err(Refusal::ShuttingDown),
    };
    match opening {
        Ok(Opening::Request(request)) => {
            let served = requests::serve(context, &inbound, request, client).await?;
            Some(Handover::Served(served))
        }
        Ok(Opening::Session(session)) => Some(Handover::Session { session, inbound, client }),
        Ok(Opening::Stranger(stranger)) => {
            context.note_rejected(client, &stranger.why.into());
            Some(Handover::Stranger { stranger, inbound, patience })
        }
        Ok(Opening::Relay(relay)) => {
            context.note_rejected(client, &relay.why.into());
            Some(Handover::Relay(relay))
        }
        Ok(Opening::Done) => None,
        Err(refusal) => {
            context.note_rejected(client, &refusal);
            None
        }
    }
}

/// The credentials by which the requests of a connection are read: those that the listener has when they come, as long as it speaks what it
/// spoke when the connection began.
fn current_keyring(context: &Arc<Context>, begun: &Arc<EncryptedInbound>) -> CurrentKeyring {
    let (context, begun) = (Arc::clone(context), Arc::clone(begun));
    CurrentKeyring::new(move || {
        let now = context.encrypted().filter(|now| now.protocol() == begun.protocol());
        Arc::clone(now.as_ref().unwrap_or(&begun).keyring())
    })
}

/// Why no request was read.
fn failed(context: &Context, error: io::Error) -> Refusal {
    if context.config().server_tls.as_ref().is_some_and(|tls| !tls.slot().is_filled()) {
        return Refusal::NoCertificate;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            Refusal::ClientGone
        }
        _ => Refusal::BadInbound(Arc::new(error)),
    }
}
