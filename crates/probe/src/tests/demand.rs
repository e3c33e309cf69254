//! Probes that somebody asks for.

use hezar_core::Code;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{ProbeAnswers, ProbeNowError, ProbeResult};

async fn all(mut answers: ProbeAnswers) -> HashMap<NodeId, ProbeResult> {
    let (mut found, mut count) = (HashMap::new(), 0);
    while let Some(answer) = answers.next().await {
        found.insert(answer.id, answer.result);
        count += 1;
    }
    assert_eq!(found.len(), count, "one answer for each node");
    found
}

#[tokio::test(start_paused = true)]
async fn every_node_that_is_asked_for_is_answered_once() {
    let world = World::new(WORKS);
    let pool = pool(0..10);
    let mut odd = spec(70);
    odd.server = Target::parse("11.0.0.70:9").unwrap();
    let nodes = vec![(odd.clone(), Label::default())];
    pool.apply(PoolChange::List { source: "t".into(), allow_private: false, nodes, complete: true }, START);
    (1..3).for_each(|n| world.set(n, Way::Refuses));
    world.set(3, Way::Exhausted);
    world.set(4, Way::CannotDial);
    world.set(5, Way::Panics);
    let prober = prober(config(), &pool, &world, false);
    assert_eq!(prober.probe_now([id(0)]).unwrap_err(), ProbeNowError::NotRunning);
    let (cancel, runs) = (CancellationToken::new(), prober.clone());
    let stop = cancel.clone();
    let task = tokio::spawn(async move { runs.run(stop).await });
    tokio::time::sleep(Duration::from_secs(200)).await;
    // A dead node is looked at long before its time, and everybody who asks is told.
    world.set(1, WORKS);
    let before = world.probes.load(Relaxed);
    let ids = (0..6).chain([0, 77]).map(id).chain([odd.id()]);
    let (first, second) = (prober.probe_now(ids.clone()).unwrap(), prober.probe_now(ids).unwrap());
    assert_eq!(first.asked(), 8);
    let (found, again) = tokio::join!(all(first), all(second));
    assert_eq!(found, again);
    assert_eq!(found[&id(0)], ProbeResult::Works(Duration::from_millis(100)));
    assert_eq!(found[&id(1)], ProbeResult::Works(Duration::from_millis(100)));
    assert_eq!(
        found[&id(2)],
        ProbeResult::Failed { stage: Stage::Handshake, code: Code::new("refused"), counted: true }
    );
    assert_eq!(found[&id(3)], ProbeResult::Inconclusive(Code::new("exhausted")));
    assert_eq!(found[&id(4)], ProbeResult::Inconclusive(Code::new("unsupported")));
    assert_eq!(found[&odd.id()], ProbeResult::Unsupported(Code::new("node-unsupported")));
    assert_eq!(found[&id(5)], ProbeResult::Panicked);
    assert_eq!(found[&id(77)], ProbeResult::Gone);
    assert!(world.probes.load(Relaxed) - before <= 6, "both are served by one probe of each");
    // A node that is removed while somebody waits for it is answered too.
    world.set(0, Way::Hangs);
    let waiting = prober.probe_now([id(0)]).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    pool.apply(PoolChange::Remove(vec![id(0)]), at(300));
    assert_eq!(all(waiting).await[&id(0)], ProbeResult::Gone);
    // At the end nobody waits for ever.
    world.set(6, Way::Hangs);
    let waiting = prober.probe_now([id(6)]).unwrap();
    tokio::task::yield_now().await;
    cancel.cancel();
    task.await.unwrap();
    assert!(all(waiting).await.is_empty());
    assert_eq!(prober.probe_now([id(0)]).unwrap_err(), ProbeNowError::NotRunning);
}
