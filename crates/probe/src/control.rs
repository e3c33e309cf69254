//! Whether our own uplink and the probe URL work, asked without any node.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use hezar_engine::{Attempt, Dialer};
use tokio::task::JoinSet;

use crate::{Check, ControlResult};

/// The control checks.
#[derive(Debug)]
pub(crate) struct ControlChecks {
    uplink: Vec<Arc<dyn Check>>,
    url: Arc<dyn Check>,
    /// Whether the probe URL has ever answered directly. Where it is blocked it never does, and then its silence
    /// says nothing.
    url_answered: AtomicBool,
}

impl ControlChecks {
    /// Checks of the uplink, and of the probe URL.
    pub(crate) fn new(uplink: Vec<Arc<dyn Check>>, url: Arc<dyn Check>) -> Self {
        Self { uplink, url, url_answered: AtomicBool::new(false) }
    }

    /// Whether there is anything to ask.
    pub(crate) fn possible(&self) -> bool {
        !self.uplink.is_empty()
    }

    /// Asks all at once; the first answer of an uplink check decides about the uplink. Where the probe URL has never
    /// answered directly, nodes that carry the uplink checks and not the URL are what speaks against it.
    pub(crate) async fn run(
        &self,
        direct: Arc<dyn Dialer>,
        nodes: Vec<Arc<dyn Dialer>>,
        attempt: impl Fn() -> Attempt + Sync,
    ) -> ControlResult {
        let (later, attempt) = (&attempt, attempt());
        let asked = self.uplink_through(&direct, attempt);
        let url = self.url.check(&*direct, &attempt).await.is_ok();
        self.url_answered.fetch_or(url, Relaxed);
        if url {
            return ControlResult::Up;
        }
        if !any_true(asked).await {
            return ControlResult::UplinkDown;
        }
        if self.url_answered.load(Relaxed) || self.seen_by(nodes, later()).await {
            return ControlResult::UrlDown;
        }
        ControlResult::Up
    }

    /// Whether a node is found that works for everything but the probe URL, and none that works for it.
    async fn seen_by(&self, nodes: Vec<Arc<dyn Dialer>>, attempt: Attempt) -> bool {
        let mut asked = JoinSet::new();
        for node in nodes {
            let (url, uplink) = (Arc::clone(&self.url), self.uplink_through(&node, attempt));
            asked.spawn(async move { (url.check(&*node, &attempt).await.is_ok(), any_true(uplink).await) });
        }
        let mut works = false;
        while let Some(found) = asked.join_next().await {
            match found {
                Ok((true, _)) => return false,
                Ok((false, carried)) => works |= carried,
                Err(_) => {}
            }
        }
        works
    }

    fn uplink_through(&self, via: &Arc<dyn Dialer>, attempt: Attempt) -> JoinSet<bool> {
        let mut asked = JoinSet::new();
        for check in &self.uplink {
            let (check, via) = (Arc::clone(check), Arc::clone(via));
            asked.spawn(async move { check.check(&*via, &attempt).await.is_ok() });
        }
        asked
    }
}

/// Whether anybody says yes; the others are not waited for.
async fn any_true(mut asked: JoinSet<bool>) -> bool {
    while let Some(answer) = asked.join_next().await {
        if matches!(answer, Ok(true)) {
            return true;
        }
    }
    false
}
