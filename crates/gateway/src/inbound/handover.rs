//! What a connection becomes once its first request has been read, answered and connected.

use std::{net::SocketAddr, sync::Arc};

use hezar_engine::{
    Prefixed,
    server::{BoxSession, SiteRelay, Stranger},
};

use tokio::time::Instant;

use super::{
    ClientBuffer, ClientSocket,
    encrypted::{ServedRequest, session, stranger},
    http::NodeIo,
    socks::association,
};
use crate::{
    access::Identity,
    context::Context,
    encrypted_inbound::EncryptedInbound,
    failover::{AttemptReport, Connected, Failover, NodeLease},
    telemetry::{AccessLogEntry, GaugeGuard},
    tunnel::{carry, tunnel},
};

/// The long part of a connection, with everything that it needs.
pub(super) enum Handover {
    /// CONNECT, in HTTP or SOCKS: the client's bytes go to the node as they are.
    Tunnel { client: Prefixed<ClientSocket>, failover: Box<Failover>, connected: Connected, log_entry: AccessLogEntry },
    /// `101 Switching Protocols` from the target of an HTTP request.
    Upgrade {
        client: Prefixed<ClientSocket>,
        node: Prefixed<NodeIo>,
        lease: NodeLease,
        report: AttemptReport,
        log_entry: AccessLogEntry,
    },
    /// UDP ASSOCIATE; `port` is where the client says that it sends from.
    Association { buffer: ClientBuffer, client: SocketAddr, identity: Box<Identity>, port: u16 },
    /// The only request of a connection to an encrypted inbound.
    Served(ServedRequest),
    /// Many requests over one connection to an encrypted inbound.
    Session { session: BoxSession, inbound: Arc<EncryptedInbound>, client: SocketAddr },
    /// Somebody who is no client of an encrypted inbound; a client would have been waited for until the end of `patience`.
    Stranger { stranger: Stranger, inbound: Arc<EncryptedInbound>, patience: Instant },
    /// The same, when it talks to a site already.
    Relay(SiteRelay),
}

impl Handover {
    /// Carries the bytes until the connection ends.
    pub(super) async fn run(self, context: &Arc<Context>) {
        match self {
            Self::Tunnel { client, failover, connected, log_entry } => {
                tunnel(context, client, failover, connected, log_entry).await;
            }
            Self::Upgrade { mut client, mut node, lease, mut report, mut log_entry } => {
                let (_lease, _open) = (lease, GaugeGuard::new(&context.telemetry.metrics.tunnels));
                log_entry.code = carry(context, &mut client, &mut node, &log_entry, &mut report).await;
            }
            // In a box: its state is larger than that of a tunnel, and tunnels are many.
            Self::Association { buffer, client, identity, port } => {
                Box::pin(association::serve(context, buffer, client, &identity, port)).await;
            }
            Self::Served(request) => request.run(context).await,
            Self::Session { session, inbound, client } => session::serve(context, inbound, session, client).await,
            Self::Stranger { stranger, inbound, patience } => {
                Box::pin(stranger::serve(context, &inbound, stranger, patience)).await;
            }
            Self::Relay(relay) => stranger::relay(context, relay).await,
        }
    }
}
