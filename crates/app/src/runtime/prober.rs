//! The prober, which is exchanged for another one when its settings change.

use std::sync::Arc;

use anyhow::{Context, bail};
use hezar_probe::{Geo, Ownership, ProbeLog, ProbeMetrics, Prober};
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{base::Base, config::Config, convert};

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
    /// A prober for the configuration, which probes what this instance owns; its metrics are registered.
    pub(crate) fn new(base: &mut Base, ownership: watch::Receiver<Ownership>) -> anyhow::Result<Self> {
        let metrics = ProbeMetrics::default();
        metrics.register(&mut base.registry);
        let log = metrics.log().clone();
        let (pool, engine, clock) = (Arc::clone(&base.pool), Arc::clone(&base.engine), base.clock);
        let tls = base.native.tls().clone();
        let (geo, share) = (Arc::clone(&base.geo), base.probe_share());
        let make = Box::new(move |config: &Config| {
            let geo = Some(Arc::clone(&geo) as Arc<dyn Geo>);
            let concurrency = config.probe.concurrency.unwrap_or(share);
            let config = convert::probe(config, concurrency);
            let (pool, engine) = (Arc::clone(&pool), Arc::clone(&engine));
            let prober = Prober::new(config, pool, engine, &tls, geo, clock, metrics.clone()).context("probe")?;
            Ok(prober.owning(ownership.clone()))
        });
        let first = Arc::new(make(&base.config)?);
        Ok(Self { make, log, current: RwLock::new((first, CancellationToken::new())) })
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
