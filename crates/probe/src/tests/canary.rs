//! Nodes that tamper are found in one round: real servers, a real page, real certificates.

use hezar_engine::{Outbounds, OutboundsConfig};
use hezar_formats::parse_link;
use hezar_lab::{DEMO_HOST, Fault, SECURE_HOST, WorldConfig};
use hezar_pool::{Query, State, Strategy};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    CanaryBody,
    canary::{Blame, Suspicion},
};

const NODES: usize = 8;
const BAD: usize = 3;

/// Eight servers, their pool, and a prober with a canary at `url`.
async fn lab(url: &str) -> (hezar_lab::World, Arc<Nodes>, Vec<NodeId>, Prober) {
    let lab = hezar_lab::World::start(WorldConfig::healthy(NODES)).await.unwrap();
    let pool = Arc::new(Nodes::new(Rules::default()));
    let specs: Vec<NodeSpec> = lab.nodes().iter().map(|node| parse_link(&node.link).unwrap().0).collect();
    let ids = specs.iter().map(NodeSpec::id).collect();
    let nodes = specs.into_iter().map(|spec| (spec, Label::default())).collect();
    pool.apply(Change::List { source: "lab".into(), allow_private: true, nodes, complete: true }, START);
    let roots = vec![lab.root().to_vec().into()];
    let outbounds = Outbounds::new(&OutboundsConfig { extra_roots: roots, ..OutboundsConfig::default() });
    let config = ProbeConfig {
        canary: Some((Url::parse(url).unwrap(), CanaryBody::Text("h".repeat(40).into()))),
        // Generous: a busy machine must not make a node fail.
        timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(60),
        handshake_timeout: Duration::from_secs(60),
        ..ProbeConfig::new(Url::parse(&format!("http://{DEMO_HOST}/generate_204")).unwrap())
    };
    let clock = Clock::starting_at(START);
    let prober = Prober::new(config, Arc::clone(&pool), outbounds, None, clock, Metrics::default()).unwrap();
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

#[test]
fn a_page_that_has_changed_is_no_nodes_fault() {
    let mut suspicion = Suspicion::default();
    for n in 0..32 {
        assert_eq!(suspicion.tampered(id(n), "tampered-body", at(0)), Blame::Nobody);
    }
    assert_eq!(suspicion.tampered(id(32), "tampered-body", at(0)), Blame::Page);
    let blamed = suspicion.intact(id(1), at(1));
    assert_eq!(blamed.len(), 32, "all but the one that has brought the right page");
    assert_eq!(suspicion.tampered(id(5), "tampered-body", at(2)), Blame::Node);
    assert_eq!(suspicion.tampered(id(5), "tampered-body", at(2000)), Blame::Nobody, "that was long ago");
    suspicion.forget(id(5));
    assert!(suspicion.intact(id(6), at(2001)).is_empty());
}
