//! How mihomo is started with the slots of the moment.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::config::{self, SOCKET};
use crate::{
    Controller, ControllerAddress, CoreCommand, CoreError, CoreHome, CoreSetup,
    loopback::{accept, are_own, free_address},
    slots::{SlotPlan, SlotTable},
};

/// What a start of mihomo was begun with.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub(super) plan: SlotPlan,
    pub(super) listeners: Vec<SocketAddr>,
    /// Whether it has all nodes that there were.
    pub(super) is_whole: bool,
    /// Whether its listeners were seen to be this user's.
    is_checked: bool,
}

/// Starts mihomo.
#[derive(Debug)]
pub(super) struct MihomoSetup {
    program: PathBuf,
    slots: Arc<SlotTable>,
    begun: Mutex<Option<Begun>>,
}

impl MihomoSetup {
    pub(super) const fn new(program: PathBuf, slots: Arc<SlotTable>) -> Self {
        Self { program, slots, begun: Mutex::new(None) }
    }

    /// What the present start was begun with.
    pub(super) fn begun(&self) -> Option<Begun> {
        self.begun.lock().clone()
    }

    /// The controller of the mihomo in the folder `home`.
    pub(super) fn controller(home: &CoreHome) -> Controller {
        Controller::new(ControllerAddress::Unix(home.file(SOCKET)))
    }
}

#[async_trait]
impl CoreSetup for MihomoSetup {
    fn name(&self) -> &'static str {
        "mihomo"
    }

    /// The nodes that the core has not seen yet come later: one that it refuses would keep it from starting.
    async fn prepare(&self, home: &CoreHome) -> Result<CoreCommand, CoreError> {
        let plan = self.slots.plan();
        let unproven = plan.unproven();
        let plan = plan.without(&unproven);
        let mut listeners = Vec::new();
        for _ in &plan.blocks {
            listeners.push(free_address().await?);
        }
        let rendered = config::render(&plan, &listeners);
        home.remove(SOCKET)?;
        let file = home.write("config.json", rendered.text.as_bytes())?;
        *self.begun.lock() = Some(Begun { plan, listeners, is_whole: unproven.is_empty(), is_checked: false });
        let arguments = vec!["-d".into(), home.path().into(), "-f".into(), file.into_os_string()];
        Ok(CoreCommand { program: self.program.clone(), arguments, environment: Vec::new() })
    }

    async fn is_ready(&self, home: &CoreHome) -> bool {
        let known = self.begun.lock().as_ref().map(|begun| (begun.listeners.clone(), begun.is_checked));
        let Some((listeners, is_checked)) = known else { return false };
        if Self::controller(home).version().await.is_err() || !accept(&listeners).await {
            return false;
        }
        // Asked until it was so: the core holds its ports from then on.
        if !is_checked && !are_own(&listeners) {
            return false;
        }
        if let Some(begun) = &mut *self.begun.lock() {
            begun.is_checked = true;
        }
        true
    }

    fn level(&self, line: &str) -> tracing::Level {
        let level = line.split_once("level=").and_then(|(_, rest)| rest.split(' ').next());
        let is_dial = line.contains("msg=\"[TCP] dial ") || line.contains("msg=\"[UDP] dial ");
        match level {
            // That a node cannot be reached shows at its streams.
            Some("warning" | "error") if is_dial => tracing::Level::DEBUG,
            Some("fatal" | "error") => tracing::Level::ERROR,
            Some("warning") => tracing::Level::WARN,
            _ => tracing::Level::DEBUG,
        }
    }
}
