//! The course of an association: as a request's, over the nodes that carry datagrams.

use std::{net::IpAddr, sync::Arc};

use hezar_engine::{Attempt, BoxDatagram, Cause, DialError};
use tokio::time::Instant;

use super::{
    Course, Fail, NodeLease, Verdict,
    dial::{bounded, dialer},
};
use crate::{Refusal, auth::Identity, gateway::Shared};

/// Nodes that turn out not to carry datagrams and are passed over without counting as attempts.
const PASSED_OVER: usize = 32;

/// A node with an association over it. The lease lives as long as the association.
pub(crate) struct Flow {
    pub datagram: BoxDatagram,
    pub lease: NodeLease,
    pub verdict: Verdict,
}

impl Course {
    /// The course of an association by `identity` at `client`; its deadline runs from now.
    pub(crate) fn for_datagrams(shared: &Arc<Shared>, identity: &Identity, client: IpAddr) -> Self {
        let mut course = Self::begin(shared, identity, client, None);
        // A session's node is its node.
        if course.sticky.is_free() {
            course.nodes = shared.mutes.nodes(shared.clock.now());
        }
        course.passed_over = course.nodes.len();
        course
    }

    /// An association ended before its node had answered: [`Course::next_flow`] goes on. Only a node that does not know
    /// us is blamed: a server that ends what it cannot relay may carry streams all the same.
    pub(crate) fn lost(&mut self, mut flow: Flow, fail: Fail) {
        self.shared.mutes.note(flow.lease.id(), self.shared.clock.now());
        if fail.code == "authentication" {
            flow.verdict.bad(&fail);
        }
        self.note(fail);
    }

    /// The next node with an association. Nodes that fail are reported and passed over; those that only turn out not to
    /// carry datagrams cost no attempt.
    ///
    /// # Errors
    /// [`Refusal`] when no node is left, or the attempts or the time are used up.
    pub(crate) async fn next_flow(&mut self) -> Result<Flow, Refusal> {
        let mut passed_over = 0;
        loop {
            let lease = match self.pick().or_else(|| self.pick_mute()) {
                Some(lease) => lease,
                None => self.first_to_come().await.ok_or_else(|| self.refusal())?,
            };
            let limit = self.remaining().min(self.shared.config.attempt_timeout);
            self.nodes.push(lease.id());
            let started = Instant::now();
            let result = associate(&self.shared, &lease, Attempt::within(limit)).await;
            if let Err(DialError { cause: Cause::Unsupported(what), .. }) = &result
                && passed_over < PASSED_OVER
            {
                passed_over += 1;
                tracing::debug!(node = %lease.id(), what, "no datagrams over this node");
                continue;
            }
            self.attempts += 1;
            self.servers.push(lease.server_key());
            match result {
                Ok(datagram) => {
                    let (shared, unsure) = (self.shared.clone(), self.unsure.clone());
                    let verdict = Verdict::new(shared, lease.id(), self.place, started.elapsed(), unsure);
                    return Ok(Flow { datagram, lease, verdict });
                }
                Err(error) => self.dial_failed(&lease, &error, limit)?,
            }
        }
    }

    /// A node that has lately carried no datagrams, when there is no other one: it may have learned.
    fn pick_mute(&mut self) -> Option<NodeLease> {
        if self.passed_over == 0 {
            return None;
        }
        self.nodes.drain(..std::mem::take(&mut self.passed_over));
        self.pick()
    }

    /// Whether nodes are routable and the course failed for want of one that carries datagrams.
    pub(super) fn lacks_datagrams(&self) -> bool {
        self.target.is_none() && self.shared.pool.snapshot().counts().routable() > 0
    }
}

async fn associate(shared: &Shared, lease: &NodeLease, attempt: Attempt) -> Result<BoxDatagram, DialError> {
    let dialer = dialer(shared, lease)?;
    bounded(&attempt, dialer.associate(&attempt)).await
}
