//! Nodes that tamper are found in one round: real servers, a real page, real certificates.

use hezar_engine::NativeEngineConfig;
use hezar_lab::{DEMO_HOST, Fault, SECURE_HOST, WorldConfig};
use hezar_pool::{Query, State, Strategy};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{Canary, CanaryBody, CanaryPage, CanaryResult};

const NODES: usize = 8;
const BAD: usize = 3;

/// Eight servers, their pool, and a prober with a canary at `url`.
async fn lab(url: &str) -> (hezar_lab::World, Arc<Nodes>, Vec<NodeId>, Prober) {
    let lab = hezar_lab::World::start(WorldConfig::healthy(NODES)).await.unwrap();
    let (pool, ids) = lab_pool(&lab, str::to_owned);
    let roots = vec![lab.root().to_vec().into()];
    let engine = NativeEngine::new(&NativeEngineConfig { extra_roots: roots, ..NativeEngineConfig::default() });
    let page = CanaryPage { url: Url::parse(url).unwrap(), body: CanaryBody::Text("h".repeat(40).into()) };
    let prober = lab_prober(&pool, &engine, vec![page]);
    (lab, pool, ids, prober)
}

/// Whether any of many picks goes to the node.
fn carries(pool: &Nodes, id: NodeId) -> bool {
    Strategy::ALL.into_iter().any(|strategy| {
        let query = Query { strategy, ..Query::default() };
        (0..500).filter_map(|rng| pool.pick(&query, rng)).any(|lease| lease.id() == id)
    })
}

#[tokio::test]
async fn a_tampering_node_is_found_in_one_round_and_carries_nothing_afterwards() {
    for (host, scheme, fault, code) in [
        (DEMO_HOST, "http", Fault::TamperBody, "tampered-body"),
        (SECURE_HOST, "https", Fault::TamperTls, "tampered-tls"),
    ] {
        // From the beginning: it never carries anything.
        let (lab, pool, ids, prober) = lab(&format!("{scheme}://{host}/bytes/40")).await;
        lab.set_fault(BAD, fault).await.unwrap();
        prober.sweep(&CancellationToken::new(), |_| {}).await;
        let counts = pool.snapshot().counts();
        assert_eq!((counts.healthy, counts.quarantined), (NODES - 1, 1), "{code}: {counts:?}");
        assert_eq!(pool.node(ids[BAD]).unwrap().quarantine().unwrap().code, code);
        assert_eq!(pool.node(ids[BAD]).unwrap().state(), State::New, "it was never called healthy");
        assert!(!carries(&pool, ids[BAD]));
        // A node that begins to tamper while it serves.
        assert!(carries(&pool, ids[0]));
        lab.set_fault(0, fault).await.unwrap();
        prober.sweep(&CancellationToken::new(), |_| {}).await;
        assert_eq!(pool.snapshot().counts().quarantined, 2, "{code}");
        assert!(!carries(&pool, ids[0]));
        // Good behaviour for a moment does not let it out.
        lab.set_fault(0, Fault::Healthy).await.unwrap();
        prober.sweep(&CancellationToken::new(), |_| {}).await;
        assert!(!carries(&pool, ids[0]));
        lab.shutdown().await;
    }
}

/// What the nodes of a lying world do with plain HTTP; the probe URL is served by all of them.
#[derive(Debug)]
struct Liars {
    /// By server: refuses the canary, or hands it on.
    refuses: Mutex<Vec<String>>,
}

/// A canary that depends on the node alone.
#[derive(Debug)]
struct Whether(Arc<Liars>);

#[async_trait]
impl Canary for Whether {
    async fn fetch(&self, via: &dyn Dialer, _: &Attempt) -> Result<CanaryResult, DialError> {
        let node = format!("{via:?}");
        let refuses =
            self.0.refuses.lock().iter().any(|server| node.starts_with(&format!("FakeNode {{ server: {server}")));
        if refuses { Err(DialError::new(Stage::Handshake, Cause::Forbidden)) } else { Ok(CanaryResult::Intact) }
    }
}

/// Node `n`, in a network of its own.
const fn far(n: u32) -> u32 {
    n * 256
}

/// Sixteen nodes that work, of which some do not bring the canary.
fn lying(refusing: std::ops::Range<u32>) -> (Arc<Nodes>, Arc<World>, Arc<Liars>, Prober) {
    let (world, pool) = (World::new(WORKS), pool((0..16).map(far)));
    let refuses = refusing.map(|n| format!("{:?}", spec(far(n)).server.to_string())).collect();
    let liars = Arc::new(Liars { refuses: Mutex::new(refuses) });
    let canary = || Arc::new(Whether(Arc::clone(&liars))) as Arc<dyn Canary>;
    let canaries = vec![canary(), canary()];
    let check = Arc::new(Connects("url.test:80"));
    let checks = Checks {
        check,
        node_check: None,
        trace: None,
        geo: None,
        canaries,
        uplink: Vec::new(),
        http: None,
        judge: None,
    };
    let fakes = Arc::new(Fakes(Arc::clone(&world)));
    let clock = Clock::starting_at(START);
    let prober = Prober::with(config(), Arc::clone(&pool), fakes, checks, clock, ProbeMetrics::default());
    (pool, world, liars, prober)
}

fn run(prober: &Prober) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let (cancel, prober) = (CancellationToken::new(), prober.clone());
    let stop = cancel.clone();
    (cancel, tokio::spawn(async move { prober.run(stop).await }))
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_bring_what_others_bring_carries_nothing() {
    let (pool, _world, liars, prober) = lying(3..5);
    let (cancel, task) = run(&prober);
    tokio::time::sleep(Duration::from_secs(400)).await;
    for n in [3, 4] {
        let node = pool.node(id(far(n))).unwrap();
        assert_eq!(node.quarantine().map(|caught| caught.code.as_str()), Some("canary-missing"));
        assert!(!carries(&pool, id(far(n))));
    }
    let counts = pool.snapshot().counts();
    assert_eq!((counts.healthy, counts.quarantined), (14, 2));
    // One that has served for long begins to hide, and stops again.
    liars.refuses.lock().push(format!("{:?}", spec(far(7)).server.to_string()));
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert!(!carries(&pool, id(far(7))));
    liars.refuses.lock().clear();
    tokio::time::sleep(Duration::from_secs(150)).await;
    assert!(carries(&pool, id(far(7))) && carries(&pool, id(far(3))), "whoever brings it is let out at once");
    assert_eq!(pool.snapshot().counts().healthy, 16);
    cancel.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_most_nodes_cannot_bring_blames_nobody() {
    for refusing in [0..16, 2..16] {
        let (pool, _world, _liars, prober) = lying(refusing.clone());
        let (cancel, task) = run(&prober);
        tokio::time::sleep(Duration::from_secs(1000)).await;
        let counts = pool.snapshot().counts();
        assert_eq!((counts.healthy, counts.quarantined), (16, 0), "{refusing:?}: {counts:?}");
        cancel.cancel();
        task.await.unwrap();
    }
}
