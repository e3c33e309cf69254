//! Checks our own uplink and the probe URL without any node.

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
    /// Whether the probe URL has ever answered directly. Where it is blocked it never does, and its failure then proves
    /// nothing.
    url_answered: AtomicBool,
}

impl ControlChecks {
    /// Checks of the uplink, and of the probe URL.
    pub(crate) fn new(uplink: Vec<Arc<dyn Check>>, url: Arc<dyn Check>) -> Self {
        Self { uplink, url, url_answered: AtomicBool::new(false) }
    }

    /// Whether there is any uplink check.
    pub(crate) fn possible(&self) -> bool {
        !self.uplink.is_empty()
    }

    /// Runs all checks at once; the first success of an uplink check proves the uplink. Where the probe URL has never answered
    /// directly, it counts as down when nodes carry the uplink checks and not the URL.
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
        if self.url_answered.load(Relaxed) || self.fails_only_for_url(nodes, later()).await {
            return ControlResult::UrlDown;
        }
        ControlResult::Up
    }

    /// Whether some node carries the uplink checks and no node carries the probe URL.
    async fn fails_only_for_url(&self, nodes: Vec<Arc<dyn Dialer>>, attempt: Attempt) -> bool {
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

/// Whether any task returns true; the others are then not waited for.
async fn any_true(mut asked: JoinSet<bool>) -> bool {
    while let Some(answer) = asked.join_next().await {
        if matches!(answer, Ok(true)) {
            return true;
        }
    }
    false
}
