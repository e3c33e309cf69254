//! Keeps mihomo running while nodes want it, and in step with the slots.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{config, setup::MihomoSetup};
use crate::{
    Controller, ControllerError, CoreError, CoreHome, RefusedProxy,
    current::Core,
    follow::{CoreDriver, run_driven},
    loopback::{accept, are_own, free_address},
    slots::SlotPlan,
};

/// How long the first change waits for others.
const GATHER: Duration = Duration::from_millis(50);
/// The shortest pause between two configurations: after each of them every QUIC connection to a node is made anew.
const SHORTEST_GAP: Duration = Duration::from_secs(2);
/// The longest of these pauses: probes do not wait for ever.
const LONGEST_GAP: Duration = Duration::from_secs(5);
/// The pause is so many times what the last configuration took.
const GAP_FACTOR: u32 = 5;
/// How long connections that were just opened have to be taken in: the core closes new ones for a moment while it takes over a configuration.
const TAKEN_IN: Duration = Duration::from_millis(20);
/// How many nodes are set aside in one go; the others are told at the next turn.
const MOST_REFUSALS: usize = 200;
/// How long new listeners may take to listen.
const LISTEN: Duration = Duration::from_secs(5);

/// Runs mihomo until nobody has used it for a while.
pub(crate) async fn run_once(core: &Core, home: Arc<CoreHome>, stop: &CancellationToken) {
    let setup = Arc::new(MihomoSetup::new(core.start.program.clone(), Arc::clone(&core.slots)));
    let mut driver = Driver::new(core, &setup, MihomoSetup::controller(&home));
    run_driven(core, Arc::clone(&setup), home, &mut driver, stop).await;
}

/// Why a configuration could not be told.
#[derive(Debug)]
pub(super) enum Failed {
    /// The core has to be looked at again.
    Core(ControllerError),
    /// This machine has no port left.
    Machine(CoreError),
}

/// Tells one mihomo what its slots hold.
pub(super) struct Driver<'a> {
    core: &'a Core,
    setup: &'a MihomoSetup,
    controller: Controller,
    /// One for each block of slots that the core knows.
    pub(super) listeners: Vec<SocketAddr>,
    /// When the next configuration may be told.
    not_before: Instant,
}

impl<'a> Driver<'a> {
    pub(super) fn new(core: &'a Core, setup: &'a MihomoSetup, controller: Controller) -> Self {
        Self { core, setup, controller, listeners: Vec::new(), not_before: Instant::now() }
    }

    /// The core serves what it was started with.
    async fn begin(&mut self, start: u64, pid: u32) {
        let Some(begun) = self.setup.begun() else { return };
        self.listeners.clone_from(&begun.listeners);
        self.core.start.set_trouble(None);
        self.core.start.set_version(self.controller.version().await.ok().map(|version| version.version));
        self.core.slots.set_up(start, pid, begun.listeners);
        self.core.slots.publish(&begun.plan);
        if !begun.is_whole {
            self.core.slots.plan_again();
        }
        self.not_before = Instant::now();
    }

    /// Tells the core every change, for ever.
    async fn keep_in_step(&mut self) {
        loop {
            self.core.slots.changed().await;
            sleep_until(self.not_before.max(Instant::now() + GATHER)).await;
            let began = Instant::now();
            if let Err(failed) = self.tell().await {
                self.core.slots.plan_again();
                match failed {
                    // Whether the core is gone shows soon.
                    Failed::Core(error) => tracing::debug!("mihomo was not told its nodes: {error}"),
                    Failed::Machine(error) => tracing::error!("mihomo was not told its nodes: {error}"),
                }
            }
            self.not_before = Instant::now() + (began.elapsed() * GAP_FACTOR).clamp(SHORTEST_GAP, LONGEST_GAP);
        }
    }

    /// Tells the core what its slots hold now. Nodes that it refuses are set aside.
    pub(super) async fn tell(&mut self) -> Result<(), Failed> {
        let mut plan = self.core.slots.plan();
        let mut listeners = self.listeners.clone();
        while listeners.len() < plan.blocks.len() {
            listeners.push(free_address().await.map_err(Failed::Machine)?);
        }
        for _ in 0..MOST_REFUSALS {
            let rendered = config::render(&plan, &listeners);
            let error = match self.put(&rendered.text).await {
                Ok(()) => return self.told(&plan, listeners).await,
                Err(error) => error,
            };
            let Some(message) = error.refusal() else { return Err(Failed::Core(error)) };
            let Some(left_out) = self.set_aside(&plan, &rendered.owners, message) else {
                return Err(Failed::Core(error));
            };
            plan = plan.without(&left_out);
        }
        self.core.slots.plan_again();
        Ok(())
    }

    /// Sends a configuration while no dial begins.
    async fn put(&self, text: &str) -> Result<(), ControllerError> {
        let _closed = self.core.gate.write().await;
        sleep(TAKEN_IN).await;
        let began = Instant::now();
        let result = self.controller.put_configuration(text).await;
        self.core.start.note_reload(began.elapsed(), result.is_ok());
        result
    }

    /// The core has taken a configuration.
    async fn told(&mut self, plan: &SlotPlan, listeners: Vec<SocketAddr>) -> Result<(), Failed> {
        let fresh = listeners.get(self.listeners.len()..).unwrap_or_default();
        let listening = async {
            while !accept(fresh).await || !are_own(fresh) {
                sleep(TAKEN_IN).await;
            }
        };
        // Somebody else has taken a port meanwhile: other ones are found at the next turn.
        timeout(LISTEN, listening).await.map_err(|_| Failed::Core(ControllerError::Timeout))?;
        self.listeners.clone_from(&listeners);
        self.core.slots.set_listeners(listeners);
        self.core.slots.publish(plan);
        Ok(())
    }

    /// Finds out which node a refusal is about; gives the slots that are left out next time. `None` when it is about none.
    fn set_aside(&self, plan: &SlotPlan, owners: &[usize], message: &str) -> Option<Vec<usize>> {
        let refuse = |index: usize, reason: &str| {
            let planned = plan.slots.get(index).filter(|slot| slot.node.is_some())?;
            self.core.slots.refuse(index, planned, reason);
            Some(vec![index])
        };
        if let Some(RefusedProxy { index, reason }) = RefusedProxy::find(message)
            && let Some(left_out) = owners.get(index).and_then(|owner| refuse(*owner, &reason))
        {
            return Some(left_out);
        }
        // The message names no node: one of those that the core has not seen is found by halves.
        match plan.unproven().as_slice() {
            [] => None,
            [only] => refuse(*only, message),
            several => {
                self.core.slots.plan_again();
                several.get(several.len() / 2..).map(<[usize]>::to_vec)
            }
        }
    }
}

impl CoreDriver for Driver<'_> {
    async fn serve(&mut self, start: u64, pid: u32) {
        self.begin(start, pid).await;
        self.keep_in_step().await;
    }
}
