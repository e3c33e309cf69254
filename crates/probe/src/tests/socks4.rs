//! Nodes of a list that says `socks4` enter service with a probe URL that has a name, whether they take names or not.

use hezar_core::DomainName;
use hezar_engine::{
    AddressPolicy, Engine as _, NativeEngine, NativeEngineConfig, ResolverConfig,
    http::{self, HttpRequest, ResponseLimits},
};
use hezar_formats::parse_link;
use hezar_lab::{DEMO_HOST, Kind, WorldConfig};
use hezar_pool::{Counts, Query};
use tokio_util::sync::CancellationToken;

use super::*;

#[tokio::test]
async fn socks4_nodes_become_healthy_and_serve_by_name() {
    let lab = hezar_lab::World::start(WorldConfig::kinds([Kind::Socks4, Kind::Socks4a, Kind::Socks4])).await.unwrap();
    let pool = Arc::new(Nodes::new(Rules::default()));
    let said = lab.nodes().iter().map(|node| parse_link(&node.link.replace("socks4a://", "socks4://")).unwrap().0);
    let nodes = said.map(|spec| (spec, Label::default())).collect();
    pool.apply(PoolChange::List { source: "lab".into(), allow_private: true, nodes, complete: true }, START);
    let static_hosts =
        hezar_lab::hosts().map(|(name, address)| (DomainName::new(name).unwrap(), vec![address.into()])).collect();
    let resolver = ResolverConfig { servers: vec![([127, 0, 0, 1], 9).into()], static_hosts };
    let engine = NativeEngine::new(&NativeEngineConfig { resolver, ..NativeEngineConfig::default() });
    let config = ProbeConfig {
        timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(60),
        handshake_timeout: Duration::from_secs(60),
        ..ProbeConfig::new(Url::parse(&format!("http://{DEMO_HOST}/generate_204")).unwrap())
    };
    let clock = Clock::starting_at(START);
    let prober = Prober::new(
        config,
        Arc::clone(&pool),
        Arc::new(engine.clone()),
        engine.tls(),
        None,
        clock,
        ProbeMetrics::default(),
    )
    .unwrap();
    prober.sweep(&CancellationToken::new(), |_| {}).await;
    assert_eq!(pool.snapshot().counts(), Counts { healthy: 3, ..Counts::default() });
    let request = HttpRequest::get(&format!("http://{DEMO_HOST}/")).unwrap();
    for seed in 0..6 {
        let lease = pool.pick(&Query::default(), seed).unwrap();
        let dialer = lease
            .payload(|node| engine.dialer(node.spec(), AddressPolicy::allowing_private(node.allow_private())))
            .unwrap();
        let attempt = Attempt::within(Duration::from_secs(60));
        let answer = http::get(&*dialer, engine.tls(), &request, &attempt, ResponseLimits::default()).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    lab.shutdown().await;
}
