//! What the prober's tasks do: one probe of one node, and one control check.

use std::time::Duration;

use hezar_engine::{BuildError, DialError, Dialer, Tunnelled};
use hezar_pool::{Need, Node, Query, Strategy};

use super::Outbound;
use crate::{
    Control,
    canary::Sight,
    http_node::ends_the_search,
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

/// One in so many probes of an HTTP proxy looks at all its ways again.
const LEARN_AGAIN: u32 = 32;

/// One probe. Boxed pieces only live while it runs; an idle node costs nothing here.
pub(super) async fn probe(shared: &Shared, node: &Outbound) -> Result<Checked, Verdict> {
    let dialer = dialer(shared, node).map_err(|error| Verdict::Unsupported(error.code()))?;
    match check(shared, node, &dialer).await {
        Ok(took) => {
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
    let pages = carried(shared, node);
    let count = pages.len();
    let first = rand::random_range(0..count.max(1));
    let mut looks = Vec::new();
    let (tunnel, direct): (Tunnelled<'_>, &dyn Dialer) = (Tunnelled(&**dialer), &**dialer);
    let via = if node.http_ability().is_plain(80) { direct } else { &tunnel };
    for page in (first..first + count.min(LOOKS)).map(|page| pages[page % count]) {
        let found = match shared.canaries[page].look(via, &shared.attempt()).await {
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

/// The canaries that can be fetched in a way that the node has.
fn carried(shared: &Shared, node: &Outbound) -> Vec<usize> {
    let ability = node.http_ability();
    let fits = |page: &usize| {
        let Some(url) = shared.config.canaries.get(*page).map(|canary| &canary.url) else { return true };
        let port = url.port_or_known_default().unwrap_or(80);
        let need = if url.scheme() == "http" { Need::Plain(port) } else { Need::Tunnel(port) };
        need.fits(ability)
    };
    (0..shared.canaries.len()).filter(fits).collect()
}

/// Whether the node works, and how long that took to show.
async fn check(shared: &Shared, node: &Outbound, dialer: &Payload) -> Result<Duration, DialError> {
    let Some(http) = shared.http.as_ref().filter(|_| node.spec().is_http_proxy()) else {
        let attempt = shared.attempt();
        return shared.check.check(&**dialer, &attempt).await.map(|()| attempt.elapsed());
    };
    let known = node.http_ability();
    if !rand::random::<u32>().is_multiple_of(LEARN_AGAIN) {
        match http.confirm(&**dialer, known, &shared.attempt()).await {
            Some(Err(error)) if !ends_the_search(&error) => {}
            Some(told) => return told,
            None => {}
        }
    }
    let found = http.learn(&**dialer, || shared.attempt()).await;
    if found.result.is_ok() {
        shared.pool.set_http_ability(node.id(), found.ability.or(known));
    }
    found.result
}
