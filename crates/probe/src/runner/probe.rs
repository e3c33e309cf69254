//! What the prober's tasks do: one probe of one node, and one control check.

use std::time::Duration;

use hezar_engine::BuildError;
use hezar_pool::{Node, Query, Strategy};

use super::Outbound;
use crate::{
    Control,
    canary::Sight,
    prober::{Payload, Shared},
    verdict::Verdict,
};

/// Nodes asked by a control check.
const WITNESSES: usize = 4;
/// Canaries asked for in one probe at most.
const LOOKS: usize = 2;

/// A check that succeeded.
pub(super) struct Checked {
    pub(super) took: Duration,
    /// For the exit lookup.
    pub(super) dialer: Payload,
    /// What the canaries that were asked for showed; empty when there are none.
    pub(super) looks: Vec<Look>,
}

/// One look at a canary.
pub(super) struct Look {
    /// Which one.
    pub(super) page: usize,
    /// What came; nothing when it did not come.
    pub(super) found: Option<Sight>,
}

/// Is it us, or the probe URL? A few nodes are asked too, in case the URL cannot be reached from here.
pub(super) async fn ask(shared: &Shared) -> Control {
    let query = Query { strategy: Strategy::Random, ..Query::default() };
    let drawn = (0..WITNESSES).filter_map(|_| shared.pool.pick(&query, rand::random()));
    let nodes = drawn.filter_map(|lease| dialer(shared, &lease).ok()).collect();
    shared.controls.ask(shared.dialers.direct(), nodes, || shared.attempt()).await
}

fn dialer(shared: &Shared, node: &Node<Payload>) -> Result<Payload, BuildError> {
    node.payload(|node| shared.dialers.node(node.spec(), node.allow_private()))
}

/// One probe. Boxed pieces only live while it runs; an idle node costs nothing here.
pub(super) async fn probe(shared: &Shared, node: &Outbound) -> Result<Checked, Verdict> {
    let dialer = dialer(shared, node).map_err(|error| Verdict::Unsupported(error.code()))?;
    let attempt = shared.attempt();
    match shared.check.check(&*dialer, &attempt).await {
        Ok(()) => {
            let took = attempt.elapsed();
            let looks = look(shared, node, &dialer).await;
            Ok(Checked { took, dialer, looks })
        }
        Err(error) => {
            tracing::trace!(node = %node.id(), code = error.code(), stage = %error.stage, "probe failed");
            Err(Verdict::of(&error))
        }
    }
}

/// Asks for a canary, and for a second one when the first does not come as it should. Which one is first is left to
/// chance: no node can know it before.
async fn look(shared: &Shared, node: &Outbound, dialer: &Payload) -> Vec<Look> {
    let count = shared.canaries.len();
    let first = rand::random_range(0..count.max(1));
    let mut looks = Vec::new();
    for page in (first..first + count.min(LOOKS)).map(|page| page % count) {
        let found = match shared.canaries[page].look(&**dialer, &shared.attempt()).await {
            Ok(sight) => Some(sight),
            Err(error) => {
                tracing::debug!(node = %node.id(), page, code = error.code(), stage = %error.stage, "no canary");
                None
            }
        };
        let done = found == Some(Sight::Intact);
        looks.push(Look { page, found });
        if done {
            break;
        }
    }
    looks
}
