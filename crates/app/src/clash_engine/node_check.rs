//! The check of a node by the PROBE core, for Hezar's prober.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hezar_core::Stage;
use hezar_engine::{AddressPolicy, Attempt, Cause, DialError, Dialer, Engine};
use hezar_pool::Node;
use hezar_probe::{NodeCheck, NodeCheckError, ProbeConfig};
use hezar_sidecar::ControllerError;

use super::{
    CORE_REFUSED, CORE_UNAVAILABLE, NODE_UNSUPPORTED,
    batches::{Batch, Loaded},
    members::entry,
    names::Names,
    probe::ProbeCore,
};

/// The status with which a core says that a check took too long.
const TIMED_OUT: u16 = 504;
/// The status with which a core says that a check has failed.
const FAILED: u16 = 503;
/// The least that a check takes: a core tells whole milliseconds.
const LEAST: Duration = Duration::from_millis(1);
/// How often a check is repeated whose outcome a change of the core's other nodes has made it forget.
const REPEATS: u32 = 3;

/// Checks nodes by the PROBE core with one probe URL.
pub(super) struct CoreCheck {
    core: Arc<ProbeCore>,
    engine: Arc<dyn Engine>,
    names: Arc<Names>,
    url: String,
    status: u16,
}

impl std::fmt::Debug for CoreCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoreCheck").field("url", &self.url).field("status", &self.status).finish_non_exhaustive()
    }
}

impl CoreCheck {
    /// Checks with the URL and the status of this configuration. `engine` says which servers may be reached.
    pub(super) fn new(core: Arc<ProbeCore>, engine: Arc<dyn Engine>, names: Arc<Names>, config: &ProbeConfig) -> Self {
        Self { core, engine, names, url: config.url.as_str().to_owned(), status: config.expect_status }
    }

    /// Refuses servers at addresses that the node's source does not allow. A core itself dials the addresses that it is given.
    async fn admit(&self, node: &Node<Arc<dyn Dialer>>, limit: Duration) -> Result<(), DialError> {
        let direct = self.engine.direct(AddressPolicy::allowing_private(node.allow_private()));
        match direct.local_network() {
            Some(network) => network.candidates(&node.spec().server, &Attempt::within(limit)).await.map(drop),
            None => Ok(()),
        }
    }

    /// Lets the core check a node that it has.
    async fn ask(&self, batch: &Batch, node: &str, limit: Duration) -> Result<Duration, NodeCheckError> {
        let (controller, provider) = (self.core.controller(), batch.provider());
        for _ in 0..REPEATS {
            self.core.note_check();
            let answer = controller.check_provider_node(&provider, node, &self.url, Some(self.status), limit).await;
            let is_right = match &answer {
                Ok(_) | Err(ControllerError::Refused { .. }) => self.is_right(&provider, node).await,
                Err(_) => None,
            };
            match (answer, is_right) {
                (Ok(delay), Some(true)) => return Ok(delay.max(LEAST)),
                (Ok(_), Some(false)) => {
                    let text = format!("another status than {}", self.status);
                    return Err(failed(Stage::Exchange, Cause::UnexpectedAnswer(text.into())));
                }
                // The core has built the node anew meanwhile.
                (Ok(_), None) => {}
                (Err(ControllerError::Refused { status, .. }), is_right) => match (status.as_u16(), is_right) {
                    (TIMED_OUT, _) => return Err(failed(Stage::Handshake, Cause::Timeout)),
                    // A core takes an answer within a millisecond for a failure.
                    (FAILED, Some(true)) => return Ok(LEAST),
                    (FAILED, _) => return Err(failed(Stage::Exchange, Cause::CoreFailed)),
                    _ => break,
                },
                (Err(_), _) => break,
            }
        }
        Err(NodeCheckError::Unavailable(CORE_UNAVAILABLE))
    }

    /// Whether the last check brought the right status; `None` when the core does not know.
    async fn is_right(&self, provider: &str, node: &str) -> Option<bool> {
        let node = self.core.controller().provider_node(provider, node).await.ok()?;
        node.extra.get(&self.url).map(|checks| checks.alive)
    }
}

#[async_trait]
impl NodeCheck for CoreCheck {
    async fn check(&self, node: &Node<Arc<dyn Dialer>>, limit: Duration) -> Result<Duration, NodeCheckError> {
        let Some(entry) = entry(node) else { return Err(NodeCheckError::Unsupported(NODE_UNSUPPORTED)) };
        self.admit(node, limit).await?;
        self.names.note(node);
        if !self.core.is_up_within(limit).await {
            return Err(NodeCheckError::Unavailable(CORE_UNAVAILABLE));
        }
        match self.core.batches.load(node.id(), entry).await {
            Loaded::In(batch) => self.ask(&batch, &node.id().to_string(), limit).await,
            Loaded::Refused(_) => {
                self.core.note_refusal();
                Err(NodeCheckError::Unsupported(CORE_REFUSED))
            }
            Loaded::Unavailable => Err(NodeCheckError::Unavailable(CORE_UNAVAILABLE)),
        }
    }
}

const fn failed(stage: Stage, cause: Cause) -> NodeCheckError {
    NodeCheckError::Failed(DialError::new(stage, cause))
}
