//! The prober, which is exchanged for another one when its settings change.

use std::sync::Arc;

use anyhow::{Context, bail};
use hezar_probe::{Checks, Geo, Ownership, ProbeLog, ProbeMetrics, Prober};
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{base::Base, clash_engine::ClashEngine, config::Config, convert};

/// Makes a prober for a configuration.
type Maker = Box<dyn Fn(&Config) -> anyhow::Result<Prober> + Send + Sync>;

/// The place of the prober that works now.
pub(crate) struct ProberSlot {
    make: Maker,
    /// The last probes of each node, also those of probers that worked before.
    log: ProbeLog,
    /// The prober, and what ends it when another one takes its place.
    current: RwLock<(Arc<Prober>, CancellationToken)>,
}

impl ProberSlot {
    /// A prober for the configuration, which probes what this instance owns; its metrics are registered. Where Clash cores are the engine,
    /// one of them checks the nodes.
    pub(crate) fn new(
        base: &mut Base,
        ownership: watch::Receiver<Ownership>,
        clash: Option<&Arc<ClashEngine>>,
    ) -> anyhow::Result<Self> {
        let metrics = ProbeMetrics::default();
        metrics.register(&mut base.registry);
        let log = metrics.log().clone();
        let (pool, engine, clock) = (Arc::clone(&base.pool), Arc::clone(&base.engine), base.clock);
        let tls = base.native.tls().clone();
        let (geo, share) = (Arc::clone(&base.geo), base.probe_share());
        let clash = clash.cloned();
        let make = Box::new(move |config: &Config| {
            let geo = Some(Arc::clone(&geo) as Arc<dyn Geo>);
            let concurrency = config.probe.concurrency.unwrap_or(share);
            let config = convert::probe(config, concurrency);
            let (pool, engine) = (Arc::clone(&pool), Arc::clone(&engine));
            let mut checks = Checks::new(&config, &tls, geo).context("probe")?;
            checks.node_check = clash.as_ref().map(|clash| clash.node_check(&config));
            let prober = Prober::with(config, pool, engine, checks, clock, metrics.clone());
            Ok(prober.owning(ownership.clone()))
        });
        let first = Arc::new(make(&base.config)?);
        Ok(Self { make, log, current: RwLock::new((first, CancellationToken::new())) })
    }

    /// A prober of a command that probes all nodes itself, with the engine's own dialers.
    pub(crate) fn alone(base: &mut Base) -> anyhow::Result<Self> {
        let (_, ownership) = watch::channel(Ownership::everything());
        Self::new(base, ownership, None)
    }

    /// The prober that works now.
    pub(crate) fn get(&self) -> Arc<Prober> {
        Arc::clone(&self.current.read().0)
    }

    /// The last probes of each node.
    pub(crate) const fn log(&self) -> &ProbeLog {
        &self.log
    }

    /// A prober for another configuration, which does not work yet.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub(crate) fn make(&self, config: &Config) -> anyhow::Result<Prober> {
        (self.make)(config)
    }

    /// Lets another prober work in the place of the one that does. What the nodes' records say stays, and with it when each
    /// node was probed last.
    pub(crate) fn replace(&self, prober: Prober) {
        let (_, ended) = std::mem::replace(&mut *self.current.write(), (Arc::new(prober), CancellationToken::new()));
        ended.cancel();
    }

    /// Lets the prober of the time work until `stop`.
    ///
    /// # Errors
    /// It ended by itself.
    pub(crate) async fn run(&self, stop: CancellationToken) -> anyhow::Result<()> {
        while !stop.is_cancelled() {
            let (prober, replaced) = self.current.read().clone();
            let end = CancellationToken::new();
            let working = prober.run(end.clone());
            tokio::pin!(working);
            tokio::select! {
                () = working.as_mut() => bail!("the prober ended by itself"),
                () = stop.cancelled() => {}
                () = replaced.cancelled() => {}
            }
            end.cancel();
            working.await;
        }
        Ok(())
    }
}
