//! Several probers over one pool: each probes its share, and a change of shares makes no storm.

use hezar_core::Fault;
use hezar_pool::{Origin, Outcome};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{Ownership, ProbeResult};

const INTERVAL: Duration = Duration::from_secs(20);

/// A prober that runs with the share that it is told.
struct Member {
    name: &'static str,
    share: watch::Sender<Ownership>,
    prober: Prober,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Member {
    fn start(name: &'static str, probers: &[&str], clock: Clock, pool: &Arc<Nodes>, world: &Arc<World>) -> Self {
        let config = ProbeConfig { interval: INTERVAL, ..config() };
        let (share, shares) = watch::channel(Ownership::shared(name, probers.iter().copied()));
        let prober = prober_by(clock, config, pool, world, false).owning(shares);
        let (cancel, runs) = (CancellationToken::new(), prober.clone());
        let stop = cancel.clone();
        let task = tokio::spawn(async move { runs.run(stop).await });
        Self { name, share, prober, cancel, task }
    }

    fn share_with(&self, probers: &[&str]) {
        self.share.send_replace(Ownership::shared(self.name, probers.iter().copied()));
    }

    /// Ends as a process does that is killed.
    async fn kill(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

/// Probes per node and interval within so many intervals from now on.
async fn rate(world: &World, nodes: u32, intervals: u32) -> f64 {
    let before = world.probes.load(Relaxed);
    tokio::time::sleep(INTERVAL * intervals).await;
    (world.probes.load(Relaxed) - before) as f64 / f64::from(nodes * intervals)
}

#[tokio::test(start_paused = true)]
async fn every_node_has_one_prober_also_when_one_dies_and_comes_back() {
    const NODES: u32 = 600;
    let (world, pool) = (World::new(WORKS), pool(0..NODES));
    let (clock, both) = (Clock::starting_at(START), ["a", "b"]);
    let one = Member::start("a", &both, clock, &pool, &world);
    let other = Member::start("b", &both, clock, &pool, &world);
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(one.prober.scheduled() + other.prober.scheduled(), NODES as usize);
    assert!(one.prober.scheduled().abs_diff(other.prober.scheduled()) < NODES as usize / 5);
    let shared = rate(&world, NODES, 20).await;
    assert!((shared - 1.0).abs() < 0.03, "{shared}");
    // One is killed, and the other is told ten seconds later.
    other.kill().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    one.share_with(&["a"]);
    world.order.lock().clear();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let soon = world.order.lock().len();
    tokio::time::sleep(INTERVAL + Duration::from_secs(2)).await;
    let probed: std::collections::HashSet<String> = world.order.lock().iter().cloned().collect();
    assert_eq!(probed.len(), NODES as usize, "every node is probed again within its interval");
    // Half of the nodes of the dead one were overdue, and as many of the others were due in these five seconds.
    assert!((NODES as usize / 4..NODES as usize * 3 / 4).contains(&soon), "{soon} in five seconds");
    let alone = rate(&world, NODES, 20).await;
    assert!((alone - 1.0).abs() < 0.03, "{alone}");
    // It comes back: nothing is probed sooner than it would have been.
    let other = Member::start("b", &both, clock, &pool, &world);
    one.share_with(&both);
    let joined = rate(&world, NODES, 1).await;
    assert!(joined < 1.15, "{joined}");
    assert_eq!(one.prober.scheduled() + other.prober.scheduled(), NODES as usize);
    one.kill().await;
    other.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_of_another_prober_is_probed_when_somebody_asks_and_only_then() {
    let (world, pool) = (World::new(WORKS), pool(0..4));
    let member = Member::start("a", &[], Clock::starting_at(START), &pool, &world);
    member.share.send_replace(Ownership::nothing());
    tokio::time::sleep(INTERVAL * 3).await;
    let before = world.probes.load(Relaxed);
    let mut answers = member.prober.probe_now([id(2)]).unwrap();
    let answer = answers.next().await.unwrap();
    assert_eq!((answer.id, answer.result), (id(2), ProbeResult::Works(Duration::from_millis(100))));
    tokio::time::sleep(INTERVAL * 5).await;
    assert_eq!(world.probes.load(Relaxed) - before, 1);
    assert_eq!(member.prober.scheduled(), 0);
    // What the pool says of such a node later does not bring it back into the schedule.
    let dead = Outcome::failure(Origin::Traffic, Fault::Node, Stage::Connect, Cause::Refused.code());
    pool.report(id(2), &dead, at(500));
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(world.probes.load(Relaxed) - before, 1);
    member.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_node_is_let_go_after_its_probe() {
    let (world, pool) = (World::new(Way::Works(Duration::from_secs(3))), pool(0..10));
    let member = Member::start("a", &["a"], Clock::starting_at(START), &pool, &world);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.running.load(Relaxed), 10);
    member.share.send_replace(Ownership::nothing());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.running.load(Relaxed), 10, "a probe that runs is not in vain");
    tokio::time::sleep(INTERVAL * 3).await;
    assert_eq!((world.probes.load(Relaxed), member.prober.scheduled()), (10, 0));
    let judged = (0..10).filter(|n| pool.node(id(*n)).unwrap().record().last_checked.is_some()).count();
    assert_eq!(judged, 10);
    member.kill().await;
}
