//! Associations: datagrams of a client over one node at a time, whatever the client's protocol.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use hezar_core::Target;

use crate::{
    Refusal,
    access::{Identity, Slot},
    connections::EndSignal,
    context::Context,
    failover::{Association, Failover},
    telemetry::{AccessLogEntry, GaugeGuard},
    tunnel,
};

mod arrival;
mod relay;
mod unwrapped;

pub(crate) use arrival::with_arrival_buffer;
use relay::AssociationRelay;
pub(crate) use unwrapped::UnwrappedDatagrams;

/// The largest datagram there is.
pub(crate) const MAX_DATAGRAM: usize = 65_535;

/// A datagram of a client's.
#[derive(Debug)]
pub(crate) struct Packet {
    pub target: Target,
    pub payload: Box<[u8]>,
}

/// The client's side of an association.
pub(crate) trait ClientDatagrams: Send + Sync {
    /// The client's next datagram. Cancel safe.
    ///
    /// # Errors
    /// The client has ended its association.
    fn receive(&self) -> impl Future<Output = io::Result<Packet>> + Send;

    /// Sends an answer to the client. What cannot be sent is lost, as datagrams are.
    fn send(&self, from: &Target, payload: &[u8]) -> impl Future<Output = ()> + Send;
}

/// An association that has a place, and no node yet.
pub(crate) struct PendingAssociation<'a> {
    context: &'a Arc<Context>,
    identity: &'a Identity,
    client: SocketAddr,
    failover: Failover,
    end: EndSignal,
    slot: Slot,
    log_entry: AccessLogEntry,
}

/// An association with a node.
pub(crate) struct ConnectedAssociation<'a> {
    pending: PendingAssociation<'a>,
    association: Association,
}

impl<'a> PendingAssociation<'a> {
    /// Begins the association of somebody who may have one.
    ///
    /// # Errors
    /// [`Refusal::AssociationLimit`]; the log knows of it already.
    pub(crate) fn begin(
        context: &'a Arc<Context>,
        identity: &'a Identity,
        client: SocketAddr,
        mut log_entry: AccessLogEntry,
    ) -> Result<Self, Refusal> {
        log_entry.begin(identity, None);
        let end = log_entry.end();
        let failover = Failover::for_datagrams(&context.selection, identity, client.ip());
        let Some(slot) = context.access.associations.take(context.config().max_associations) else {
            log_entry.refused(&Refusal::AssociationLimit, 0);
            return Err(Refusal::AssociationLimit);
        };
        Ok(Self { context, identity, client, failover, end, slot, log_entry })
    }

    /// Ends it before it has begun.
    pub(crate) fn refuse(mut self, refusal: &Refusal) {
        self.log_entry.refused(refusal, self.failover.attempts());
    }

    /// Finds a node, unless the client is `gone` before.
    ///
    /// # Errors
    /// Why there is none, of which the log knows already; `None` when the client is gone.
    pub(crate) async fn connect(
        mut self,
        gone: impl Future<Output = ()> + Send,
    ) -> Result<ConnectedAssociation<'a>, Option<Refusal>> {
        let association = tokio::select! {
            biased;
            association = self.failover.connect_next_association() => association,
            // The entry in the log says that the client is gone.
            () = gone => return Err(None),
            refusal = self.end.wait() => Err(refusal),
        };
        match association {
            Ok(association) => {
                self.log_entry.served(&association.lease, self.failover.attempts());
                Ok(ConnectedAssociation { pending: self, association })
            }
            Err(refusal) => {
                self.refuse(&refusal);
                Err(Some(refusal))
            }
        }
    }
}

impl ConnectedAssociation<'_> {
    /// Carries datagrams until the client ends it, by itself or as `ended` says, or until it has to end.
    pub(crate) async fn run(self, client_side: impl ClientDatagrams, ended: impl Future<Output = ()> + Send) {
        let PendingAssociation { context, identity, client, failover, end, slot, log_entry } = self.pending;
        let _open = (slot, GaugeGuard::new(&context.telemetry.metrics.associations));
        let mut relay =
            AssociationRelay::new(context, identity, client, client_side, failover, self.association, log_entry);
        let meter = relay.meter();
        let code = tokio::select! {
            code = relay.run() => code,
            () = ended => "ok",
            () = meter.idle(context.config().udp_idle_timeout) => "idle",
            refusal = tunnel::ended(context, &end) => refusal.code(),
        };
        relay.finish(code);
    }
}
