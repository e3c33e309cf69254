//! What a failed probe says about its node.

use hezar_core::Fault;
use hezar_engine::{Cause, DialError};
use hezar_pool::Failure;

use crate::canary::intercepted;

/// The meaning of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeError {
    /// It counts against the node, unless the guard holds it back.
    Failed(Failure),
    /// It says nothing about the node.
    Inconclusive(&'static str),
    /// The node changes what passes through it; one of [`TAMPERING`](crate::TAMPERING).
    Tampered(&'static str),
    /// No dialer can be built for the node.
    Unsupported(&'static str),
}

impl ProbeError {
    /// Judges a failure. Faults that are not the node's in general are its own in a probe: the probe's target is
    /// known to answer (else the guard steps in), so a node that cannot reach it is of no use; and a node whose
    /// address its source does not allow can never be used. What a protocol cannot do for one target (an IPv6 address
    /// over SOCKS4) says nothing about others: only a dialer that cannot be built, or a core that refuses the node, makes it unsupported.
    pub(crate) fn classify(error: &DialError) -> Self {
        if let Some(code) = intercepted(error) {
            return Self::Tampered(code);
        }
        let failed = Self::Failed(Failure { fault: Fault::Node, stage: error.stage, code: error.code().into() });
        match (&error.cause, error.fault()) {
            (Cause::CoreRefused(_), _) => Self::Unsupported(error.code()),
            (Cause::ForbiddenAddress | Cause::OwnListener | Cause::NoRoute, _) | (_, Fault::Node | Fault::Target) => {
                failed
            }
            (_, Fault::Local | Fault::Client) => Self::Inconclusive(error.code()),
        }
    }
}
