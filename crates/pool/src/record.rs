//! What is known about one node: what the store keeps and what the API shows.

use std::{net::IpAddr, time::Duration};

use hezar_core::{Label, NodeSpec, Stage, Timestamp};

use crate::{HttpAbility, State};

/// The name of a source, shared by all the nodes that it lists.
pub type SourceName = std::sync::Arc<str>;

/// An ISO 3166-1 alpha-2 country code in upper case, e.g. `*b"DE"`.
pub type Country = [u8; 2];

/// The health and the measurements of a node at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Its health.
    pub state: State,
    /// Failures in a row by the node's own fault.
    pub failures: u32,
    /// When it was first listed.
    pub first_seen: Timestamp,
    /// The last success, of a probe or of traffic.
    pub last_ok: Option<Timestamp>,
    /// The last evidence of any kind that counted.
    pub last_checked: Option<Timestamp>,
    /// Since when it has been dead; only in [`State::Dead`].
    pub dead_since: Option<Timestamp>,
    /// Since when no source lists it; `None` while one does.
    pub unlisted_since: Option<Timestamp>,
    /// Smoothed duration of a probe through it, in microseconds' precision.
    pub latency: Option<Duration>,
    /// Smoothed share of failures, 0 to 1.
    pub error_rate: f32,
    /// The address that targets see.
    pub exit_ip: Option<IpAddr>,
    /// When the exit was last looked up.
    pub exit_seen: Option<Timestamp>,
    /// The country of the exit.
    pub country: Option<Country>,
    /// The last failure that counted, while the node has not recovered from it.
    pub failure: Option<LastFailure>,
    /// The code that says why no dialer can be built for it; such a node is kept, never probed, never routed.
    pub unsupported: Option<&'static str>,
    /// What it carries, for an HTTP proxy.
    pub http_ability: HttpAbility,
    /// Why and since when it carries no traffic whatever its health: it was caught tampering.
    pub quarantine: Option<Quarantine>,
}

impl Record {
    /// The same record with no point in time behind `now`: a stored time that lies in the future comes from a clock that
    /// was wrong, and waiting for it could take weeks.
    #[must_use]
    pub(crate) fn no_later_than(self, now: Timestamp) -> Self {
        let past = |time: Option<Timestamp>| time.map(|time| time.min(now));
        Self {
            first_seen: self.first_seen.min(now),
            last_ok: past(self.last_ok),
            last_checked: past(self.last_checked),
            dead_since: past(self.dead_since),
            unlisted_since: past(self.unlisted_since),
            exit_seen: past(self.exit_seen),
            quarantine: self.quarantine.map(|caught| Quarantine { since: caught.since.min(now), ..caught }),
            ..self
        }
    }
}

/// A node was caught changing what passes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// The stable code of what it did.
    pub code: &'static str,
    /// When it was last seen to do it.
    pub since: Timestamp,
}

/// Where a node failed last, and the stable code of the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// The stage that failed.
    pub stage: Stage,
    /// The stable code, as in docs/errors.md.
    pub code: &'static str,
}

/// One source that lists a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The source.
    pub source: SourceName,
    /// Whether the source allows private server addresses.
    pub allow_private: bool,
}

/// A node as the store kept it.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The node.
    pub spec: NodeSpec,
    /// Its display name.
    pub label: Label,
    /// The sources that listed it.
    pub sources: Vec<Listing>,
    /// The source that listed it last, when none does any more; its permission is kept.
    pub kept_from: Option<Listing>,
    /// What was known about it; `unsupported` is not believed (a newer build may support it).
    pub record: Record,
}
