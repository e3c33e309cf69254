//! Free HTTP proxies as they are: some tunnel anywhere, some to port 443 only, some not at all, some are dead. Each is
//! used for what it can, and clients notice nothing.

use std::{sync::Arc, time::Duration};

use hezar_core::{Label, NodeSpec};
use hezar_engine::{
    AddressPolicy, Attempt, Clock, Dialer, Engine as _, NativeEngine, NativeEngineConfig,
    http::{self, HttpRequest, ResponseLimits},
};
use hezar_formats::parse_link;
use hezar_gateway::{Gateway, GatewayConfig, Metrics};
use hezar_lab::{DEMO_HOST, Fault, Kind, SECURE_HOST, World, WorldConfig};
use hezar_pool::{HttpWay, Pool, PoolChange, Rules, State};
use hezar_probe::{ProbeConfig, Prober};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::harness::PATIENCE;

/// Nodes of each kind.
const EACH: usize = 10;
/// Requests of each scheme.
const REQUESTS: usize = 100;

type Nodes = Pool<Arc<dyn Dialer>>;

/// Ten that connect anywhere, ten to port 443 only, ten that take absolute form only, ten dead.
async fn lab() -> World {
    let kinds = [Kind::Http, Kind::HttpTunnel443, Kind::HttpPlain, Kind::Http].into_iter();
    let mut config = WorldConfig::kinds(kinds.flat_map(|kind| std::iter::repeat_n(kind, EACH)));
    config.upstreams[3 * EACH..].iter_mut().for_each(|dead| dead.fault = Fault::Refused);
    World::start(config).await.unwrap()
}

fn listed(lab: &World, clock: Clock) -> Arc<Nodes> {
    let pool = Arc::new(Nodes::new(Rules::default()));
    let nodes = lab.nodes().iter().map(|node| (parse_link(&node.link).unwrap().0, Label::default())).collect();
    pool.apply(PoolChange::List { source: "lab".into(), allow_private: true, nodes, complete: true }, clock.now());
    pool
}

async fn probed(lab: &World, url: &str, trace: &str) -> (Arc<Nodes>, NativeEngine, Clock) {
    let clock = Clock::start();
    let pool = listed(lab, clock);
    let engine =
        NativeEngine::new(&NativeEngineConfig { extra_roots: vec![lab.root().to_vec().into()], ..Default::default() });
    let config = ProbeConfig {
        trace_url: Some(Url::parse(trace).unwrap()),
        canaries: vec![hezar_probe::CanaryPage {
            url: Url::parse(&format!("http://{DEMO_HOST}/bytes/40")).unwrap(),
            body: hezar_probe::CanaryBody::Text("h".repeat(40).into()),
        }],
        // Generous: a busy machine must not make a node fail.
        timeout: PATIENCE,
        connect_timeout: PATIENCE,
        handshake_timeout: PATIENCE,
        ..ProbeConfig::new(Url::parse(url).unwrap())
    };
    let metrics = hezar_probe::ProbeMetrics::default();
    let prober =
        Prober::new(config, Arc::clone(&pool), Arc::new(engine.clone()), engine.tls(), None, clock, metrics).unwrap();
    prober.sweep(&CancellationToken::new(), |_| {}).await;
    (pool, engine, clock)
}

/// What the prober knows of each node, by its place in the world: plain, 443, other ports.
fn known(lab: &World, pool: &Nodes) -> Vec<(State, [Option<bool>; 3])> {
    let of = |link: &str| {
        let node = pool.node(parse_link(link).unwrap().0.id()).unwrap();
        let ability = node.http_ability();
        let ways = [HttpWay::Plain, HttpWay::Tunnel443, HttpWay::TunnelOther].map(|way| ability.works_through(way));
        (node.state(), ways)
    };
    lab.nodes().iter().map(|node| of(&node.link)).collect()
}

fn secure_trace() -> String {
    format!("https://{SECURE_HOST}/cdn-cgi/trace")
}

#[tokio::test]
async fn a_plain_page_tells_the_exit_of_every_proxy_that_reaches_it() {
    let lab = lab().await;
    let (pool, ..) =
        probed(&lab, &format!("http://{DEMO_HOST}/generate_204"), &format!("http://{DEMO_HOST}/cdn-cgi/trace")).await;
    for (place, node) in lab.nodes().iter().enumerate() {
        let exit = pool.node(parse_link(&node.link).unwrap().0.id()).unwrap().record().exit_ip;
        // Those that tunnel to any port, in a tunnel; those that take plain requests, in absolute form.
        assert_eq!(exit.is_some(), matches!(place / EACH, 0 | 2), "{place}");
    }
    lab.shutdown().await;
}

#[tokio::test]
async fn the_prober_finds_out_what_http_nodes_carry_whatever_its_url() {
    let lab = lab().await;
    for url in [format!("http://{DEMO_HOST}/generate_204"), format!("https://{SECURE_HOST}/generate_204")] {
        let (pool, ..) = probed(&lab, &url, &secure_trace()).await;
        let known = known(&lab, &pool);
        for (place, (state, [plain, secure, other])) in known.into_iter().enumerate() {
            match place / EACH {
                0 => {
                    assert_eq!((state, plain, secure), (State::Healthy, Some(false), Some(true)), "{url} {place}");
                    assert_ne!(other, Some(false), "{url} {place}");
                }
                1 => assert_eq!(
                    (state, plain, secure, other),
                    (State::Healthy, Some(false), Some(true), Some(false)),
                    "{url} {place}"
                ),
                2 => assert_eq!(
                    (state, plain, secure, other),
                    (State::Healthy, Some(true), Some(false), Some(false)),
                    "{url} {place}"
                ),
                _ => assert_ne!(state, State::Healthy, "{url} {place}"),
            }
        }
    }
    lab.shutdown().await;
}

#[tokio::test]
async fn every_http_node_serves_what_it_can() {
    let lab = lab().await;
    let (pool, engine, clock) = probed(&lab, &format!("http://{DEMO_HOST}/generate_204"), &secure_trace()).await;
    let before: Vec<_> = lab.nodes().iter().map(|node| lab.counts(node.index).unwrap().requests).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = GatewayConfig { listen: address, ..GatewayConfig::default() };
    let gateway = Gateway::new(config, pool, Arc::new(engine.clone()), clock, Metrics::default());
    let stop = CancellationToken::new();
    let serving = tokio::spawn({
        let stop = stop.clone();
        async move { gateway.serve(listener, stop).await.unwrap() }
    });
    // Our own engine is the client: it sends absolute form to an HTTP proxy, and CONNECT for https.
    let proxy: NodeSpec = parse_link(&format!("http://{address}")).unwrap().0;
    let client = engine.dialer(&proxy, AddressPolicy::Any).unwrap();
    let mut good = [0; 2];
    for round in 0..REQUESTS {
        for (scheme, url) in
            [format!("http://{DEMO_HOST}/{round}"), format!("https://{SECURE_HOST}/{round}")].iter().enumerate()
        {
            let request = HttpRequest::get(url).unwrap();
            let attempt = Attempt::within(Duration::from_secs(30));
            let answer = http::send(&*client, engine.tls(), &request, &attempt, ResponseLimits::default()).await;
            good[scheme] += usize::from(answer.is_ok_and(|answer| answer.status() == 200));
        }
    }
    let served: Vec<u64> =
        lab.nodes().iter().map(|node| lab.counts(node.index).unwrap().requests - before[node.index]).collect();
    let by_kind: Vec<u64> = served.chunks(EACH).map(|kind| kind.iter().sum()).collect();
    println!("http:// {} of {REQUESTS}, https:// {} of {REQUESTS}", good[0], good[1]);
    println!(
        "requests over nodes that connect anywhere {}, to 443 only {}, absolute form only {}, dead {}",
        by_kind[0], by_kind[1], by_kind[2], by_kind[3]
    );
    assert_eq!(good, [REQUESTS; 2]);
    assert!(by_kind[..3].iter().all(|served| *served > 0) && by_kind[3] == 0, "{by_kind:?}");
    let used = served[..3 * EACH].iter().filter(|served| **served > 0).count();
    assert!(used >= 2 * EACH, "{used} of {} nodes were used: {served:?}", 3 * EACH);
    stop.cancel();
    serving.await.unwrap();
    lab.shutdown().await;
}
