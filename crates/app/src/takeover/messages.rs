//! What a running instance and its successor, or a command, say to each other: JSON, one frame each.
//!
//! ```text
//!   successor                          running instance
//!   Takeover ────────────────────────► stops what writes, releases the store
//!            ◄──────────────────────── Released, and the listening sockets
//!   Alive … Ready ───────────────────► accepts nobody any more
//!            ◄──────────────────────── Go
//!   Serving ─────────────────────────► drains, and reports until its last tunnel has ended
//! ```
//!
//! Until `Serving` everything that fails, and every silence, makes the running instance take back what it has released.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::inherited_sockets::{SocketProtocol, SocketRole};

/// The version of these messages: an instance refuses a successor that speaks another one.
pub(crate) const PROTOCOL: u32 = 1;

/// What a connection begins with.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    /// A successor wants to take over.
    Takeover { protocol: u32, pid: u32, version: String, schema: i64 },
    /// A command asks for an upgrade.
    Upgrade(UpgradeRequest),
    /// A process that drains says how it goes; more reports may follow.
    Report(Report),
}

/// What is asked of an upgrade.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UpgradeRequest {
    /// The program to start; absent: the file from which the running one was started.
    pub(crate) binary: Option<PathBuf>,
    /// Whether to see only whether the program starts with the same arguments.
    pub(crate) check: bool,
}

/// What a running instance answers to a successor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ToSuccessor {
    /// Nothing is handed over, for this reason.
    Refused(String),
    /// The store is free; the listening sockets follow, in this order.
    Released(Vec<SocketNote>),
    /// The successor is to accept clients. With what has changed since the store was released.
    Go {
        sessions: Vec<SessionNote>,
        report: Report,
        /// The last report that was counted of each process that drains.
        counted: Vec<CountedReport>,
    },
}

/// What a socket is, which follows the message.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SocketNote {
    pub(crate) role: SocketRole,
    /// The address that the configuration names.
    pub(crate) configured: SocketAddr,
    /// What it receives; older versions hand over TCP sockets alone and do not say it.
    #[serde(default)]
    pub(crate) protocol: SocketProtocol,
}

/// What a successor says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ToPredecessor {
    /// It is still starting.
    Alive,
    /// It has the store, and everything is built: it could accept clients.
    Ready,
    /// It accepts clients.
    Serving,
    /// It gives up.
    Failed(String),
}

/// How a process that drains is doing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) pid: u32,
    /// Rises with every report of a process: one that is sent again is known by it.
    pub(crate) number: u64,
    /// What is open: requests, tunnels and associations.
    pub(crate) open: usize,
    /// The same by listener, user and client, as far as there is room for it.
    pub(crate) by_user: Vec<OpenNote>,
    /// What users have moved since the last report.
    pub(crate) usage: Vec<UsageNote>,
    /// Sessions that have begun or changed since the last report.
    pub(crate) sessions: Vec<SessionNote>,
}

/// A report that was counted: the same one that comes once more, to another process, is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CountedReport {
    pub(crate) pid: u32,
    pub(crate) number: u64,
}

/// What one user has open from one address at one listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenNote {
    pub(crate) listener: Box<str>,
    pub(crate) user: Box<str>,
    pub(crate) client: IpAddr,
    pub(crate) open: u32,
}

/// What a user has moved, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsageNote {
    pub(crate) user: Box<str>,
    pub(crate) up: u64,
    pub(crate) down: u64,
}

/// A session with its exit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionNote {
    pub(crate) listener: Box<str>,
    pub(crate) user: Box<str>,
    pub(crate) session: Box<str>,
    /// Two ASCII letters.
    pub(crate) country: Option<[u8; 2]>,
    /// Milliseconds since 1970.
    pub(crate) began: u64,
    /// Milliseconds since 1970.
    pub(crate) ends: u64,
    /// Milliseconds.
    pub(crate) lasts: u64,
    pub(crate) exit_ip: Option<IpAddr>,
    /// 32 hexadecimal digits.
    pub(crate) node: Option<String>,
}

/// What a running instance answers to a report.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ReportAnswer {
    /// What the users of the report have moved here since the last answer: it counts against their quotas there.
    pub(crate) usage: Vec<UsageNote>,
    /// Users whose tunnels have to end, with their listener: they were removed, switched off, or have expired.
    pub(crate) refused: Vec<(Box<str>, Box<str>)>,
}

/// How an upgrade goes; the last message is `Done` or `Failed`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum UpgradeProgress {
    /// A step was done.
    Step(String),
    /// It has succeeded.
    Done(String),
    /// It has failed, and the running instance serves as before.
    Failed(String),
}
