//! A gateway over a pool that the test changes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hezar_engine::{Clock, Dialer, NativeEngine, NativeEngineConfig};
use hezar_gateway::{Gateway, GatewayConfig, Metrics};
use hezar_pool::{Applied, Origin, Outcome, Pool, PoolChange, Rules};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) struct Stage {
    pub(crate) pool: Arc<Pool<Arc<dyn Dialer>>>,
    pub(crate) proxy: SocketAddr,
    clock: Clock,
}

impl Stage {
    pub(crate) async fn open(config: GatewayConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let pool: Arc<Pool<Arc<dyn Dialer>>> = Arc::new(Pool::new(Rules::default()));
        let clock = Clock::start();
        let engine = Arc::new(NativeEngine::new(&NativeEngineConfig::default()));
        let gateway = Gateway::new(config, pool.clone(), engine, clock, Metrics::default());
        tokio::spawn(async move { gateway.serve(listener, CancellationToken::new()).await.unwrap() });
        Self { pool, proxy, clock }
    }

    /// The source lists these links and no others; all of them are good.
    pub(crate) fn list(&self, links: &str) -> Applied {
        let parsed = hezar_formats::parse(links.as_bytes());
        assert_eq!(parsed.nodes.len(), links.lines().count());
        let nodes: Vec<_> = parsed.nodes.into_iter().map(|node| (node.spec, node.label)).collect();
        let ids: Vec<_> = nodes.iter().map(|(spec, _)| spec.id()).collect();
        let applied =
            self.change(PoolChange::List { source: "lab".into(), allow_private: true, nodes, complete: true });
        for id in ids {
            self.pool.report(id, &Outcome::success(Origin::Probe, Duration::from_millis(5)), self.clock.now());
        }
        applied
    }

    pub(crate) fn change(&self, change: PoolChange) -> Applied {
        self.pool.apply(change, self.clock.now())
    }
}
