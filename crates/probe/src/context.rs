//! What every probe needs, shared by the prober's task and the probes that it starts.

use std::{fmt::Debug, sync::Arc, time::Duration};

use hezar_engine::{Attempt, Clock, Dialer, Engine};
use hezar_pool::{Node, Pool, State};
use tokio::sync::{Mutex, mpsc};

use crate::{
    Canary, Check, ExitLookup, Geo, HttpNodeChecks, Judge, NodeCheck, ProbeConfig, ProbeMetrics,
    control::ControlChecks, demand::Demand,
};

/// What a node of the pool carries.
pub(crate) type Payload = Arc<dyn Dialer>;

/// The probe of a node that is healthy, or was so lately, is given up after so many times its latency …
const SILENT_FOR: u32 = 8;
/// … and not before this time: a lost packet of a TCP handshake costs a second (RFC 6298 §2).
const SHORTEST: Duration = Duration::from_secs(2);

/// What a probe needs; shared by all of them.
#[derive(Debug)]
pub(crate) struct ProbeContext {
    pub(crate) config: ProbeConfig,
    pub(crate) pool: Arc<Pool<Payload>>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) check: Arc<dyn Check>,
    /// What checks nodes in the place of `check` through the engine's dialers.
    pub(crate) node_check: Option<Arc<dyn NodeCheck>>,
    pub(crate) trace: Option<Arc<dyn ExitLookup>>,
    pub(crate) geo: Option<Arc<dyn Geo>>,
    pub(crate) canaries: Vec<Arc<dyn Canary>>,
    /// What shows the ways through an HTTP proxy.
    pub(crate) http: Option<HttpNodeChecks>,
    /// What shows how much an HTTP proxy gives away.
    pub(crate) judge: Option<Judge>,
    pub(crate) controls: ControlChecks,
    pub(crate) clock: Clock,
    pub(crate) metrics: ProbeMetrics,
    pub(crate) demands: mpsc::Sender<Demand>,
    /// Held by the task that probes, so that another one can take over when it ends.
    pub(crate) demanded: Mutex<mpsc::Receiver<Demand>>,
}

impl ProbeContext {
    /// The bounds of a probe of this node. One that is healthy is given up sooner when it is silent for many times its
    /// latency: it becomes suspect by that, and its next probe has the whole time. So is one that has died lately, since it
    /// answers as fast as before when it is back; each fourth of its probes has the whole time, in case it does not.
    pub(crate) fn attempt_at(&self, node: &Node<Payload>) -> Attempt {
        let attempt = self.attempt();
        let is_short = match node.state() {
            State::Healthy => true,
            State::Dead => !node.record().failures.is_multiple_of(4),
            State::New | State::Suspect => false,
        };
        match node.latency().filter(|_| is_short) {
            Some(latency) => attempt.at_most((latency * SILENT_FOR).max(SHORTEST)),
            None => attempt,
        }
    }

    /// The bounds of one probe.
    pub(crate) fn attempt(&self) -> Attempt {
        let config = &self.config;
        Attempt::within(config.timeout).with_stage_limits(config.connect_timeout, config.handshake_timeout)
    }
}

/// The questions that a prober asks.
#[derive(Debug)]
pub struct Checks {
    /// Through every node; also directly, by the guard.
    pub check: Arc<dyn Check>,
    /// What checks every node in the place of `check` through the engine's dialers; the guard's own checks stay as they are.
    pub node_check: Option<Arc<dyn NodeCheck>>,
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
    /// Through an HTTP proxy that works, rarely; also directly, where control checks are allowed to.
    pub judge: Option<Judge>,
}
