//! Whether our own uplink and the probe URL work, asked without any node.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use hezar_engine::{Attempt, Dialer};
use tokio::task::JoinSet;

use crate::{Check, Control};

/// The control checks.
#[derive(Debug)]
pub(crate) struct Controls {
    uplink: Vec<Arc<dyn Check>>,
    url: Arc<dyn Check>,
    /// Whether the probe URL has ever answered directly. Where it is blocked it never does, and then its silence
    /// says nothing.
    url_answered: AtomicBool,
}

impl Controls {
    /// Checks of the uplink, and of the probe URL.
    pub(crate) fn new(uplink: Vec<Arc<dyn Check>>, url: Arc<dyn Check>) -> Self {
        Self { uplink, url, url_answered: AtomicBool::new(false) }
    }

    /// Whether there is anything to ask.
    pub(crate) fn possible(&self) -> bool {
        !self.uplink.is_empty()
    }

    /// Asks all at once; the first answer of an uplink check decides about the uplink.
    pub(crate) async fn ask(&self, direct: Arc<dyn Dialer>, attempt: Attempt) -> Control {
        let mut asked = JoinSet::new();
        for check in &self.uplink {
            let (check, direct) = (Arc::clone(check), Arc::clone(&direct));
            asked.spawn(async move { check.check(&*direct, &attempt).await.is_ok() });
        }
        let url = self.url.check(&*direct, &attempt).await.is_ok();
        self.url_answered.fetch_or(url, Relaxed);
        if url {
            return Control::Up;
        }
        while let Some(answered) = asked.join_next().await {
            if matches!(answered, Ok(true)) {
                return if self.url_answered.load(Relaxed) { Control::UrlDown } else { Control::Up };
            }
        }
        Control::UplinkDown
    }
}
