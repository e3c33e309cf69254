//! Nodes of a list that says `socks4` enter service with a probe URL that has a name, whether they take names or not.

use hezar_core::DomainName;
use hezar_engine::{
    AddressPolicy, Engine as _, NativeEngineConfig, ResolverConfig,
    http::{self, HttpRequest, ResponseLimits},
};
use hezar_lab::{DEMO_HOST, Kind, WorldConfig};
use hezar_pool::{Counts, Query};
use tokio_util::sync::CancellationToken;

use super::*;

#[tokio::test]
async fn socks4_nodes_become_healthy_and_serve_by_name() {
    let lab = hezar_lab::World::start(WorldConfig::kinds([Kind::Socks4, Kind::Socks4a, Kind::Socks4])).await.unwrap();
    let (pool, _) = lab_pool(&lab, |link| link.replace("socks4a://", "socks4://"));
    let static_hosts =
        hezar_lab::hosts().map(|(name, address)| (DomainName::new(name).unwrap(), vec![address.into()])).collect();
    let resolver = ResolverConfig { servers: vec![([127, 0, 0, 1], 9).into()], static_hosts };
    let engine = NativeEngine::new(&NativeEngineConfig { resolver, ..NativeEngineConfig::default() });
    let prober = lab_prober(&pool, &engine, Vec::new());
    prober.sweep(&CancellationToken::new(), |_| {}).await;
    assert_eq!(pool.snapshot().counts(), Counts { healthy: 3, ..Counts::default() });
    let request = HttpRequest::get(&format!("http://{DEMO_HOST}/")).unwrap();
    for seed in 0..6 {
        let lease = pool.pick(&Query::default(), seed).unwrap();
        let dialer = lease
            .payload(|node| engine.dialer(node.spec(), AddressPolicy::allowing_private(node.allow_private())))
            .unwrap();
        let attempt = Attempt::within(Duration::from_secs(60));
        let answer = http::send(&*dialer, engine.tls(), &request, &attempt, ResponseLimits::default()).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    lab.shutdown().await;
}
