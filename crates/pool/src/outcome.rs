//! Evidence about a node: what happened when something was sent through it.

use std::{net::IpAddr, time::Duration};

use hezar_core::{Code, Country, Fault, Stage, Timestamp};

/// Who gathered the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A probe: comparable between nodes, guarded against outages of our own.
    Probe,
    /// A client's connection.
    Traffic,
}

/// One piece of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Who gathered it.
    pub origin: Origin,
    /// What happened.
    pub result: Result<Success, Failure>,
}

/// It worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Success {
    /// How long it took. Only probes feed the smoothed latency: a client's connection to an arbitrary site cannot be
    /// compared with another node's.
    pub latency: Duration,
    /// Where the traffic came out, when that was looked up.
    pub exit: Option<Exit>,
}

/// Where a node's traffic comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The address that targets see.
    pub ip: IpAddr,
    /// Its country, when known.
    pub country: Option<Country>,
}

/// What another instance has measured of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hearsay {
    /// When it last worked there, by the clock of this process.
    pub last_ok: Timestamp,
    /// How long a probe through it took there.
    pub latency: Option<Duration>,
    /// Where its traffic came out there.
    pub exit: Option<Exit>,
}

/// It failed. Only [`Fault::Node`] counts against the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whose fault it was.
    pub fault: Fault,
    /// How far it came.
    pub stage: Stage,
    /// The stable code of the cause.
    pub code: Code,
}

impl Outcome {
    /// A success without an exit lookup.
    #[must_use]
    pub const fn success(origin: Origin, latency: Duration) -> Self {
        Self { origin, result: Ok(Success { latency, exit: None }) }
    }

    /// A failure.
    #[must_use]
    pub fn failure(origin: Origin, fault: Fault, stage: Stage, code: impl Into<Code>) -> Self {
        Self { origin, result: Err(Failure { fault, stage, code: code.into() }) }
    }
}
