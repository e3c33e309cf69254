//! Nodes in memory: their health, the views over them, and the choice of one for each connection.
//!
//! Deterministic: time and randomness are arguments. Nothing here opens a socket or starts a task.
//!
//! Readers see the pool as a published [`Snapshot`]; writers change private tables and publish what changed. A change
//! copies one chunk of each table that it touches and the list of pointers to its chunks, so it costs microseconds
//! with 100,000 nodes, and picking never waits for it.

mod atlas;
mod change;
mod exit_throughput;
mod filter;
mod hash;
mod index;
mod lease;
mod need;
mod node;
mod outcome;
mod own_lists;
mod pick;
mod pool;
mod query;
mod rare_fits;
mod rules;
mod servers;
mod sessions;
mod settings;
mod site_bans;
mod sites;
mod sources;
mod watch;

pub use atlas::{Atlas, CityKey};
pub use change::{Applied, PoolChange, Restored};
pub use filter::{Filter, FilterId, Term, TooManyFilters};
pub use hezar_core::{
    Anonymity, Country, ExitKey, HttpAbility, HttpWay, LastFailure, Listing, NetworkKey, Quarantine, Record, ServerKey,
    SessionKey, SiteKey, SourceName, State,
};
pub use index::{Counts, Snapshot};
pub use lease::Lease;
pub use need::Need;
pub use node::{Annotation, Node};
pub use outcome::{Exit, Failure, Hearsay, Origin, Outcome, Success};
pub use own_lists::OwnList;
pub use pool::{Candidate, Excluded, Explanation, Pool};
pub use query::{ParseStrategyError, Query, Strategy};
pub use rules::{Bounds, LeftOut, Rules};
pub use sessions::Pinned;
pub use settings::{HealthSettings, PoolSettings};
pub use site_bans::{SiteBan, SiteBanChange};
pub use sites::{SiteEvidence, SiteVerdict};
pub use watch::{ChangeKind, ChangedNode, Watch};

/// The codes of nodes that could be dialled and are not to be.
pub const REFUSED: &[hezar_core::CodeDoc] = &[
    hezar_core::CodeDoc::new(
        INSECURE,
        "The node takes any certificate, and pool.allow_insecure is false: it is kept and never used.",
    ),
    hezar_core::CodeDoc::new(DISABLED, "An operator has switched the node off: it carries nothing and is not probed."),
];
/// The code of a node that an operator has switched off.
pub const DISABLED: &str = "node-disabled";
/// The code of a node that takes any certificate where that is not allowed.
pub const INSECURE: &str = "node-insecure";

#[cfg(test)]
mod tests;
