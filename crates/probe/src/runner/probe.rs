//! What the prober's tasks do: one probe of one node, and one control check.

use std::time::Duration;

use hezar_engine::{AddressPolicy, BuildError, DialError, Dialer, Tunnelled};
use hezar_pool::{HttpAbility, HttpWay, Need, Node, Query, Strategy};

use super::PoolNode;
use crate::{
    ControlResult, NodeCheck, NodeCheckError,
    canary::CanaryResult,
    context::{Payload, ProbeContext},
    http_node::rules_out_every_way,
    probe_error::ProbeError,
};

/// Nodes asked by a control check.
const WITNESSES: usize = 4;
/// Canaries asked for in one probe at most.
const MAX_CANARIES: usize = 2;

/// A check that succeeded.
pub(super) struct Checked {
    pub(super) took: Duration,
    /// For the exit lookup; absent where no dialer can be built for a node that something else has checked.
    pub(super) dialer: Option<Payload>,
    /// What the canaries that were asked for showed; empty when there are none.
    pub(super) canaries: Vec<CanaryFetch>,
}

/// One look at a canary.
pub(super) struct CanaryFetch {
    /// Which one.
    pub(super) page: usize,
    /// What came; nothing when it did not come.
    pub(super) found: Option<CanaryResult>,
}

/// Is it us, or the probe URL? A few nodes are asked too, in case the URL cannot be reached from here.
pub(super) async fn run_control_checks(context: &ProbeContext) -> ControlResult {
    let query = Query { strategy: Strategy::Random, ..Query::default() };
    let drawn = (0..WITNESSES).filter_map(|_| context.pool.pick(&query, rand::random()));
    let nodes = drawn.filter_map(|lease| dialer(context, &lease).ok()).collect();
    context.controls.run(context.engine.direct(AddressPolicy::Any), nodes, || context.attempt()).await
}

fn dialer(context: &ProbeContext, node: &Node<Payload>) -> Result<Payload, BuildError> {
    node.payload(|node| context.engine.dialer(node.spec(), AddressPolicy::allowing_private(node.allow_private())))
}

/// How long a dialer may take to get ready.
const PREPARE: Duration = Duration::from_secs(10);

/// One in so many probes of an HTTP proxy looks at all its ways again.
const LEARN_AGAIN: u32 = 32;

/// One probe. Boxed pieces only live while it runs; an idle node costs nothing here.
pub(super) async fn probe(context: &ProbeContext, node: &PoolNode) -> Result<Checked, ProbeError> {
    if let Some(node_check) = &context.node_check {
        return probe_by(&**node_check, context, node).await;
    }
    let dialer = dialer(context, node).map_err(|error| ProbeError::Unsupported(error.code()))?;
    let _prepared = dialer.prepare(PREPARE).await.map_err(|error| ProbeError::classify(&error))?;
    match check(context, node, &dialer).await {
        Ok(took) => {
            let canaries = fetch_canaries(context, node, &dialer).await;
            Ok(Checked { took, dialer: Some(dialer), canaries })
        }
        Err(error) => {
            tracing::trace!(node = %node.id(), code = error.code(), stage = %error.stage, "probe failed");
            Err(ProbeError::classify(&error))
        }
    }
}

/// One probe whose check something else than the engine's dialers makes.
async fn probe_by(check: &dyn NodeCheck, context: &ProbeContext, node: &PoolNode) -> Result<Checked, ProbeError> {
    let took = check.check(node, context.attempt_at(node).remaining()).await.map_err(|error| match error {
        NodeCheckError::Failed(error) => ProbeError::classify(&error),
        NodeCheckError::Unsupported(code) => ProbeError::Unsupported(code),
        NodeCheckError::Unavailable(code) => ProbeError::Inconclusive(code),
    })?;
    if node.spec().is_http_proxy() {
        note_tunnel(context, node);
    }
    let dialer = dialer(context, node).ok();
    let mut canaries = match &dialer {
        Some(dialer) => fetch_canaries(context, node, dialer).await,
        None => Vec::new(),
    };
    // A page that did not come may be the fault of our own dialer, which nothing else has shown to work for this node.
    canaries.retain(|canary| canary.found.is_some());
    Ok(Checked { took, dialer, canaries })
}

/// Notes that an HTTP proxy opens tunnels. Whether it answers plain requests was not seen; a tunnel carries those as well.
fn note_tunnel(context: &ProbeContext, node: &PoolNode) {
    let port = context.config.url.port_or_known_default().unwrap_or(80);
    let seen = HttpAbility::default().with(HttpWay::tunnel(port), true).with(HttpWay::Plain, false);
    context.pool.set_http_ability(node.id(), seen.or(node.http_ability()));
}

/// Asks for a canary, and for a second one when the first does not come as it should. Which one is first is left to
/// chance: no node can know it before.
async fn fetch_canaries(context: &ProbeContext, node: &PoolNode, dialer: &Payload) -> Vec<CanaryFetch> {
    let pages = fetchable_canaries(context, node);
    let count = pages.len();
    let first = rand::random_range(0..count.max(1));
    let mut canaries = Vec::new();
    let (tunnel, direct): (Tunnelled<'_>, &dyn Dialer) = (Tunnelled(&**dialer), &**dialer);
    let via = if node.http_ability().is_plain(80) { direct } else { &tunnel };
    for page in (first..first + count.min(MAX_CANARIES)).map(|page| pages[page % count]) {
        let found = match context.canaries[page].fetch(via, &context.attempt()).await {
            Ok(sight) => Some(sight),
            Err(error) => {
                tracing::debug!(node = %node.id(), page, code = error.code(), stage = %error.stage, "no canary");
                None
            }
        };
        let done = found == Some(CanaryResult::Intact);
        canaries.push(CanaryFetch { page, found });
        if done {
            break;
        }
    }
    canaries
}

/// The canaries that can be fetched in a way that the node has.
fn fetchable_canaries(context: &ProbeContext, node: &PoolNode) -> Vec<usize> {
    let ability = node.http_ability();
    let fits = |page: &usize| {
        let Some(url) = context.config.canaries.get(*page).map(|canary| &canary.url) else { return true };
        let port = url.port_or_known_default().unwrap_or(80);
        let need = match url.scheme() {
            "http" => Need::Plain { port, allow_transparent: true },
            _ => Need::Tunnel(port),
        };
        need.fits(ability)
    };
    (0..context.canaries.len()).filter(fits).collect()
}

/// Whether the node works, and how long that took to show.
async fn check(context: &ProbeContext, node: &PoolNode, dialer: &Payload) -> Result<Duration, DialError> {
    let Some(http) = context.http.as_ref().filter(|_| node.spec().is_http_proxy()) else {
        let attempt = context.attempt_at(node);
        return context.check.check(&**dialer, &attempt).await.map(|()| attempt.elapsed());
    };
    let known = node.http_ability();
    if !rand::random::<u32>().is_multiple_of(LEARN_AGAIN) {
        match http.confirm(&**dialer, known, &context.attempt_at(node)).await {
            Some(Err(error)) if !rules_out_every_way(&error) => {}
            Some(told) => return told,
            None => {}
        }
    }
    let found = http.learn(&**dialer, || context.attempt()).await;
    if found.result.is_ok() {
        context.pool.set_http_ability(node.id(), found.ability.or(known));
    }
    found.result
}
