//! Sixty seconds without an uplink, or without the probe's target: no node is lost, and one interval later all is as before.

use hezar_core::Fault;
use hezar_pool::{Counts, Origin, Outcome, Query};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;

/// What fails for a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outage {
    /// Every connection is refused, the control URL's too.
    Uplink,
    /// Every connection hangs, the control URL's too.
    SilentUplink,
    /// The probe URL fails, through nodes and directly.
    Target,
    /// The same where the probe URL never answers directly, as behind a censor.
    BlockedTarget,
}

/// One way to live through it.
#[derive(Clone, Copy, Debug)]
struct Case {
    outage: Outage,
    nodes: u32,
    interval: u64,
    control: bool,
    /// When it begins, in seconds.
    at: u64,
    /// Requests of clients through each node in a second.
    traffic: u32,
}

/// A world at work.
struct Life {
    world: Arc<World>,
    pool: Arc<Nodes>,
    case: Case,
    clock: u64,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Life {
    fn begin(case: Case) -> Self {
        let world = World::new(WORKS);
        *world.blocked.lock() = case.outage == Outage::BlockedTarget;
        let pool = pool(0..case.nodes);
        let config = ProbeConfig { interval: Duration::from_secs(case.interval), ..config() };
        let prober = prober(config, &pool, &world, case.control);
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let task = tokio::spawn(async move { prober.run(stop).await });
        Self { world, pool, case, clock: 0, cancel, task }
    }

    fn turn(&self, broken: bool) {
        match self.case.outage {
            Outage::Uplink => *self.world.uplink.lock() = !broken,
            Outage::SilentUplink => {
                *self.world.silent.lock() = broken;
                *self.world.uplink.lock() = !broken;
            }
            Outage::Target | Outage::BlockedTarget => *self.world.url.lock() = !broken,
        }
    }

    /// Lets so many seconds pass, each with its traffic, and calls `look` after every one.
    async fn live(&mut self, seconds: u64, look: impl Fn(&Self, Counts)) {
        for _ in 0..seconds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.clock += 1;
            let reaches = *self.world.uplink.lock();
            for node in (0..self.case.nodes).flat_map(|n| std::iter::repeat_n(n, self.case.traffic as usize)) {
                let failure = Outcome::failure(Origin::Traffic, Fault::Node, Stage::Connect, "refused");
                let success = Outcome::success(Origin::Traffic, Duration::from_millis(80));
                self.pool.report(id(node), if reaches { &success } else { &failure }, at(self.clock));
            }
            look(self, self.pool.snapshot().counts());
        }
    }

    async fn end(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

async fn survive(case: Case) {
    let mut life = Life::begin(case);
    life.live(case.at, |_, _| {}).await;
    let all = case.nodes as usize;
    assert_eq!(life.pool.snapshot().counts().healthy, all, "{case:?} before");
    life.turn(true);
    life.live(60, |life, counts| {
        assert_eq!((counts.dead, counts.routable()), (0, all), "{case:?} at {}: {counts:?}", life.clock);
        let query = Query { now: Some(at(life.clock)), ..Query::default() };
        assert!(life.pool.pick(&query, life.clock).is_some(), "{case:?}: requests for other targets find a node");
    })
    .await;
    life.turn(false);
    life.live(case.interval, |life, counts| assert_eq!(counts.dead, 0, "{case:?} at {}: {counts:?}", life.clock)).await;
    assert_eq!(life.pool.snapshot().counts().healthy, all, "{case:?} one interval later");
    // What was late, what was held: nothing comes to light afterwards.
    life.live(2 * case.interval, |life, counts| {
        assert_eq!(counts.healthy, all, "{case:?} at {}: {counts:?}", life.clock);
    })
    .await;
    life.end().await;
}

fn cases(outage: Outage) -> impl Iterator<Item = Case> {
    let sizes = [(5, 60), (40, 10), (100, 60)];
    let ways = [(true, 0), (true, 2), (false, 0), (false, 2)];
    let phases = [95, 133];
    sizes.into_iter().flat_map(move |(nodes, interval)| {
        ways.into_iter().flat_map(move |(control, traffic)| {
            phases.into_iter().map(move |at| Case { outage, nodes, interval, control, at, traffic })
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_minute_without_an_uplink_loses_no_node() {
    for case in cases(Outage::Uplink) {
        survive(case).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_minute_of_a_silent_uplink_loses_no_node() {
    for case in cases(Outage::SilentUplink) {
        survive(case).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_minute_without_the_probes_target_loses_no_node() {
    for case in cases(Outage::Target) {
        survive(case).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_minute_without_a_target_that_only_nodes_reach_loses_no_node() {
    for case in cases(Outage::BlockedTarget) {
        survive(case).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_node_is_not_lost_either_when_the_uplink_can_be_checked() {
    for outage in [Outage::Uplink, Outage::SilentUplink, Outage::Target, Outage::BlockedTarget] {
        survive(Case { outage, nodes: 1, interval: 60, control: true, at: 100, traffic: 3 }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_uplink_that_comes_and_goes_loses_no_node() {
    let case = Case { outage: Outage::Uplink, nodes: 50, interval: 60, control: true, at: 0, traffic: 2 };
    let mut life = Life::begin(case);
    life.live(100, |_, _| {}).await;
    for down in [3, 1, 7, 2, 30, 4, 4, 11, 1, 1] {
        life.turn(true);
        life.live(down, |life, counts| assert_eq!(counts.dead, 0, "down at {}: {counts:?}", life.clock)).await;
        life.turn(false);
        life.live(down + 5, |life, counts| assert_eq!(counts.dead, 0, "up at {}: {counts:?}", life.clock)).await;
    }
    life.live(60, |_, _| {}).await;
    assert_eq!(life.pool.snapshot().counts().healthy, 50);
    life.end().await;
}

#[tokio::test(start_paused = true)]
async fn behind_a_censor_nodes_die_all_the_same() {
    let case = Case { outage: Outage::BlockedTarget, nodes: 40, interval: 60, control: true, at: 100, traffic: 0 };
    let mut life = Life::begin(case);
    life.live(100, |_, _| {}).await;
    (0..30).for_each(|n| life.world.set(n, Way::Refuses));
    life.live(200, |_, _| {}).await;
    let counts = life.pool.snapshot().counts();
    assert_eq!((counts.dead, counts.healthy), (30, 10), "the ones that are left speak for the target");
    life.end().await;
}
