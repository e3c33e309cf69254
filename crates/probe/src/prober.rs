//! The prober: what it is made of, and its two ways of working, without end and one pass.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use hezar_core::{NodeId, NodeSpec};
use hezar_engine::{Attempt, BuildError, Clock, Dialer, Outbounds};
use hezar_pool::Pool;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    Canary, Check, ConfigError, ExitLookup, Geo, HttpCanary, HttpCheck, HttpNodeChecks, Metrics, Outage, ProbeAnswers,
    ProbeConfig, ProbeNowError, Progress, TraceLookup,
    control::Controls,
    demand::{Demand, MOST_WAITING},
    runner::Runner,
};

/// What a node of the pool carries.
pub(crate) type Payload = Arc<dyn Dialer>;

/// Makes the dialers that probes use.
pub trait Dialers: Debug + Send + Sync {
    /// The dialer of a node.
    ///
    /// # Errors
    /// [`BuildError`] when there can be none; the node is then marked unsupported.
    fn node(&self, spec: &NodeSpec, allow_private: bool) -> Result<Arc<dyn Dialer>, BuildError>;

    /// The dialer of this machine, for control checks.
    fn direct(&self) -> Arc<dyn Dialer>;
}

impl Dialers for Outbounds {
    fn node(&self, spec: &NodeSpec, allow_private: bool) -> Result<Arc<dyn Dialer>, BuildError> {
        self.dialer(spec, allow_private)
    }

    /// Control URLs come from the operator, who may well name a private address.
    fn direct(&self) -> Arc<dyn Dialer> {
        Self::direct(self, true)
    }
}

/// What a probe needs; shared by all of them.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: ProbeConfig,
    pub(crate) pool: Arc<Pool<Payload>>,
    pub(crate) dialers: Arc<dyn Dialers>,
    pub(crate) check: Arc<dyn Check>,
    pub(crate) trace: Option<Arc<dyn ExitLookup>>,
    pub(crate) geo: Option<Arc<dyn Geo>>,
    pub(crate) canaries: Vec<Arc<dyn Canary>>,
    /// What shows the ways through an HTTP proxy.
    pub(crate) http: Option<HttpNodeChecks>,
    pub(crate) controls: Controls,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) demands: mpsc::Sender<Demand>,
    /// Held by the task that probes, so that another one can take over when it ends.
    pub(crate) demanded: Mutex<mpsc::Receiver<Demand>>,
}

impl Shared {
    /// The bounds of one probe.
    pub(crate) fn attempt(&self) -> Attempt {
        let config = &self.config;
        Attempt::within(config.timeout).with_stage_limits(config.connect_timeout, config.handshake_timeout)
    }
}

/// Checks the nodes of a pool and reports what it saw. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Prober {
    pub(crate) shared: Arc<Shared>,
}

impl Prober {
    /// A prober with HTTP checks after the configuration.
    ///
    /// # Errors
    /// [`ConfigError`] when a URL cannot be asked for.
    pub fn new(
        config: ProbeConfig,
        pool: Arc<Pool<Payload>>,
        outbounds: Outbounds,
        geo: Option<Arc<dyn Geo>>,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Self, ConfigError> {
        let tls = outbounds.tls().clone();
        let check = HttpCheck::new(&config.url, Some(config.expect_status), config.expect_body.clone(), tls.clone());
        let check: Arc<dyn Check> = Arc::new(check.map_err(ConfigError::Url)?);
        let mut trace: Option<Arc<dyn ExitLookup>> = None;
        if let Some(url) = &config.trace_url {
            trace = Some(Arc::new(TraceLookup::new(url, tls.clone()).map_err(ConfigError::Trace)?));
        }
        let mut canaries: Vec<Arc<dyn Canary>> = Vec::new();
        for page in &config.canaries {
            canaries.push(Arc::new(HttpCanary::new(page, tls.clone()).map_err(ConfigError::Canary)?));
        }
        let mut uplink: Vec<Arc<dyn Check>> = Vec::new();
        for url in &config.control {
            let check = HttpCheck::new(url, None, None, tls.clone());
            uplink.push(Arc::new(check.map_err(|error| ConfigError::Control(url.as_str().into(), error))?));
        }
        let http = Some(HttpNodeChecks::new(&config, &tls).map_err(ConfigError::Url)?);
        let checks = Checks { check, trace, geo, canaries, uplink, http };
        Ok(Self::with(config, pool, Arc::new(outbounds), checks, clock, metrics))
    }

    /// A prober with checks and dialers of one's own; of the configuration, the URLs are not used.
    #[must_use]
    pub fn with(
        config: ProbeConfig,
        pool: Arc<Pool<Payload>>,
        dialers: Arc<dyn Dialers>,
        checks: Checks,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        let controls = Controls::new(checks.uplink, Arc::clone(&checks.check));
        let (check, trace, geo, canaries, http) =
            (checks.check, checks.trace, checks.geo, checks.canaries, checks.http);
        let (demands, demanded) = mpsc::channel(MOST_WAITING);
        let demanded = Mutex::new(demanded);
        Self {
            shared: Arc::new(Shared {
                config,
                pool,
                dialers,
                check,
                trace,
                geo,
                canaries,
                http,
                controls,
                clock,
                metrics,
                demands,
                demanded,
            }),
        }
    }

    /// Probes until cancelled; every node again and again. Probes that run at that moment are given up.
    pub async fn run(&self, cancel: CancellationToken) {
        Runner::endless(Arc::clone(&self.shared)).run(&cancel).await;
    }

    /// Asks the task in [`Prober::run`] to probe these nodes now, before all others and within the same limits. The
    /// answers come as the probes end; a node whose probe is on its way already is answered by that one.
    ///
    /// # Errors
    /// [`ProbeNowError`]: nothing runs, or too many demands wait.
    pub fn probe_now(&self, ids: impl IntoIterator<Item = NodeId>) -> Result<ProbeAnswers, ProbeNowError> {
        if self.shared.demanded.try_lock().is_ok() {
            return Err(ProbeNowError::NotRunning);
        }
        let ids: BTreeSet<NodeId> = ids.into_iter().collect();
        let (answers, receiver) = mpsc::unbounded_channel();
        let asked = ids.len();
        let demand = Demand { ids: ids.into_iter().collect(), answers };
        self.shared.demands.try_send(demand).map_err(|_| ProbeNowError::Busy)?;
        Ok(ProbeAnswers::new(asked, receiver))
    }

    /// What is down on our side while no failure counts; `None` while failures count.
    #[must_use]
    pub fn outage(&self) -> Option<Outage> {
        self.shared.metrics.outage()
    }

    /// Probes every node of the pool once and reports the outcomes to it. `progress` is called after each; the last
    /// value is returned. When cancelled it ends early.
    pub async fn sweep(&self, cancel: &CancellationToken, progress: impl FnMut(&Progress) + Send) -> Progress {
        Runner::once(Arc::clone(&self.shared)).sweep(cancel, progress).await
    }
}

/// The questions that a prober asks.
#[derive(Debug)]
pub struct Checks {
    /// Through every node; also directly, by the guard.
    pub check: Arc<dyn Check>,
    /// Through a working node, rarely.
    pub trace: Option<Arc<dyn ExitLookup>>,
    /// Nobody: what this machine knows about the addresses that the lookups bring. It is believed before them.
    pub geo: Option<Arc<dyn Geo>>,
    /// Through every node that works, one or two of them: does it hand on what it was given?
    pub canaries: Vec<Arc<dyn Canary>>,
    /// Directly, by the guard, when failures pile up.
    pub uplink: Vec<Arc<dyn Check>>,
    /// What shows the ways through an HTTP proxy; without it such a node is checked as any other.
    pub http: Option<HttpNodeChecks>,
}
