//! The question that a pick answers.

use std::{fmt, num::NonZeroU32, str::FromStr};

use hezar_core::{NodeId, Timestamp, choices};
use thiserror::Error;

use crate::{Anonymity, CityKey, Country, FilterId, Need, ServerKey, SessionKey, SiteKey, hash::mix};

/// How a node is chosen among those that fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Two exits are drawn at random, and a node behind each. The chance of each to win falls with the power 1.5 of the
    /// product of its latency, error rate and load: every exit gets its share, and requests begin where it is fast. The time
    /// in which a node moves the bytes that are expected counts as its latency does; see [`Query::expected_bytes`].
    #[default]
    Smart,
    /// One exit after the other, neighbours in different networks; the nodes behind one exit share its turns. A
    /// suspect node gets one turn in four.
    RoundRobin,
    /// An exit is drawn at random, and a node behind it. A suspect node is accepted one time in four.
    Random,
    /// The lowest latency; among nodes within a tenth of it, the least loaded.
    LeastLatency,
    /// The fewest open leases: exact up to 32 nodes, the best of 16 drawn at random beyond.
    LeastConnections,
    /// The same site gets the same node as long as that node is routable (multi-probe consistent hashing: a node
    /// that comes or goes moves only the sites that it gains or loses).
    ConsistentHash,
    /// The same client gets the same node until that node dies; the first choice is by consistent hashing.
    Sticky,
    /// The highest throughput for each open lease among 16 nodes drawn at random, as clients' transfers have shown it; see
    /// [`Pool::throughput`](crate::Pool::throughput). A node that has moved little so far, with an exit behind which little was
    /// moved, counts as the mean of the others.
    Fastest,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 8] = [
        Self::Smart,
        Self::RoundRobin,
        Self::Random,
        Self::LeastLatency,
        Self::LeastConnections,
        Self::ConsistentHash,
        Self::Sticky,
        Self::Fastest,
    ];

    /// The name in configuration, user names and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smart => "smart",
            Self::RoundRobin => "round-robin",
            Self::Random => "random",
            Self::LeastLatency => "least-latency",
            Self::LeastConnections => "least-connections",
            Self::ConsistentHash => "consistent-hash",
            Self::Sticky => "sticky",
            Self::Fastest => "fastest",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the strategy is one of {}", Strategy::ALL.map(Strategy::name).join(", "))]
pub struct ParseStrategyError;

impl FromStr for Strategy {
    type Err = ParseStrategyError;

    fn from_str(text: &str) -> Result<Self, ParseStrategyError> {
        Self::ALL.into_iter().find(|s| s.name() == text).ok_or(ParseStrategyError)
    }
}

choices!(Strategy);

/// What a node must satisfy, and how to choose among those that do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'a> {
    /// The strategy.
    pub strategy: Strategy,
    /// Only nodes that this filter of the pool lets through.
    pub filter: Option<FilterId>,
    /// Only nodes whose exit is in this country.
    pub country: Option<Country>,
    /// Servers tried before, by [`Node::server_key`](crate::Node::server_key).
    pub exclude_servers: &'a [ServerKey],
    /// Nodes tried before.
    pub exclude_nodes: &'a [NodeId],
    /// Only nodes whose protocol carries datagrams.
    pub datagrams: bool,
    /// Only nodes that reach onion services; see [`NodeSpec::reaches_onion_services`](hezar_core::NodeSpec::reaches_onion_services).
    pub onion_service: bool,
    /// Only nodes that may carry this; see [`HttpAbility`](crate::HttpAbility).
    pub need: Need,
    /// Only nodes that are known to give away no more than this; see [`Node::anonymity`](crate::Node::anonymity).
    pub anonymity: Option<Anonymity>,
    /// Only nodes whose exit belongs to this autonomous system; see [`Pool::set_atlas`](crate::Pool::set_atlas).
    pub asn: Option<NonZeroU32>,
    /// Only nodes whose exit is in this city.
    pub city: Option<CityKey>,
    /// The client or session. Whenever it is given, the node first
    /// chosen (by any strategy) is kept for it until that node dies; then another one behind the same exit is chosen,
    /// and only without such a one another exit. To end a session after a time, put the number of the period into
    /// the key.
    pub session: Option<SessionKey>,
    /// The site, for [`Strategy::ConsistentHash`], and to leave out the
    /// nodes that this one site refuses, unless it refuses all of them.
    pub site: Option<SiteKey>,
    /// The time, for the circuits: a node that has just failed rests for seconds, then one request tries it. While
    /// every node that fits rests, and without a time, circuits are not looked at.
    pub now: Option<Timestamp>,
    /// How many bytes the request is expected to move, for [`Strategy::Smart`]; 0 = few or unknown.
    pub expected_bytes: f32,
    /// Prefer the node that is fast and has succeeded lately among a few drawn at random, whatever the strategy: for a request
    /// that has failed once already.
    pub prefer_recent_success: bool,
}

impl Query<'_> {
    /// A number for what is asked of a node, whoever asks: the strategy, the session and what was tried do not matter.
    pub(crate) fn kind(&self, with_site: bool) -> u64 {
        let need = match self.need {
            Need::Anything => 0,
            Need::Plain { port, allow_transparent } => 1 << 18 | u64::from(allow_transparent) << 17 | u64::from(port),
            Need::Tunnel(port) => 1 << 19 | u64::from(port),
        };
        let place = self.country.map_or(0, |letters| u64::from(u16::from_be_bytes(letters)) + 1);
        let filter = self.filter.map_or(0, |id| u64::from(id.0) + 1);
        let anonymity = self.anonymity.map_or(0, |level| level as u64 + 1);
        let asn = self.asn.map_or(0, |asn| u64::from(asn.get()));
        let city = self.city.map_or(0, |city| u64::from(city.number()) + 1);
        let site = self.site.filter(|_| with_site).map_or(0, |site| site.0);
        let parts = [
            need,
            place,
            filter,
            anonymity << 2 | u64::from(self.onion_service) << 1 | u64::from(self.datagrams),
            asn,
            city,
            site,
        ];
        parts.into_iter().fold(1, |hash, part| mix(hash ^ part).wrapping_add(1))
    }
}
