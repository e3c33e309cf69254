//! The settings of the gateway, and what makes them impossible.

use std::{net::SocketAddr, time::Duration};

use hezar_core::Secret;
use hezar_pool::{FilterId, Strategy};
use thiserror::Error;

/// The limits of one user or one client; absent = none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests and tunnels open at a time.
    pub connections: Option<u32>,
    /// Requests begun per second; a second's worth may come at once.
    pub requests: Option<u32>,
    /// Bytes per second, both directions together; what comes faster waits.
    pub bytes: Option<u64>,
}

impl Limits {
    /// Whether nothing is limited.
    #[must_use]
    pub const fn none(&self) -> bool {
        self.connections.is_none() && self.requests.is_none() && self.bytes.is_none()
    }
}

/// Somebody who may use the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name; options may follow it after a hyphen when a client logs in.
    pub name: Box<str>,
    /// The password.
    pub password: Secret,
    /// What the user may have at a time.
    pub limits: Limits,
}

/// The settings of the gateway.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// The name of the listener; sessions of one user at two listeners are two.
    pub name: Box<str>,
    /// Where to listen. Without users it must be a loopback address.
    pub listen: SocketAddr,
    /// Who may use it; empty = anybody who can reach the loopback address.
    pub users: Vec<User>,
    /// How a node is chosen unless the user name says otherwise.
    pub strategy: Strategy,
    /// What one client address may have at a time.
    pub client_limits: Limits,
    /// The nodes that it uses; absent = all.
    pub filter: Option<FilterId>,
    /// How many nodes one request may try, 1 to 32.
    pub attempts: u32,
    /// The time from a complete request to a connected node (or the head of the answer), all attempts together.
    pub deadline: Duration,
    /// How long a request waits for a node when none is usable and some are yet to be probed: after a start, or when all
    /// nodes were exchanged at once. Zero: it is refused at once.
    pub node_wait: Duration,
    /// The longest that one attempt may take, so that a mute node does not eat the deadline.
    pub attempt_timeout: Duration,
    /// How many requests in a hundred may be given to a second node because the first one is late, 0 to 100.
    pub hedge_percent: u32,
    /// Whether a first flight that may act twice (a POST, an unknown protocol) is repeated over another node, too, when
    /// one fails before it has answered.
    pub repeat_unsafe: bool,
    /// Whether HTTP answers say which node and exit served them (`Proxy-Status`).
    pub name_exit: bool,
    /// The time a client has to complete its first request.
    pub setup_timeout: Duration,
    /// The time an HTTP connection may wait for its next request.
    pub keep_alive: Duration,
    /// A tunnel in which no byte moves for this long is closed.
    pub idle_timeout: Duration,
    /// An association over which no datagram moves for this long is closed.
    pub udp_idle_timeout: Duration,
    /// A node that has not answered the first datagram of an association for this long is left for another one when
    /// the next datagram comes.
    pub udp_patience: Duration,
    /// How long running tunnels may go on after a drain began.
    pub grace: Duration,
    /// The most connections at a time. A further one takes the place of one that has not logged in; when all have, it is
    /// closed at once.
    pub max_connections: usize,
    /// The most connections of one client address (in IPv6: of a /64) that have not logged in, or not made a request;
    /// the oldest one is closed for one more. Loopback addresses have no such limit.
    pub max_pending_per_client: usize,
    /// The most UDP associations at a time; further ones are refused.
    pub max_associations: usize,
    /// The largest head of an HTTP request, in bytes; at least 8192.
    pub max_head: usize,
    /// How long a session named in the user name keeps its node unless the name says otherwise.
    pub session_ttl: Duration,
    /// The most sessions kept at a time.
    pub max_sessions: usize,
    /// The most sessions of one user; one more ends the one that was unused for longest.
    pub max_sessions_per_user: usize,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            name: "proxy".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            users: Vec::new(),
            strategy: Strategy::Smart,
            client_limits: Limits::default(),
            filter: None,
            attempts: 16,
            deadline: Duration::from_secs(30),
            node_wait: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(10),
            hedge_percent: 5,
            repeat_unsafe: false,
            name_exit: true,
            setup_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(600),
            udp_idle_timeout: Duration::from_secs(300),
            // Resolvers ask again after 5 s.
            udp_patience: Duration::from_secs(4),
            grace: Duration::from_secs(10),
            max_connections: 16_384,
            max_pending_per_client: 256,
            max_associations: 1024,
            max_head: 64 * 1024,
            session_ttl: Duration::from_secs(600),
            max_sessions: 100_000,
            max_sessions_per_user: 10_000,
        }
    }
}

/// What is wrong with a setting; the text begins with its key beneath `[proxy]`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An address that others can reach, without users.
    #[error("listen: {0} can be reached from other machines; add users or listen on 127.0.0.1")]
    OpenToAll(SocketAddr),
    /// A user without a name or a password.
    #[error("users[{0}]: the name and the password must not be empty")]
    EmptyUser(usize),
    /// A name that Basic authentication cannot carry.
    #[error("users[{0}]: the name must not contain a colon or a control character")]
    BadUserName(usize),
    /// The name exists twice.
    #[error("users[{0}]: the name exists twice")]
    DuplicateUser(usize),
    /// A number outside its range.
    #[error("{key}: must be from {min} to {max}")]
    Range {
        /// The key.
        key: &'static str,
        /// The smallest value allowed.
        min: u64,
        /// The largest value allowed.
        max: u64,
    },
    /// A duration of zero.
    #[error("{0}: must be longer than zero")]
    ZeroDuration(&'static str),
}

impl GatewayConfig {
    /// The first thing that is wrong, if any.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigError> {
        let mut found = Vec::new();
        if self.users.is_empty() && !self.listen.ip().to_canonical().is_loopback() {
            found.push(ConfigError::OpenToAll(self.listen));
        }
        for (index, user) in self.users.iter().enumerate() {
            if user.name.is_empty() || user.password.is_empty() {
                found.push(ConfigError::EmptyUser(index));
            }
            if user.name.chars().any(|c| c == ':' || c.is_control()) {
                found.push(ConfigError::BadUserName(index));
            }
            if self.users[..index].iter().any(|other| other.name == user.name) {
                found.push(ConfigError::DuplicateUser(index));
            }
        }
        let numbers = [
            ("attempts", u64::from(self.attempts), 1, 32),
            ("hedge_percent", u64::from(self.hedge_percent), 0, 100),
            ("max_connections", self.max_connections as u64, 1, 1 << 24),
            ("max_pending_per_client", self.max_pending_per_client as u64, 1, 1 << 24),
            ("max_associations", self.max_associations as u64, 1, 1 << 24),
            ("max_head", self.max_head as u64, 8192, 1 << 20),
            ("max_sessions", self.max_sessions as u64, 1, 1 << 24),
            ("max_sessions_per_user", self.max_sessions_per_user as u64, 1, 1 << 24),
        ];
        for (key, value, min, max) in numbers {
            if !(min..=max).contains(&value) {
                found.push(ConfigError::Range { key, min, max });
            }
        }
        let durations = [
            ("deadline", self.deadline),
            ("attempt_timeout", self.attempt_timeout),
            ("setup_timeout", self.setup_timeout),
            ("keep_alive", self.keep_alive),
            ("idle_timeout", self.idle_timeout),
            ("udp_idle_timeout", self.udp_idle_timeout),
            ("udp_patience", self.udp_patience),
            ("session_ttl", self.session_ttl),
        ];
        found.extend(durations.iter().filter(|(_, d)| d.is_zero()).map(|(key, _)| ConfigError::ZeroDuration(key)));
        found
    }
}
