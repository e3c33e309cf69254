//! What a failed probe says about its node.

use hezar_core::Fault;
use hezar_engine::{Cause, DialError};
use hezar_pool::Failure;

use crate::canary::intercepted;

/// The meaning of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It counts against the node, unless the guard holds it back.
    Failed(Failure),
    /// It says nothing about the node.
    Nothing(&'static str),
    /// The node changes what passes through it; one of [`TAMPERING`](crate::TAMPERING).
    Tampered(&'static str),
    /// The node needs something that this build cannot do.
    Unsupported(&'static str),
}

impl Verdict {
    /// Judges a failure. Two faults that are not the node's in general are its own in a probe: the probe's target is
    /// known to answer (else the guard steps in), so a node that cannot reach it is of no use; and a node whose
    /// address its source does not allow can never be used.
    pub(crate) fn of(error: &DialError) -> Self {
        if let Some(code) = intercepted(error) {
            return Self::Tampered(code);
        }
        let failed = Self::Failed(Failure { fault: Fault::Node, stage: error.stage, code: error.code() });
        match (&error.cause, error.fault()) {
            (Cause::Unsupported(_), _) => Self::Unsupported(error.code()),
            (Cause::ForbiddenAddress, _) | (_, Fault::Node | Fault::Target) => failed,
            (_, Fault::Local | Fault::Client) => Self::Nothing(error.code()),
        }
    }
}
