//! Probes that somebody asks for now: the handle that gives the answers, one for each node.

use std::time::Duration;

use hezar_core::{Code, NodeId, Stage};
use thiserror::Error;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// Demands that wait for the prober at a time; more are refused with [`ProbeNowError::Busy`].
pub(crate) const MOST_WAITING: usize = 64;

/// What a demanded probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// The node answered as it should, after this time.
    Works(Duration),
    /// The probe failed.
    Failed {
        /// How far it came.
        stage: Stage,
        /// The stable code of the cause.
        code: Code,
        /// Whether it counts against the node; it does not while the outage guard doubts our own uplink.
        counted: bool,
    },
    /// The node was caught changing what passes through it; the stable code of what it did.
    Tampered(Code),
    /// The probe says nothing about the node, because this machine was at fault; the stable code of the cause.
    Inconclusive(Code),
    /// The probe ended by a bug of this program, which is in the log.
    Panicked,
    /// No dialer can be built for the node; the stable code of the reason.
    Unsupported(Code),
    /// The node is not in the pool.
    Gone,
}

/// The answer to a demand for one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// The node.
    pub id: NodeId,
    /// What its probe found.
    pub result: ProbeResult,
}

/// Why a demand is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProbeNowError {
    /// Nothing probes at the moment.
    #[error("the prober does not run")]
    NotRunning,
    /// Too many demands wait already.
    #[error("too many demands for probes are waiting; try again in a moment")]
    Busy,
}

/// The answers to one demand as they come in, exactly one for each node that was asked for.
#[derive(Debug)]
pub struct ProbeAnswers {
    asked: usize,
    answers: UnboundedReceiver<ProbeAnswer>,
}

impl ProbeAnswers {
    pub(crate) const fn new(asked: usize, answers: UnboundedReceiver<ProbeAnswer>) -> Self {
        Self { asked, answers }
    }

    /// How many different nodes were asked for.
    #[must_use]
    pub const fn asked(&self) -> usize {
        self.asked
    }

    /// The next answer; `None` after the last one, and when the prober has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<ProbeAnswer> {
        self.answers.recv().await
    }
}

/// A demand on its way to the prober's task. The channel never holds more than one answer for each node.
#[derive(Debug)]
pub(crate) struct Demand {
    pub(crate) ids: Vec<NodeId>,
    pub(crate) answers: UnboundedSender<ProbeAnswer>,
}
