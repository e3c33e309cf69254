//! The settings of the gateway, and what makes them impossible.

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use arc_swap::ArcSwap;
use hezar_accept::{PortTls, ServerTls};
use hezar_core::{
    settings,
    settings::{Networks, is_public},
};
use hezar_pool::{FilterId, Strategy};
use thiserror::Error;

use crate::{AccessRules, FeedbackRule, InboundConfig, Limits, LogPrivacy, PortRange, User};

const LONGEST_TIMEOUT: Duration = Duration::from_secs(600);
/// The range of timeouts.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=LONGEST_TIMEOUT;
/// The range of times after which what is unused is closed.
const IDLE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(365 * 86_400);

/// The settings of a listener as its connections see them; they can be exchanged while it runs.
pub(crate) type Policy = ArcSwap<GatewayConfig>;

settings! {
    /// The settings of one listener. Those of `[proxy]` also say what a `[[listener]]` does not say.
    #[derive(Clone, Debug, PartialEq)]
    pub struct GatewayConfig in "proxy" {
        /// Any other address than loopback needs users or `open_to`.
        /// A port alone means `127.0.0.1`.
        pub listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8000)), set;
        /// While there are no users: networks of clients that need none, beside this machine.
        /// Only private networks can be named; `private` is all of them. With users it has no effect.
        pub open_to: Networks = Networks::default(), example "[\"192.168.1.0/24\"]";
        /// How a node is chosen, unless the user name says otherwise.
        pub strategy: Strategy = Strategy::Smart;
        /// Nodes tried for one request, each on another server.
        pub attempts: u32 [1..=32] = 16;
        /// Of 100 requests so many may ask a second node because the first is late.
        pub hedge_percent: u32 [0..=100] = 5;
        /// True: also what may act twice (POST, unknown protocols) is sent to another node.
        /// This happens only when the first node fails before it has answered.
        pub repeat_unsafe: bool = false;
        /// True: plain requests also over HTTP proxies that tell their targets your address.
        /// This is known of a proxy when `probe.judge_url` is set. False: such a proxy is asked for a tunnel, or left out.
        pub allow_transparent: bool = false;
        /// HTTP answers say in Proxy-Status which node, exit, country and session served them.
        pub name_exit: bool = true;
        /// HTTP answers name the exit, node and session in X-Hezar-Exit, X-Hezar-Node and X-Hezar-Session.
        /// Answers to absolute-form requests, and those to CONNECT; there the node that is connected first is named.
        pub exit_headers: bool = false;
        /// For all attempts together.
        /// The time from a complete request to a connected node, or to the head of the answer.
        pub deadline: Duration [TIMEOUT] = Duration::from_secs(30);
        /// For the first healthy node, while nodes are yet to be probed; "0s": refuse at once.
        pub node_wait: Duration [Duration::ZERO..=LONGEST_TIMEOUT] = Duration::from_secs(5);
        /// A tunnel without a byte is closed after this.
        pub idle_timeout: Duration [IDLE] = Duration::from_secs(600);
        /// A UDP association without a datagram is closed after this.
        pub udp_idle_timeout: Duration [IDLE] = Duration::from_secs(300);
        /// Proxies in front that name their clients with the PROXY protocol (version 1 or 2).
        /// A connection from one of these addresses must begin with the header; from others it is refused.
        pub proxy_protocol: Networks = Networks::default(), example "[\"127.0.0.1\", \"10.0.0.0/8\"]";
        /// What a client may take to say what it wants.
        pub setup_timeout as "handshake_timeout": Duration [TIMEOUT] = Duration::from_secs(10);
        /// Connections of clients at a time.
        /// A further one takes the place of one that has not logged in; when all have, it is closed at once.
        pub max_connections: usize [1..=1_000_000] = 16_384;
        /// Connections of one address that have not logged in; the oldest makes room.
        /// In IPv6, those of one /64. Loopback addresses have no such limit.
        pub max_pending_per_client: usize [1..=1_000_000] = 256;
        /// UDP associations, each with a socket of its own.
        pub max_associations: usize [1..=1_000_000] = 1024;
        /// Sessions named in user names, over all listeners.
        pub max_sessions: usize [1..=10_000_000] = 100_000;
        /// One more ends the user's session that was unused for longest.
        pub max_sessions_per_user: usize [1..=10_000_000] = 10_000;
        /// What open tunnels get at the end.
        pub grace as "drain": Duration [Duration::ZERO..=Duration::from_secs(3600)] = Duration::from_secs(10);
        /// What open tunnels get after another process has taken over (`hezar upgrade`).
        pub takeover_drain: Duration [Duration::ZERO..=Duration::from_secs(7 * 86_400)] = Duration::from_secs(3600);
    } and {
        /// The name of the listener; sessions of one user at two listeners are two.
        pub name: Box<str> = "proxy".into();
        /// Who may use it; empty = anybody who can reach the loopback address.
        pub users: Vec<User> = Vec::new();
        /// Whether the port speaks TLS, and where its certificate comes from.
        pub tls: PortTls = PortTls::default();
        /// The TLS that the port speaks; the application makes it of `tls`.
        pub server_tls: Option<ServerTls> = None;
        /// The encrypted inbound that it serves; absent = HTTP and SOCKS.
        pub inbound: Option<InboundConfig> = None;
        /// What the answers to plain requests say of exits.
        pub feedback: Vec<FeedbackRule> = Vec::new();
        /// Ports beside that of `listen`, each of which is a session for clients that give no user name with one.
        pub ports: Option<PortRange> = None;
        /// Where clients may go, unless a user's own rules say otherwise.
        pub rules: AccessRules = AccessRules::default();
        /// What the logs do not tell.
        pub log_privacy: LogPrivacy = LogPrivacy::default();
        /// What one client address may have at a time.
        pub client_limits: Limits = Limits::default();
        /// The nodes that it uses; absent = all.
        pub filter: Option<FilterId> = None;
        /// The longest that one attempt may take, so that a mute node does not eat the deadline.
        pub attempt_timeout: Duration = Duration::from_secs(10);
        /// The time an HTTP connection may wait for its next request.
        pub keep_alive: Duration = Duration::from_secs(60);
        /// A node that has not answered the first datagram of an association for this long is left for another one when
        /// the next datagram comes. Resolvers ask again after 5 s.
        pub udp_patience: Duration = Duration::from_secs(4);
        /// The largest head of an HTTP request, in bytes; at least 8192.
        pub max_head: usize = 64 * 1024;
        /// How long a session named in the user name keeps its node unless the name says otherwise.
        pub session_ttl: Duration = Duration::from_secs(600);
    }
}

/// What is wrong with a setting; the text begins with its key beneath `[proxy]`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An address that others can reach, without users.
    #[error(
        "listen: {0} can be reached from other machines; add users, say which private networks it is open to, or listen on 127.0.0.1"
    )]
    OpenToAll(SocketAddr),
    /// Clients of the public internet would need no users.
    #[error("open_to: only private networks can do without users")]
    OpenToPublic,
    /// A user without a name, or with neither a password nor a key.
    #[error("users[{0}]: the name must not be empty, and a password or a key is needed")]
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

    /// Whether a client at this address may be served, as far as its address decides it.
    pub(crate) fn is_open_to(&self, client: IpAddr) -> bool {
        // Encrypted inbounds let nobody in without a credential, and show everybody else their site.
        if self.inbound.is_some() {
            return true;
        }
        // Whoever comes to a loopback address from elsewhere comes through a proxy (`proxy_protocol`).
        !self.users.is_empty() || client.to_canonical().is_loopback() || self.open_to.contains(client)
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigError> {
        let mut found = Vec::new();
        let needs_users = self.inbound.is_none() && is_public(self.listen);
        if needs_users && self.users.is_empty() && self.open_to.is_empty() {
            found.push(ConfigError::OpenToAll(self.listen));
        }
        if !self.open_to.are_private() {
            found.push(ConfigError::OpenToPublic);
        }
        let mut names = HashSet::new();
        for (index, user) in self.users.iter().enumerate() {
            if user.name.is_empty() || !(user.has_password() || user.has_key()) {
                found.push(ConfigError::EmptyUser(index));
            }
            if user.name.chars().any(|c| c == ':' || c.is_control()) {
                found.push(ConfigError::BadUserName(index));
            }
            if !names.insert(&*user.name) {
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

#[cfg(test)]
mod tests {
    use hezar_core::settings::{Given, SettingValue};

    use super::*;
    use crate::{InboundFallback, InboundProtocol, InboundTransport};

    #[test]
    fn without_users_only_the_networks_that_are_named_come_in() {
        let networks = Networks::parse(&Given::Text("10.0.0.0/8".to_owned()), &()).unwrap();
        let open =
            GatewayConfig { listen: "0.0.0.0:1".parse().unwrap(), open_to: networks, ..GatewayConfig::default() };
        let admits = |config: &GatewayConfig, client: &str| config.is_open_to(client.parse().unwrap());
        for client in ["10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1", "::1"] {
            assert!(admits(&open, client), "{client}");
        }
        for client in ["192.168.1.1", "203.0.113.1", "::ffff:203.0.113.1", "2001:db8::1"] {
            assert!(!admits(&open, client), "{client}");
        }
        let inbound = InboundConfig {
            protocol: InboundProtocol::Trojan,
            transport: InboundTransport::default(),
            reality: None,
            fallback: InboundFallback::default(),
        };
        let encrypted = GatewayConfig { inbound: Some(inbound), open_to: Networks::default(), ..open.clone() };
        assert!(encrypted.validate().is_ok() && admits(&encrypted, "203.0.113.1"), "strangers see its site");
        let with_users = GatewayConfig { users: vec![User::new("alice", "s3cret")], ..open.clone() };
        assert!(admits(&with_users, "203.0.113.1"), "users are asked for their passwords");
        let local = GatewayConfig { listen: "127.0.0.1:1".parse().unwrap(), ..open };
        assert!(!admits(&local, "203.0.113.1"), "a trusted proxy has passed a stranger on");
    }
}
