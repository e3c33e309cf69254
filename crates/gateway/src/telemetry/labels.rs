//! The labels of the metrics.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;

/// The labels of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) inbound: &'static str,
    pub(super) outcome: &'static str,
    pub(super) code: &'static str,
    pub(super) listener: Arc<str>,
}

/// The labels of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AttemptLabels {
    pub(super) result: &'static str,
    pub(super) code: &'static str,
    pub(super) listener: Arc<str>,
}

/// The labels of what moves in one direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DirectionLabels {
    pub(super) direction: &'static str,
    pub(super) listener: Arc<str>,
}

/// The labels of the bytes of one user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct UserLabels {
    pub(super) user: Box<str>,
    pub(super) direction: &'static str,
    pub(super) listener: Arc<str>,
}

/// The labels of the requests of one user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct UserRequestLabels {
    pub(super) user: Box<str>,
    pub(super) outcome: &'static str,
    pub(super) listener: Arc<str>,
}

/// The labels of a request for which more than one node was tried.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct FailoverLabels {
    pub(super) outcome: &'static str,
    pub(super) listener: Arc<str>,
}

/// The labels of a hedge.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HedgeLabels {
    pub(super) result: &'static str,
    pub(super) listener: Arc<str>,
}

/// The labels of a dropped datagram.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DropLabels {
    pub(super) reason: &'static str,
    pub(super) listener: Arc<str>,
}

/// The labels of a connection that ended before it had made a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RejectLabels {
    pub(super) code: &'static str,
    pub(super) listener: Arc<str>,
}

/// The label of what is counted for a listener alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ListenerLabels {
    pub(super) listener: Arc<str>,
}
