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

/// A check that succeeded.
pub(super) struct Checked {
    pub(super) took: Duration,
    /// For the exit lookup.
    pub(super) dialer: Payload,
    /// Whether the canary came back, when there is one.
    pub(super) intact: Option<bool>,
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
            let Some(canary) = &shared.canary else { return Ok(Checked { took, dialer, intact: None }) };
            match canary.look(&*dialer, &shared.attempt()).await {
                Ok(Sight::Intact) => Ok(Checked { took, dialer, intact: Some(true) }),
                Ok(Sight::Tampered(code)) => Err(Verdict::Tampered(code)),
                // It works and brings no canary: nothing can be said.
                Err(error) => {
                    tracing::debug!(node = %node.id(), code = error.code(), stage = %error.stage, "no canary");
                    Ok(Checked { took, dialer, intact: Some(false) })
                }
            }
        }
        Err(error) => {
            tracing::trace!(node = %node.id(), code = error.code(), stage = %error.stage, "probe failed");
            Err(Verdict::of(&error))
        }
    }
}
