//! The packets of clients whose protocol comes over UDP.

use std::{io, sync::Arc, time::Duration};

use hezar_engine::server::{DatagramRequest, InboundRequest, ShadowsocksUdp};
use tokio::{net::UdpSocket, time::sleep};

use super::requests;
use crate::{accepting::Accepting, context::Context, encrypted_inbound::EncryptedInbound};

/// The pause after the socket has failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the clients whose packets come to a socket, if the listener has one, until somebody else reads from it. Once the drain of the
/// listener has begun, only the associations that are there go on.
pub(crate) async fn serve_packets(context: &Arc<Context>, socket: Option<UdpSocket>) {
    let Some(socket) = socket else { return };
    let Some(inbound) = context.encrypted() else { return };
    if let Some(server) = inbound.shadowsocks() {
        let packets = ShadowsocksUdp::new(socket, server.clone());
        tokio::select! {
            () = serve_shadowsocks(context, packets) => {}
            () = context.has_left_udp_socket() => {}
        }
    }
}

/// Serves the sessions of Shadowsocks for ever. Each is an association of its own.
async fn serve_shadowsocks(context: &Arc<Context>, mut packets: ShadowsocksUdp) {
    let mut accepting = context.accepting.subscribe();
    loop {
        // Before the settings are read, so that no change is missed.
        let configured = context.configured.notified();
        let Some(inbound) = context.encrypted() else { return };
        if let Some(server) = inbound.shadowsocks() {
            packets.configure(server);
        }
        let is_paused = *accepting.borrow_and_update() != Accepting::Yes;
        tokio::select! {
            begun = packets.next(inbound.keyring()), if !is_paused => match begun {
                Ok(request) if context.drain.is_cancelled() => drop(request),
                Ok(request) => spawn_association(context, &inbound, request),
                Err(error) => pause(&error).await,
            },
            () = configured => {}
            _ = accepting.changed() => {}
        }
    }
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "receiving packets failed");
    sleep(PAUSE).await;
}

fn spawn_association(context: &Arc<Context>, inbound: &Arc<EncryptedInbound>, request: DatagramRequest) {
    let Some(client) = request.client else { return };
    let (context, inbound) = (context.clone(), inbound.clone());
    let owner = context.tasks.clone();
    owner.spawn(async move {
        requests::serve_to_end(&context, &inbound, InboundRequest::Datagrams(request), client).await;
    });
}
