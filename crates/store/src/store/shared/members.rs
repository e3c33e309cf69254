//! The instances that share a store, and what only one of them does at a time.

use std::{sync::Arc, time::Duration};

use hezar_core::{Roles, Timestamp};

/// How often an instance says that it lives.
pub const BEAT_EVERY: Duration = Duration::from_secs(2);
/// An instance that has not said so for this long is gone.
pub const GONE_AFTER: Duration = Duration::from_secs(10);

/// What an instance says of itself with each beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberBeat {
    /// Its name, which no other living instance has.
    pub name: Arc<str>,
    /// The number of the process, which is another one after each start; never 0.
    pub incarnation: i64,
    /// What it does.
    pub roles: Roles,
    /// Where it stands.
    pub region: Box<str>,
    /// The name of its machine.
    pub host: Box<str>,
    /// Its process id there.
    pub pid: u32,
    /// The version of the program.
    pub version: Box<str>,
    /// Where its first listener listens; empty when there is none.
    pub proxy: Box<str>,
    /// Where its API listens; empty when there is none.
    pub api: Box<str>,
    /// When the process started.
    pub started: Timestamp,
    /// How it is.
    pub figures: MemberFigures,
}

/// How an instance is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberFigures {
    /// Open tunnels and associations.
    pub tunnels: u64,
    /// Nodes in its pool that may carry traffic.
    pub routable: u64,
    /// Nodes that it probes.
    pub owned: u64,
    /// Changes that wait to be written to the store.
    pub queue: u64,
    /// Sources that it reads now.
    pub claims: u64,
    /// How far behind the changes of others it is, in milliseconds; `None` when it follows none.
    pub lag_ms: Option<u64>,
    /// Processor time since the last beat, in percent of one processor; `None` where it cannot be measured.
    pub cpu_percent: Option<u64>,
    /// Memory of the process in bytes; `None` where it cannot be measured.
    pub memory_bytes: Option<u64>,
}

/// An instance as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    /// What it said last. The incarnation is 0 while it hands over to another process.
    pub beat: MemberBeat,
    /// How long ago that was, by the database's clock.
    pub age: Duration,
    /// How long it has been a member, by the database's clock.
    pub member_for: Duration,
    /// Whether an operator drains it.
    pub draining: bool,
}

/// What an instance learns with its beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// All instances by name, those too that were alive within the last hour.
    pub rows: Vec<MemberRow>,
    /// Whether the beat counts; false when another process beats under the name.
    pub is_accepted: bool,
    /// The database's time.
    pub now: Timestamp,
    /// Sources that somebody wants to be read now.
    pub requested: Vec<Arc<str>>,
}

/// What a claim was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is the claimer's until its lease runs out.
    Granted {
        /// Whether somebody wants the source to be read now; the request is taken off the list.
        is_requested: bool,
    },
    /// Another instance has it.
    Held,
}
