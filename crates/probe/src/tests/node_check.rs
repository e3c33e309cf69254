//! Nodes that something else than the engine's dialers checks.

use hezar_pool::State;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{NodeCheck, NodeCheckError};

/// Works, fails, cannot check and is away, by the number of the node.
#[derive(Debug, Default)]
struct ByNumber {
    asked: AtomicUsize,
    limit: Mutex<Duration>,
}

#[async_trait]
impl NodeCheck for ByNumber {
    async fn check(
        &self,
        node: &hezar_pool::Node<Arc<dyn Dialer>>,
        limit: Duration,
    ) -> Result<Duration, NodeCheckError> {
        self.asked.fetch_add(1, Relaxed);
        *self.limit.lock() = limit;
        match (0..4).find(|n| id(*n) == node.id()) {
            Some(0) => Ok(Duration::from_millis(7)),
            Some(1) => Err(DialError::new(Stage::Exchange, Cause::CoreFailed).into()),
            Some(2) => Err(NodeCheckError::Unsupported("node-unsupported")),
            _ => Err(NodeCheckError::Unavailable("core-down")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn verdicts_of_another_check_count_as_those_of_probes() {
    let (world, pool) = (World::new(Way::Panics), pool(0..4));
    let check = Arc::new(ByNumber::default());
    let checks = Checks {
        check: Arc::new(Connects("url.test:80")),
        node_check: Some(Arc::clone(&check) as Arc<dyn NodeCheck>),
        trace: None,
        geo: None,
        canaries: Vec::new(),
        uplink: Vec::new(),
        http: None,
        judge: None,
    };
    let (engine, clock) = (Arc::new(Fakes(Arc::clone(&world))), Clock::starting_at(START));
    let prober = Prober::with(config(), Arc::clone(&pool), engine, checks, clock, ProbeMetrics::default());
    prober.sweep(&CancellationToken::new(), |_| {}).await;
    let node = |n| pool.node(id(n)).unwrap();
    assert_eq!((node(0).state(), node(0).latency()), (State::Healthy, Some(Duration::from_millis(7))));
    assert_eq!(node(1).record().failure.unwrap().code, "core-failed");
    assert_eq!(node(2).unsupported(), Some("node-unsupported".into()));
    assert_eq!((node(3).state(), node(3).record().failures), (State::New, 0), "its absence says nothing of nodes");
    assert_eq!(check.asked.load(Relaxed), 4);
    assert!(*check.limit.lock() > Duration::ZERO);
    assert_eq!(world.probes.load(Relaxed), 0, "no dialer of the engine is used for the check");
}
