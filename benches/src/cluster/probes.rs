//! How often each node is probed while probers come, die, return and stand still.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hezar_lab::Fault;

use super::{Arena, Size, id, line, until_healthy};

/// Probers share the nodes.
#[derive(Clone, Debug, clap::Args)]
pub struct ProbesRun {
    #[command(flatten)]
    size: Size,
    /// How many intervals are counted each time.
    #[arg(long, default_value_t = 12)]
    intervals: u32,
}

impl ProbesRun {
    /// Measures and prints.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut arena = Arena::start(&self.size).await?;
        self.count(&arena, "").await;
        let added = arena.cluster.member(&format!("prober-{}", self.size.probers + 1), "probe,api")?;
        arena.probers.push(added);
        self.count(&arena, ", one of them new").await;
        let (before, killed) = (accepted(&arena), Instant::now());
        arena.probers.first_mut().context("no prober")?.kill();
        let is_probed = |arena: &Arena| accepted(arena).iter().zip(&before).all(|(after, before)| after > before);
        while !is_probed(&arena) {
            ensure!(killed.elapsed() < Duration::from_secs(120), "some nodes are never probed again");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let took = killed.elapsed().as_secs_f64();
        line("a prober is killed", format_args!("every node was probed again {took:.1} s later"));
        arena.probers.first_mut().context("no prober")?.start_again()?;
        self.count(&arena, ", one of them back").await;
        Ok(())
    }

    /// Measures how far apart the connections to each node are, all of which are probes. Their number in a time would depend on when that begins.
    async fn count(&self, arena: &Arena, what: &str) {
        let interval = Duration::from_secs(self.size.interval);
        // A prober that takes nodes over looks at those once whose last probe is not stored yet.
        tokio::time::sleep(interval * SETTLING).await;
        let end = Instant::now() + interval * self.intervals;
        let mut seen: Vec<Seen> = accepted(arena).into_iter().map(Seen::new).collect();
        while Instant::now() < end {
            tokio::time::sleep(LOOK).await;
            seen.iter_mut().zip(accepted(arena)).for_each(|(seen, count)| seen.note(count));
        }
        let interval = interval.as_secs_f64();
        let each: Vec<f64> = seen.iter().filter_map(Seen::mean_pause).map(|pause| interval / pause).collect();
        let pauses: f64 = seen.iter().map(|seen| seen.span().as_secs_f64()).sum();
        let all = seen.iter().map(|seen| seen.later).sum::<u64>() as f64 * interval / pauses;
        let (least, most) =
            each.iter().fold((f64::MAX, 0.0_f64), |(least, most), one| (least.min(*one), most.max(*one)));
        let probers = arena.probers.len();
        line(
            &format!("{probers} probers{what}"),
            format_args!("{all:.3} probes per node and interval (least {least:.2}, most {most:.2})"),
        );
    }
}

/// Intervals that pass before the count.
const SETTLING: u32 = 2;
/// How often it is looked for new probes.
const LOOK: Duration = Duration::from_millis(100);

/// The probes of one node that were seen.
struct Seen {
    count: u64,
    first: Option<Instant>,
    last: Option<Instant>,
    /// Those after the first one.
    later: u64,
}

impl Seen {
    const fn new(count: u64) -> Self {
        Self { count, first: None, last: None, later: 0 }
    }

    fn note(&mut self, count: u64) {
        let new = count - self.count;
        if new == 0 {
            return;
        }
        let now = Instant::now();
        self.later += if self.first.is_none() { new - 1 } else { new };
        self.first = self.first.or(Some(now));
        (self.count, self.last) = (count, Some(now));
    }

    /// The time from the first probe to the last one.
    fn span(&self) -> Duration {
        self.first.zip(self.last).map_or(Duration::ZERO, |(first, last)| last - first)
    }

    /// The mean time between two probes, in seconds; `None` when fewer than two were seen.
    fn mean_pause(&self) -> Option<f64> {
        (self.later > 0).then(|| self.span().as_secs_f64() / self.later as f64)
    }
}

fn accepted(arena: &Arena) -> Vec<u64> {
    let counts = |index| arena.world.counts(index).map_or(0, |counts| counts.accepted);
    (0..arena.world.nodes().len()).map(counts).collect()
}

/// A prober stands still while half of the nodes die.
#[derive(Clone, Debug, clap::Args)]
pub struct StandstillRun {
    #[command(flatten)]
    size: Size,
    /// How long it stands still, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

impl StandstillRun {
    /// Measures and prints.
    ///
    /// # Errors
    /// Something does not start, or a stale verdict wins.
    pub async fn run(self) -> anyhow::Result<()> {
        let arena = Arena::start(&self.size).await?;
        let (still, half) = (arena.probers.first().context("no prober")?, self.size.live / 2);
        still.signal("STOP")?;
        arena.set_faults(0..half, Fault::Refused).await?;
        tokio::time::sleep(Duration::from_secs(self.seconds)).await;
        let gateway = arena.gateways.first().context("no gateway")?;
        until_healthy(gateway, self.size.live - half)?;
        still.signal("CONT")?;
        let ids =
            arena.world.nodes().iter().take(half).map(|node| id(&node.link)).collect::<anyhow::Result<Vec<_>>>()?;
        let (end, mut stale) = (Instant::now() + Duration::from_secs(3 * self.size.interval), 0);
        while Instant::now() < end {
            let count = ids.iter().filter(|id| gateway.state(id).as_deref() == Some("healthy")).count();
            stale = stale.max(count);
        }
        line("a prober stood still", format_args!("{} s; {stale} of {half} stale verdicts won", self.seconds));
        ensure!(stale == 0, "stale verdicts won");
        Ok(())
    }
}
