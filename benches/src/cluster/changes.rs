//! How soon every gateway sees what happens to a node at another member.

use std::time::{Duration, Instant};

use anyhow::ensure;
use hezar_lab::{
    Fault,
    cluster::{Member, dead_links},
};

use super::{Arena, Size, id, line};
use crate::percentile;

/// How long one change may take until it is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Nodes are added, die, work again and are removed.
#[derive(Clone, Debug, clap::Args)]
pub struct ChangesRun {
    #[command(flatten)]
    size: Size,
    /// To how many nodes it happens.
    #[arg(long, default_value_t = 50)]
    changed: usize,
}

impl ChangesRun {
    /// Measures and prints.
    ///
    /// # Errors
    /// Something does not start, or a change is not seen.
    pub async fn run(self) -> anyhow::Result<()> {
        let arena = Arena::start(&self.size).await?;
        let links: Vec<String> = arena.world.links().lines().map(str::to_owned).collect();
        ensure!(self.changed < links.len(), "not more nodes can change than there are");
        let (moved, rest) = links.split_at(self.changed);
        let ids = moved.iter().map(|link| id(link)).collect::<anyhow::Result<Vec<_>>>()?;
        for (fault, what, wanted) in [(Fault::Refused, "dies", "dead"), (Fault::Healthy, "works again", "healthy")] {
            arena.set_faults(0..self.changed, fault).await?;
            let is = |state: Option<&str>| state == Some(wanted);
            tell(what, seen(&arena.probers, &arena.gateways, &ids, is)?);
        }
        arena.cluster.list(&(rest.join("\n") + "\n" + &dead_links(self.size.dead)))?;
        let body = serde_json::json!({ "ids": ids }).to_string();
        let Some((first, others)) = arena.gateways.split_first() else { return Ok(()) };
        let removed = first.ask("DELETE", "/api/v1/nodes", &body);
        ensure!(removed.status / 100 == 2, "{}", removed.body);
        tell("is removed", seen(std::slice::from_ref(first), others, &ids, |state| state.is_none())?);
        arena.cluster.list(&(links.join("\n") + "\n" + &dead_links(self.size.dead)))?;
        let fetcher = std::slice::from_ref(&arena.fetcher);
        tell("is added", seen(fetcher, &arena.gateways, &ids, |state| state.is_some())?);
        Ok(())
    }
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let (p50, p99) = (percentile(&times, 0.5), percentile(&times, 0.99));
    line(
        &format!("a node {what}"),
        format_args!("seen by the gateways after p50 {p50:.0} ms, p99 {p99:.0} ms ({})", times.len()),
    );
}

/// How long after the first of `origins` each of `seers` sees each node as it is waited for.
fn seen(
    origins: &[Member],
    seers: &[Member],
    ids: &[String],
    wanted: impl Fn(Option<&str>) -> bool,
) -> anyhow::Result<Vec<Duration>> {
    let end = Instant::now() + PATIENCE;
    let mut first: Vec<Option<Instant>> = vec![None; ids.len()];
    let mut waiting: Vec<(usize, &Member)> =
        (0..ids.len()).flat_map(|node| seers.iter().map(move |seer| (node, seer))).collect();
    let mut times = Vec::new();
    while !waiting.is_empty() {
        ensure!(Instant::now() < end, "{} of the changes were not seen", waiting.len());
        for (id, first) in ids.iter().zip(&mut first).filter(|(_, first)| first.is_none()) {
            if origins.iter().any(|origin| wanted(origin.state(id).as_deref())) {
                *first = Some(Instant::now());
            }
        }
        waiting.retain(|(node, seer)| {
            let is_seen = ids.get(*node).is_some_and(|id| wanted(seer.state(id).as_deref()));
            if is_seen {
                // Seen at a gateway before the poll of the origin: at once, as far as this can tell.
                times.push(first.get(*node).copied().flatten().map_or(Duration::ZERO, |first| first.elapsed()));
            }
            !is_seen
        });
    }
    Ok(times)
}
