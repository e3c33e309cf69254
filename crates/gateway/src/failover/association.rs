//! Failover of UDP associations: as for a request, over the nodes that carry datagrams.

use std::{net::IpAddr, sync::Arc};

use hezar_engine::{Attempt, BoxDatagram, Cause, DialError};
use tokio::time::Instant;

use super::{
    AttemptReport, Failover, NodeLease, Selection, Tried,
    dial::{dialer, within_deadline},
};
use crate::{AttemptError, Refusal, access::Identity};

/// Nodes that turn out not to carry datagrams and are passed over without counting as attempts.
const PASSED_OVER: usize = 32;

/// A node with an association over it. The lease lives as long as the association.
pub(crate) struct Association {
    pub datagram: BoxDatagram,
    pub lease: NodeLease,
    pub report: AttemptReport,
}

impl Failover {
    /// Begins the failover of an association by `identity` at `client`; its deadline runs from now.
    pub(crate) fn for_datagrams(selection: &Arc<Selection>, identity: &Identity, client: IpAddr) -> Self {
        let mut failover = Self::with_target(selection, identity, client, None);
        // A session keeps its node even if that has carried no datagrams.
        if failover.sticky.is_free() {
            let avoided = selection.udp_avoidance.nodes(selection.clock.now());
            failover.tried = avoided.into_iter().map(|node| Tried { node, server: None }).collect();
        }
        failover.passed_over = failover.tried.len();
        failover
    }

    /// An association ended before its node had answered: [`Failover::connect_next_association`] goes on. Only a node that does not know
    /// us is blamed: a server that ends what it cannot relay may carry streams all the same.
    pub(crate) fn association_failed(&mut self, mut association: Association, fail: AttemptError) {
        self.selection.udp_avoidance.insert(association.lease.id(), self.selection.clock.now());
        if fail.code == "authentication" {
            association.report.failed(&fail);
        }
        self.record_failure(fail);
    }

    /// The next node with an association. Nodes that fail are reported and passed over; those that only turn out not to
    /// carry datagrams cost no attempt.
    ///
    /// # Errors
    /// [`Refusal`] when no node is left, or the attempts or the time are used up.
    pub(crate) async fn connect_next_association(&mut self) -> Result<Association, Refusal> {
        self.share_session().await;
        let mut passed_over = 0;
        loop {
            let lease = match self.pick().or_else(|| self.pick_avoided()) {
                Some(lease) => lease,
                None => self.wait_for_first_node().await.ok_or_else(|| self.refusal())?,
            };
            let limit = self.remaining().min(self.config.attempt_timeout);
            let started = Instant::now();
            let result = associate(&self.selection, &lease, Attempt::within(limit)).await;
            if let Err(DialError { cause: Cause::Unsupported(what), .. }) = &result
                && passed_over < PASSED_OVER
            {
                passed_over += 1;
                self.tried.push(Tried { node: lease.id(), server: None });
                tracing::debug!(node = %lease.id(), what, "no datagrams over this node");
                continue;
            }
            self.attempts += 1;
            self.tried.push(Tried { node: lease.id(), server: Some(lease.server_key()) });
            match result {
                Ok(datagram) => {
                    let (selection, undecided) = (self.selection.clone(), self.undecided.clone());
                    let (took, trace) = (started.elapsed(), (self.trace.clone(), started));
                    let report = AttemptReport::new(selection, lease.id(), self.keys, took, undecided, trace);
                    return Ok(Association { datagram, lease, report });
                }
                Err(error) => self.dial_failed(&lease, &error, started, limit)?,
            }
        }
    }

    /// A node that has lately carried no datagrams, when there is no other one: it may have learned.
    fn pick_avoided(&mut self) -> Option<NodeLease> {
        if self.passed_over == 0 {
            return None;
        }
        self.tried.drain(..std::mem::take(&mut self.passed_over));
        self.pick()
    }

    /// Whether nodes are routable, but none that carries datagrams is left.
    pub(super) fn lacks_datagrams(&self) -> bool {
        self.target.is_none() && self.selection.pool.snapshot().counts().routable() > 0
    }
}

async fn associate(selection: &Selection, lease: &NodeLease, attempt: Attempt) -> Result<BoxDatagram, DialError> {
    let dialer = dialer(selection, lease)?;
    within_deadline(&attempt, dialer.associate(&attempt)).await
}
