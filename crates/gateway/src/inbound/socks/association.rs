//! SOCKS5 UDP ASSOCIATE (RFC 1928 §7): an association lives for as long as the client keeps its stream.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::{super::ClientBuffer, udp_relay_socket::UdpRelaySocket, wire};
use crate::{
    Refusal,
    access::Identity,
    association::PendingAssociation,
    context::Context,
    telemetry::{AccessLogEntry, InboundKind},
};

/// Serves one association to its end.
pub(in crate::inbound) async fn serve(
    context: &Arc<Context>,
    mut buffer: ClientBuffer,
    client: SocketAddr,
    identity: &Identity,
    port: u16,
) {
    let log_entry = AccessLogEntry::new(&context.telemetry, InboundKind::Socks5Udp, client);
    let pending = match PendingAssociation::begin(context, identity, client, log_entry) {
        Ok(pending) => pending,
        Err(refusal) => return refuse(context, buffer, &refusal).await,
    };
    let (socket, address) = match open(context, &buffer, client, port).await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::warn!(%error, "no socket for an association");
            pending.refuse(&Refusal::AssociationLimit);
            return refuse(context, buffer, &Refusal::AssociationLimit).await;
        }
    };
    let connected = match pending.connect(buffer.client_hung_up()).await {
        Ok(connected) => connected,
        Err(Some(refusal)) => return refuse(context, buffer, &refusal).await,
        Err(None) => return,
    };
    if buffer.write(&wire::associated(address)).await.is_ok() {
        connected.run(socket, ended(buffer.into_client())).await;
    }
}

async fn open(
    context: &Context,
    buffer: &ClientBuffer,
    client: SocketAddr,
    port: u16,
) -> io::Result<(UdpRelaySocket, SocketAddr)> {
    let socket =
        UdpRelaySocket::open(buffer.local_address()?, client.ip(), port, context.telemetry.metrics.clone()).await?;
    let address = socket.address()?;
    Ok((socket, address))
}

async fn refuse(context: &Context, buffer: ClientBuffer, refusal: &Refusal) {
    buffer.send_and_close(&wire::reply(refusal.socks5_reply()), &context.access.reject_budget).await;
}

/// Ends when the client ends its stream; nothing that it says there means anything.
async fn ended(mut control: impl AsyncRead + Unpin) {
    let mut ignored = [0; 64];
    while matches!(control.read(&mut ignored).await, Ok(1..)) {}
}
