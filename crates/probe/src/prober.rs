//! The prober: what it is made of, and its two ways of working, without end and one pass.

use std::{collections::BTreeSet, sync::Arc};

use hezar_core::NodeId;
use hezar_engine::{Clock, Engine, TlsClients};
use hezar_pool::Pool;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    Canary, Check, ExitLookup, Geo, HttpCanary, HttpCheck, HttpNodeChecks, Judge, Outage, Ownership, ProbeAnswers,
    ProbeConfig, ProbeConfigError, ProbeMetrics, ProbeNowError, Progress, TraceLookup,
    context::{Checks, Payload, ProbeContext},
    control::ControlChecks,
    demand::{Demand, MOST_WAITING},
    runner::Runner,
};

/// Checks the nodes of a pool and reports what it saw. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Prober {
    pub(crate) context: Arc<ProbeContext>,
    ownership: watch::Receiver<Ownership>,
}

impl Checks {
    /// The HTTP checks of a configuration, whose certificates `tls` verifies.
    ///
    /// # Errors
    /// [`ProbeConfigError`] when a URL cannot be asked for.
    pub fn new(config: &ProbeConfig, tls: &TlsClients, geo: Option<Arc<dyn Geo>>) -> Result<Self, ProbeConfigError> {
        let check = HttpCheck::new(&config.url, Some(config.expect_status), config.expect_body.clone(), tls.clone());
        let check: Arc<dyn Check> = Arc::new(check.map_err(ProbeConfigError::Url)?);
        let mut trace: Option<Arc<dyn ExitLookup>> = None;
        if let Some(url) = &config.trace_url {
            trace = Some(Arc::new(TraceLookup::new(url, tls.clone()).map_err(ProbeConfigError::Trace)?));
        }
        let mut canaries: Vec<Arc<dyn Canary>> = Vec::new();
        for page in &config.canaries {
            canaries.push(Arc::new(HttpCanary::new(page, tls.clone()).map_err(ProbeConfigError::Canary)?));
        }
        let mut uplink: Vec<Arc<dyn Check>> = Vec::new();
        for url in &config.control {
            let check = HttpCheck::new(url, None, None, tls.clone());
            uplink.push(Arc::new(check.map_err(|error| ProbeConfigError::Control(url.as_str().into(), error))?));
        }
        let http = Some(HttpNodeChecks::new(config, tls).map_err(ProbeConfigError::Url)?);
        let mut judge = None;
        if let Some(url) = &config.judge_url {
            judge = Some(Judge::new(url, tls.clone()).map_err(ProbeConfigError::Judge)?);
        }
        Ok(Self { check, node_check: None, trace, geo, canaries, uplink, http, judge })
    }
}

impl Prober {
    /// A prober with HTTP checks after the configuration, whose certificates `tls` verifies.
    ///
    /// # Errors
    /// [`ProbeConfigError`] when a URL cannot be asked for.
    pub fn new(
        config: ProbeConfig,
        pool: Arc<Pool<Payload>>,
        engine: Arc<dyn Engine>,
        tls: &TlsClients,
        geo: Option<Arc<dyn Geo>>,
        clock: Clock,
        metrics: ProbeMetrics,
    ) -> Result<Self, ProbeConfigError> {
        let checks = Checks::new(&config, tls, geo)?;
        Ok(Self::with(config, pool, engine, checks, clock, metrics))
    }

    /// A prober with checks of one's own; of the configuration, the URLs are not used.
    #[must_use]
    pub fn with(
        config: ProbeConfig,
        pool: Arc<Pool<Payload>>,
        engine: Arc<dyn Engine>,
        checks: Checks,
        clock: Clock,
        metrics: ProbeMetrics,
    ) -> Self {
        let Checks { check, node_check, trace, geo, canaries, uplink, http, judge } = checks;
        let controls = ControlChecks::new(uplink, Arc::clone(&check));
        let (demands, demanded) = mpsc::channel(MOST_WAITING);
        let demanded = Mutex::new(demanded);
        let (_, ownership) = watch::channel(Ownership::everything());
        Self {
            ownership,
            context: Arc::new(ProbeContext {
                config,
                pool,
                engine,
                check,
                node_check,
                trace,
                geo,
                canaries,
                http,
                judge,
                controls,
                clock,
                metrics,
                demands,
                demanded,
            }),
        }
    }

    /// The same prober for a part of the pool: [`Prober::run`] probes what it owns at the time, and demands for any node.
    #[must_use]
    pub fn owning(self, ownership: watch::Receiver<Ownership>) -> Self {
        Self { ownership, ..self }
    }

    /// Probes until cancelled; every node that it owns again and again. Probes that run at that moment are given up.
    pub async fn run(&self, cancel: CancellationToken) {
        Runner::endless(Arc::clone(&self.context)).sharing(self.ownership.clone()).run(&cancel).await;
    }

    /// The nodes that [`Prober::run`] has in its schedule.
    #[must_use]
    pub fn scheduled(&self) -> usize {
        self.context.metrics.scheduled_nodes()
    }

    /// Asks the task in [`Prober::run`] to probe these nodes now, before all others and within the same limits. The
    /// answers come as the probes end; a node whose probe is on its way already is answered by that one.
    ///
    /// # Errors
    /// [`ProbeNowError`]: nothing runs, or too many demands wait.
    pub fn probe_now(&self, ids: impl IntoIterator<Item = NodeId>) -> Result<ProbeAnswers, ProbeNowError> {
        if self.context.demanded.try_lock().is_ok() {
            return Err(ProbeNowError::NotRunning);
        }
        let ids: BTreeSet<NodeId> = ids.into_iter().collect();
        let (answers, receiver) = mpsc::unbounded_channel();
        let asked = ids.len();
        let demand = Demand { ids: ids.into_iter().collect(), answers };
        self.context.demands.try_send(demand).map_err(|_| ProbeNowError::Busy)?;
        Ok(ProbeAnswers::new(asked, receiver))
    }

    /// What is down on our side while no failure counts; `None` while failures count.
    #[must_use]
    pub fn outage(&self) -> Option<Outage> {
        self.context.metrics.outage()
    }

    /// Probes every node of the pool once and reports the outcomes to it. `progress` is called after each; the last
    /// value is returned. When cancelled it ends early.
    pub async fn sweep(&self, cancel: &CancellationToken, progress: impl FnMut(&Progress) + Send) -> Progress {
        Runner::once(Arc::clone(&self.context)).sweep(cancel, progress).await
    }
}
